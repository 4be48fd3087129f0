"""What a setting of a network and of its training may be; importing it loads no PyTorch."""

from typing import Any

import numpy as np

from sbt_utils.numbers import as_array, as_number
from sbt_utils.text import quoted

OPTIMIZERS = ("adam", "sgd", "momentum")
"""The names of the optimizers that `sbt_utils.training.trainer.train` knows."""

MOST = 2**31 - 1
"""Of layers, units, epochs and their like: nobody would live to see more."""

RANGES = {
    "negative_slope": (0.0, 1.0, "[0, 1]"),
    "dropout": (0.0, np.nextafter(1.0, 0.0), "[0, 1)"),
    "learning_rate": (np.nextafter(0.0, 1.0), np.finfo(np.float64).max, "(0, inf)"),
    "data_noise": (0.0, 1.0, "[0, 1]"),
    "weight_noise": (0.0, 1.0, "[0, 1]"),
}
"""Where each parameter of a network and of its training must lie: lowest, highest, in words."""


def check_range(name: str, values: Any) -> None:
    """Raise ValueError unless all values of the parameter lie in its range in `RANGES`."""
    low, high, words = RANGES[name]
    array = as_array(values)
    if not array.ndim and np.isnan(array):
        raise ValueError(f"{name}={quoted(values)}: give a number in {words}")
    outside = ~((array >= low) & (array <= high))
    if outside.any():
        raise ValueError(f"{name}={array[outside].flat[0]!s}: give a number in {words}")


def check_number(name: str, value: Any) -> None:
    """Raise ValueError unless the value of a parameter is one number in its range."""
    try:
        as_number(name, value)
    except TypeError:
        raise ValueError(f"{name}={quoted(value)}: give one number in {RANGES[name][2]}") from None
    check_range(name, value)


def check_counts(least: int = 1, **counts: Any) -> None:
    """Raise ValueError if a count, named by its keyword, is no integer from `least` to `MOST`."""
    for name, value in counts.items():
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}={quoted(value)}: give an integer of at least {least}")
        if value > MOST:
            raise ValueError(f"{name}={quoted(value)}: give an integer of at most {MOST}")
