"""Whole steps of multilayer perceptrons, compiled: member by member, without Python's lock.

PyTorch's operations, called one after another, cost a step of small batches more than their
arithmetic, and hold up other threads meanwhile. Here a *stage* is what stands before a linear layer
(batch norm, leaky ReLU, dropout: each may be missing) and that layer. Rows of a batch go through a
stage in blocks that stay near the processor: what comes before the product is computed anew in the
backward pass, so that of a stage only the products are kept. The products are those of SciPy's BLAS
(`numpy.dot` in numba), which is held to one thread: threads train other members.

A member is computed alone, so that its numbers are the same in any company. Sums run over rows in
order. Other architectures, and GPUs, have `sbt_utils.ensembles.stacked_layers` and what replaces
them.
"""

from typing import NamedTuple

import numpy as np

from sbt_utils.compiling import compiled
from sbt_utils.ensembles.row_loops import (
    OPTIONS,
    activate,
    add_statistics,
    end_norm,
    inner,
    set_scales,
    through_activation,
    through_norm,
)


class Work(NamedTuple):
    """Working memory: of a batch, of a block of its rows, of a weight, and of columns."""

    words: np.ndarray  # random ones, of a block
    images: np.ndarray  # of a batch, if it is chosen
    products: np.ndarray  # of a batch, those of all stages
    behind: np.ndarray  # gradients of a batch behind a stage
    before: np.ndarray  # and before it
    active: np.ndarray  # activations of a block
    factor: np.ndarray  # and their derivatives
    wanted: np.ndarray  # gradients of a block's products
    to_weight: np.ndarray  # gradient of a weight from a block
    turned: np.ndarray  # a weight, transposed
    near: np.ndarray  # (5, width), for sums over rows
    scales: np.ndarray  # (stages, 4, width), what activations are scaled by


@compiled(**OPTIONS)
def take_steps(  # type: ignore[no-untyped-def]
    stages, leaks, block, images, labels, order, batch, keys, limit, scale, row, gradient, running,
    algorithm, moments, rates, done, work, totals
):  # fmt: skip
    """Take a member's steps, one for each row of `keys`, and add its losses to `totals`.

    `stages` are the arrays of `Stages`. Without an `order` of images, a step takes them all. A unit
    is dropped as `limit` and `scale` of `dropout_limits` say. `algorithm` counts the `moments` that
    the optimizer has, two arrays like `row`; `rates` are the learning rate, and momentum or Adam's
    β1, β2 and ε; `done` steps were taken before; `work` is `Work`.
    """
    widths, places, numbers, drops = stages
    last = len(places) - 1
    words, near, scales, turned = work.words, work.near, work.scales, work.turned
    products, change, spare = work.products, work.behind, work.before
    active, factor, wanted = work.active, work.factor, work.wanted
    targets = np.empty(len(labels), np.int64)
    sums = np.zeros((2, len(near[0])))
    for step in range(len(keys)):
        x, given, count = images, labels, len(labels)
        if len(order):
            count = min(batch, len(order) - step * batch)
            _gather(images, labels, order, step * batch, count, widths[0], work.images, targets)
            x, given = work.images, targets
        at, source = 0, x
        if places[0, 0] >= 0:
            for r in range(0, count, block):
                add_statistics(x, r * widths[0], r, min(block, count - r), widths[0], near, sums)
        for stage in range(last + 1):
            width, following = widths[stage], widths[stage + 1]
            set_scales(places[stage], numbers[stage], count, width, sums, row, scales[stage],
                       running[stage, 0], running[stage, 1])  # fmt: skip
            _transpose(row[places[stage, 3] :], following, width, turned)
            if stage == last:
                break
            to = at + count * width if stage else 0
            key, kept = _dropout(keys, step, drops[stage], scale)
            for r in range(0, count, block):
                rows, out = min(block, count - r), to + r * following
                activate(source, at + r * width, r, rows, width, scales[stage], leaks[stage],
                         key, limit, kept, words, factor, active)  # fmt: skip
                _multiply(active, rows, width, turned, following, products[out:])
                if places[stage + 1, 0] >= 0:
                    add_statistics(products, out, r, rows, following, near, sums)
            at, source = to, products
        gradient[:] = 0
        sums[:] = 0
        for stage in range(last, -1, -1):
            width, following = widths[stage], widths[stage + 1]
            if stage == 0:
                at, source = 0, x
            key, kept = _dropout(keys, step, drops[stage], scale)
            weight, bias = places[stage, 3], places[stage, 4]
            for r in range(0, count, block):
                rows = min(block, count - r)
                activate(source, at + r * width, r, rows, width, scales[stage], leaks[stage],
                         key, limit, kept, words, factor, active)  # fmt: skip
                if stage == last:
                    _multiply(active, rows, width, turned, following, wanted)
                    _lose(wanted, row, bias, given, r, rows, following, count, gradient, totals)
                else:
                    through_norm(products, to + r * following, r, rows, following,
                                 scales[stage + 1], near, change, wanted)  # fmt: skip
                _multiply_back(wanted, rows, following, active, width, row[weight:], work.to_weight,
                               gradient[weight:], spare[r * width :])  # fmt: skip
                through_activation(source, at + r * width, r, rows, width, scales[stage], factor,
                                   spare, near, sums)  # fmt: skip
            end_norm(places[stage], count, width, sums, scales[stage], near, gradient)
            change, spare = spare, change
            to, at = at, at - count * widths[stage - 1]
        _update(row, gradient, algorithm, moments, rates, done + step + 1)


@inner
def _gather(images, labels, order, start, count, width, chosen, targets):  # type: ignore[no-untyped-def]
    """Copy images and labels of a batch."""
    for r in range(count):
        image = order[start + r]
        targets[r] = labels[image]
        for u in range(width):
            chosen[r * width + u] = images[image * width + u]


@inner
def _dropout(keys, step, number, scale):  # type: ignore[no-untyped-def]
    """Return the key of a dropout layer's mask, and what is kept is multiplied by; 1 without."""
    if number < 0:
        return np.uint32(0), scale / scale
    return np.uint32(keys[step, number]), scale


@inner
def _transpose(weight, following, width, out):  # type: ignore[no-untyped-def]
    """Write a transposed weight: products with it are faster than with the transpose of a view."""
    for u in range(width):
        for v in range(following):
            out[u * following + v] = weight[v * width + u]


@inner
def _multiply(x, count, width, turned, following, out):  # type: ignore[no-untyped-def]
    """Write rows times a transposed weight."""
    weight = turned[: width * following].reshape(width, following)
    to = out[: count * following].reshape(count, following)
    np.dot(x[: count * width].reshape(count, width), weight, to)


@inner
def _multiply_back(  # type: ignore[no-untyped-def]
    gradient, count, following, x, width, weight, product, to_weight, out
):
    """Write rows of gradients times the weight; add gradients times x to the weight's gradient."""
    size, rows = following * width, gradient[: count * following].reshape(count, following)
    to = out[: count * width].reshape(count, width)
    np.dot(rows, weight[:size].reshape(following, width), to)
    x, added = x[: count * width].reshape(count, width), product[:size]
    np.dot(rows.T, x, added.reshape(following, width))
    for i in range(size):
        to_weight[i] += added[i]


@inner
def _lose(  # type: ignore[no-untyped-def]
    logits, row, bias, labels, first, count, classes, batch, gradient, totals
):
    """Add cross-entropies and right answers to `totals`; turn logits into the loss's gradient."""
    for r in range(count):
        label, at = labels[first + r], r * classes
        best = 0
        for c in range(classes):
            if bias >= 0:
                logits[at + c] += row[bias + c]
            if logits[at + c] > logits[at + best]:
                best = c
        highest = logits[at + best]
        missing = highest - logits[at + label]
        total = highest - highest
        for c in range(classes):
            logits[at + c] = np.exp(logits[at + c] - highest)
            total += logits[at + c]
        for c in range(classes):
            logits[at + c] = (logits[at + c] / total - (c == label)) / batch
            if bias >= 0:
                gradient[bias + c] += logits[at + c]
        totals[0] += np.log(total) + missing
        totals[1] += best == label


@inner
def _update(row, gradient, algorithm, moments, rates, number):  # type: ignore[no-untyped-def]
    """Change parameters as the optimizer does in its step of this number."""
    real = gradient.dtype.type
    (first, second), rate, old = moments, real(rates[0]), real(rates[1])
    if algorithm < 2:
        for i in range(len(row)):
            change = gradient[i]
            if algorithm == 1:
                change += old * first[i]
                first[i] = change
            row[i] -= rate * change
        return
    # Kingma & Ba, Adam, ICLR 2015.
    new, new_square = real(1 - rates[1]), real(1 - rates[2])
    old_square, epsilon = real(rates[2]), real(rates[3])
    rate = real(rates[0] / (1 - rates[1] ** number))
    inverse = real(1 / np.sqrt(1 - rates[2] ** number))
    for i in range(len(row)):
        change = gradient[i]
        first[i] += (change - first[i]) * new
        second[i] = old_square * second[i] + new_square * change * change
        row[i] -= rate * first[i] / (np.sqrt(second[i]) * inverse + epsilon)
