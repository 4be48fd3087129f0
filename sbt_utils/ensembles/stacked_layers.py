"""The stock layers of PyTorch for all members at once: forward, and backward written out.

PyTorch's `torch.func.vmap` does not serve: automatic differentiation would spend more time on fresh
memory than these layers, which keep theirs from step to step, on arithmetic; and a member's
rounding would depend on the others. On a CPU, the layers around a batch norm are joined
(`sbt_utils.ensembles.fused_layer`).

Two rules make a member's numbers bit-for-bit the same on a CPU, whatever company it keeps. Noise is
a function of the member's own key (`sbt_utils.ensembles.noise`). And the members' parts of an array
start at multiples of 64 bytes, with a gap between them: matrix products round differently at other
addresses, and without a gap PyTorch would run over all members as one vector, whose last few
elements it treats differently (a fused multiply-add less, another exponential).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sbt_utils.ensembles.noise import keep_mask
from sbt_utils.text import quoted

ALIGNMENT = 16
"""A member's part of an array starts at a multiple of this many elements: 64 bytes of float32."""

State = dict[str, Tensor]
"""A network's ``state_dict`` with a leading member axis on every tensor."""


@dataclass(frozen=True)
class Call:
    """What a forward pass needs beside its input."""

    keys: Iterator[Tensor]  # (M,), int32, for each dropout layer in turn
    slopes: tuple[Tensor, Tensor]  # α and 1 - α, (M, 1, 1)
    limits: tuple[Tensor, Tensor] | None  # of `dropout_limits`; None without dropout

    @cached_property
    def slope_array(self) -> np.ndarray:
        """α of the members, shape (M,), on a CPU."""
        return self.slopes[0].flatten().numpy()

    @cached_property
    def limit_arrays(self) -> tuple[np.ndarray, ...]:
        """`limits` of shape (M,), on a CPU; empty without dropout."""
        if self.limits is None:
            return np.empty(0, np.int16), self.slope_array[:0]
        return tuple(limit.flatten().numpy() for limit in self.limits)


class Workspace:
    """Working memory by name, shape and dtype, allocated once and left uncleared."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._tensors: dict[tuple[Any, ...], Tensor] = {}
        self._arrays: dict[int, np.ndarray] = {}

    def __call__(self, name: str, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
        """Return the tensor of this name, shape and dtype."""
        key = (name, tuple(shape), dtype)
        if key not in self._tensors:
            self._tensors[key] = member_memory(self._like, shape, dtype)
        return self._tensors[key]

    def array(self, tensor: Tensor) -> np.ndarray:
        """Return `whole` of a tensor that lives here."""
        # Looked up, as that is faster. A tensor from elsewhere would be kept alive for good.
        start = tensor.data_ptr()
        if start not in self._arrays:
            self._arrays[start] = whole(tensor)
        return self._arrays[start]


def member_memory(like: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
    """Return uncleared memory (M, ...) with members aligned and apart from one another."""
    size = math.prod(shape[1:])
    return like.new_empty(shape[0], padded(size), dtype=dtype)[:, :size].view(*shape)


def whole(tensor: Tensor) -> np.ndarray:
    """Return the memory (M, ...) that a tensor (M, ...) on the CPU is a part of, gaps and all."""
    size = tensor.untyped_storage().nbytes() // tensor.itemsize // len(tensor)
    return tensor.as_strided((len(tensor), size), (size, 1), 0).numpy()


def padded(size: int) -> int:
    """Return the least multiple of `ALIGNMENT` above a number of elements."""
    return (size // ALIGNMENT + 1) * ALIGNMENT


def check_flat(name: str, layer: nn.Module, x: Tensor) -> None:
    """Raise if a batch norm of vectors is given other than (M, batch, d)."""
    if isinstance(layer, nn.BatchNorm1d) and x.dim() != 3:
        raise ValueError(f"layer {quoted(name)} is given {x.shape[1:]}: flatten its input first")


def rows(x: Tensor) -> Tensor:
    """View activations (M, batch, d), or (M, batch, C, height, width), as (M, rows, d or C)."""
    # Feature maps made by these layers have their channels last in memory: no copy is made.
    return x.movedim(2, -1).flatten(1, -2) if x.dim() == 5 else x


def feature_maps(rows: Tensor, shape: Sequence[int]) -> Tensor:
    """View what `rows` made as activations of the given shape again."""
    if len(shape) != 5:
        return rows
    return rows.view(*shape[:2], *shape[3:], shape[2]).movedim(-1, 2)


class Layer:
    """One stock layer of every member.

    ``forward`` maps activations (M, batch, ...) to activations; ``backward``, called after it, maps
    the gradients of the losses with respect to its result to those with respect to its argument,
    and writes those of the parameters. Both may overwrite what they are given: what a later layer
    overwrites is never needed again. A `leading` layer (none before it has parameters) is given the
    caller's images, which it leaves alone and whose gradient nobody wants.
    """

    def __init__(
        self, name: str, layer: Any, state: State, gradients: State, work: Workspace, leading: bool
    ) -> None:
        self.name, self.layer, self.work, self.leading = name, layer, work, leading
        tensors = {key: state[f"{name}.{key}"] for key in layer.state_dict()}
        # Vectors stand beside activations (M, rows, d).
        self.state = {k: v.unsqueeze(1) if v.dim() == 2 else v for k, v in tensors.items()}
        self.gradients = {key: gradients[f"{name}.{key}"] for key, _ in layer.named_parameters()}

    def memory(self, use: str, shape: Sequence[int]) -> Tensor:
        """Return memory of this layer alone; with channels last for feature maps."""
        if len(shape) != 5:
            return self.work(f"{self.name}.{use}", shape)
        members, batch, channels, *size = shape
        return self.work(f"{self.name}.{use}", (members, batch, *size, channels)).movedim(-1, 2)

    def forward(self, x: Tensor, call: Call) -> Tensor:
        """Map activations to activations."""
        raise NotImplementedError

    def backward(self, gradient: Tensor) -> Tensor:
        """Map the result's gradient to the argument's."""
        raise NotImplementedError


class _Linear(Layer):
    def forward(self, x: Tensor, call: Call) -> Tensor:
        weight = self.state["weight"]
        if self.leading:
            x = self.memory("in", x.shape).copy_(x)
        self.x = x
        out = self.memory("out", (*x.shape[:2], weight.shape[1]))
        torch.bmm(x, weight.transpose(1, 2), out=out)
        return out.add_(self.state["bias"]) if "bias" in self.state else out

    def backward(self, gradient: Tensor) -> Tensor:
        torch.bmm(gradient.transpose(1, 2), self.x, out=self.gradients["weight"])
        if "bias" in self.state:
            torch.sum(gradient, 1, out=self.gradients["bias"])
        if self.leading:
            return gradient
        out = self.work("to_input", self.x.shape)
        if out.data_ptr() == gradient.data_ptr():
            out = self.work("to_input too", self.x.shape)
        return torch.bmm(gradient, self.state["weight"], out=out)


class _BatchNorm(Layer):
    """Ioffe & Szegedy, Batch normalization, ICML 2015; gradient in closed form."""

    def forward(self, x: Tensor, call: Call) -> Tensor:
        check_flat(self.name, self.layer, x)
        shape, x = x.shape, rows(x)
        count = x.shape[1]
        mean = x.mean(1, keepdim=True)
        out = self.memory("centred", x.shape) if self.leading else x
        self.centred = torch.sub(x, mean, out=out)
        squares = torch.mul(self.centred, self.centred, out=self.work("scratch", x.shape))
        variance = squares.mean(1, keepdim=True)
        self.inverse = (variance + self.layer.eps).sqrt_().reciprocal_()
        self.scale = self.inverse * self.state["weight"]
        momentum = self.layer.momentum
        self.state["running_mean"].lerp_(mean, momentum)
        # PyTorch normalises with the biased variance and keeps the unbiased one.
        self.state["running_var"].lerp_(variance.mul_(count / (count - 1)), momentum)
        self.state["num_batches_tracked"] += 1
        out = torch.mul(self.centred, self.scale, out=self.memory("out", x.shape))
        return feature_maps(out.add_(self.state["bias"]), shape)

    def backward(self, gradient: Tensor) -> Tensor:
        shape, gradient = gradient.shape, rows(gradient)
        to_bias = torch.sum(gradient, 1, out=self.gradients["bias"]).unsqueeze(1)
        product = torch.mul(gradient, self.centred, out=self.work("scratch", gradient.shape))
        to_weight = product.sum(1, keepdim=True).mul_(self.inverse)
        self.gradients["weight"].copy_(to_weight.squeeze(1))
        if not self.leading:
            count = gradient.shape[1]
            gradient.sub_(self.centred.mul_(to_weight.mul_(self.inverse).div_(count)))
            gradient.sub_(to_bias / count).mul_(self.scale)
        return feature_maps(gradient, shape)


class _LeakyReLU(Layer):
    def forward(self, x: Tensor, call: Call) -> Tensor:
        # 1 where x > 0, else the slope.
        self.factor = torch.gt(x, 0, out=self.memory("factor", x.shape))
        if isinstance(self.layer, nn.LeakyReLU):
            slope, complement = (each.view(-1, *(1,) * (x.dim() - 1)) for each in call.slopes)
            self.factor.mul_(complement).add_(slope)
        return x * self.factor if self.leading else x.mul_(self.factor)

    def backward(self, gradient: Tensor) -> Tensor:
        return gradient.mul_(self.factor)


class _Dropout(Layer):
    def forward(self, x: Tensor, call: Call) -> Tensor:
        keys, self.mask = next(call.keys), None
        if call.limits is None:
            return x
        self.mask = self.memory("mask", x.shape)
        units = rows(self.mask).flatten(1)
        words = (len(x), -(-units.shape[1] // 2))
        scratch = (self.work(name, words, torch.int32) for name in ("bits", "shifted"))
        keep_mask(keys, call.limits, units, *scratch)
        return x * self.mask if self.leading else x.mul_(self.mask)

    def backward(self, gradient: Tensor) -> Tensor:
        return gradient if self.mask is None else gradient.mul_(self.mask)


class _Flatten(Layer):
    def forward(self, x: Tensor, call: Call) -> Tensor:
        self.shape = x.shape
        if self.leading or x.dim() != 5:
            return x.flatten(2)
        # Channels last, so a copy anyway: into memory of this layer's own, for a later layer looks
        # up arrays by address, and new memory in every step would be kept for each.
        out = self.work(f"{self.name}.out", (*x.shape[:2], x[0, 0].numel()))
        out.view(x.shape).copy_(x)
        return out

    def backward(self, gradient: Tensor) -> Tensor:
        gradient = gradient.view(self.shape)
        if gradient.dim() != 5:
            return gradient
        return self.memory("to maps", self.shape).copy_(gradient)


FLAT_LAYERS: dict[type[nn.Module], type[Layer]] = {
    nn.BatchNorm1d: _BatchNorm,
    nn.BatchNorm2d: _BatchNorm,
    nn.Dropout: _Dropout,
    nn.Flatten: _Flatten,
    nn.LeakyReLU: _LeakyReLU,
    nn.Linear: _Linear,
    nn.ReLU: _LeakyReLU,
}
"""What an ensemble of multilayer perceptrons can be made of."""
