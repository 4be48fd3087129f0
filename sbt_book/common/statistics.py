"""Rank correlations, intervals, and the variance over the seeds."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.stats import rankdata, t


def spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation along the last axis, for many samples at once.

    `scipy.stats.spearmanr` takes one sample at a time, and a bootstrap has thousands. Pairs where
    either is not finite are left out; nan where fewer than two are left, or where one of the two is
    constant.
    """
    first, second = np.broadcast_arrays(np.asarray(first, float), np.asarray(second, float))
    both = np.isfinite(first) & np.isfinite(second)
    count = np.maximum(both.sum(-1, keepdims=True), 1)
    deviations = []
    for values in (first, second):
        ranks = rankdata(np.where(both, values, np.nan), axis=-1, nan_policy="omit")
        ranks = np.where(both, ranks, 0.0)
        deviations.append(np.where(both, ranks - ranks.sum(-1, keepdims=True) / count, 0.0))
    one, other = deviations
    scale = np.sqrt((one**2).sum(-1) * (other**2).sum(-1))
    return np.divide(
        (one * other).sum(-1), scale, out=np.full(scale.shape, np.nan), where=scale > 0
    )


def rank_correlation(first: xr.DataArray, second: xr.DataArray) -> float:
    """Return Spearman's rank correlation of two quantities over all cells that both have.

    Their dimensions are the same, in any order; cells where either is nan are left out.
    """
    first, second = xr.broadcast(*xr.align(first, second, join="inner"))
    second = second.transpose(*first.dims)
    return float(spearman(first.values.ravel(), second.values.ravel()))


def bootstrap_interval(
    values: np.ndarray, statistic: Callable[..., np.ndarray] = np.mean
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean over members, or of another statistic.

    Values are (members, ...), drawn along the first axis 2,000 times; the statistic takes an
    ``axis``, and draws for which it is nan are left out. `scipy.stats.bootstrap` knows no statistic
    of rows.
    """
    values = np.asarray(values)
    draws = np.random.default_rng(0).integers(len(values), size=(2000, len(values)))
    low, high = np.nanquantile(statistic(values[draws], axis=1), [0.025, 0.975])
    return float(low), float(high)


def mean_interval(few: ArrayLike) -> tuple[float, float, float]:
    """Return the mean of a few values, and its 95 % interval by Student's t; nan are left out.

    Examples
    --------
    >>> [round(each, 2) for each in mean_interval([1.0, 2.0, 3.0, np.nan])]
    [2.0, -0.48, 4.48]
    """
    values = np.asarray(few, float)
    values = values[np.isfinite(values)]
    mean = float(values.mean())
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return mean, mean - half, mean + half


def seed_variance(values: xr.DataArray) -> xr.DataArray:
    """Return the sample variance over the seeds, nan where fewer than two are defined.

    `xarray.DataArray.var` gives the same, with a warning for such cells in some versions.
    """
    count = values.count("seed")
    squares = ((values - values.mean("seed")) ** 2).sum("seed")
    return squares / (count - 1).where(count > 1)
