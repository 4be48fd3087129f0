"""Layers of an ensemble on a GPU that have kernels of their own; the others are PyTorch's.

Nothing here waits for the device, so that a whole step can be recorded and repeated.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from sbt_utils.ensembles import gpu_kernels, gpu_map_kernels
from sbt_utils.ensembles.fused_layer import fuse_norms
from sbt_utils.ensembles.stacked_layers import Call, Layer, check_flat, rows

_SPAN = 512  # rows for a program, at least: fewer are summed where the sums are needed
_TILE = 4096  # elements that a program has at hand
# Maps of more channels are left to cuDNN: the nine pixels around one would outgrow the 256 numbers
# of a tile, and the shared memory of smaller cards. So are all on cards that have no TF32.
_MOST_CHANNELS = 28
_NEEDED = (8, 0)  # compute capability
_CONVOLVE: dict[str, Any] = {"CHANNELS": 32, "PIXELS": 128, "num_warps": 8}
_TO_WEIGHTS: dict[str, Any] = {"CHANNELS": 32, "PIXELS": 32, "num_warps": 8}


class FusedLayer(Layer):
    """Batch norm and, where they follow it, leaky ReLU and dropout.

    As on a CPU (`sbt_utils.ensembles.fused_layer`), the bias of a layer before it is left to it.
    """

    def __init__(
        self, norm: Layer, activation: Layer | None, dropout: Layer | None, bias: Tensor | None
    ) -> None:
        vars(self).update(vars(norm))
        self._slope = None
        if activation is None or isinstance(activation.layer, nn.ReLU):
            # ReLU is a leaky ReLU of slope 0, no activation one of slope 1.
            self._slope = torch.full_like(self.state["weight"][:, 0, 0], activation is None)
        self._drops, self._left_out = dropout is not None, bias

    def forward(self, x: Tensor, call: Call) -> Tensor:
        """Map activations to activations."""
        check_flat(self.name, self.layer, x)
        shape, x = x.shape, rows(x)
        if not x[0].is_contiguous():  # the caller's images, if they have several channels
            x = (x[:1] if x.stride(0) == 0 else x).contiguous().expand(x.shape)
        members, count, width = x.shape
        splits = min(64, -(-count // _SPAN))
        sizes = count, -(-count // splits)
        units = min(128 if splits > 1 else 32, max(16, 1 << (width - 1).bit_length()))
        tile: dict[str, Any] = {"WIDTH": width, "ROWS": _TILE // units, "UNITS": units}
        # A power of two, lest every size of batch has kernels of its own compiled.
        several = 1 if splits == 1 else 8 if splits <= 8 else 64
        grid = splits, -(-width // units), members
        parts = self.work("parts", (1, members * splits * 2 * width))
        statistics = self.memory("statistics", (1, members * 2 * width))
        weight, bias, mean = (self.state[name] for name in ("weight", "bias", "running_mean"))
        steps = self.state["num_batches_tracked"]
        slope = call.slopes[0].flatten() if self._slope is None else self._slope
        noise = _noise(call) if self._drops else (None, None, None)
        out = self.memory("out", shape)
        if splits > 1:
            gpu_kernels.moments[grid](x, x.stride(0), parts, *sizes, **tile)
        gpu_kernels.normalise[grid](
            x, x.stride(0), out, out.stride(0), parts, statistics, *sizes,
            weight, bias, self._left_out, weight.stride(0),
            mean, self.state["running_var"], mean.stride(0), steps, steps.stride(0),
            self.layer.momentum, self.layer.eps, slope, *noise, SPLITS=several, **tile,
        )  # fmt: skip
        self._given = x, parts, statistics, sizes, slope, noise, grid, several, tile
        return out

    def backward(self, gradient: Tensor) -> Tensor:
        """Map the result's gradient to the argument's."""
        x, parts, statistics, sizes, slope, noise, grid, several, tile = self._given
        weight, bias = self.state["weight"], self.state["bias"]
        arguments = (
            x, x.stride(0), gradient, gradient.stride(0), parts, statistics, *sizes,
            weight, bias, weight.stride(0), slope, *noise,
        )  # fmt: skip
        if several > 1:
            gpu_kernels.gradient_sums[grid](*arguments, **tile)
        to_parameters = self.gradients["weight"], self.gradients["bias"]
        gpu_kernels.normalise_backward[grid](
            *arguments, *to_parameters, SPLITS=several, LEADING=self.leading, **tile
        )
        return gradient


class Convolution(Layer):
    """A 3 x 3 convolution that keeps the size of its maps, of few channels, in float32."""

    def __init__(self, plain: Layer) -> None:
        vars(self).update(vars(plain))

    def forward(self, x: Tensor, call: Call) -> Tensor:
        """Map activations to activations."""
        self.x = self._in_quads("in", x)
        out = self.memory("out", (*x.shape[:2], self.layer.out_channels, *x.shape[3:]))
        self._convolve(self.x, out, self.state.get("bias"))
        return out

    def backward(self, gradient: Tensor) -> Tensor:
        """Map the result's gradient to the argument's."""
        members, batch, _, height, width = gradient.shape
        outputs, inputs = self.layer.out_channels, self.layer.in_channels
        pixels, given = batch * height * width, self.x.shape[2]
        splits = min(64, -(-pixels // _SPAN))
        shape = members, splits, outputs, inputs, 3, 3
        parts = self.work("weight parts", (1, math.prod(shape))).view(shape)
        gpu_map_kernels.weight_gradients[splits, members](
            self.x, self.x.stride(0), gradient, gradient.stride(0), parts,
            pixels, -(-pixels // splits), inputs, outputs,
            HEIGHT=height, WIDTH=width, INPUTS=given, OUTPUTS=outputs,
            SEEN=1 << (9 * given - 1).bit_length(), **_TO_WEIGHTS,
        )  # fmt: skip
        torch.sum(parts, 1, out=self.gradients["weight"])
        if "bias" in self.state:
            torch.sum(gradient, (1, 3, 4), out=self.gradients["bias"])
        if self.leading:
            return gradient
        to_input = self.memory("to input", (members, batch, inputs, height, width))
        self._convolve(self._in_quads("gradient", gradient), to_input, None, back=True)
        return to_input

    def _in_quads(self, use: str, x: Tensor) -> Tensor:
        """Return the maps in memory that has a multiple of four channels, the last ones zero."""
        members, batch, channels, *size = x.shape
        if channels % 4 == 0 and not self.leading:
            return x
        quads = self.memory(use, (members, batch, channels + -channels % 4, *size))
        quads[:, :, channels:] = 0
        quads[:, :, :channels] = x
        return quads

    def _convolve(self, x: Tensor, out: Tensor, bias: Tensor | None, back: bool = False) -> None:
        members, batch, given, height, width = x.shape
        pixels, weight = batch * height * width, self.state["weight"]
        sizes, steps = weight.shape[1:3], weight.stride()[1:3]
        if not back:  # from inputs to outputs
            sizes, steps = sizes[::-1], steps[::-1]
        gpu_map_kernels.convolve[-(-pixels // _CONVOLVE["PIXELS"]), members](
            x, x.stride(0), weight, bias, weight.stride(0), out, out.stride(0), pixels,
            *sizes, *steps,
            HEIGHT=height, WIDTH=width, INPUTS=given, OUTPUTS=out.shape[2],
            FLIPPED=back, **_CONVOLVE,
        )  # fmt: skip


class PoolAndRepeat(Layer):
    """Max-pooling over 2 x 2 pixels, which are all given its result, and dropout if it follows.

    Maps with a row or column left over are done by the `plain` layers.
    """

    def __init__(self, plain: Sequence[Layer]) -> None:
        vars(self).update(vars(plain[0]))
        self._plain, self._drops = plain, len(plain) > 2

    def forward(self, x: Tensor, call: Call) -> Tensor:
        """Map activations to activations."""
        self._odd = bool(x.shape[3] % 2 or x.shape[4] % 2)
        if self._odd:
            for layer in self._plain:
                x = layer.forward(x, call)
            return x
        out = self.memory("out", x.shape)
        self._given = x, _noise(call) if self._drops else (None, None, None)
        self._launch(gpu_map_kernels.pool_and_repeat, out)
        return out

    def backward(self, gradient: Tensor) -> Tensor:
        """Map the result's gradient to the argument's."""
        if self._odd:
            for layer in reversed(self._plain):
                gradient = layer.backward(gradient)
            return gradient
        self._launch(gpu_map_kernels.pool_and_repeat_backward, gradient)
        return gradient

    def _launch(self, kernel: Any, other: Tensor) -> None:
        x, noise = self._given
        members, batch, channels, height, width = x.shape
        windows = batch * height * width // 4
        kernel[-(-windows * channels // 1024), members](
            x, x.stride(0), other, other.stride(0), windows, *noise,
            HALF=width // 2, CHANNELS=channels, UNITS=1024,
        )  # fmt: skip


def fuse(layers: Sequence[Layer]) -> list[Layer]:
    """Replace layers by those of this module where they can be."""
    fused: list[Layer] = []
    rest = list(reversed(fuse_norms(layers, FusedLayer)))
    while rest:
        layer = rest.pop()
        if _is_small_convolution(layer):
            layer = Convolution(layer)
        elif _pools_pairs(layer) and rest and _repeats_pairs(rest[-1]):
            plain = [layer, rest.pop()]
            if rest and isinstance(rest[-1].layer, nn.Dropout):
                plain.append(rest.pop())
            layer = PoolAndRepeat(plain)
        fused.append(layer)
    return fused


def _is_small_convolution(layer: Layer) -> bool:
    conv = layer.layer
    if not isinstance(conv, nn.Conv2d):
        return False
    weight = layer.state["weight"]
    able = not weight.is_cuda or torch.cuda.get_device_capability(weight.device) >= _NEEDED
    return (
        able
        and weight.dtype == torch.float32
        and max(conv.in_channels, conv.out_channels) <= _MOST_CHANNELS
        and conv.groups == 1
        and conv.kernel_size == (3, 3)
        and conv.stride == conv.padding == conv.dilation == (1, 1)
    )


def _pools_pairs(layer: Layer) -> bool:
    pool = layer.layer
    return (
        isinstance(pool, nn.MaxPool2d)
        and _pair(pool.kernel_size) == _pair(pool.stride) == (2, 2)
        and _pair(pool.padding) == (0, 0)
        and _pair(pool.dilation) == (1, 1)
    )


def _repeats_pairs(layer: Layer) -> bool:
    return isinstance(layer.layer, nn.Upsample) and layer.layer.scale_factor == 2


def _noise(call: Call) -> tuple[Tensor | None, ...]:
    """Return keys, limits and scales of the members; None without dropout."""
    keys = next(call.keys)
    return (None, None, None) if call.limits is None else (keys, *call.limits)
