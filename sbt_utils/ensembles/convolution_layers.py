"""The stock layers of convolutional networks for all members at once.

Feature maps (M, batch, C, height, width) have their channels last in memory, as PyTorch's
convolutions want it and so that a batch norm finds a channel in a column. PyTorch has no
convolution over members: they take turns, which costs nothing, as a member's maps exceed the cache.

A GPU has faster ones of its own for the published network (`sbt_utils.ensembles.gpu_layers`). Those
here add up in any order there: backwards, max-pooling by atomic additions, and cuDNN may do so for
the gradients of weights.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, max_pool2d
from torch.nn.modules.utils import _pair

from sbt_utils.ensembles.stacked_layers import FLAT_LAYERS, Call, Layer

_aten: Any = torch.ops.aten


class _Conv2d(Layer):
    def forward(self, x: Tensor, call: Call) -> Tensor:
        self.x = self.memory("in", x.shape).copy_(x) if self.leading else x
        weights, biases = self.state["weight"], self.state.get("bias")
        out = []
        for member, weight in enumerate(weights):
            bias = None if biases is None else biases[member, 0]
            out.append(conv2d(self.x[member], weight, bias, *_geometry(self.layer)))
        return _joined(self, "out", out)

    def backward(self, gradient: Tensor) -> Tensor:
        wanted = not self.leading, True, False
        to_input = []
        for x, g, w, to_weight in zip(
            self.x, gradient, self.state["weight"], self.gradients["weight"], strict=True
        ):
            stride, padding, dilation, groups = _geometry(self.layer)
            input_gradient, weight_gradient, _ = _aten.convolution_backward(
                g, x, w, None, stride, padding, dilation, False, (0, 0), groups, wanted
            )
            to_input.append(input_gradient)
            to_weight.copy_(weight_gradient)
        if "bias" in self.state:
            torch.sum(gradient, (1, 3, 4), out=self.gradients["bias"])
        return gradient if self.leading else _joined(self, "to input", to_input)


class _MaxPool2d(Layer):
    def forward(self, x: Tensor, call: Call) -> Tensor:
        window = _window(self.layer)
        pooled = [max_pool2d(member, *window, return_indices=True) for member in x]
        self.x, self.indices = x, [indices for _, indices in pooled]
        return _joined(self, "out", [maps for maps, _ in pooled])

    def backward(self, gradient: Tensor) -> Tensor:
        size, stride, padding, dilation, ceil = _window(self.layer)
        to_input = [
            _aten.max_pool2d_with_indices_backward(
                g, x, _pair(size), _pair(stride), _pair(padding), _pair(dilation), ceil, indices
            )
            for g, x, indices in zip(gradient, self.x, self.indices, strict=True)
        ]
        return _joined(self, "to input", to_input)


class _Upsample(Layer):
    def forward(self, x: Tensor, call: Call) -> Tensor:
        self.shape = x.shape[1:]
        scale = self.layer.scale_factor
        return _joined(self, "out", [interpolate(member, scale_factor=scale) for member in x])

    def backward(self, gradient: Tensor) -> Tensor:
        scales = _pair(float(self.layer.scale_factor))
        size = gradient.shape[-2:]
        to_input = [
            _aten.upsample_nearest2d_backward(g, size, self.shape, *scales) for g in gradient
        ]
        return _joined(self, "to input", to_input)


def _joined(layer: Layer, use: str, members: list[Tensor]) -> Tensor:
    """Put the members' maps into one memory, channels last."""
    memory = layer.memory(use, (len(members), *members[0].shape))
    for part, member in zip(memory, members, strict=True):
        part.copy_(member)
    return memory


def _geometry(layer: nn.Conv2d) -> tuple[Any, ...]:
    return layer.stride, layer.padding, layer.dilation, layer.groups


def _window(layer: nn.MaxPool2d) -> tuple[Any, ...]:
    return layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode


LAYERS: dict[type[nn.Module], type[Layer]] = FLAT_LAYERS | {
    nn.Conv2d: _Conv2d,
    nn.MaxPool2d: _MaxPool2d,
    nn.Upsample: _Upsample,
}
"""The stock layers that an ensemble can be made of."""
