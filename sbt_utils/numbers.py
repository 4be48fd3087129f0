"""What was given as a number, or as numbers: taken as such, or refused by its name."""

import math
from typing import Any

import numpy as np

from sbt_utils.text import quoted


def as_number(name: str, value: object) -> float:
    """Return a number, finite or not; raise where it is none. NumPy's become Python's own."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name}={quoted(value)}: give a number")
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf if value > 0 else -math.inf
    return value if isinstance(value, int) else number


def as_array(values: object) -> np.ndarray:
    """Return a float64 copy of real numbers, infinite where out of its range; NaN if they are none.

    Rows of different lengths, masked values and integers of more than 64 bits are none.
    """
    try:
        array = np.array(values)
        if array.dtype.kind not in "fiu" or np.ma.is_masked(values):
            return np.array(np.nan)
        with np.errstate(over="ignore"):
            return array.astype(np.float64)
    except (TypeError, ValueError):
        return np.array(np.nan)


def as_levels(name: str, levels: Any) -> list[Any]:
    """Return the levels of a sequence of one or more, whatever each of them is."""
    try:
        row = len(np.shape(levels)) == 1 and len(levels) > 0 and not np.ma.is_masked(levels)
    except ValueError:  # rows of different lengths
        row = False
    if not row:
        raise ValueError(f"{name}: give a sequence of one value or more")
    return list(levels)
