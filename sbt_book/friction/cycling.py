"""Dropout that goes slowly up and down while networks train, and the loop their convexity makes."""

from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn

from sbt_book.friction.chains import triangle
from sbt_utils.ensembles.ensemble import State
from sbt_utils.measuring.curves import curve_statistics
from sbt_utils.measuring.evaluation import separation_or_nan
from sbt_utils.training.readings import Readings, Record
from sbt_utils.training.settings import Members
from sbt_utils.training.trainer import train


def cycled_networks(
    network: nn.Sequential,
    data: tuple[Tensor, Tensor],
    state: dict[str, Any],
    period: int,
    dropout: tuple[float, float],
    epochs: tuple[int, int],
    readings: int,
    **settings: Any,
) -> np.ndarray:
    """Train networks on while their dropout goes up and down, and read their convexity.

    Parameters
    ----------
    network, data
        As in `sbt_utils.train`; images and labels.
    state : dict
        The networks to go on with, ``Training.state``.
    period : int
        Of the dropout, in epochs, a multiple of `readings`.
    dropout : (float, float)
        The lowest, with which it begins, and the highest.
    epochs : (int, int)
        After how many epochs of training the cycles begin, and after how many they end: a whole
        number of half periods later, three at least.
    readings : int
        In each period, a multiple of 4.
    **settings
        ``seeds`` and what else `sbt_utils.train` takes, but not the dropout.

    Returns
    -------
    ndarray, shape (members, 1.5 readings + 1)
        In the last one and a half periods.
    """
    begin, end = epochs
    low, high = dropout
    first, every = end - 3 * period // 2, period // readings

    def measure(network: nn.Sequential, dropout: float) -> float:
        curve = separation_or_nan(network, *data)
        return float(curve_statistics(curve, "convexity"))

    record = Record(network, measure)

    def take(epoch: int, state: State, members: Members) -> Members:
        if epoch >= first and (epoch - first) % every == 0:
            record.take(epoch, state, members)
        level = low + (high - low) * float(triangle(np.array(epoch - begin), period))
        return members | {"dropout": np.full_like(members["dropout"], level)}

    go_on = partial(train, network, *data, dropout=low, resume=state, progress=False, **settings)
    go_on(epochs=end, readings=Readings(tuple(range(begin + 1, end + 1)), take))
    count = len(state["seed"])
    if first == begin:  # no epoch of this training ends there
        start = go_on(epochs=begin)
        for member, trained in enumerate(start.networks):
            record.values[first, member] = measure(trained, low)
    # A network that has stopped by itself is read no more.
    table = [
        [record.values.get((epoch, member), np.nan) for epoch in range(first, end + 1, every)]
        for member in range(count)
    ]
    return np.array(table)


def loop_area(values: np.ndarray, starts_low: bool = True) -> np.ndarray:
    r"""Return the area of the loop that a quantity makes over one cycle of what drives it.

    The drive goes from 0 to 1 and back, and the area is :math:`\oint c\,dp`, positive where the
    quantity is larger on the way up. It is the mean of two, of a cycle that begins with the drive
    at one end and one that begins half a period later: in each, a quantity that drifts steadily
    seems to make a loop, in the one of the opposite sign of the other.

    Parameters
    ----------
    values : ndarray, shape (..., 1.5 n + 1)
        The quantity in one and a half periods, n times a period and at both ends.
    starts_low : bool
        Whether the drive begins at 0, else at 1.

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    >>> time = np.linspace(0, 1.5, 31)
    >>> round(float(loop_area(np.sin(2 * np.pi * time))), 3)  # ahead of the drive by a quarter
    1.263
    >>> abs(round(float(loop_area(time)), 3))  # a drift
    0.0
    """
    count = values.shape[-1] - 1
    period = 2 * count // 3
    if 3 * period != 2 * count or period % 4:
        raise ValueError(f"values: {count + 1} in a row; give 1.5 n + 1 with n a multiple of 4")
    drive = triangle(np.arange(count + 1), period)
    drive = drive if starts_low else 1 - drive
    middle = (values[..., 1:] + values[..., :-1]) / 2 * np.diff(drive)
    first, second = middle[..., :period].sum(-1), middle[..., period // 2 :].sum(-1)
    return (first + second) / 2
