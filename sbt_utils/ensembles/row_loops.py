"""Compiled loops over rows of activations that several modules here share, and how they compile.

Arrays are copied by loops: for the error of an assignment whose shapes differ, numba would compile
the formatting of text as well.
"""

from typing import Any

import numpy as np

from sbt_utils.compiling import compiled
from sbt_utils.ensembles.noise import _MIX32

SUMMED = 16
"""Rows that are summed in single precision, before their sums are added in double; even."""

OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
"""Of what numba compiles here."""
inner = compiled(no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)
"""Compiles a function for other compiled ones alone."""

CENTRE, SCALE, SHIFT, INVERSE = range(4)
"""What activations of a stage are centred and scaled by, and its inverse deviations: the rows of
`scales`. In `near` the first three are for sums, the others what `through_norm` takes."""

# Below, x holds activations of rows one after another from place `at`; `first` is the number of its
# first row in the batch. `sums` (2, width), in double precision, are of columns.


@inner
def add_statistics(x, at, first, count, width, near, sums):  # type: ignore[no-untyped-def]
    """Merge rows into the columns' means and sums of squared deviations.

    Each block of rows is summed relative to the mean of those before it, so that no offset of the
    data costs digits, and merged (Chan, Golub & LeVeque, Updating formulae, 1979).
    """
    middle, away, square, mean, squares = near[0], near[1], near[2], sums[0], sums[1]
    if first == 0:
        for u in range(width):
            middle[u] = x[at + u]
            mean[u] = squares[u] = 0
    for start in range(0, count, SUMMED):
        stop = min(start + SUMMED, count)
        for u in range(width):
            away[u] = square[u] = 0
        for r in range(start, stop):
            row = x[at + r * width :]
            for u in range(width):
                distance = row[u] - middle[u]
                away[u] += distance
                square[u] += distance * distance
        here, so_far = stop - start, first + start
        for u in range(width):
            shift = np.float64(away[u]) / here  # of the rows' mean from `middle`
            apart = middle[u] + shift - mean[u]
            share = here / (so_far + here)
            mean[u] += apart * share
            squares[u] += square[u] - away[u] * shift + apart * apart * (so_far * share)
            middle[u] = mean[u]


@inner
def set_scales(place, numbers, count, width, sums, row, scales, mean, variance):  # type: ignore[no-untyped-def]
    """Write what activations are centred and scaled by; update running mean and variance.

    `place` says where weight and bias of the norm, and the bias before it, stand in `row`; -1
    where there are none. `numbers` are momentum and epsilon.
    """
    for u in range(width):
        # The bias before a norm would be subtracted again: only the running mean has it.
        left_out = np.float64(row[place[2] + u]) if place[2] >= 0 else 0.0
        if place[0] < 0:
            scales[CENTRE, u], scales[SCALE, u], scales[SHIFT, u] = 0, 1, left_out
            continue
        inverse = 1 / np.sqrt(sums[1, u] / count + numbers[1])
        scales[CENTRE, u], scales[INVERSE, u] = sums[0, u], inverse
        scales[SCALE, u] = inverse * row[place[0] + u]
        scales[SHIFT, u] = row[place[1] + u]
        # PyTorch normalises with the biased variance and keeps the unbiased one.
        unbiased = sums[1, u] / (count - 1)
        mean[u] += numbers[0] * (sums[0, u] + left_out - mean[u])
        variance[u] += numbers[0] * (unbiased - variance[u])


@inner
def activate(  # type: ignore[no-untyped-def]
    x, at, first, count, width, scales, leak, key, limit, kept, words, factor, out
):
    """Write activations, and the derivative by which what is scaled and shifted becomes them."""
    centre, scale, shift = scales[CENTRE], scales[SCALE], scales[SHIFT]
    fill_keep_mask(key, limit, kept, first * width, count * width, words, factor)
    for r in range(count):
        row, mask, to = x[at + r * width :], factor[r * width :], out[r * width :]
        for u in range(width):
            y = (row[u] - centre[u]) * scale[u] + shift[u]
            slope = mask[u] if y > 0 else mask[u] * leak
            mask[u] = slope
            to[u] = y * slope


@inner
def through_norm(x, at, first, count, width, scales, near, change, out):  # type: ignore[no-untyped-def]
    """Write gradients before a norm from those behind it (Ioffe & Szegedy, ICML 2015)."""
    centre, scale, mean, slope = scales[CENTRE], scales[SCALE], near[3], near[4]
    for r in range(count):
        row, given, to = x[at + r * width :], change[(first + r) * width :], out[r * width :]
        for u in range(width):
            to[u] = (given[u] - mean[u] - (row[u] - centre[u]) * slope[u]) * scale[u]


@inner
def through_activation(  # type: ignore[no-untyped-def]
    x, at, first, count, width, scales, factor, change, near, sums
):
    """Turn gradients into those before dropout and activation; sum them for the norm."""
    summed, product, centre = near[1], near[2], scales[CENTRE]
    for start in range(0, count, SUMMED):
        for u in range(width):
            summed[u] = product[u] = 0
        for r in range(start, min(start + SUMMED, count)):
            row, to = x[at + r * width :], change[(first + r) * width :]
            slope = factor[r * width :]
            for u in range(width):
                changed = to[u] * slope[u]
                to[u] = changed
                summed[u] += changed
                product[u] += changed * (row[u] - centre[u])
        for u in range(width):
            sums[0, u] += summed[u]
            sums[1, u] += product[u]


@inner
def end_norm(place, count, width, sums, scales, near, gradient):  # type: ignore[no-untyped-def]
    """Write a norm's gradients, or its bias's in its place, and what `through_norm` takes."""
    for u in range(width):
        slope, mean, inverse = 0.0, 0.0, np.float64(scales[INVERSE, u])
        if place[0] >= 0:
            gradient[place[0] + u] = sums[1, u] * inverse
            gradient[place[1] + u] = sums[0, u]
            mean, slope = sums[0, u] / count, sums[1, u] * inverse * inverse / count
        elif place[2] >= 0:
            gradient[place[2] + u] = sums[0, u]
        near[3, u], near[4, u] = mean, slope
        sums[0, u] = sums[1, u] = 0


@inner
def fill_keep_mask(key, limit, kept, start, count, words, out):  # type: ignore[no-untyped-def]
    """Write `count` units of `sbt_utils.ensembles.noise.keep_mask`, from `start` (even) on.

    What is kept becomes `kept`, where that is 1 all: without dropout. `words`, uint32, are scratch.
    """
    if kept == 1:
        for i in range(count):
            out[i] = 1
        return
    for i in range((count + 1) // 2):
        words[i] = _mix32_word(np.uint32(_mix32_word(np.uint32(start // 2 + i)) + key))
    halves = words.view(np.int16)  # each word serves two units
    for i in range(count):
        out[i] = kept if (halves[i] >> 1) < limit else 0


@inner
def _mix32_word(x):  # type: ignore[no-untyped-def]
    for shift, multiplier in _MIX32:
        x = np.uint32((x ^ (x >> np.uint32(shift))) * np.uint32(multiplier))
    return np.uint32(x ^ (x >> np.uint32(16)))
