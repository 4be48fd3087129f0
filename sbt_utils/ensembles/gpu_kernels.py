"""What a GPU does between the matrix products of a layer, in few passes over memory, in Triton.

The counterpart of `sbt_utils.ensembles.fused_layer`: the same formulas, noise and order of layers.
PyTorch brings Triton along where it brings CUDA, so nothing is compiled beforehand and no compiler
is asked for. `torch.compile` needs half a minute for every new shape, and gains that back for long
trainings of many members on small batches alone.

Arrays hold a member's rows one after another: x[m, row, unit] stands at ``m * stride + row * width
+ unit``, where images that all members share have a stride of 0. No sum mixes members and none is
taken by atomic additions, so a member's numbers are the same from run to run and in any company.
Rows are divided among `splits` programs, each of which sums its own `span`.
"""

from typing import Any

import triton
import triton.language as tl

from sbt_utils.ensembles.noise import _MIX32

_SHIFT1, _SHIFT2 = (tl.constexpr(shift) for shift, _ in _MIX32)
_TIMES1, _TIMES2 = (tl.constexpr(times % 2**32) for _, times in _MIX32)
_jit: Any = triton.jit
# Kernels compiled for one number of rows serve any other.
_sized: Any = triton.jit(do_not_specialize=["rows", "span"])


@_jit
def _mix(x):  # type: ignore[no-untyped-def]
    x = (x ^ (x >> _SHIFT1)) * _TIMES1
    x = (x ^ (x >> _SHIFT2)) * _TIMES2
    return x ^ (x >> 16)


@_jit
def _dropped(value, place, member, keys, limits, scales):  # type: ignore[no-untyped-def]
    """Apply inverted dropout as `sbt_utils.ensembles.noise.keep_mask`, if there are keys for it."""
    if keys is None:
        return value
    else:
        key = tl.load(keys + member).to(tl.uint32, bitcast=True)
        word = _mix(_mix((place >> 1).to(tl.uint32)) + key)
        half = ((word >> ((place & 1) * 16).to(tl.uint32)) & 0xFFFF).to(tl.int32)
        limit = tl.load(limits + member).to(tl.int32)
        kept = (((half ^ 0x8000) - 0x8000) >> 1) < limit
        return value * tl.where(kept, -tl.load(scales + member), 0.0)


@_jit
def _moments(  # type: ignore[no-untyped-def]
    x, unit, first, last, WIDTH: tl.constexpr, ROWS: tl.constexpr
):
    """Return the mean and the sum of squared deviations of each unit over some rows.

    Tile by tile (Chan, Golub & LeVeque, Updating formulae, 1979).
    """
    mean = tl.zeros_like(tl.load(x + unit, mask=unit < WIDTH, other=0.0))
    squares = tl.zeros_like(mean)
    for start in range(first, last, ROWS):
        row = start + tl.arange(0, ROWS)[:, None]
        inside = (row < last) & (unit < WIDTH)[None, :]
        value = tl.load(x + row * WIDTH + unit[None, :], mask=inside, other=0.0)
        new, before = tl.minimum(last - start, ROWS), start - first
        centre = tl.sum(value, 0) / new
        deviation = tl.where(inside, value - centre[None, :], 0.0)
        shift = centre - mean
        share = new.to(mean.dtype) / (before + new)
        mean += shift * share
        squares += tl.sum(deviation * deviation, 0) + shift * shift * (before * share)
    return mean, squares


@_jit
def _norm(  # type: ignore[no-untyped-def]
    statistics, weights, biases, params_stride, member, unit, WIDTH: tl.constexpr
):
    """Return mean, inverse deviation, scale and bias of each unit."""
    known = unit < WIDTH
    mean = tl.load(statistics + member * 2 * WIDTH + unit, mask=known, other=0.0)
    inverse = tl.load(statistics + (member * 2 + 1) * WIDTH + unit, mask=known, other=0.0)
    weight = tl.load(weights + member * params_stride + unit, mask=known, other=0.0)
    bias = tl.load(biases + member * params_stride + unit, mask=known, other=0.0)
    return mean, inverse, inverse * weight, bias


@_jit
def _changes(  # type: ignore[no-untyped-def]
    x, gradient, unit, start, last, mean, scale, bias, member, slope, keys, limits, scales,
    WIDTH: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Return the gradient before the activation, the centred values, their places and a mask."""
    row = start + tl.arange(0, ROWS)[:, None]
    inside = (row < last) & (unit < WIDTH)[None, :]
    place = row * WIDTH + unit[None, :]
    centred = tl.load(x + place, mask=inside, other=0.0) - mean[None, :]
    change = tl.load(gradient + place, mask=inside, other=0.0)
    change = tl.where(centred * scale[None, :] + bias[None, :] > 0, change, change * slope)
    return _dropped(change, place, member, keys, limits, scales), centred, place, inside


@_jit
def _sums(  # type: ignore[no-untyped-def]
    x, gradient, unit, first, last, mean, scale, bias, member, slope, keys, limits, scales,
    WIDTH: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Return the sums of the gradient before the activation, and of it times the centred x."""
    summed, product = tl.zeros_like(mean), tl.zeros_like(mean)
    for start in range(first, last, ROWS):
        change, centred, _, _ = _changes(
            x, gradient, unit, start, last, mean, scale, bias, member, slope,
            keys, limits, scales, WIDTH, ROWS,
        )  # fmt: skip
        summed += tl.sum(change, 0)
        product += tl.sum(change * centred, 0)
    return summed, product


@_sized
def moments(  # type: ignore[no-untyped-def]
    x, stride, parts, rows, span,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """Write the mean and the squared deviations of each split to `parts` (M, splits, 2, width)."""
    split, member = tl.program_id(0), tl.program_id(2).to(tl.int64)
    unit = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    last = tl.minimum((split + 1) * span, rows)
    mean, squares = _moments(x + member * stride, unit, split * span, last, WIDTH, ROWS)
    part = parts + (member * tl.num_programs(0) + split) * 2 * WIDTH + unit
    tl.store(part, mean, mask=unit < WIDTH)
    tl.store(part + WIDTH, squares, mask=unit < WIDTH)


@_sized
def normalise(  # type: ignore[no-untyped-def]
    x, stride, out, out_stride, parts, statistics, rows, span,
    weights, biases, left_out, params_stride,
    means, variances, running_stride, steps, steps_stride, momentum, eps,
    slopes, keys, limits, scales,
    SPLITS: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """Batch norm, leaky ReLU and dropout; also the statistics (M, 2, width) and running ones."""
    split, member = tl.program_id(0), tl.program_id(2).to(tl.int64)
    unit = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    known = unit < WIDTH
    x += member * stride
    if SPLITS == 1:
        mean, squares = _moments(x, unit, 0, rows, WIDTH, ROWS)
    else:
        number = tl.arange(0, SPLITS)[:, None]
        count = tl.maximum(tl.minimum(span, rows - number * span), 0)
        given = (count > 0) & known[None, :]
        part = parts + (member * tl.num_programs(0) + number) * 2 * WIDTH + unit[None, :]
        centres = tl.load(part, mask=given, other=0.0)
        mean = tl.sum(centres * count, 0) / rows
        apart = centres - mean[None, :]
        squares = tl.load(part + WIDTH, mask=given, other=0.0) + apart * apart * count
        squares = tl.sum(tl.where(given, squares, 0.0), 0)
    inverse = 1 / tl.sqrt(squares / rows + eps)
    scale = inverse * tl.load(weights + member * params_stride + unit, mask=known, other=0.0)
    bias = tl.load(biases + member * params_stride + unit, mask=known, other=0.0)
    if split == 0:
        tl.store(statistics + member * 2 * WIDTH + unit, mean, mask=known)
        tl.store(statistics + (member * 2 + 1) * WIDTH + unit, inverse, mask=known)
        shifted = mean
        # The bias of a layer before would be subtracted again with the mean.
        if left_out is not None:
            shifted += tl.load(left_out + member * params_stride + unit, mask=known, other=0.0)
        running = means + member * running_stride + unit
        value = tl.load(running, mask=known, other=0.0)
        tl.store(running, value + momentum * (shifted - value), mask=known)
        running = variances + member * running_stride + unit
        value = tl.load(running, mask=known, other=0.0)
        # PyTorch normalises with the biased variance and keeps the unbiased one.
        tl.store(running, value + momentum * (squares / (rows - 1) - value), mask=known)
        if tl.program_id(1) == 0:
            tl.store(steps + member * steps_stride, tl.load(steps + member * steps_stride) + 1)
    slope = tl.load(slopes + member)
    out += member * out_stride
    last = tl.minimum((split + 1) * span, rows)
    for start in range(split * span, last, ROWS):
        row = start + tl.arange(0, ROWS)[:, None]
        inside = (row < last) & known[None, :]
        place = row * WIDTH + unit[None, :]
        y = tl.load(x + place, mask=inside, other=0.0) - mean[None, :]
        y = y * scale[None, :] + bias[None, :]
        y = tl.where(y > 0, y, y * slope)
        tl.store(out + place, _dropped(y, place, member, keys, limits, scales), mask=inside)


@_sized
def gradient_sums(  # type: ignore[no-untyped-def]
    x, stride, gradient, gradient_stride, parts, statistics, rows, span,
    weights, biases, params_stride, slopes, keys, limits, scales,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """Write each split's sums of the gradient, and of it times x, to `parts`."""
    split, member = tl.program_id(0), tl.program_id(2).to(tl.int64)
    unit = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    mean, _, scale, bias = _norm(statistics, weights, biases, params_stride, member, unit, WIDTH)
    summed, product = _sums(
        x + member * stride, gradient + member * gradient_stride, unit,
        split * span, tl.minimum((split + 1) * span, rows), mean, scale, bias,
        member, tl.load(slopes + member), keys, limits, scales, WIDTH, ROWS,
    )  # fmt: skip
    part = parts + (member * tl.num_programs(0) + split) * 2 * WIDTH + unit
    tl.store(part, summed, mask=unit < WIDTH)
    tl.store(part + WIDTH, product, mask=unit < WIDTH)


@_sized
def normalise_backward(  # type: ignore[no-untyped-def]
    x, stride, gradient, gradient_stride, parts, statistics, rows, span,
    weights, biases, params_stride, slopes, keys, limits, scales,
    to_weights, to_biases,
    SPLITS: tl.constexpr, LEADING: tl.constexpr,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """Write the parameters' gradients and, unless LEADING, turn `gradient` into that of x.

    Ioffe & Szegedy, Batch normalization, ICML 2015.
    """
    split, member = tl.program_id(0), tl.program_id(2).to(tl.int64)
    unit = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    known = unit < WIDTH
    mean, inverse, scale, bias = _norm(
        statistics, weights, biases, params_stride, member, unit, WIDTH
    )
    slope = tl.load(slopes + member)
    x += member * stride
    gradient += member * gradient_stride
    if SPLITS == 1:
        summed, product = _sums(
            x, gradient, unit, 0, rows, mean, scale, bias, member, slope,
            keys, limits, scales, WIDTH, ROWS,
        )  # fmt: skip
    else:
        number = tl.arange(0, SPLITS)[:, None]
        given = (number * span < rows) & known[None, :]
        part = parts + (member * tl.num_programs(0) + number) * 2 * WIDTH + unit[None, :]
        summed = tl.sum(tl.load(part, mask=given, other=0.0), 0)
        product = tl.sum(tl.load(part + WIDTH, mask=given, other=0.0), 0)
    product *= inverse
    if split == 0:
        tl.store(to_weights + member * params_stride + unit, product, mask=known)
        tl.store(to_biases + member * params_stride + unit, summed, mask=known)
    if not LEADING:
        summed /= rows
        product *= inverse / rows
        last = tl.minimum((split + 1) * span, rows)
        for start in range(split * span, last, ROWS):
            change, centred, place, inside = _changes(
                x, gradient, unit, start, last, mean, scale, bias, member, slope,
                keys, limits, scales, WIDTH, ROWS,
            )  # fmt: skip
            change -= summed[None, :] + centred * product[None, :]
            tl.store(gradient + place, change * scale[None, :], mask=inside)
