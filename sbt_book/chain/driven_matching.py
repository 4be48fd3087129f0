"""The driven chain, in which the hand pulls at every block, fitted to single load curves.

At rest k (x_{l+1} - 2 x_l + x_{l-1}) + κ (y - x_l) = F. The curve D_l = y - x_l, scaled to fall
from 1 to 0, then obeys s_{l+1} - 2 s_l + s_{l-1} = (κ / k) s_l - f with one f for all layers: of
the two free numbers of a cell one enters linearly. That holds for its rivals as well.
"""

from collections.abc import Callable, Mapping

import numpy as np

from sbt_book.chain.null_models import exponential, parabola

Table = tuple[np.ndarray, np.ndarray, np.ndarray]
"""First numbers (n,), and curves (n, layer) and what a second number adds to them (n, layer)."""

_DRIVES = np.concatenate([[0.0], np.geomspace(1e-3, 10.0, 400)])
_BENDS = np.linspace(-12.0, 12.0, 401)


def cubic(t: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Return 1 - t + bend t (1 - t) (1 - 2 t), steepest at both ends or in the middle."""
    return 1 - t + bend * t * (1 - t) * (1 - 2 * t)


def driven_table(layers: int) -> Table:
    """Return the curves of driven chains at rest by κ / k, and what f adds to them."""
    curves = np.zeros((2, len(_DRIVES), layers))
    curves[0, :, 0] = 1.0
    inner = layers - 2
    for row, drive in enumerate(_DRIVES):
        stiffness = (2 + drive) * np.eye(inner) - np.eye(inner, k=1) - np.eye(inner, k=-1)
        curves[0, row, 1:-1] = np.linalg.solve(stiffness, np.eye(inner)[0])
        curves[1, row, 1:-1] = np.linalg.solve(stiffness, np.ones(inner))
    return _DRIVES, curves[0], curves[1]


def net_force(drive: np.ndarray, f: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Return F / (k y) of driven chains with the scaled curves (..., layer) and their κ / k and f.

    The last spring leads from the last block to the hand, where D = 0; in scaled units that is
    g = d_L + f below 0, which gives the units of y.
    """
    g = curves[..., -2] + f
    return (f + drive * g) / (1 + g)


def two_numbers(layers: int) -> dict[str, Table]:
    """Return the driven chain and its rivals, each with two free numbers a cell."""
    t = np.linspace(0.0, 1.0, layers)
    bends = _BENDS[:, None]
    added = [
        np.tile(shape, (len(bends), 1)) for shape in (t * (1 - t), cubic(t, np.ones(1)) - (1 - t))
    ]
    return {
        "driven chain": driven_table(layers),
        "exponential + parabola": (_BENDS, exponential(t, bends), added[0]),
        "cubic": (_BENDS, parabola(t, bends), added[1]),
    }


def one_number(layers: int) -> dict[str, Table]:
    """Return the chain at rest without a drive, a parabola, and its rival, with one number."""
    t = np.linspace(0.0, 1.0, layers)
    none = np.zeros((len(_BENDS), layers))
    shapes: Mapping[str, Callable] = {"chain": parabola, "exponential": exponential}
    return {name: (_BENDS, shape(t, _BENDS[:, None]), none) for name, shape in shapes.items()}


def fitted_cells(targets: np.ndarray, table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the numbers and curves of a table that come nearest to curves, by least squares.

    Parameters
    ----------
    targets : ndarray, shape (..., layer)
        Scaled curves.
    table : tuple of ndarray
        From `two_numbers` or `one_number`.

    Returns
    -------
    first, second : ndarray, shape (...)
        The first number, of those of the table, and the second.
    curves : ndarray, shape (..., layer)
    """
    numbers, curves, added = table
    weight = (added**2).sum(-1)
    flat = targets.reshape(-1, targets.shape[-1])
    # |t - c|² = |t|² - 2 t.c + |c|², and the best second number is (t - c).a / |a|².
    along = flat @ added.T - (curves * added).sum(-1)
    second = np.divide(along, weight, out=np.zeros_like(along), where=weight > 0)
    squares = (curves**2).sum(-1) - 2 * flat @ curves.T - second * along
    best = squares.argmin(-1)
    chosen = second[np.arange(len(flat)), best]
    nearest = curves[best] + chosen[:, None] * added[best]
    shape = targets.shape[:-1]
    return numbers[best].reshape(shape), chosen.reshape(shape), nearest.reshape(targets.shape)
