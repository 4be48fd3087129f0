"""Passes over features (n, d) that scatter statistics take, summing in float64.

On a CPU they are compiled loops, which read a feature once and write none: the same in PyTorch
reads and writes it ten times over. Features on other devices, or of other types than float32 and
float64, take PyTorch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit

# Sums may be taken in any order, which vector instructions need; differences may not.
_loop: Callable[..., Any] = njit(cache=True, nogil=True, fastmath={"reassoc"})
_exact: Callable[..., Any] = njit(cache=True, fastmath=False)


def in_loops(features: object) -> bool:
    """Say whether the passes over these features are compiled loops.

    Parameters
    ----------
    features : Tensor or ndarray

    Returns
    -------
    bool

    Examples
    --------
    >>> in_loops(torch.zeros(2, 3)), in_loops(torch.zeros(2, 3, dtype=torch.float16))
    (True, False)
    """
    real = (torch.float32, torch.float64)
    return isinstance(features, torch.Tensor) and features.is_cpu and features.dtype in real


def take_up(
    x: torch.Tensor,
    origin: torch.Tensor,
    rows: torch.Tensor,
    counts: torch.Tensor,
    means: torch.Tensor,
) -> tuple[float, torch.Tensor]:
    """Move class counts and class means on to more samples, and tell what scatter that adds.

    Parameters
    ----------
    x : Tensor, shape (n, d)
        Samples, of any real type.
    origin : Tensor of float64, shape (d,)
        Where means and samples are seen from.
    rows : Tensor of int64, shape (n,)
        The class of each sample, from 0.
    counts, means : Tensor of float64, shapes (C,) and (C, d)
        Of the samples before these; changed in place.

    Returns
    -------
    within : float
        What is added to the sum of squared residuals within the classes, of all samples.
    squares : Tensor of float64, shape (n,)
        Squared residuals of these samples.

    Notes
    -----
    The formula of Chan, Golub & LeVeque (Am. Stat. 37, 1983), all classes at once, written as a sum
    of positive terms: a class that these samples, or all before them, lack moves no mean.

    Examples
    --------
    >>> zero = torch.zeros(1, dtype=torch.float64)
    >>> counts, means = zero.clone(), zero[None].clone()
    >>> x, rows = torch.tensor([[2.0], [4.0]]), torch.tensor([0, 0])
    >>> take_up(x, zero, rows, counts, means), means
    ((2.0, tensor([1., 1.], dtype=torch.float64)), tensor([[3.]], dtype=torch.float64))
    """
    if in_loops(x):
        squares = origin.new_empty(len(x))
        return _take_up(*_arrays(x, origin, rows, counts, means, squares)), squares
    new = torch.bincount(rows, minlength=len(counts)).to(counts)
    step = torch.zeros_like(means).index_add_(0, rows, x.double() - origin)
    step = step.addcmul_(means, new[:, None], value=-1).div_((counts + new).clamp(min=1)[:, None])
    within = counts @ step.square().sum(1)
    means += step
    counts += new
    squares = residuals(x, origin, means, rows).square_().sum(1)
    return float(within + squares.sum()), squares


def residuals(
    x: torch.Tensor, origin: torch.Tensor, means: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """Return the samples seen from the means of their classes.

    Parameters
    ----------
    x, origin, means, rows
        As for `take_up`.

    Returns
    -------
    Tensor of float64, shape (n, d)

    Examples
    --------
    >>> x, zero = torch.tensor([[2.0, 0.0]]), torch.zeros(2, dtype=torch.float64)
    >>> residuals(x, zero, zero[None] + 1, torch.tensor([0])).tolist()
    [[1.0, -1.0]]
    """
    # In steps, which are quicker than differences of two types.
    return x.to(torch.float64, copy=True).sub_(origin).sub_(means.index_select(0, rows))


def sketched_residuals(
    x: torch.Tensor,
    origin: torch.Tensor,
    means: torch.Tensor,
    rows: torch.Tensor,
    directions: torch.Tensor,
    signs: torch.Tensor,
    length: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the residuals along a direction of their class, and sketches of the residuals.

    Parameters
    ----------
    x, origin, means, rows
        As for `take_up`.
    directions : Tensor of float64, shape (C, d)
        One for each class.
    signs, length
        As for `fold`.

    Returns
    -------
    along : Tensor of float64, shape (n,)
        Scalar products of the residuals with the directions.
    sketches : Tensor of float32, shape (n, min(d, length))
        The residuals, folded.

    Examples
    --------
    >>> x, zero = torch.tensor([[2.0, 1.0]]), torch.zeros(2, dtype=torch.float64)
    >>> one_class = torch.tensor([0])
    >>> sketched_residuals(x, zero, zero[None], one_class, zero[None] + 1, torch.ones(2), 1)
    (tensor([3.], dtype=torch.float64), tensor([[3.]]))
    """
    if in_loops(x):
        along = origin.new_empty(len(x))
        sketches = signs.new_zeros(len(x), min(length, len(signs)))
        _sketched_residuals(*_arrays(x, origin, means, rows, directions, signs, along, sketches))
        return along, sketches
    found = residuals(x, origin, means, rows)
    along = directions.index_select(0, rows).mul_(found).sum(1)
    return along, fold(found.float(), signs, length)


def fold(vectors: torch.Tensor, signs: torch.Tensor, length: int) -> torch.Tensor:
    """Fold vectors: the sums of every `length`-th of their values, each with its sign.

    Parameters
    ----------
    vectors : Tensor of float32, shape (n, d)
    signs : Tensor of float32, shape (d,)
        1 or -1.
    length : int

    Returns
    -------
    Tensor of float32, shape (n, min(d, length))

    Examples
    --------
    >>> fold(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([1.0, 1.0, -1.0]), 2)
    tensor([[-2.,  2.]])
    """
    signed = vectors * signs
    count = signed.shape[1]
    whole = count // length * length
    if count <= length:
        return signed
    folded = signed[:, :whole].view(len(vectors), -1, length).sum(1)
    folded[:, : count - whole] += signed[:, whole:]
    return folded


def _arrays(*tensors: torch.Tensor) -> list[np.ndarray]:
    """Return tensors as arrays; those to write into are contiguous, and so not copies."""
    return [tensor.contiguous().numpy() for tensor in tensors]


@_exact
def _seen(value: float, origin: float, mean: float) -> float:
    """Return a feature seen from the origin and then from the mean.

    In this order: mean and origin added first would lose the digits that the origin saves.
    """
    return np.float64(value) - origin - mean


@_loop
def _take_up(
    x: np.ndarray,
    origin: np.ndarray,
    rows: np.ndarray,
    counts: np.ndarray,
    means: np.ndarray,
    squares: np.ndarray,
) -> float:
    sums, new, within = np.zeros_like(means), np.zeros_like(counts), 0.0
    for i in range(len(x)):
        sample, own = x[i], sums[rows[i]]
        new[rows[i]] += 1
        for j in range(len(sample)):
            own[j] += _seen(sample[j], origin[j], 0.0)
    for row in range(len(counts)):
        before, mean, own, moved = counts[row], means[row], sums[row], 0.0
        counts[row] += new[row]
        if new[row]:
            for j in range(len(mean)):
                step = (own[j] - new[row] * mean[j]) / counts[row]
                mean[j] += step
                moved += step * step
            within += before * moved
    for i in range(len(x)):
        sample, mean, square = x[i], means[rows[i]], 0.0
        for j in range(len(sample)):
            residual = _seen(sample[j], origin[j], mean[j])
            square += residual * residual
        squares[i] = square
        within += square
    return within


@_loop
def _sketched_residuals(
    x: np.ndarray,
    origin: np.ndarray,
    means: np.ndarray,
    rows: np.ndarray,
    directions: np.ndarray,
    signs: np.ndarray,
    along: np.ndarray,
    sketches: np.ndarray,
) -> None:
    signed, length = np.empty_like(signs), sketches.shape[1]
    for i in range(len(x)):
        sample, mean, direction, product = x[i], means[rows[i]], directions[rows[i]], 0.0
        for j in range(len(sample)):
            residual = _seen(sample[j], origin[j], mean[j])
            product += residual * direction[j]
            signed[j] = np.float32(residual) * signs[j]
        along[i] = product
        for start in range(0, len(signed), length):
            part = signed[start : start + length]
            for j in range(len(part)):
                sketches[i, j] += part[j]
