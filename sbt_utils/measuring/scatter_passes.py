"""Passes over features (n, d) that scatter statistics take, summing in float64.

On a CPU they are compiled loops, which read a feature twice while it is in the cache, write none,
and touch the means of those classes alone that a batch holds: they go from class to class, a part
of the features at a time. No library call does: in PyTorch the same sums read and write each
feature many times over. Features on a GPU take PyTorch all the same, see
`sbt_utils.measuring.device_passes`, at most `block_length` at once.

All functions share ``x`` (n, d), samples of any real type; ``origin`` (d,), which samples and means
are relative to; ``means`` (C, d) of the classes, and their ``counts`` (C,), in place; and ``rows``
(n,) of int64, the class of each sample. What is not ``x``, ``rows``, signs or sketches (float32) is
float64.
"""

from itertools import pairwise
from threading import Event

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from sbt_utils.measuring import device_passes, scatter_loops
from sbt_utils.measuring.device_passes import fold
from sbt_utils.threads import in_threads

_SHARE = 2**21  # features that are worth a thread, which takes some 0.1 ms to begin


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
        squares, by_class = origin.new_zeros(len(x)), _by_class(rows)
        classes = len(by_class[-1])
        moved = np.zeros((-(-len(origin) // scatter_loops.PART), classes))
        arrays = _arrays(_in_loop_type(x), origin, counts, means, squares)

        def add(some: tuple[int, int], stopped: Event | None = None) -> None:
            scatter_loops.add_classes(*arrays, moved, *by_class, *some)

        threads = min(torch.get_num_threads(), classes, x.numel() // _SHARE)
        if threads > 1:
            in_threads(add, pairwise(range(classes + 1)), threads)
        else:
            add((0, classes))
        return scatter_loops.added(arrays[2], arrays[4], moved, *by_class[1:]), squares
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
    mean: Tensor,
    signs: Tensor,
    length: int,
) -> tuple[float | Tensor, Tensor, Tensor, Tensor, float | Tensor]:
    """Do as `add_samples`, and fold the samples relative to the origin to (n, min(d, length)).

    Also returned are what the folded samples lack (2, n), with the means so far: of squared
    residuals, and of their products with the centred mean of their class; the folded samples; and
    the power of two that they are in units of, for on a GPU their own would leave float32. Loops
    keep the `mean` (d,) over all samples up to date as well.
    """
    if in_loops(x):
        squares, along = origin.new_zeros(2, len(x))
        sketches = signs.new_zeros(len(x), min(length, len(signs)))
        order, starts, present = _by_class(rows)
        # Of the centred means of the classes, and of the means.
        tables = np.zeros((2, len(present), sketches.shape[1]))
        kept = (origin, counts, means, mean, signs, squares, along, sketches)
        arrays = _arrays(_in_loop_type(x), *kept)
        within = scatter_loops.add_and_sketch(*arrays, tables, order, starts, present)
        centred, own = torch.from_numpy(tables).float()
        places = torch.from_numpy(np.searchsorted(present, rows.numpy()))
        along -= class_products(centred, places, sketches)
        lacking = torch.stack([squares - sketches.square().sum(1), along])
        # Of the samples, not of the residuals: the means so far will have moved in the end.
        return within, squares, lacking, sketches.add_(own.index_select(0, places)), 1.0
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


def fold_samples(
    x: Tensor, origin: Tensor, rows: Tensor, number: int, mean: Tensor, signs: Tensor, length: int
) -> tuple[Tensor, Tensor, float, float]:
    """Fold samples relative to the origin to (n, length), float32; in loops.

    Also returned are their squared distances (n,) from the `mean` (d,) over all samples so far,
    `number` of them before, which is kept up to date; the scatter of these samples around the mean
    of those of their class among them; and what these means add to the scatter around the mean of
    all.
    """
    folded, distances = signs.new_zeros(len(x), length), origin.new_zeros(len(x))
    arrays = _arrays(_in_loop_type(x), origin, mean, signs, folded, distances)
    inside, apart = scatter_loops.fold_samples(*arrays, float(number), *_by_class(rows)[:2])
    return folded, distances, inside, apart


def mean_of(x: Tensor, origin: Tensor, members: Tensor) -> Tensor:
    """Return the mean of some samples relative to the origin, (d,), by their numbers; in loops."""
    mean = torch.empty_like(origin)
    scatter_loops.mean_of(*_arrays(_in_loop_type(x), origin, members, mean))
    return mean


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
    wide = device_passes.working_type(x.dtype)
    return x if x.dtype == wide else x.to(wide)


def _arrays(*tensors: Tensor) -> list[ndarray]:
    """Return tensors as arrays; those that are written into are contiguous, so not copies."""
    return [tensor.contiguous().numpy() for tensor in tensors]


_FOUND = WeakTensorKeyDictionary()  # for rows that the layers of a batch share


def _by_class(rows: Tensor) -> tuple[ndarray, ndarray, ndarray]:
    """Return samples in the order of their classes, where each class starts, and the classes."""
    if (found := _FOUND.get(rows)) is not None:
        return found
    order = np.argsort(rows.numpy(), kind="stable")
    classes = rows.numpy()[order]
    starts = np.append(np.flatnonzero(np.diff(classes, prepend=-1)), len(classes))
    _FOUND[rows] = order, starts, classes[starts[:-1]]
    return _FOUND[rows]
