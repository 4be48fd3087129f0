"""Batch norm, leaky ReLU and dropout of all members in few passes over memory, on a CPU.

Between the matrix products of a hidden layer, `sbt_utils.ensembles.stacked_layers` reads and writes
every activation about thirty times. Here it takes two passes forward and two backward, by the loops
of `sbt_utils.ensembles.row_loops`; what is cheap to compute again (the mask, the sign before the
activation) is not kept. `torch.compile` does not serve: it needs a C++ compiler where it runs, and
promises no order of summation. Layers without batch norm have the stacked layers, perceptrons
`sbt_utils.ensembles.perceptron_steps`, GPUs `sbt_utils.ensembles.gpu_layers`.

A member's numbers are the same in any company because the loop over members is the outermost, and
on any number of threads because sums run over rows in order: only units, which no sum mixes, are
computed side by side. numba compiles the loops in the first call.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

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
from sbt_utils.ensembles.stacked_layers import Call, Layer, check_flat, feature_maps, rows, whole

# Rows of activations handled together: few, to stay in the nearest cache beside their mask; even,
# for a random word serves two units.
_ROWS = 16
_NO_KEYS = np.empty(0, np.int32)


class FusedLayer(Layer):
    """Batch norm and, where they follow it, leaky ReLU and dropout.

    The bias of a linear or convolutional layer before it would be subtracted again with the mean:
    it is left to this layer, which adds it to the running mean only. Its gradient is zero.
    """

    def __init__(
        self, norm: Layer, activation: Layer | None, dropout: Layer | None, bias: Tensor | None
    ) -> None:
        self.name, self.layer, self.work = norm.name, norm.layer, norm.work
        self.leading, self.state, self.gradients = norm.leading, norm.state, norm.gradients
        self._slope = None
        if activation is None or isinstance(activation.layer, nn.ReLU):
            # ReLU is a leaky ReLU of slope 0, no activation one of slope 1.
            slope = torch.full_like(norm.state["weight"][:, 0, 0], activation is None)
            self._slope = slope.numpy()
        self._drops = dropout is not None
        # Where a member's parameters stand in its row.
        vectors = norm.state["weight"], norm.state["bias"], bias
        places = [-1 if v is None else v.storage_offset() for v in vectors]
        self._place = np.array(places)
        self._numbers = np.array([self.layer.momentum, self.layer.eps])
        self._rows, self._to_rows = (whole(v["weight"]) for v in (norm.state, norm.gradients))
        self._running = tuple(whole(norm.state[f"running_{name}"]) for name in ("mean", "var"))
        self._steps = norm.state["num_batches_tracked"].numpy()
        self._made: dict[tuple[int, ...], tuple[Tensor, np.ndarray, np.ndarray]] = {}

    def forward(self, x: Tensor, call: Call) -> Tensor:
        """Map activations to activations."""
        check_flat(self.name, self.layer, x)
        slope = call.slope_array if self._slope is None else self._slope
        keys = next(call.keys).numpy() if self._drops else _NO_KEYS
        noise = (_NO_KEYS if call.limits is None else keys), *call.limit_arrays
        activations = x.shape
        if self.leading:
            # Images that all members share have a stride of 0: they are averaged once.
            x = rows(x[:1] if x.stride(0) == 0 else x)
            source = x.flatten(1).contiguous().numpy()
        else:
            source = self.work.array(x)
            x = rows(x)
        shape = tuple(x.shape[1:])
        # Small batches spend as long on looking for memory as on arithmetic.
        if shape not in self._made:
            out = self.memory("out", (len(self._rows), *shape))
            scales = np.zeros((len(self._rows), 4, shape[1]), source.dtype)
            self._made[shape] = out, self.work.array(out), scales
        out, written, scales = self._made[shape]
        self._given = source, shape, self._rows, self._place, scales, slope, noise
        _forward(*self._given, self._running, self._numbers, written)
        self._steps += 1
        return feature_maps(out, activations)

    def backward(self, gradient: Tensor) -> Tensor:
        """Map the result's gradient to the argument's."""
        _backward(*self._given, self._to_rows, self.leading, self.work.array(gradient))
        return gradient


def fuse(layers: Sequence[Layer]) -> list[Layer]:
    """Replace batch norms, and what can join them, by fused layers."""
    return fuse_norms(layers, FusedLayer)


def fuse_norms(layers: Sequence[Layer], kind: Callable[..., Layer]) -> list[Layer]:
    """Replace batch norms, and what can join them, by layers of a kind, made as `FusedLayer` is.

    A linear or convolutional layer before a batch norm is changed: it no longer adds its bias.
    """
    fused: list[Layer] = []
    rest = list(reversed(layers))

    def take(*kinds: type[nn.Module]) -> Layer | None:
        return rest.pop() if rest and isinstance(rest[-1].layer, kinds) else None

    while rest:
        norm = take(nn.BatchNorm1d, nn.BatchNorm2d)
        if norm is None:
            fused.append(rest.pop())
            continue
        after = take(nn.LeakyReLU, nn.ReLU), take(nn.Dropout)
        linear = fused and isinstance(fused[-1].layer, (nn.Linear, nn.Conv2d))
        bias = fused[-1].state.pop("bias", None) if linear else None
        fused.append(kind(norm, *after, bias))
    return fused


# Below, x, out and gradient hold a member's activations (batch, width) in a row, which may be
# longer; x may have one row for all members. `place` and `numbers` are those of `set_scales`,
# `noise` are keys, limits and scales of `dropout_limits`, without dropout none.


@compiled(**OPTIONS)
def _forward(  # type: ignore[no-untyped-def]
    x, shape, rows, place, scales, slope, noise, running, numbers, out
):
    """Write `out`, what each member's activations are scaled by, and its running statistics."""
    batch, width = shape
    near, sums = np.zeros((3, width), x.dtype), np.zeros((2, width))
    factor, words = np.empty(_ROWS * width, x.dtype), np.empty(_ROWS * width, np.uint32)
    for m in range(len(rows)):
        given = x[min(m, len(x) - 1)]
        if m < len(x):
            add_statistics(given, 0, 0, batch, width, near, sums)
        set_scales(place, numbers, batch, width, sums, rows[m], scales[m],
                   running[0][m], running[1][m])  # fmt: skip
        key, limit, kept = _of_member(noise, m, x)
        for r in range(0, batch, _ROWS):
            activate(given, r * width, r, min(_ROWS, batch - r), width, scales[m], slope[m],
                     key, limit, kept, words, factor, out[m, r * width :])  # fmt: skip


@compiled(**OPTIONS)
def _backward(  # type: ignore[no-untyped-def]
    x, shape, rows, place, scales, slope, noise, to_rows, leading, gradient
):
    """Write the parameters' gradients and, unless `leading`, turn `gradient` into that of x."""
    batch, width = shape
    near, sums = np.zeros((5, width), x.dtype), np.zeros((2, width))
    factor, words = np.empty(_ROWS * width, x.dtype), np.empty(_ROWS * width, np.uint32)
    spare = np.empty_like(factor)
    for m in range(len(rows)):
        given = x[min(m, len(x) - 1)]
        key, limit, kept = _of_member(noise, m, x)
        for r in range(0, batch, _ROWS):
            rows_here = min(_ROWS, batch - r)
            activate(given, r * width, r, rows_here, width, scales[m], slope[m],
                     key, limit, kept, words, factor, spare)  # fmt: skip
            through_activation(given, r * width, r, rows_here, width, scales[m], factor,
                               gradient[m], near, sums)  # fmt: skip
        end_norm(place, batch, width, sums, scales[m], near, to_rows[m])
        if not leading:
            through_norm(given, 0, 0, batch, width, scales[m], near, gradient[m], gradient[m])


@inner
def _of_member(noise, m, x):  # type: ignore[no-untyped-def]
    """Return a member's key, its limit, and what is kept is multiplied by; 1 without dropout."""
    keys, limits, scales = noise
    if not len(keys):
        return np.uint32(0), np.int16(0), x.dtype.type(1)
    return np.uint32(keys[m]), limits[m], -scales[m]
