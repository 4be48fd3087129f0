"""Passes over features (n, d) that scatter statistics take, summing in float64.

On a CPU they are compiled loops, which read a feature once and write none. No library call does:
in PyTorch the same sums read and write each feature many times over. Features on a GPU take PyTorch
all the same, see `sbt_utils.measuring.device_passes`, at most `block_length` at once.

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

from sbt_utils.measuring import device_passes
from sbt_utils.measuring.device_passes import fold

# Sums may be taken in any order, which vector instructions need; differences may not.
_loop: Callable[..., Any] = njit(cache=True, nogil=True, fastmath={"reassoc"})
_exact: Callable[..., Any] = njit(cache=True, fastmath=False)


def in_loops(features: Tensor) -> bool:
    """Tell whether the passes over these features are compiled loops."""
    return features.is_cpu


def largest_difference(x: Tensor, origin: Tensor) -> float:
    """Return the largest distance from the origin along any axis; NaN if a feature is NaN."""
    x = _in_loop_type(x)
    extremes = torch.stack([x.amax(0), x.amin(0)]).to(origin)
    return float(extremes.sub_(origin).abs_().max())


def add_samples(
    x: Tensor, origin: Tensor, rows: Tensor, counts: Tensor, means: Tensor
) -> tuple[float | Tensor, Tensor]:
    """Update class counts and means in place; return the added scatter and squared residuals (n,).

    The added scatter is the increase of the sum of squared residuals of all samples so far, a
    tensor () where nothing waits for the GPU. The formula of Chan, Golub & LeVeque (Am. Stat. 37,
    1983), all classes at once, as a sum of positive terms: a class that these samples, or all
    before them, lack moves no mean. On a GPU the squares are relative to another sample.
    """
    if in_loops(x):
        squares = origin.new_empty(len(x))
        arrays = _arrays(_in_loop_type(x), origin, rows, counts, means, squares)
        return _add_samples(*arrays), squares
    within, squares, *_ = device_passes.add_block(x[None], origin[None], rows, counts, means[None])
    return within[0], squares[0]


def projected_squares(
    x: Tensor, origin: Tensor, means: Tensor, rows: Tensor, projection: Tensor
) -> Tensor:
    """Return the sum of squares of all residuals @ projection (d, K), a tensor ()."""
    if in_loops(x):
        # Converted first: subtracting tensors of two types is slower.
        away = x.to(torch.float64, copy=True).sub_(origin).sub_(means.index_select(0, rows))
        return (away @ projection).square().sum()
    away = device_passes.residuals(x[None], origin[None], means[None], rows)
    return device_passes.projected_squares(away, projection[None])[0]


def add_and_sketch(
    x: Tensor,
    origin: Tensor,
    rows: Tensor,
    counts: Tensor,
    means: Tensor,
    signs: Tensor,
    length: int,
) -> tuple[float | Tensor, Tensor, Tensor, Tensor, float | Tensor]:
    """Do as `add_samples`, and fold the samples relative to the origin to (n, min(d, length)).

    Also returned are what the folded samples lack (2, n), with the means so far: of squared
    residuals, and of their products with the centred mean of their class; the folded samples; and
    the power of two that they are in units of, for on a GPU their own would leave float32.
    """
    if in_loops(x):
        within, squares = add_samples(x, origin, rows, counts, means)
        centred = means - (counts / counts.sum()) @ means
        along, sketches = sketched_residuals(x, origin, means, rows, centred, signs, length)
        centred, means = fold(torch.cat([centred, means]).float() * signs, length).chunk(2)
        along -= class_products(centred, rows, sketches)
        lacking = torch.stack([squares - sketches.square().sum(1), along])
        # Of the samples, not of the residuals: the means so far will have moved in the end.
        return within, squares, lacking, sketches.add_(means.index_select(0, rows)), 1.0
    # Of the distances from the origin: a block of one sample, or of equal ones, has no others.
    scale = device_passes.unit(x[None], origin[None], means[None])[0, 0]
    signs = signs.to(scale.dtype) * scale
    block = device_passes.add_block(x[None], origin[None], rows, counts, means[None], signs)
    added, squares, away, first = (part[0] for part in block)
    means, classes = means.to(away.dtype), len(counts)
    # Of the class means relative to the first of each class, and to the origin.
    table = torch.cat([means - (first - origin.to(away.dtype)), means]) * signs
    sketches, folded = (fold(vectors.float(), length) for vectors in (away, table))
    with device_passes.exact_products(x.device):
        missing, of_means = (
            (vectors @ table.T).float().addmm_(sketch, folded.T, alpha=-1)
            for vectors, sketch in ((away, sketches), (table[:classes], folded[:classes]))
        )
        # What scalar products of residuals with the table lack.
        missing -= of_means.index_select(0, rows)
        toward_all = missing[:, classes:] @ (counts / counts.sum()).float()
    own, toward_own = (part.gather(1, rows[:, None])[:, 0] for part in missing.split(classes, 1))
    lacking = squares * scale * scale - sketches.square().sum(1) - 2 * own
    lacking -= of_means.diagonal().index_select(0, rows)
    sketches = sketches + (folded[classes:] - folded[:classes]).index_select(0, rows)
    lacking = torch.stack([lacking, (toward_own - toward_all).double()])
    back = scale.reciprocal().double()
    return added, squares, lacking * back * back, sketches, back


def sketched_residuals(
    x: Tensor,
    origin: Tensor,
    means: Tensor,
    rows: Tensor,
    directions: Tensor,
    signs: Tensor,
    length: int,
) -> tuple[Tensor, Tensor]:
    """Return residuals along the direction (C, d) of their class, (n,), and folded; in loops."""
    along = origin.new_empty(len(x))
    sketches = signs.new_zeros(len(x), min(length, len(signs)))
    arrays = _arrays(_in_loop_type(x), origin, means, rows, directions, signs, along, sketches)
    _sketched_residuals(*arrays)
    return along, sketches


def class_products(table: Tensor, rows: Tensor, vectors: Tensor) -> Tensor:
    """Return the scalar product of each vector (n, d) with its row of a table (C, d)."""
    return table.index_select(0, rows).mul_(vectors).sum(1)


def decomposed(factor: Tensor) -> tuple[Tensor, Tensor]:
    """Return the singular values of a wide matrix (C, d), and its right singular vectors."""
    if in_loops(factor):
        return torch.linalg.svd(factor, full_matrices=False)[1:]
    # A GPU is slow at small decompositions: only the rotation into C dimensions is left to it.
    basis, small = torch.linalg.qr(factor.T)
    _, scale, directions = torch.linalg.svd(small.T.cpu(), full_matrices=False)
    return scale.to(factor.device), directions.to(factor.device) @ basis.T


def _in_loop_type(x: Tensor) -> Tensor:
    """Return samples as float32 or float64, which hold all of their digits."""
    return x.to(device_passes.working_type(x.dtype))


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
