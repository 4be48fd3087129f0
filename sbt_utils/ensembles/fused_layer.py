"""Batch norm, leaky ReLU and dropout of all members in few passes over memory, on a CPU.

Between the matrix products of a hidden layer, `sbt_utils.ensembles.stacked_layers` reads and writes
every activation about thirty times. Here it takes two passes forward and two backward; what is
cheap to compute again (the mask, the sign before the activation) is not kept. `torch.compile` does
not serve: it needs a C++ compiler where it runs, and promises no order of summation. Layers without
batch norm have the stacked layers, GPUs those of `sbt_utils.ensembles.gpu_layers`.

A member's numbers are the same in any company because the loop over members is the outermost, and
on any number of threads because sums run over rows in order: only units, which no sum mixes, are
computed side by side. numba compiles the loops in the first call. Arrays are copied by loops: for
the error of an assignment whose shapes differ it would compile the formatting of text as well.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn

from sbt_utils.ensembles.noise import _MIX32
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
        self._offsets = tuple(-1 if v is None else v.storage_offset() for v in vectors)
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
            means = self.memory("statistics", (len(self._rows), 2, shape[1]))
            self._made[shape] = out, self.work.array(out), self.work.array(means)
        out, written, statistics = self._made[shape]
        self._given = source, shape, self._rows, self._offsets, statistics, slope, noise
        _forward(*self._given, self._running, self.layer.momentum, self.layer.eps, written)
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
# longer; x may have one row for all members. `offsets` are those of weight, bias and the bias left
# out in a row of parameters, `noise` is what `fill_keep_mask` takes, empty without dropout.


@njit(nogil=True, cache=True, error_model="numpy")
def _forward(  # type: ignore[no-untyped-def]
    x, shape, rows, offsets, statistics, slope, noise, running, momentum, eps, out
):
    """Write `out`, each member's means and inverse deviations, and its running statistics."""
    batch, width = shape
    running_mean, running_var = running
    mean, variance = np.empty(width), np.empty(width)
    scale = np.empty(width, x.dtype)
    mask = np.ones(_ROWS * width, x.dtype)
    for m in range(len(rows)):
        if m < len(x):
            _mean_and_variance(x[m], batch, mean, variance)
        given, written, leak = x[min(m, len(x) - 1)], out[m], slope[m]
        weight = rows[m, offsets[0] : offsets[0] + width]
        bias = rows[m, offsets[1] : offsets[1] + width]
        centre, inverse = statistics[m, :width], statistics[m, width : 2 * width]
        for u in range(width):
            centre[u] = mean[u]
            inverse[u] = 1 / np.sqrt(variance[u] + eps)
            scale[u] = inverse[u] * weight[u]
            left_out = rows[m, offsets[2] + u] if offsets[2] >= 0 else 0.0
            # PyTorch normalises with the biased variance and keeps the unbiased one.
            unbiased = variance[u] * batch / (batch - 1)
            running_mean[m, u] += momentum * (mean[u] + left_out - running_mean[m, u])
            running_var[m, u] += momentum * (unbiased - running_var[m, u])
        for start in range(0, batch, _ROWS):
            stop = min(start + _ROWS, batch)
            fill_keep_mask(noise, m, start * width, mask[: (stop - start) * width])
            for r in range(start, stop):
                row, to = given[r * width : (r + 1) * width], written[r * width : (r + 1) * width]
                kept = mask[(r - start) * width : (r - start + 1) * width]
                for u in range(width):
                    y = (row[u] - centre[u]) * scale[u] + bias[u]
                    to[u] = y * (kept[u] if y > 0 else kept[u] * leak)


@njit(nogil=True, cache=True, error_model="numpy")
def _backward(  # type: ignore[no-untyped-def]
    x, shape, rows, offsets, statistics, slope, noise, to_rows, leading, gradient
):
    """Write the parameters' gradients and, unless `leading`, turn `gradient` into that of x."""
    batch, width = shape
    scale, summed, product = np.empty((3, width), x.dtype)
    sums, products = np.empty((2, width))
    mask = np.ones(_ROWS * width, x.dtype)
    for m in range(len(rows)):
        given, changed, leak = x[min(m, len(x) - 1)], gradient[m], slope[m]
        weight = rows[m, offsets[0] : offsets[0] + width]
        bias = rows[m, offsets[1] : offsets[1] + width]
        centre, inverse = statistics[m, :width], statistics[m, width : 2 * width]
        for u in range(width):
            scale[u] = inverse[u] * weight[u]
            sums[u] = products[u] = 0
        for start in range(0, batch, _ROWS):
            stop = min(start + _ROWS, batch)
            fill_keep_mask(noise, m, start * width, mask[: (stop - start) * width])
            summed[:] = 0
            product[:] = 0
            for r in range(start, stop):
                row, to = given[r * width : (r + 1) * width], changed[r * width : (r + 1) * width]
                kept = mask[(r - start) * width : (r - start + 1) * width]
                for u in range(width):
                    centred = row[u] - centre[u]
                    y = centred * scale[u] + bias[u]
                    change = to[u] * (kept[u] if y > 0 else kept[u] * leak)
                    to[u] = change
                    summed[u] += change
                    product[u] += change * centred
            for u in range(width):
                sums[u] += summed[u]
                products[u] += product[u]
        for u in range(width):
            to_rows[m, offsets[0] + u] = products[u] * inverse[u]
            to_rows[m, offsets[1] + u] = sums[u]
            # Ioffe & Szegedy, Batch normalization, ICML 2015.
            summed[u] = sums[u] / batch
            product[u] = products[u] * inverse[u] * inverse[u] / batch
        if leading:
            continue
        for r in range(batch):
            row, to = given[r * width : (r + 1) * width], changed[r * width : (r + 1) * width]
            for u in range(width):
                to[u] = (to[u] - summed[u] - (row[u] - centre[u]) * product[u]) * scale[u]


@njit(nogil=True, cache=True, error_model="numpy")
def _mean_and_variance(x, batch, mean, variance):  # type: ignore[no-untyped-def]
    """Write the columns' means and biased variances, float64, in one pass.

    Each block of rows is summed relative to the mean of those before it, so that no offset of the
    data costs digits, and merged (Chan, Golub & LeVeque, Updating formulae, 1979).
    """
    width = len(mean)
    near, sums, squares = np.empty((3, width), x.dtype)
    for u in range(width):
        near[u] = x[u]
        mean[u] = variance[u] = 0
    for start in range(0, batch, _ROWS):
        stop = min(start + _ROWS, batch)
        sums[:] = 0
        squares[:] = 0
        for r in range(start, stop):
            row = x[r * width : (r + 1) * width]
            for u in range(width):
                away = row[u] - near[u]
                sums[u] += away
                squares[u] += away * away
        count = stop - start
        for u in range(width):
            shift = np.float64(sums[u]) / count  # of the block's mean from `near`
            apart = near[u] + shift - mean[u]
            mean[u] += apart * (count / stop)
            variance[u] += squares[u] - sums[u] * shift + apart * apart * (start * count / stop)
            near[u] = mean[u]
    for u in range(width):
        variance[u] /= batch


@njit(nogil=True, cache=True, error_model="numpy")
def fill_keep_mask(noise, m, start, out):  # type: ignore[no-untyped-def]
    """Write the units of member m's `keep_mask` from `start` (even) on; without dropout, none."""
    keys, limits, scales = noise
    if not len(keys):
        return
    key, limit, scale = np.uint32(keys[m]), limits[m], scales[m]
    words = np.empty((len(out) + 1) // 2, np.uint32)
    for i in range(len(words)):
        words[i] = _mix32_word(np.uint32(_mix32_word(np.uint32(start // 2 + i)) + key))
    halves = words.view(np.int16)
    for i in range(len(out)):
        out[i] = -scale if (halves[i] >> 1) < limit else np.float32(0)


@njit(nogil=True, cache=True, error_model="numpy")
def _mix32_word(x):  # type: ignore[no-untyped-def]
    for shift, multiplier in _MIX32:
        x = np.uint32((x ^ (x >> np.uint32(shift))) * np.uint32(multiplier))
    return np.uint32(x ^ (x >> np.uint32(16)))
