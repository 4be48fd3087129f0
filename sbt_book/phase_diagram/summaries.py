"""A phase diagram summed up cell by cell, and what the diagrams of several noises share."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.selections import convexity, failed, scaled_curves, whole_curves


def cell_summary(diagram: xr.Dataset) -> xr.Dataset:
    """Sum up a phase diagram, cell by cell.

    Parameters
    ----------
    diagram : xarray.Dataset
        A phase diagram.

    Returns
    -------
    xarray.Dataset
        (noise, slope): ``curve`` (and layer), from `scaled_curves`; ``convexity`` of that curve,
        ``convexity_median`` over the seeds' own curves and ``convexity_spread``, their sample
        standard deviation (nan for a single seed); ``accuracy``, ``accuracy_median`` and
        ``accuracy_spread`` of the test accuracy, over all seeds; ``failed``, a fraction.

    Examples
    --------
    >>> seeds = xr.Dataset({"separation_train": (("seed", "layer"), [[6, 2, 0], [4, 2, 2]]),
    ...                     "accuracy_train": ("seed", [0.9, 0.95]),
    ...                     "accuracy_test": ("seed", [0.8, 0.9])})
    >>> cell_summary(seeds).convexity.item()
    0.25
    """
    curve = scaled_curves(diagram)
    each = convexity(whole_curves(diagram))
    accuracy = diagram.accuracy_test
    return xr.Dataset(
        {
            "curve": curve,
            "convexity": convexity(curve),
            "convexity_median": each.median("seed"),
            "convexity_spread": _spread(each),
            "accuracy": accuracy.mean("seed"),
            "accuracy_median": accuracy.median("seed"),
            "accuracy_spread": _spread(accuracy),
            "failed": failed(diagram).mean("seed"),
        }
    )


def shape_distances(first: xr.Dataset, second: xr.Dataset, within: float = 0.01) -> np.ndarray:
    """Compare the shapes of two diagrams' cells that have the same convexity.

    Each cell of the first diagram meets the cell of the second with the nearest convexity, whatever
    their noise and slope. Of a diagram with itself, a cell meets the nearest of the others.

    Parameters
    ----------
    first, second : xarray.Dataset
        From `cell_summary`, with equally many layers.
    within : float
        Cells whose convexities differ by more do not meet.

    Returns
    -------
    ndarray, shape (pairs,)
        Mean over the layers of the absolute difference of the scaled curves.

    Examples
    --------
    >>> cells = xr.Dataset({"curve": (("noise", "layer"), [[1, 0.4, 0.2, 0], [1, 0.2, 0.4, 0]]),
    ...                     "convexity": ("noise", [0.2, 0.2])})
    >>> shape_distances(cells, cells).round(3)
    array([0.1, 0.1])
    """
    (curves, own), (others, theirs) = _shapes(first), _shapes(second)
    apart = abs(own[:, None] - theirs)
    if first is second:
        np.fill_diagonal(apart, np.inf)
    if not apart.size:
        return np.empty(0)
    nearest = apart.argmin(1)
    met = apart.min(1) <= within
    return abs(curves - others[nearest])[met].mean(1)


def universality_table(
    summaries: Mapping[str, xr.Dataset], within: float = 0.01, seed: int = 0
) -> pd.DataFrame:
    """Say how far cells of equal convexity differ in shape, for every pair of noise sources.

    Parameters
    ----------
    summaries : mapping of str to xarray.Dataset
        From `cell_summary`, by source of noise.
    within : float
        As in `shape_distances`.
    seed : int
        Of the pairs in the last column.

    Returns
    -------
    pandas.DataFrame
        A row and a column for each source: the median of `shape_distances`. The column ``any cell``
        is what to compare them with: the median distance to cells drawn at random from all sources.

    Examples
    --------
    >>> cells = xr.Dataset({"curve": (("noise", "layer"), [[1, 0.4, 0.2, 0], [1, 0.2, 0.4, 0]]),
    ...                     "convexity": ("noise", [0.2, 0.2])})
    >>> universality_table({"dropout": cells}).round(3).loc["dropout", "dropout"].item()
    0.1
    """
    everything = np.concatenate([_shapes(cells)[0] for cells in summaries.values()])
    rng = np.random.default_rng(seed)
    rows = {}
    for name, cells in summaries.items():
        curves, _ = _shapes(cells)
        drawn = everything[rng.integers(len(everything), size=(len(curves), 30))]
        medians = {
            other: _median(shape_distances(cells, others, within))
            for other, others in summaries.items()
        }
        rows[name] = medians | {"any cell": _median(abs(curves[:, None] - drawn).mean(-1))}
    return pd.DataFrame(rows).T


def one_family(summaries: Mapping[str, xr.Dataset]) -> float:
    """Return the share of all differences in shape that a single number per cell accounts for.

    Parameters
    ----------
    summaries : mapping of str to xarray.Dataset
        From `cell_summary`.

    Returns
    -------
    float
        The variance of the scaled curves along their first principal component, over their whole
        variance: 1 if every curve is one fixed shape plus a multiple of another.

    Examples
    --------
    >>> curves = [[1, 0.6, 0.2, 0], [1, 0.7, 0.3, 0], [1, 0.9, 0.5, 0]]
    >>> cells = xr.Dataset({"curve": (("noise", "layer"), curves),
    ...                     "convexity": ("noise", [0.1, 0.0, -0.2])})
    >>> round(one_family({"dropout": cells}), 12)
    1.0
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
    return values.std("seed", ddof=1).where(values.count("seed") > 1)


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else np.nan
