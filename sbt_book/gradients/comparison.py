"""Kicks against the convexity that is left, and gradients against the drive of the chain."""

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.statistics import bootstrap_interval, spearman

ACTIVE = 0.05
"""Convexity from which on a cell counts as active here."""

DRAWS = 2000
"""Of the bootstrap over cells, and permutations of cells."""


def shares(gradients: xr.Dataset) -> xr.DataArray:
    """Return how much of the loss gradient reaches the layers before the last, of each network.

    The mean over l = 1..L-1 of g_l/g_L, averaged geometrically over the stages of training:
    (source, level, slope, seed). `gradients` is ``load_committed("gradients")``.
    """
    arriving = gradients.gradient
    share = (arriving.isel(layer=slice(-1)) / arriving.isel(layer=-1)).mean("layer")
    return np.exp(np.log(share).mean("stage"))


def convexity_left(gradients: xr.Dataset) -> xr.DataArray:
    """Return the convexity at the end of training, a mean over seeds: (source, level, slope)."""
    return gradients.convexity.isel(stage=-1, drop=True).mean("seed")


def predicted_convexity(gradients: xr.Dataset) -> xr.DataArray:
    """Return the convexity that the measured kicks would leave in a chain: (source, level, slope).

    Loads of slope F*/k bend the curve as friction alone does, whose loads have the slope μ/k, but
    for the factor F*/μ. The convexity that friction alone leaves is that of a row's least noise; a
    row that is not concave there has no friction, and 0 is predicted.
    """
    alone = convexity_left(gradients).isel(level=0, drop=True).clip(max=0.0)
    return gradients.force.mean(("layer", "seed")) * alone


def skewness_table(gradients: xr.Dataset) -> pd.DataFrame:
    """Sum up the skewness of the kicks, one row for each source of noise.

    Returns
    -------
    pandas.DataFrame
        ``cells`` with noise; ``skewness``, its mean over layers, seeds and cells, with the 95 %
        interval by the bootstrap over cells (``low``, ``high``); ``by chance``, what symmetrised
        kicks stay below in 95 % of all cases; ``active``, the number of active cells, and
        ``skewness, active``, their mean; ``correlation`` (Spearman) with the convexity over the
        cells, and ``permutations``, the fraction of permutations of the cells that reach it.
    """
    rows = {}
    for source in gradients.source.values:
        cells = gradients.sel(source=source)
        mean = cells.skewness.mean(("layer", "seed")).values.ravel()
        noisy = np.isfinite(mean)
        # Seeds and cells scatter independently of one another.
        chance = (cells.skewness_chance**2).mean("seed") / cells.sizes["seed"]
        left = convexity_left(cells).values.ravel()[noisy]
        mean, spread = mean[noisy], np.sqrt(chance.values.ravel()[noisy].mean() / noisy.sum())
        active = left > ACTIVE
        low, high = bootstrap_interval(mean)
        rows[source] = {
            "cells": len(mean),
            "skewness": mean.mean(),
            "low": low,
            "high": high,
            "by chance": 1.96 * spread,
            "active": active.sum(),
            "skewness, active": mean[active].mean() if active.any() else np.nan,
            "correlation": float(spearman(mean, left)),
            "permutations": _permuted(mean, left, np.zeros_like(mean)),
        }
    return pd.DataFrame(rows).T


def force_table(gradients: xr.Dataset) -> pd.DataFrame:
    """Hold the convexity that skewness would leave against the one that is left.

    Of the active cells with noise in rows that are lazy with the least noise, one row for each
    source and one for all.

    Returns
    -------
    pandas.DataFrame
        ``cells``; ``left`` and ``predicted``, means over the cells; ``most``, the mean of what no
        skewness exceeds, the row's convexity with the least noise turned round; ``share``,
        predicted over left, with the 95 % interval by the bootstrap over cells (``low``, ``high``).
    """
    left, predicted = convexity_left(gradients), predicted_convexity(gradients)
    alone = left.isel(level=0)
    counted = (left > ACTIVE) & (alone < 0) & gradients.force.notnull().all(("layer", "seed"))
    alone = alone.broadcast_like(left)
    rows = {}
    for name in (*gradients.source.values, "all"):
        which = counted if name == "all" else counted & (counted.source == name)
        columns = np.array(
            [v.transpose(*which.dims).values[which.values] for v in (left, predicted, alone)]
        )
        if not columns.size:
            continue
        share = _ratio(columns.T, -1)
        low, high = bootstrap_interval(columns.T, _ratio)
        rows[name] = {
            "cells": columns.shape[1],
            "left": columns[0].mean(),
            "predicted": columns[1].mean(),
            "most": -columns[2].mean(),
            "share": share,
            "low": low,
            "high": high,
        }
    return pd.DataFrame(rows).T


def drive_table(gradients: xr.Dataset, drive: xr.DataArray) -> pd.DataFrame:
    """Hold the share of the gradient against the drive fitted to the same cells.

    Parameters
    ----------
    gradients : xarray.Dataset
        ``load_committed("gradients")``.
    drive : xarray.DataArray
        ``load_committed("driven_chain").drive``: κ/k of the driven chain (source, level, slope),
        with the coordinate ``noise`` (source, level). Cells that have none are left out.

    Returns
    -------
    pandas.DataFrame
        One row for each source: ``cells``, Spearman's ``correlation`` of share and drive, with the
        95 % interval by the bootstrap over cells (``low``, ``high``), and ``permutations``, the
        fraction of permutations of the cells that reach it; ``slope alone``, the correlation of α
        and the drive. A last row, ``within rows``, has the mean correlation within the rows (one
        slope of one source, all levels), which no function of the slope can bring about.
    """
    rows, columns = {}, []
    for number, source in enumerate(gradients.source.values):
        pair = matched(gradients, drive, source)
        slope = pair[0].slope.broadcast_like(pair[0])
        cells = np.array([values.values.ravel() for values in (*pair, slope)])
        cells = cells[:, np.isfinite(cells[1])]
        columns.append(np.vstack([cells, number + 10 * cells[2:]]))
        x, y, alpha = cells
        low, high = bootstrap_interval(cells[:2].T, _correlation)
        rows[source] = {
            "cells": len(x),
            "correlation": float(spearman(x, y)),
            "low": low,
            "high": high,
            "permutations": _permuted(x, y, np.zeros_like(x)),
            "slope alone": float(spearman(alpha, y)),
        }
    x, y, _, row = np.hstack(columns)
    rows["within rows"] = {
        "cells": len(x),
        "correlation": _within(x, y[None], row)[0],
        "permutations": _permuted(x, y, row),
    }
    return pd.DataFrame(rows).T


def matched(
    gradients: xr.Dataset, drive: xr.DataArray, source: str
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the share, mean over the seeds, and the drive of the cells (noise, slope) of both."""
    share = shares(gradients).mean("seed").sel(source=source, drop=True).swap_dims(level="noise")
    fitted = drive.sel(source=source, drop=True).swap_dims(level="noise")
    fitted = fitted.sel(noise=np.isfinite(fitted.noise))  # sources have different numbers of levels
    share, fitted = xr.align(share, fitted, join="inner")
    return share.transpose("noise", "slope"), fitted.transpose("noise", "slope")


def slope_table(gradients: xr.Dataset) -> pd.DataFrame:
    """Return the mean share by slope, of each source: columns are slopes.

    ``linear larger`` counts the levels at which every seed of slope 1 has a larger share than every
    one of slope 0, of ``levels``.
    """
    share = shares(gradients)
    linear, kinked = share.sel(slope=1.0), share.sel(slope=0.0)
    larger = (linear.min("seed") > kinked.max("seed")).sum("level")
    table = share.mean(("level", "seed")).to_pandas()
    return table.assign(**{"linear larger": larger.values, "levels": share.sizes["level"]})


def _ratio(columns: np.ndarray, axis: int) -> np.ndarray:
    """Return predicted over left (...) of cells (..., cell, 3)."""
    return columns[..., 1].mean(axis) / columns[..., 0].mean(axis)


def _correlation(pairs: np.ndarray, axis: int) -> np.ndarray:
    """Return Spearman's correlation of pairs (draw, cell, 2); the axis is that of the cells."""
    return spearman(pairs[..., 0], pairs[..., 1])


def _within(x: np.ndarray, y: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation within rows, averaged over the rows, of y (draw, cell)."""
    found = [spearman(x[row == r], y[:, row == r]) for r in np.unique(row)]
    return np.nanmean(found, 0)


def _permuted(x: np.ndarray, y: np.ndarray, row: np.ndarray) -> float:
    """Return the fraction of permutations within rows that correlate as well or better."""
    rng = np.random.default_rng(0)
    drawn = np.tile(y, (DRAWS, 1))
    for r in np.unique(row):
        drawn[:, row == r] = rng.permuted(drawn[:, row == r], axis=1)
    # Ties of ranks leave rounding.
    return float((_within(x, drawn, row) >= _within(x, y[None], row) - 1e-12).mean())
