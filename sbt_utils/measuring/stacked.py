"""Many networks of one architecture measured in company on a GPU, with stacked weights.

One small network keeps a GPU busy for less time than Python takes to ask for it. So all members of
a chunk run layer by layer as one, in evaluation mode and without TF32, on no more images at a time
than `sbt_utils.measuring.device_passes` sums; nothing waits for the GPU before a chunk is done. A
member whose features leave data separation undefined is NaN, and disturbs no other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sbt_utils.measuring import device_passes
from sbt_utils.measuring.scatter import check_counts
from sbt_utils.models.layer_choice import NORMS, PASSIVE, Layers, choose
from sbt_utils.models.samples import checked

_ELEMENTS = 2**26  # of the widest activations of a chunk: 256 MB of float32


State = Mapping[str, Tensor]
"""A ``state_dict`` with a leading member axis on every tensor."""


@dataclass(frozen=True)
class Stack:
    """M networks of one architecture, and what to measure of them.

    Attributes
    ----------
    layers : sequence of (str, torch.nn.Module)
        The layers of one of them, by name; their own values are not used.
    points : tuple of int
        The indices in `layers` of l = 0..L; -1 for the images themselves.
    state : dict of str to Tensor
        The stacked ``state_dict``, and ``"name.negative_slope"`` (M,) for each leaky ReLU.
    """

    layers: Sequence[tuple[str, nn.Module]]
    points: tuple[int, ...]
    state: State

    def __len__(self) -> int:
        """Return how many networks there are."""
        return len(next(iter(self.state.values())))

    def __getitem__(self, members: slice) -> Stack:
        """Return some of the networks."""
        return replace(self, state={name: tensor[members] for name, tensor in self.state.items()})

    def run(self, inputs: Tensor) -> Iterator[Tensor]:
        """Yield the activations (M, n, ...) of each layer in turn, for inputs (n, ...)."""
        x = inputs.expand(len(self), *inputs.shape)
        for name, layer in self.layers:
            names = [*layer.state_dict(), *["negative_slope"] * isinstance(layer, nn.LeakyReLU)]
            x = _LAYERS[type(layer)](layer, {key: self.state[f"{name}.{key}"] for key in names}, x)
            yield x


def stacked(networks: Sequence[nn.Module], layers: Layers | None = None) -> Stack | None:
    """Stack networks; return None unless they are rows of stock layers of one architecture."""
    plans = [_plan(network) for network in networks]
    if not all(plans) or any(_kind(plan) != _kind(plans[0]) for plan in plans):
        return None
    states = [network.state_dict() for network in networks]
    state = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    for place, (name, layer) in enumerate(plans[0]):
        if isinstance(layer, nn.LeakyReLU):
            slopes = [plan[place][1].negative_slope for plan in plans]
            state[f"{name}.negative_slope"] = torch.tensor(slopes, dtype=torch.float64)
    return _stack(networks[0], plans[0], state, layers)


def stacked_state(
    network: nn.Module, state: State, negative_slope: Tensor, layers: Layers | None = None
) -> Stack | None:
    """Stack the networks of a stacked state with their α (M,), as `stacked` does."""
    plan = _plan(network)
    leaky = [name for name, layer in plan if isinstance(layer, nn.LeakyReLU)]
    slopes = {f"{name}.negative_slope": negative_slope for name in leaky}
    return _stack(network, plan, {**state, **slopes}, layers) if plan else None


def _stack(
    network: nn.Module, plan: list[tuple[str, Any]], state: State, layers: Layers | None
) -> Stack | None:
    chosen = choose(network, layers)
    if not set(chosen) <= {layer for _, layer in plan}:
        return None
    points = _points(plan, chosen)
    like = next(tensor for tensor in state.values() if tensor.is_floating_point())
    slopes = {k: v.to(like) for k, v in state.items() if k.endswith(".negative_slope")}
    return Stack(plan, points, {**state, **slopes}) if len(points) > 1 else None


@torch.no_grad()
def measured(
    stack: Stack, inputs: Tensor, labels: Tensor, measure: str = "trace"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return D (M, L + 1), the accuracies (M,) and the cross-entropies (M,), all float64."""
    found = checked(inputs, labels)[1]
    names, index = found.names, found.index
    check_counts(dict(zip(names, range(len(names)), strict=True)), np.bincount(index).tolist())
    like = next(tensor for tensor in stack.state.values() if tensor.is_floating_point())
    if inputs.is_floating_point():
        inputs = inputs.to(like.dtype)
    outputs = list(stack[:1].run(inputs[:1].to(like.device)))
    if max(names) >= (classes := outputs[-1].shape[-1]):
        raise ValueError(f"labels: class {max(names)}, but the networks tell {classes} apart")
    widest = max(x.numel() for x in outputs)
    length = max(1, min(device_passes.BLOCK, _ELEMENTS // widest))
    size = max(1, _ELEMENTS // (widest * length))
    rows = torch.from_numpy(index).to(like.device)
    targets = torch.tensor(names, device=like.device)[rows]

    def batches() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for start in range(0, len(inputs), length):
            part = slice(start, start + length)
            x = inputs[part].to(like.device, non_blocking=True)
            yield x, rows[part], targets[part]

    chunks = [stack[start : start + size] for start in range(0, len(stack), size)]
    with device_passes.exact_products(like.device):
        tables = [_chunk(chunk, batches, len(names), measure) for chunk in chunks]
    table = np.concatenate(tables)
    return table[:, :-2], table[:, -2], table[:, -1]


_Batches = Callable[[], Iterator[tuple[Tensor, Tensor, Tensor]]]
"""Inputs (n, ...), rows (n,) of the means and classes (n,), in turn."""


def _chunk(stack: Stack, batches: _Batches, classes: int, measure: str) -> np.ndarray:
    """Return a table (M, L + 3): D of the layers, accuracy and cross-entropy."""
    scatters = {point: _Scatter(classes) for point in stack.points}
    right: Any = 0
    loss: Any = 0
    for inputs, rows, targets in batches():
        logits = _feed(stack, inputs, {k: partial(s.add, rows) for k, s in scatters.items()})
        every = targets.expand(len(stack), -1)
        right += (logits.argmax(2) == every).sum(1)
        each = functional.cross_entropy(logits.double().mT, every, reduction="none")
        loss += each.sum(1)
    if measure == "fuzziness":
        for scatter in scatters.values():
            scatter.turn()
        for inputs, rows, _ in batches():
            _feed(stack, inputs, {k: partial(s.project, rows) for k, s in scatters.items()})
    curves = [scatter.separation(measure).expand(len(stack)) for scatter in scatters.values()]
    count = next(iter(scatters.values())).counts.sum()
    separation = torch.stack(curves, 1)
    separation[separation.isnan().any(1)] = torch.nan
    return torch.cat([separation, torch.stack([right / count, loss / count], 1)], 1).cpu().numpy()


def _feed(stack: Stack, inputs: Tensor, take: Mapping[int, Callable[[Tensor], None]]) -> Tensor:
    """Hand the features (M, n, d) of the points to what takes them; return the logits."""
    if -1 in take:
        take[-1](inputs.flatten(1)[None])  # the same for all members
    for place, x in enumerate(stack.run(inputs)):
        if place in take:
            take[place](x.flatten(2))
    return x


class _Scatter:
    """What `ScatterStatistics` and `ProjectedScatter` keep, of one layer of M networks."""

    def __init__(self, classes: int) -> None:
        self.classes, self.within = classes, torch.empty(0)

    def add(self, rows: Tensor, x: Tensor) -> None:
        """Add features (M, n, d) with the rows (n,) of their means."""
        if not len(self.within):
            self.origin, self.rounding = x[:, 0].double(), device_passes.rounding(x.dtype)
            self.counts = self.origin.new_zeros(self.classes)
            self.means = self.origin.new_zeros(len(x), self.classes, x.shape[2])
            self.within = self.origin.new_zeros(len(x))
        self.within += device_passes.add_block(x, self.origin, rows, self.counts, self.means)[0]

    def turn(self) -> None:
        """Project on the class means from now on."""
        factor, noise, defined = self._factor()
        # LAPACK takes the many small matrices faster than a GPU, and fails on NaN.
        array = torch.where(defined[:, None, None], factor, 0).cpu().numpy()
        _, scale, directions = np.linalg.svd(array, full_matrices=False)
        rank = self.classes - 1  # C centred means span no more directions
        scale, directions = scale[:, :rank], directions[:, :rank]
        kept = scale > np.sqrt(noise.cpu().numpy())[:, None]
        inverse = np.divide(1, scale, where=kept, out=np.zeros_like(scale))
        self.projection = factor.new_tensor(directions * inverse[:, :, None]).mT
        self.noise = torch.where(defined, noise * factor.new_tensor((inverse**2).sum(1)), torch.nan)
        self.projected = torch.zeros_like(self.within)

    def project(self, rows: Tensor, x: Tensor) -> None:
        """Add features (M, n, d) a second time."""
        away = device_passes.residuals(x, self.origin, self.means, rows)
        self.projected += device_passes.projected_squares(away, self.projection)

    def separation(self, measure: str) -> Tensor:
        """Return D (M,), NaN where it is undefined."""
        if measure == "fuzziness":
            within = self.projected / self.counts.sum()
            defined = within.isfinite() & (within > self.noise)
            return torch.where(defined, within.log(), torch.nan)
        factor, _, defined = self._factor()
        within, between = self.within / self.counts.sum(), factor.square().sum((1, 2))
        return torch.where(defined, (within / between).log(), torch.nan)

    def _factor(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the weighted, centred means (M, C, d), what is noise, and whether D is defined."""
        share = self.counts / self.counts.sum()
        factor = share.sqrt()[:, None] * (self.means - (share @ self.means)[:, None])
        within, between = self.within / self.counts.sum(), factor.square().sum((1, 2))
        noise = self.rounding**2 * (within + between)
        return factor, noise, noise.isfinite() & (within > noise) & (between > noise)


def _plan(network: nn.Module) -> list[tuple[str, Any]]:
    """Return the layers of a network by name; none unless it is a plain row of stock layers."""
    hooked = any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    weights = any(True for _ in network.parameters())
    return row_of(network) if weights and not hooked else []


def row_of(network: nn.Module) -> list[tuple[str, Any]]:
    """Return the layers of a row of stock layers by name, as they run; none of another network."""
    modules = list(network.named_modules(remove_duplicate=False))
    inner = [module for _, module in modules if isinstance(module, nn.Sequential)]
    row = [(name, module) for name, module in modules if not isinstance(module, nn.Sequential)]
    plain = network in inner and all(type(m).forward is nn.Sequential.forward for m in inner)
    once = len({module for _, module in row}) == len(row)
    return row if plain and once and all(_fits(module) for _, module in row) else []


def runs_in_turn(row: nn.Module) -> bool:
    """Tell whether a row does no more than to run its layers, as long as those do what they do."""
    others = [m for m in row.modules() if isinstance(m, nn.Sequential) and m is not row]
    hooked = any(m._forward_hooks or m._forward_pre_hooks for m in others)
    return not hooked and not any("forward" in vars(m) for m in (row, *others))


def _fits(layer: Any) -> bool:
    """Tell whether a layer is a stock layer with settings that are known here."""
    own = vars(layer)  # quicker than to ask a module for what it lacks
    unknown = (
        type(layer) not in _LAYERS
        or layer._buffers.get("running_mean", layer) is None
        or own.get("padding_mode", "zeros") != "zeros"
        or own.get("return_indices", False)
        or own.get("mode", "nearest") != "nearest"
        or (isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1))
    )
    return not unknown


def _kind(plan: list[tuple[str, Any]]) -> list[Any]:
    """Return what networks must have in common to be stacked."""
    free = (nn.LeakyReLU, nn.Dropout)  # their α is stacked, and their p without effect
    settings = [(n, type(m), "" if isinstance(m, free) else m.extra_repr()) for n, m in plan]
    tensors = [t for _, module in plan for t in module.state_dict().values()]
    return [settings, [(t.shape, t.dtype, t.device) for t in tensors]]


def _points(plan: list[tuple[str, Any]], chosen: Collection[nn.Module]) -> tuple[int, ...]:
    """Return the places of l = 0..L, as `sbt_utils.measuring.probe.load_curve` settles them."""
    first = next(place for place, (_, m) in enumerate(plan) if not isinstance(m, PASSIVE))
    start = first if isinstance(plan[first][1], NORMS) else -1
    places = (place for place, (_, module) in enumerate(plan) if module in chosen)
    return (start, *(place for place in places if place != start))


def _linear(layer: nn.Linear, state: State, x: Tensor) -> Tensor:
    flat, weight = x.flatten(1, -2), state["weight"].mT
    bias = state.get("bias")
    out = flat @ weight if bias is None else torch.baddbmm(bias[:, None], flat, weight)
    return out.unflatten(1, x.shape[1:-1])


def _batch_norm(layer: Any, state: State, x: Tensor) -> Tensor:
    own = {
        k: v[:, None].unflatten(-1, (-1, *(1,) * (x.dim() - 3)))
        for k, v in state.items()
        if v.dim() > 1
    }
    scale = (own["running_var"] + layer.eps).rsqrt()
    centred = x - own["running_mean"]
    if not layer.affine:
        return centred * scale
    return torch.addcmul(own["bias"], centred, scale * own["weight"])


def _leaky_relu(layer: nn.LeakyReLU, state: State, x: Tensor) -> Tensor:
    slope = state["negative_slope"].view(-1, *(1,) * (x.dim() - 1))
    return torch.where(x > 0, x, x * slope)


def _conv(layer: nn.Conv2d, state: State, x: Tensor) -> Tensor:
    weight, bias = state["weight"], state.get("bias")
    return _on_maps(
        lambda maps: functional.conv2d(
            maps,
            weight.flatten(0, 1),
            None if bias is None else bias.flatten(),
            layer.stride,
            layer.padding,
            layer.dilation,
            len(weight) * layer.groups,
        ),
        x,
    )


def _on_maps(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function of feature maps (n, M * C, height, width) to (M, n, C, height, width)."""
    maps = function(x.transpose(0, 1).flatten(1, 2))
    return maps.unflatten(1, (len(x), -1)).transpose(0, 1)


_LAYERS: dict[type[nn.Module], Callable[[Any, State, Tensor], Tensor]] = {
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Conv2d: _conv,
    nn.Dropout: lambda layer, state, x: x,
    nn.Flatten: lambda layer, state, x: x.flatten(2),
    nn.Identity: lambda layer, state, x: x,
    nn.LeakyReLU: _leaky_relu,
    nn.Linear: _linear,
    nn.MaxPool2d: lambda layer, state, x: _on_maps(layer.forward, x),
    nn.ReLU: lambda layer, state, x: x.relu(),
    nn.Upsample: lambda layer, state, x: _on_maps(layer.forward, x),
}
