"""Scores of models of a phase diagram, on the cells they were fitted to and on cells held out."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from sbt_book.chain.diagram_matching import GOOD_MATCH, settled_levels, squared_distances
from sbt_book.chain.null_models import Fit
from sbt_utils.measuring.curves import curve_statistics

SCORES = ("within", "median", "sign")
"""Share of the cells whose curve is within `GOOD_MATCH` (root mean square over the layers), the
median of that distance, and the share whose convexity has the right sign."""


def halves(usable: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Return random halves of the cells of a diagram, to fit to; the others are held out.

    Parameters
    ----------
    usable : ndarray of bool, shape (slope, noise)
        Cells that have a curve.
    count, seed : int
        How many halves, of which random numbers.

    Returns
    -------
    ndarray of bool, shape (count, slope, noise)
        Half of the usable cells of each column, drawn at random; of an odd number, the larger half.
        Rows and columns hang together: numbers of rows plus numbers of columns are determined.

    Examples
    --------
    >>> halves(np.ones((4, 6), bool), count=1).sum(1)
    array([[2, 2, 2, 2, 2, 2]])
    """
    rng = np.random.default_rng(seed)
    rows, columns = usable.shape
    row, column = np.indices(usable.shape).reshape(2, -1)
    design = np.concatenate([np.eye(rows)[row], np.eye(columns)[column]], axis=1)
    kept: list[np.ndarray] = []
    while len(kept) < count:
        order = np.where(usable, rng.random(usable.shape), np.inf).argsort(0).argsort(0)
        known = order < -(-usable.sum(0) // 2)
        if np.linalg.matrix_rank(design[known.ravel()]) == rows + columns - 1:
            kept.append(known)
    return np.array(kept)


def score(targets: np.ndarray, cells: np.ndarray, fitted: tuple[np.ndarray, np.ndarray]) -> list:
    """Return the `SCORES` of a fit, as `Fit` returns it, on some cells (slope, noise).

    The first two are nan for a model that predicts no curves.
    """
    curves, convexities = fitted
    distances = np.sqrt(((curves - targets)[cells] ** 2).mean(-1))
    right = np.sign(convexities) == np.sign(curve_statistics(targets, "convexity"))
    if np.isnan(distances).all():
        return [np.nan, np.nan, right[cells].mean()]
    return [(distances <= GOOD_MATCH).mean(), np.median(distances), right[cells].mean()]


def held_out_scores(targets: np.ndarray, models: Mapping[str, Fit], count: int) -> xr.Dataset:
    """Score models on all cells, fitted to all, and on cells held out, fitted to the others.

    Parameters
    ----------
    targets : ndarray, shape (slope, noise, layer)
        Scaled curves. Cells whose curve does not fall are left out throughout.
    models : mapping of str to callable
        `Fit` by name.
    count : int
        Number of random `halves`, the same for all models.

    Returns
    -------
    xarray.Dataset
        ``in_sample`` (model, score) and ``held_out`` (model, half, score), over `SCORES`.
    """
    usable = np.isfinite(curve_statistics(targets, "convexity"))
    fit_to = halves(usable, count)
    inside = [score(targets, usable, fit(usable)) for fit in models.values()]
    outside = [
        [score(targets, usable & ~known, fit(known)) for known in fit_to] for fit in models.values()
    ]
    return xr.Dataset(
        {
            "in_sample": (("model", "score"), np.array(inside)),
            "held_out": (("model", "half", "score"), np.array(outside)),
        },
        {"model": list(models), "score": list(SCORES)},
    )


def tabulated(targets: np.ndarray, shapes: np.ndarray, starts: int = 10) -> Fit:
    """Return the least-squares fit of curves from a table, by one number a row, one a column.

    Parameters
    ----------
    targets : ndarray, shape (slope, noise, layer)
        Scaled curves.
    shapes : ndarray, shape (first number, second number, layer)
        Scaled curves of chains: the first number belongs to a row, the second to a column.
    starts : int
        A search ends where no row and no column alone can be improved. The best of this many, from
        random numbers of the rows, and of one from the rows' best when columns are free.
    """
    squares = np.nan_to_num(squared_distances(targets, shapes))
    rows, columns = targets.shape[:2]
    slopes, levels = np.arange(rows)[:, None], np.arange(columns)

    def fit(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weighted = squares * known[..., None, None]
        rng = np.random.default_rng(0)
        first = [
            weighted.min(-1).mean(1).argmin(-1),
            *rng.integers(len(shapes), size=(starts, rows)),
        ]
        ends = [settled_levels(weighted, start) for start in first]
        row, column = min(ends, key=lambda e: weighted[slopes, levels, e[0][:, None], e[1]].sum())
        curves = shapes[row[:, None], column]
        return curves, curve_statistics(curves, "convexity")

    return fit
