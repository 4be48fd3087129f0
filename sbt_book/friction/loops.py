"""The loops that convexity makes when its cause goes up and down, and what becomes of them."""

import json

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.statistics import bootstrap_interval
from sbt_book.friction.chains import triangle
from sbt_book.friction.cycling import loop_area

NAMES = {
    "networks": "networks, dropout up and down",
    "noise, dry": "chains, noise up and down",
    "pull, dry": "chains, pull up and down",
    "pull, shaken": "the same, shaken",
    "pull, no friction": "the same, no friction",
}
"""What each of the loops is."""


def cycles(found: xr.Dataset, name: str) -> xr.DataArray:
    """Return the convexity (period, seed, reading) of one of `NAMES`, from drive 0 or 1 on.

    The coordinate ``drive`` (period, reading) is what goes up and down, from 0 to 1.
    """
    options = json.loads(found.attrs["configuration"])["cycle"]
    count = options["readings"]
    if name == "networks":
        values = found.cycled
        # They end together, so that each speed begins its last period and a half at its own phase.
        starts_low = [
            (options["epochs"] / period - 1.5) % 1 == 0 for period in values.period.values
        ]
    else:
        values = found.chain_cycled.sel(drive=name, drop=True)
        starts_low = [True] * values.sizes["period"]
    drive = np.array(
        [triangle(np.arange(values.sizes["reading"]) + (0 if low else count / 2), count)
         for low in starts_low]
    )  # fmt: skip
    return values.transpose("period", "seed", "reading").assign_coords(
        drive=(("period", "reading"), drive)
    )


def areas(cycled: xr.DataArray) -> xr.DataArray:
    """Return the area of each loop (period, seed); see `cycling.loop_area`."""
    rows = [
        loop_area(cycle.transpose("seed", "reading").values, bool(cycle.drive[0] == 0))
        for cycle in cycled
    ]
    return xr.DataArray(rows, {"period": cycled.period}, ("period", "seed"))


def fade(area: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return q of |area| ~ T^q, where each period is twice the one before.

    `area` has members along `axis`, which are averaged first, and periods along the last.

    Examples
    --------
    >>> round(float(fade(np.array([[0.4, 0.2, 0.1, 0.05]]))), 6)
    -1.0
    """
    means = np.log(np.abs(np.mean(area, axis=axis)))
    steps = np.arange(means.shape[-1]) - (means.shape[-1] - 1) / 2
    return means @ steps / (steps**2).sum() / np.log(2)


def loop_table(found: xr.Dataset) -> pd.DataFrame:
    """Return swings, areas and exponents of all loops, and the verdicts of the chapter."""
    rows = []
    for name, label in NAMES.items():
        cycled = cycles(found, name)
        area = areas(cycled)
        means = cycled.mean("seed")
        whole = means.isel(reading=slice(0, means.sizes["reading"] * 2 // 3 + 1))
        swing = (whole.max("reading") - whole.min("reading")).values
        q, (low, high) = float(fade(area.values.T)), bootstrap_interval(area.values.T, fade)
        if swing[-1] < 0.05:
            verdict = "sticks"
        else:
            verdict = (
                "keeps its loop" if low > -0.25 else "loses it" if high < -0.5 else "undecided"
            )
        rows.append(
            {
                "what": label,
                "swing_fast": swing[0],
                "swing_slow": swing[-1],
                "area_fast": float(area[0].mean()),
                "area_fast_range": bootstrap_interval(area[0].values),
                "area_slow": float(area[-1].mean()),
                "area_slow_range": bootstrap_interval(area[-1].values),
                "exponent": q,
                "exponent_range": (low, high),
                "verdict": verdict,
            }
        )
    return pd.DataFrame(rows)
