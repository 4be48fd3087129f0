"""The loops that convexity makes when its cause goes up and down, and what becomes of them."""

import json
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.statistics import bootstrap_interval
from sbt_book.friction.chains import triangle
from sbt_book.friction.cycling import loop_area, swing

NAMES = {
    "networks": "networks, dropout up and down",
    "noise, dry": "chains, noise up and down",
    "pull, dry": "chains, pull up and down",
    "pull, shaken": "the same, shaken",
    "pull, no friction": "the same, no friction",
    "pull, honey": "the same, in honey",
}
"""What each of the loops is."""


def cycles(found: xr.Dataset, name: str) -> xr.DataArray:
    """Return the convexity (period, seed, reading) of one of `NAMES`, from drive 0 on.

    The coordinate ``drive`` (reading) is what goes up and down, from 0 to 1.
    """
    count = json.loads(found.attrs["configuration"])["cycle"]["readings"]
    values = found.cycled if name == "networks" else found.chain_cycled.sel(drive=name, drop=True)
    drive = triangle(np.arange(values.sizes["reading"]), count)
    return values.transpose("period", "seed", "reading").assign_coords(drive=("reading", drive))


def areas(cycled: xr.DataArray) -> xr.DataArray:
    """Return the area of each loop (period, seed); see `cycling.loop_area`."""
    rows = loop_area(cycled.transpose("period", "seed", "reading").values)
    return xr.DataArray(rows, {"period": cycled.period}, ("period", "seed"))


def fade(area: np.ndarray, periods: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return q of |area| ~ T^q.

    `area` has members along `axis`, which are averaged first, and periods T along the last.

    Examples
    --------
    >>> round(float(fade(np.array([[0.4, 0.1, 0.025]]), np.array([10, 40, 160]))), 6)
    -1.0
    """
    return _exponent(np.abs(np.mean(area, axis=axis)), periods)


def growth(values: np.ndarray, periods: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return s of swing ~ T^s, the swing that of the mean over the members.

    `values` has members along `axis`, periods T along the last but one, readings along the last.
    """
    return _exponent(swing(np.mean(values, axis=axis)), periods)


def _exponent(means: np.ndarray, periods: np.ndarray) -> np.ndarray:
    """Return the slope of the logarithm of positive numbers over that of the periods."""
    steps = np.log(periods) - np.log(periods).mean()
    return np.log(means) @ steps / (steps**2).sum()


def memory(held: xr.DataArray) -> xr.DataArray:
    """Return which share of the mark that shaking left is still there (seed, held_epoch).

    How much more convex a shaken network is than one of the same seed and age that has never been
    shaken, both at the lowest dropout, over what it was in the beginning, on average.
    """
    mark = held.sel(history="shaken", drop=True) - held.sel(history="never shaken", drop=True)
    return mark / mark.isel(held_epoch=0).mean("seed")


def loop_table(found: xr.Dataset) -> pd.DataFrame:
    """Return swings, areas and exponents of all loops, and the verdicts of the chapter."""
    rows = []
    for name, label in NAMES.items():
        cycled = cycles(found, name)
        values, periods = cycled.transpose("seed", "period", "reading").values, cycled.period.values
        area = areas(cycled)
        swings = swing(values.mean(0))
        rates = partial(fade, periods=periods), partial(growth, periods=periods)
        fading = bootstrap_interval(area.values.T, rates[0])
        growing = bootstrap_interval(values, rates[1])
        rows.append(
            {
                "what": label,
                "swing_fast": swings[0],
                "swing_slow": swings[-1],
                "growth": float(rates[1](values)),
                "growth_range": growing,
                "area_fast": float(area[0].mean()),
                "area_fast_range": bootstrap_interval(area[0].values),
                "area_slow": float(area[-1].mean()),
                "area_slow_range": bootstrap_interval(area[-1].values),
                "exponent": float(rates[0](area.values.T)),
                "exponent_range": fading,
                "verdict": verdict(swings[-1], growing, fading),
            }
        )
    return pd.DataFrame(rows)


def verdict(slowest: float, growing: tuple[float, float], fading: tuple[float, float]) -> str:
    """Return the verdict of the chapter on a swing and on the intervals of the two exponents."""
    if growing[0] > 0.25:
        return "is slow"
    if fading[1] < -0.5:
        return "loses it"
    if slowest < 0.05 and growing[1] < 0.25:
        return "sticks"
    if slowest >= 0.05 and fading[0] > -0.25 and fading[1] < 0.25:
        return "keeps its loop"
    return "undecided"
