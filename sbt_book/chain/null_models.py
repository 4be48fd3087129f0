"""Shapes without any mechanics, fitted to phase diagrams as chains are: nulls for their matches.

A load curve, scaled, falls from 1 to 0 over t = l / L. A null bends the straight line by a number
of the row and a number of the column, added up: one for each nonlinearity, one for each noise, as a
chain has one friction for each nonlinearity and one shaking for each noise.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import least_squares

from sbt_utils.measuring.curves import curve_statistics

Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Returns curves (..., layer) of positions t (layer,) and how far each is bent (..., 1)."""
Fit = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Returns curves (slope, noise, layer) and convexities (slope, noise), all fitted to the cells that
are known (slope, noise) and predicted for the others; curves are nan if it predicts none."""
_STEEPEST = 100.0  # exponentials fall all at once long before


def parabola(t: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Return 1 - t - bend t (1 - t), convex where the bend is positive.

    It is a chain at rest, or one that has been shaken for long: their loads rise evenly.
    """
    return 1 - t - bend * t * (1 - t)


def exponential(t: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Return exp(-bend t), scaled to fall from 1 to 0; a straight line where the bend is 0."""
    bend = np.clip(bend, -_STEEPEST, _STEEPEST)
    bend = np.where(abs(bend) < 1e-9, 1e-9, bend)
    return 1 - np.expm1(-bend * t) / np.expm1(-bend)


def additive_shapes(targets: np.ndarray, shape: Shape, second: Shape | None = None) -> Fit:
    """Return the least-squares fit of curves whose bend is a row's number plus a column's.

    Parameters
    ----------
    targets : ndarray, shape (slope, noise, layer)
        Scaled curves; nan where a cell has none, which no fit may know.
    shape : callable
        `parabola` or `exponential`.
    second : callable, optional
        Another shape, which each row adds by a number of its own: `second` bent by it, less
        `second` straight.

    Notes
    -----
    There are R + C - 1 free numbers for R rows and C columns, and R more with a second shape. With
    one friction a row and one noise a column, a chain has R + C.
    """
    rows, columns, layers = targets.shape
    t = np.linspace(0.0, 1.0, layers)

    def curves(numbers: np.ndarray) -> np.ndarray:
        row, column, other = np.split(numbers, [rows, rows + columns - 1])
        bend = row[:, None] + np.concatenate([[0.0], column])
        bent = shape(t, bend[..., None])
        if second is not None:
            bent = bent + (second(t, other[:, None]) - (1 - t))[:, None]
        return bent

    def fit(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        def residuals(numbers: np.ndarray) -> np.ndarray:
            return (curves(numbers) - targets)[known].ravel()

        count = rows + columns - 1 + (rows if second is not None else 0)
        fitted = curves(least_squares(residuals, np.full(count, 0.1)).x)
        return fitted, curve_statistics(fitted, "convexity")

    return fit


def additive_convexities(targets: np.ndarray) -> Fit:
    """Return the least-squares fit of convexities by a row's number plus a column's: no curves."""
    rows, columns, _ = targets.shape
    convexities = curve_statistics(targets, "convexity")
    row, column = np.indices((rows, columns)).reshape(2, -1)
    design = np.concatenate([np.eye(rows)[row], np.eye(columns)[column]], axis=1)

    def fit(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        numbers = np.linalg.lstsq(design[known.ravel()], convexities[known], rcond=None)[0]
        return np.full(targets.shape, np.nan), (design @ numbers).reshape(rows, columns)

    return fit


def always_convex(targets: np.ndarray) -> Fit:
    """Return the fit that calls each cell convex, whatever it knows."""
    cells = targets.shape[:2]
    return lambda known: (np.full(targets.shape, np.nan), np.ones(cells))
