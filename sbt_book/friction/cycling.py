"""Dropout that follows a timetable while networks train, and the loops their convexity makes."""

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sbt_book.friction.chains import triangle
from sbt_utils.ensembles.ensemble import State, member_network
from sbt_utils.measuring.curves import curve_statistics
from sbt_utils.measuring.evaluation import separation_or_nan
from sbt_utils.training.readings import Readings
from sbt_utils.training.settings import Members
from sbt_utils.training.trainer import train


def driven_networks(
    network: nn.Sequential,
    data: tuple[Tensor, Tensor],
    state: dict[str, Any],
    dropouts: np.ndarray,
    readings: Collection[int],
    negative_slope: float,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Train networks on with a dropout for each epoch, and read their convexity.

    They train on also where the published protocol stops, at a loss below 1e-4: a network that has
    stopped could not answer when the dropout rises again.

    Parameters
    ----------
    network, data
        As in `sbt_utils.train`; images and labels.
    state : dict
        The networks to go on with, ``Training.state``; all as old as each other.
    dropouts : ndarray, shape (epochs,)
    readings : collection of int
        After how many of these epochs to read; 0 is before them.

    Returns
    -------
    values : ndarray, shape (members, readings)
    state : dict
        At the end.
    """
    members = range(len(state["seed"]))

    def read() -> list[float]:
        trained = (
            member_network(network, state["networks"], member, negative_slope, 0.0)
            for member in members
        )
        return [
            float(curve_statistics(separation_or_nan(one, *data), "convexity")) for one in trained
        ]

    values = [read()] if 0 in readings else []
    epoch = 0
    for after in sorted({*readings, len(dropouts)} - {0}):
        state = _trained_on(network, data, state, dropouts[epoch:after], negative_slope)
        epoch = after
        if epoch in readings:
            values.append(read())
    return np.array(values).T, state


def _trained_on(
    network: nn.Sequential,
    data: tuple[Tensor, Tensor],
    state: dict[str, Any],
    dropouts: np.ndarray,
    negative_slope: float,
) -> dict[str, Any]:
    """Return the state after epochs of these dropouts, in none of which a network stops."""
    begin, seeds = int(state["epochs"][0]), state["seed"].tolist()
    going = {"stopped": torch.zeros(len(seeds), dtype=torch.bool)}

    def take(epoch: int, _: State, members: Members) -> Members:
        level = dropouts[min(epoch - begin, len(dropouts) - 1)]
        return members | {"dropout": np.full_like(members["dropout"], level)}

    end = begin + len(dropouts)
    after = train(
        network,
        *data,
        seeds=seeds,
        negative_slope=negative_slope,
        dropout=float(dropouts[0]),
        epochs=end,
        readings=Readings(tuple(range(begin + 1, end + 1)), take),
        resume=state | going,
        progress=False,
    ).state
    if len(dropouts) == 1 or (after["epochs"] == end).all():
        return after | going
    # Some have stopped half-way: once more, and on from there an epoch at a time.
    for number in range(len(dropouts)):
        level = dropouts[number : number + 1]
        state = _trained_on(network, data, state, level, negative_slope)
    return state


def cycled_networks(
    network: nn.Sequential,
    data: tuple[Tensor, Tensor],
    state: dict[str, Any],
    period: int,
    dropout: tuple[float, float],
    readings: int,
    negative_slope: float,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Lower and raise the dropout twice, from its highest, and read the last one and a half cycles.

    Parameters
    ----------
    period : int
        Of the dropout, in epochs, a multiple of `readings`.
    dropout : (float, float)
        The lowest and the highest.
    readings : int
        In each period, a multiple of 4.

    Returns
    -------
    values : ndarray, shape (members, 1.5 readings + 1)
    state : dict
        At the end, two periods later.
    """
    low, high = dropout
    wave = high - (high - low) * triangle(np.arange(2 * period), period)
    when = range(period // 2, 2 * period + 1, period // readings)
    return driven_networks(network, data, state, wave, when, negative_slope)


def loop_area(values: np.ndarray) -> np.ndarray:
    r"""Return the area of the loop that a quantity makes over one cycle of what drives it.

    The drive goes from 0 to 1 and back, and the area is :math:`\oint c\,dp`, positive where the
    quantity is larger on the way up. It is the mean of two, of a cycle that begins with the drive
    at 0 and one that begins half a period later: in each, a quantity that drifts steadily seems to
    make a loop, in the one of the opposite sign of the other.

    Parameters
    ----------
    values : ndarray, shape (..., 1.5 n + 1)
        The quantity in one and a half periods from drive 0 on, n times a period and at both ends.

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
    period = _readings_per_period(values)
    drive = triangle(np.arange(values.shape[-1]), period)
    middle = (values[..., 1:] + values[..., :-1]) / 2 * np.diff(drive)
    first, second = middle[..., :period].sum(-1), middle[..., period // 2 :].sum(-1)
    return (first + second) / 2


def swing(values: np.ndarray) -> np.ndarray:
    """Return the range of a quantity in one cycle of what drives it, without a steady drift.

    The drift is what half a period differs from the same half a period later. `values` are those of
    `loop_area`.

    Examples
    --------
    >>> time = np.linspace(0, 1.5, 31)
    >>> round(float(swing(np.cos(2 * np.pi * time) + 5 * time)), 3)
    2.0
    """
    period = _readings_per_period(values)
    later, earlier = values[..., period:], values[..., : period // 2 + 1]
    drift = (later - earlier).mean(-1, keepdims=True) / period
    steady = values[..., : period + 1] - drift * np.arange(period + 1)
    return steady.max(-1) - steady.min(-1)


def _readings_per_period(values: np.ndarray) -> int:
    """Return n, where there are 1.5 n + 1 values in a row."""
    count = values.shape[-1] - 1
    period = 2 * count // 3
    if 3 * period != 2 * count or period % 4:
        raise ValueError(f"values: {count + 1} in a row; give 1.5 n + 1 with n a multiple of 4")
    return period
