"""Compiled loops over features (n, d) on a CPU, for `sbt_utils.measuring.scatter_passes`.

They go through the features part by part, and through a part class by class, so that the sums of a
class are in the cache, and the means of classes that have no sample here are left alone. Samples
are in the order ``order``, those of class ``present[c]`` from ``starts[c]`` on. Of a class so many
samples are taken at once that they are still in the cache when they are read again.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from sbt_utils.compiling import compiled

# Sums may be taken in any order, which vector instructions need; differences may not.
_loop: Callable[..., Any] = compiled(nogil=True, fastmath={"reassoc"})
_exact: Callable[..., Any] = compiled(fastmath=False)
PART = 1004
"""Features at once, whose sums stay in the cache."""

_SAMPLES = 256  # at once: a part of them is 1 MB of float32


@_exact
def _relative(value: float, origin: float, mean: float) -> float:
    """Return a feature relative to the origin, and then to the mean.

    Adding mean and origin first would lose the digits that the origin saves, which compiled loops
    that may reorder sums would do: hence a function of its own, compiled without that freedom.
    """
    return np.float64(value) - origin - mean


@_loop
def _sum(x: ndarray, members: ndarray, start: int, origin: ndarray, total: ndarray) -> None:
    """Sum a part of the features of some samples."""
    total[:] = 0.0
    for i in members:
        sample = x[i, start : start + len(origin)]
        for j in range(len(sample)):
            total[j] += _relative(sample[j], origin[j], 0.0)


@_loop
def _move(mean: ndarray, total: ndarray, new: int, before: float) -> float:
    """Move a mean to that of new samples as well; return what is added to their scatter."""
    moved = 0.0
    for j in range(len(mean)):
        step = (total[j] - new * mean[j]) / (before + new)
        mean[j] += step
        moved += step * step
    return before * moved


@_loop
def _square(sample: ndarray, origin: ndarray, mean: ndarray) -> float:
    square = 0.0
    for j in range(len(sample)):
        residual = _relative(sample[j], origin[j], mean[j])
        square += residual * residual
    return square


@_loop
def _noted(counts: ndarray, starts: ndarray, present: ndarray, squares: ndarray) -> float:
    """Count the samples of each class; return the sum of their squares."""
    for c in range(len(present)):
        counts[present[c]] += starts[c + 1] - starts[c]
    total = 0.0
    for square in squares:
        total += square
    return total


@_loop
def mean_of(x: ndarray, origin: ndarray, members: ndarray, mean: ndarray) -> None:
    """Write the mean of some samples (d,)."""
    for start in range(0, len(origin), PART):
        part = mean[start : start + PART]
        _sum(x, members, start, origin[start : start + PART], part)
        for j in range(len(part)):
            part[j] /= len(members)


@_loop
def add_classes(
    x: ndarray,
    origin: ndarray,
    counts: ndarray,
    means: ndarray,
    squares: ndarray,
    moved: ndarray,
    order: ndarray,
    starts: ndarray,
    present: ndarray,
    first: int,
    last: int,
) -> None:
    """Update means and squares (n,) of classes `first` to `last`; write what moving means adds.

    That is `moved` (parts, classes). Each class is by itself, so that threads may share them.
    """
    sums = np.empty(PART)
    for part in range(len(moved)):
        start = part * PART
        base = origin[start : start + PART]
        stop, total = start + len(base), sums[: len(base)]
        for c in range(first, last):
            before, mean = counts[present[c]], means[present[c], start:stop]
            for begin in range(starts[c], starts[c + 1], _SAMPLES):
                members = order[begin : min(begin + _SAMPLES, starts[c + 1])]
                _sum(x, members, start, base, total)
                moved[part, c] += _move(mean, total, len(members), before)
                before += len(members)
                # The samples once more, now that the mean of their class so far is known.
                for i in members:
                    squares[i] += _square(x[i, start:stop], base, mean)


@_loop
def added(
    counts: ndarray, squares: ndarray, moved: ndarray, starts: ndarray, present: ndarray
) -> float:
    """Update counts after `add_classes`; return what is added to the scatter."""
    within = 0.0
    for part in moved:
        for step in part:
            within += step
    return within + _noted(counts, starts, present, squares)


@_loop
def add_and_sketch(
    x: ndarray,
    origin: ndarray,
    counts: ndarray,
    means: ndarray,
    mean: ndarray,
    signs: ndarray,
    squares: ndarray,
    along: ndarray,
    sketches: ndarray,
    tables: ndarray,
    order: ndarray,
    starts: ndarray,
    present: ndarray,
) -> float:
    """Do as `add_samples`; write products with the centred means, sketches, and these folded."""
    within, number, length = 0.0, 0.0, sketches.shape[1]
    for count in counts:
        number += count
    total, of_all, directions = np.empty(length), np.empty(length), np.empty(length)
    # A part of the features as long as a sketch adds one term to each of its values.
    for start in range(0, len(origin), length):
        base, sign = origin[start : start + length], signs[start : start + length]
        stop, size = start + len(base), len(base)
        of_all[:] = 0.0
        for c in range(len(present)):
            members = order[starts[c] : starts[c + 1]]
            _sum(x, members, start, base, total[:size])
            for j in range(size):
                of_all[j] += total[j]
            own = means[present[c], start:stop]
            within += _move(own, total[:size], len(members), counts[present[c]])
        _move(mean[start:stop], of_all[:size], len(x), number)
        for c in range(len(present)):
            own = means[present[c], start:stop]
            for j in range(size):
                directions[j] = own[j] - mean[start + j]
                tables[0, c, j] += directions[j] * sign[j]
                tables[1, c, j] += own[j] * sign[j]
            for i in order[starts[c] : starts[c + 1]]:
                sample, sketch, square, product = x[i, start:stop], sketches[i], 0.0, 0.0
                for j in range(size):
                    residual = _relative(sample[j], base[j], own[j])
                    square += residual * residual
                    product += residual * directions[j]
                    sketch[j] += np.float32(residual) * sign[j]
                squares[i] += square
                along[i] += product
    return within + _noted(counts, starts, present, squares)


@_loop
def fold_samples(
    x: ndarray,
    origin: ndarray,
    mean: ndarray,
    signs: ndarray,
    folded: ndarray,
    distances: ndarray,
    number: float,
    order: ndarray,
    starts: ndarray,
) -> tuple[float, float]:
    """Write folded samples and distances from the mean; return both parts of the scatter."""
    inside, apart, length = 0.0, 0.0, folded.shape[1]
    sums, centre = np.empty(PART), np.empty(PART)
    for whole in range(0, len(origin), length):
        for start in range(whole, min(whole + length, len(origin)), PART):
            stop = min(start + PART, whole + length, len(origin))
            base, sign, all_mean = origin[start:stop], signs[start:stop], mean[start:stop]
            total, own, before = sums[: len(base)], centre[: len(base)], number
            for c in range(len(starts) - 1):
                members = order[starts[c] : starts[c + 1]]
                _sum(x, members, start, base, total)
                for j in range(len(base)):
                    own[j] = total[j] / len(members)
                for i in members:
                    inside += _square(x[i, start:stop], base, own)
                moved = 0.0
                for j in range(len(base)):
                    away = own[j] - all_mean[j]
                    all_mean[j] += away * (len(members) / (before + len(members)))
                    moved += away * away
                apart += moved * before * len(members) / (before + len(members))
                before += len(members)
            for i in range(len(x)):
                sample, part = x[i, start:stop], folded[i, start - whole : stop - whole]
                distance = 0.0
                for j in range(len(base)):
                    value = _relative(sample[j], base[j], 0.0)
                    part[j] += np.float32(value) * sign[j]
                    distance += (value - all_mean[j]) ** 2
                distances[i] += distance
    return inside, apart
