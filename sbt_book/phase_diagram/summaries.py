"""A phase diagram summed up cell by cell, and what the diagrams of several noises share."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.selections import convexity, failed, scaled_curves, whole_curves
from sbt_book.common.statistics import seed_variance


def cell_summary(diagram: xr.Dataset) -> xr.Dataset:
    """Sum up a phase diagram, cell by cell.

    Parameters
    ----------
    diagram : xarray.Dataset
        ``separation_train`` (noise, slope, seed, layer); ``accuracy_train`` and ``accuracy_test``
        (noise, slope, seed), fractions.

    Returns
    -------
    xarray.Dataset
        (noise, slope): ``curve`` (and layer), from `scaled_curves`; ``convexity`` of that curve,
        ``convexity_median`` over the seeds' curves and ``convexity_spread``, their sample standard
        deviation (nan for a single seed); ``accuracy``, ``accuracy_median`` and ``accuracy_spread``
        of the test accuracy, over all seeds; ``failed``, a fraction.
    """
    curve = scaled_curves(diagram)
    of_seeds = convexity(whole_curves(diagram))
    accuracy = diagram.accuracy_test
    return xr.Dataset(
        {
            "curve": curve,
            "convexity": convexity(curve),
            "convexity_median": of_seeds.median("seed"),
            "convexity_spread": _spread(of_seeds),
            "accuracy": accuracy.mean("seed"),
            "accuracy_median": accuracy.median("seed"),
            "accuracy_spread": _spread(accuracy),
            "failed": failed(diagram).mean("seed"),
        }
    )


def shape_distances(first: xr.Dataset, second: xr.Dataset, within: float = 0.01) -> np.ndarray:
    """Compare the shapes of the cells of two summaries that have the same convexity.

    Each cell of the first meets the cell of the second with the nearest convexity, at most `within`
    away; of a diagram with itself, the nearest of the others. Returns (pairs,): the mean over the
    layers of the absolute difference of the scaled curves.
    """
    (curves, convexities), (others, theirs) = _shapes(first), _shapes(second)
    apart = abs(convexities[:, None] - theirs)
    if first is second:
        np.fill_diagonal(apart, np.inf)
    if not apart.size:
        return np.empty(0)
    nearest = apart.argmin(1)
    met = apart.min(1) <= within
    return abs(curves - others[nearest])[met].mean(1)


def universality_table(summaries: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Say how far cells of equal convexity differ in shape, for every pair of noise sources.

    A row and a column for each source, whose summaries are from `cell_summary`: the median of
    `shape_distances`. The column ``any cell`` is what to compare them with: the median distance to
    cells drawn at random from all sources.
    """
    everything = np.concatenate([_shapes(cells)[0] for cells in summaries.values()])
    rng = np.random.default_rng(0)
    rows = {}
    for name, cells in summaries.items():
        curves, _ = _shapes(cells)
        drawn = everything[rng.integers(len(everything), size=(len(curves), 30))]
        medians = {
            other: _median(shape_distances(cells, others)) for other, others in summaries.items()
        }
        rows[name] = medians | {"any cell": _median(abs(curves[:, None] - drawn).mean(-1))}
    return pd.DataFrame(rows).T


def one_family(summaries: Mapping[str, xr.Dataset]) -> float:
    """Return the share of all differences in shape that a single number per cell accounts for.

    It is the variance of the scaled curves of each `cell_summary` along their first principal
    component, over their whole variance: 1 if every curve is one fixed shape plus a multiple of
    another.
    """
    curves = np.concatenate([_shapes(cells)[0] for cells in summaries.values()])
    variances = np.linalg.svd(curves - curves.mean(0), compute_uv=False) ** 2
    return float(variances[0] / variances.sum())


def _shapes(summary: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the scaled curves (cells, layers) and convexities (cells,) that are defined."""
    cells = summary[["curve", "convexity"]].stack(cell=summary.convexity.dims)
    defined = np.isfinite(cells.convexity.values)
    return cells.curve.transpose("cell", "layer").values[defined], cells.convexity.values[defined]


def _spread(values: xr.DataArray) -> xr.DataArray:
    """Return the sample standard deviation over the seeds, nan where fewer than two are defined."""
    return seed_variance(values) ** 0.5


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else np.nan
