"""Kernels for feature maps on a GPU, in Triton: 3 x 3 convolutions, and pooling made up for.

Maps (M, batch, height, width, channels) lie as `sbt_utils.ensembles.gpu_kernels` says, with a row
for each pixel. Convolutions multiply on tensor cores with the digits of float32: each factor is
the sum of two TF32 numbers, and of the four products only that of the two remainders is left out.
"""

from typing import Any

import triton
import triton.language as tl

from sbt_utils.ensembles.gpu_kernels import _dropped

_jit: Any = triton.jit
_sized: Any = triton.jit(do_not_specialize=["pixels", "span", "windows"])


@_jit
def _product(a, b):  # type: ignore[no-untyped-def]
    """Return the matrix product of a and b from three products of TF32 numbers.

    Tensor cores do not round their sums but cut them off: few terms are left to them at once.
    """
    a_leading, b_leading = _leading(a), _leading(b)
    total = tl.dot(a - a_leading, b_leading, input_precision="tf32")
    total = tl.dot(a_leading, b - b_leading, total, input_precision="tf32")
    return tl.dot(a_leading, b_leading, total, input_precision="tf32")


@_jit
def _leading(x):  # type: ignore[no-untyped-def]
    """Round to the 11 leading bits, which are all that TF32 has."""
    bits = (x.to(tl.uint32, bitcast=True) + 0x1000) & 0xFFFFE000
    return bits.to(tl.float32, bitcast=True)


@_jit
def _patches(  # type: ignore[no-untyped-def]
    x, pixel, last, quad, HEIGHT: tl.constexpr, WIDTH: tl.constexpr, INPUTS: tl.constexpr
):
    """Load what 3 x 3 weights see from pixels (n,): (n, quads * 4), 0 beyond the edges.

    A row of it has the channels of nine pixels one after another; a quad is four of these numbers,
    which one instruction loads.
    """
    tap = quad // (INPUTS // 4)
    down, across = tap // 3 - 1, tap % 3 - 1
    shift = (down * WIDTH + across) * INPUTS + quad % (INPUTS // 4) * 4
    # As numbers without a sign, those below 0 are large; so are rows of what must not be loaded.
    row = tl.where(pixel < last, pixel // WIDTH % HEIGHT, HEIGHT + 1)[:, None]
    row = (row + tl.where(tap < 9, down, HEIGHT)[None, :]).to(tl.uint32)
    column = ((pixel % WIDTH)[:, None] + across[None, :]).to(tl.uint32)
    inside = (row < HEIGHT) & (column < WIDTH)
    place = (pixel * INPUTS)[:, None] + shift[None, :]
    place = place[:, :, None] + tl.arange(0, 4)[None, None, :]
    patches = tl.load(x + place, mask=inside[:, :, None], other=0.0)
    return tl.reshape(patches, (pixel.shape[0], quad.shape[0] * 4))


@_sized
def convolve(  # type: ignore[no-untyped-def]
    x, stride, weights, biases, params_stride, out, out_stride, pixels,
    inputs, outputs, input_step, output_step,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr,
    FLIPPED: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Convolve with 3 x 3 weights; FLIPPED, and with the channels' steps exchanged, back again.

    INPUTS and OUTPUTS are the channels in memory, of which `inputs` and `outputs` have weights.
    """
    member = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.arange(0, CHANNELS)
    x += member * stride
    weights += member * params_stride
    total = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for block in tl.static_range((9 * INPUTS + 31) // 32):
        near = _patches(x, pixel, pixels, block * 8 + tl.arange(0, 8), HEIGHT, WIDTH, INPUTS)
        seen = block * 32 + tl.arange(0, 32)
        tap, given = seen // INPUTS, seen % INPUTS
        known = ((tap < 9) & (given < inputs))[:, None] & (channel < outputs)[None, :]
        place = (given * input_step + (8 - tap if FLIPPED else tap))[:, None]
        weight = tl.load(weights + place + channel[None, :] * output_step, mask=known, other=0.0)
        total += _product(near, weight)
    if biases is not None:
        bias = biases + member * params_stride + channel
        total += tl.load(bias, mask=channel < outputs, other=0.0)[None, :]
    place = pixel[:, None] * OUTPUTS + channel[None, :]
    inside = (pixel < pixels)[:, None] & (channel < OUTPUTS)[None, :]
    tl.store(out + member * out_stride + place, total, mask=inside)


@_sized
def weight_gradients(  # type: ignore[no-untyped-def]
    x, stride, gradient, gradient_stride, parts, pixels, span, inputs, outputs,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr, SEEN: tl.constexpr,
):  # fmt: skip
    """Write each split's gradients to `parts` (M, splits, outputs, inputs, 3, 3).

    SEEN is a power of two, at least 9 INPUTS.
    """
    split, member = tl.program_id(0), tl.program_id(1).to(tl.int64)
    channel = tl.arange(0, CHANNELS)
    x += member * stride
    gradient += member * gradient_stride
    total = tl.zeros((SEEN, CHANNELS), tl.float32)
    last = tl.minimum((split + 1) * span, pixels)
    for start in range(split * span, last, PIXELS):
        pixel = start + tl.arange(0, PIXELS)
        inside = (pixel < last)[:, None] & (channel < OUTPUTS)[None, :]
        place = pixel[:, None] * OUTPUTS + channel[None, :]
        change = tl.load(gradient + place, mask=inside, other=0.0)
        near = _patches(x, pixel, last, tl.arange(0, SEEN // 4), HEIGHT, WIDTH, INPUTS)
        total += _product(tl.trans(near), change)
    tap, given = tl.arange(0, SEEN) // INPUTS, tl.arange(0, SEEN) % INPUTS
    known = ((tap < 9) & (given < inputs))[:, None] & (channel < outputs)[None, :]
    place = channel[None, :] * inputs * 9 + (given * 9 + tap)[:, None]
    parts += (member * tl.num_programs(0) + split) * outputs * inputs * 9
    tl.store(parts + place, total, mask=known)


@_jit
def _first_maximum(a, b, c, d):  # type: ignore[no-untyped-def]
    """Return the largest of four and its number; of equal ones the first, as PyTorch does."""
    best, number = a, tl.zeros_like(a).to(tl.int32)
    larger = (b > best) | (b != b)
    best, number = tl.where(larger, b, best), tl.where(larger, 1, number)
    larger = (c > best) | (c != c)
    best, number = tl.where(larger, c, best), tl.where(larger, 2, number)
    larger = (d > best) | (d != d)
    return tl.where(larger, d, best), tl.where(larger, 3, number)


@_jit
def _four(maps, corner, below, inside, CHANNELS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Load the pixels of 2 x 2 windows."""
    a = tl.load(maps + corner, mask=inside, other=0.0)
    b = tl.load(maps + corner + CHANNELS, mask=inside, other=0.0)
    c = tl.load(maps + below, mask=inside, other=0.0)
    d = tl.load(maps + below + CHANNELS, mask=inside, other=0.0)
    return a, b, c, d


@_jit
def _corners(unit, HALF: tl.constexpr, CHANNELS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return where the upper left pixels of windows stand; HALF the width, in windows."""
    window, channel = unit // CHANNELS, unit % CHANNELS
    # Windows run over whole pairs of rows, one image after another.
    return (window // HALF * 4 * HALF + window % HALF * 2) * CHANNELS + channel


@_sized
def pool_and_repeat(  # type: ignore[no-untyped-def]
    x, stride, out, out_stride, windows, keys, limits, scales,
    HALF: tl.constexpr, CHANNELS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """Give every pixel of a 2 x 2 window the largest of the four; then dropout."""
    member = tl.program_id(1).to(tl.int64)
    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    corner, inside = _corners(unit, HALF, CHANNELS), unit < windows * CHANNELS
    below = corner + 2 * HALF * CHANNELS
    x += member * stride
    a, b, c, d = _four(x, corner, below, inside, CHANNELS)
    best, _ = _first_maximum(a, b, c, d)
    a = _dropped(best, corner, member, keys, limits, scales)
    b = _dropped(best, corner + CHANNELS, member, keys, limits, scales)
    c = _dropped(best, below, member, keys, limits, scales)
    d = _dropped(best, below + CHANNELS, member, keys, limits, scales)
    out += member * out_stride
    tl.store(out + corner, a, mask=inside)
    tl.store(out + corner + CHANNELS, b, mask=inside)
    tl.store(out + below, c, mask=inside)
    tl.store(out + below + CHANNELS, d, mask=inside)


@_sized
def pool_and_repeat_backward(  # type: ignore[no-untyped-def]
    x, stride, gradient, gradient_stride, windows, keys, limits, scales,
    HALF: tl.constexpr, CHANNELS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """Turn the gradient of `pool_and_repeat` into that of its argument."""
    member = tl.program_id(1).to(tl.int64)
    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    corner, inside = _corners(unit, HALF, CHANNELS), unit < windows * CHANNELS
    below = corner + 2 * HALF * CHANNELS
    x += member * stride
    a, b, c, d = _four(x, corner, below, inside, CHANNELS)
    _, number = _first_maximum(a, b, c, d)
    gradient += member * gradient_stride
    a, b, c, d = _four(gradient, corner, below, inside, CHANNELS)
    a = _dropped(a, corner, member, keys, limits, scales)
    b = _dropped(b, corner + CHANNELS, member, keys, limits, scales)
    c = _dropped(c, below, member, keys, limits, scales)
    d = _dropped(d, below + CHANNELS, member, keys, limits, scales)
    total = (a + b) + (c + d)
    tl.store(gradient + corner, tl.where(number == 0, total, 0.0), mask=inside)
    tl.store(gradient + corner + CHANNELS, tl.where(number == 1, total, 0.0), mask=inside)
    tl.store(gradient + below, tl.where(number == 2, total, 0.0), mask=inside)
    tl.store(gradient + below + CHANNELS, tl.where(number == 3, total, 0.0), mask=inside)
