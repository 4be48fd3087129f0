"""Passes over features (n, d) that scatter statistics take, summing in float64.

On a CPU they are compiled loops, which read a feature once and write none. No library call does:
in PyTorch the same sums read and write each feature ten times over. Features on other devices, or
of other types than float32 and float64, take PyTorch all the same.

All functions share ``x`` (n, d), samples of any real type; ``origin`` (d,), which samples and means
are relative to; ``means`` (C, d) of the classes; and ``rows`` (n,) of int64, the class of each
sample. What is not ``x``, ``rows``, signs or sketches (float32) is float64.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy import ndarray
from torch import Tensor

# Sums may be taken in any order, which vector instructions need; differences may not.
_loop: Callable[..., Any] = njit(cache=True, nogil=True, fastmath={"reassoc"})
_exact: Callable[..., Any] = njit(cache=True, fastmath=False)


def in_loops(features: Tensor) -> bool:
    """Tell whether the passes over these features are compiled loops."""
    return features.is_cpu and features.dtype in (torch.float32, torch.float64)


def add_samples(
    x: Tensor, origin: Tensor, rows: Tensor, counts: Tensor, means: Tensor
) -> tuple[float, Tensor]:
    """Update class counts and means in place; return the added scatter and squared residuals (n,).

    The added scatter is the increase of the sum of squared residuals of all samples so far. The
    formula of Chan, Golub & LeVeque (Am. Stat. 37, 1983), all classes at once, as a sum of positive
    terms: a class that these samples, or all before them, lack moves no mean.
    """
    if in_loops(x):
        squares = origin.new_empty(len(x))
        return _add_samples(*_arrays(x, origin, rows, counts, means, squares)), squares
    new = torch.bincount(rows, minlength=len(counts)).to(counts)
    step = torch.zeros_like(means).index_add_(0, rows, x.double() - origin)
    step = step.addcmul_(means, new[:, None], value=-1).div_((counts + new).clamp(min=1)[:, None])
    # Residuals of earlier samples grow as their class mean moves away from them.
    within = counts @ step.square().sum(1)
    means += step
    counts += new
    squares = residuals(x, origin, means, rows).square_().sum(1)
    return float(within + squares.sum()), squares


def residuals(x: Tensor, origin: Tensor, means: Tensor, rows: Tensor) -> Tensor:
    """Return the samples relative to the means of their classes, float64 (n, d)."""
    # Converted first: subtracting tensors of two types is slower.
    return x.to(torch.float64, copy=True).sub_(origin).sub_(means.index_select(0, rows))


def sketched_residuals(
    x: Tensor,
    origin: Tensor,
    means: Tensor,
    rows: Tensor,
    directions: Tensor,
    signs: Tensor,
    length: int,
) -> tuple[Tensor, Tensor]:
    """Return the residuals along the direction (C, d) of their class, (n,), and folded."""
    if in_loops(x):
        along = origin.new_empty(len(x))
        sketches = signs.new_zeros(len(x), min(length, len(signs)))
        _sketched_residuals(*_arrays(x, origin, means, rows, directions, signs, along, sketches))
        return along, sketches
    differences = residuals(x, origin, means, rows)
    along = directions.index_select(0, rows).mul_(differences).sum(1)
    return along, fold(differences.float(), signs, length)


def fold(vectors: Tensor, signs: Tensor, length: int) -> Tensor:
    """Fold vectors (n, d) to (n, min(d, length)): sums of every `length`-th value, with signs."""
    signed = vectors * signs
    count = signed.shape[1]
    whole = count // length * length
    if count <= length:
        return signed
    folded = signed[:, :whole].view(len(vectors), -1, length).sum(1)
    folded[:, : count - whole] += signed[:, whole:]
    return folded


def _arrays(*tensors: Tensor) -> list[ndarray]:
    """Return tensors as arrays; those that are written into are contiguous, so not copies."""
    return [tensor.contiguous().numpy() for tensor in tensors]


@_exact
def _relative(value: float, origin: float, mean: float) -> float:
    """Return a feature relative to the origin, and then to the mean.

    Adding mean and origin first would lose the digits that the origin saves, which compiled loops
    that may reorder sums would do: hence a function of its own, compiled without that freedom.
    """
    return np.float64(value) - origin - mean


@_loop
def _add_samples(
    x: ndarray, origin: ndarray, rows: ndarray, counts: ndarray, means: ndarray, squares: ndarray
) -> float:
    sums, new, within = np.zeros_like(means), np.zeros_like(counts), 0.0
    for i in range(len(x)):
        sample, class_sum = x[i], sums[rows[i]]
        new[rows[i]] += 1
        for j in range(len(sample)):
            class_sum[j] += _relative(sample[j], origin[j], 0.0)
    for row in range(len(counts)):
        before, mean, class_sum, moved = counts[row], means[row], sums[row], 0.0
        counts[row] += new[row]
        if new[row]:
            for j in range(len(mean)):
                step = (class_sum[j] - new[row] * mean[j]) / counts[row]
                mean[j] += step
                moved += step * step
            within += before * moved
    # The samples once more, now that their class means are known.
    for i in range(len(x)):
        sample, mean, square = x[i], means[rows[i]], 0.0
        for j in range(len(sample)):
            residual = _relative(sample[j], origin[j], mean[j])
            square += residual * residual
        squares[i] = square
        within += square
    return within


@_loop
def _sketched_residuals(
    x: ndarray,
    origin: ndarray,
    means: ndarray,
    rows: ndarray,
    directions: ndarray,
    signs: ndarray,
    along: ndarray,
    sketches: ndarray,
) -> None:
    signed, length = np.empty_like(signs), sketches.shape[1]
    for i in range(len(x)):
        sample, mean, direction, product = x[i], means[rows[i]], directions[rows[i]], 0.0
        for j in range(len(sample)):
            residual = _relative(sample[j], origin[j], mean[j])
            product += residual * direction[j]
            signed[j] = np.float32(residual) * signs[j]
        along[i] = product
        # Part by part: an index j % length would keep the loop from vector instructions.
        for start in range(0, len(signed), length):
            part = signed[start : start + length]
            for j in range(len(part)):
                sketches[i, j] += part[j]
