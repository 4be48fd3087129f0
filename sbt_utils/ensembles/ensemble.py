"""Many networks at once: M copies of one architecture, every tensor with a leading member axis."""

import copy
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from itertools import combinations
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sbt_utils.ensembles.convolution_layers import LAYERS
from sbt_utils.ensembles.fused_layer import fuse
from sbt_utils.ensembles.noise import dropout_limits
from sbt_utils.ensembles.stacked_layers import (
    Call,
    Layer,
    State,
    Workspace,
    member_memory,
    padded,
)
from sbt_utils.text import quoted, shown

_GENERATOR = Lock()


class Ensemble:
    """M networks of one architecture as stacked tensors, ready to be trained together.

    Parameters
    ----------
    network : torch.nn.Sequential
        The architecture; its own weights are not used.
    state : dict of str to Tensor
        Of the members, as from `initial_state`. Copied.
    device : torch.device or str
        Where to compute.

    Attributes
    ----------
    rows, gradients : Tensor, shape (M, P)
        A member's parameters side by side, for an optimizer to work on, and their gradients.
    parts : dict of str to Tensor
        The members' state: parameters lie in `rows`, buffers in memory of their own.
    draws : int
        Keys that a forward pass takes for each member: one for each dropout layer.

    Raises
    ------
    TypeError
        If a layer is not one of those that ensembles know; the message lists them.

    Examples
    --------
    >>> from sbt_utils.training.networks import MLP
    >>> network = MLP(inputs=4, width=5)
    >>> ensemble = Ensemble(network, initial_state(network, [0, 1]))
    >>> keys = torch.zeros(2, ensemble.draws, dtype=torch.int32)
    >>> slope, dropout = torch.zeros(2), torch.full((2,), 0.1)
    >>> ensemble.forward(torch.rand(2, 8, 4), keys, slope, dropout).shape
    torch.Size([2, 8, 10])
    """

    def __init__(
        self, network: nn.Sequential, state: State, device: torch.device | str = "cpu"
    ) -> None:
        layers = stock_layers(network)
        names = [name for name, _ in network.named_parameters()]
        shapes = self._shapes = [state[name].shape for name in names]
        # One row for each member, so that an optimizer has few tensors. The gaps stay zero.
        count = sum(padded(shape[1:].numel()) for shape in shapes)
        self.rows = state[names[0]].new_zeros(shapes[0][0], count, device=device)
        self.gradients = torch.zeros_like(self.rows)
        self.parts = dict(zip(names, _views(self.rows, shapes), strict=True))
        for name, _ in network.named_buffers():
            self.parts[name] = member_memory(self.rows, state[name].shape, state[name].dtype)
        for name, tensor in self.parts.items():
            tensor.copy_(state[name])
        gradients = dict(zip(names, _views(self.gradients, shapes), strict=True))
        self._work = Workspace(self.rows)
        # The backward pass ends here, at the first parameters. Fusing changes no earlier index.
        self._first = next(i for i, (_, layer) in enumerate(layers) if layer.state_dict())
        self.layers = [
            LAYERS[type(layer)](name, layer, self.parts, gradients, self._work, i <= self._first)
            for i, (name, layer) in enumerate(layers)
        ]
        self.layers = _fuser(self.rows)(self.layers)
        self.draws = sum(isinstance(layer, nn.Dropout) for _, layer in layers)

    def forward(
        self, inputs: Tensor, keys: Tensor, negative_slope: Tensor, dropout: Tensor | None
    ) -> Tensor:
        """Run every member in training mode on its own batch, updating running statistics.

        `inputs` has shape (M, batch, ...), `keys` (M, draws) from `draw_keys`; each member's α and
        p, shape (M,), replace those of the layers; None is p = 0. The logits (M, batch, classes)
        that are returned are overwritten by the next forward pass.
        """
        slope = negative_slope.view(-1, 1, 1)
        limits = None if dropout is None else dropout_limits(dropout)
        call = Call(iter(keys.t().contiguous()), (slope, 1 - slope), limits)
        for layer in self.layers:
            inputs = layer.forward(inputs, call)
        return inputs

    def backward(self, gradient: Tensor) -> None:
        """Write each member's gradients into `gradients`.

        Parameters
        ----------
        gradient : Tensor, shape (M, batch, classes)
            Of the members' losses with respect to the logits of the last forward pass.
        """
        gradient = self._work("to_logits", gradient.shape).copy_(gradient)
        for layer in reversed(self.layers[self._first :]):
            gradient = layer.backward(gradient)

    def weight_spread(self) -> Tensor:
        """Return how far weights lie apart at the start of a training, in the places of a row.

        Returns
        -------
        Tensor, shape (P,)
            1 / sqrt(3 d), PyTorch's standard deviation, for weights of layers with d inputs; 0 for
            biases, batch norm and gaps.
        """
        spread = torch.zeros_like(self.rows[:1])
        for weight in _views(spread, [torch.Size((1, *shape[1:])) for shape in self._shapes]):
            if weight.dim() > 2:
                weight.fill_((3 * weight[0, 0].numel()) ** -0.5)
        return spread[0]

    def state(self, members: np.ndarray | slice = slice(None)) -> State:
        """Return a copy of the members' state, or of some members' by their numbers."""
        return {
            name: tensor[members].clone(memory_format=torch.contiguous_format)
            for name, tensor in self.parts.items()
        }


def initial_state(network: nn.Sequential, seeds: Iterable[int]) -> State:
    """Return PyTorch's default initialisation of a network for each seed.

    Parameters
    ----------
    network : torch.nn.Sequential
        The architecture; left as it is.
    seeds : iterable of int
        One for each member, from 0 to 2^64 - 1.

    Returns
    -------
    dict of str to Tensor
        Stacked ``state_dict``.

    Raises
    ------
    ValueError
        Another seed.

    Examples
    --------
    >>> from sbt_utils.training.networks import MLP
    >>> initial_state(MLP(), range(3))["linear1.weight"].shape
    torch.Size([3, 100, 100])
    """
    seeds = list(seeds)
    for seed in seeds:
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
            raise ValueError(f"seeds: {quoted(seed)} given; give integers from 0 to 2^64 - 1")
    states = []
    network = copy.deepcopy(network)
    # Layers draw from PyTorch's global generator, whose state is put back: one thread at a time.
    with _GENERATOR, torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.random.default_generator.manual_seed(int(seed))
            layer: Any
            for layer in network.modules():
                if hasattr(layer, "reset_parameters"):
                    layer.reset_parameters()
            states.append({name: t.clone() for name, t in network.state_dict().items()})
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def member_network(
    network: nn.Sequential, state: State, member: int, negative_slope: float, dropout: float
) -> nn.Sequential:
    """Return one member as a plain network of stock PyTorch layers, in evaluation mode.

    Parameters
    ----------
    network : torch.nn.Sequential
        The architecture; left as it is.
    state : dict of str to Tensor
        Stacked ``state_dict``.
    member : int
        Its index.
    negative_slope, dropout : float
        The member's α and p, in place of those of the architecture's layers.

    Returns
    -------
    torch.nn.Sequential
        A copy that shares nothing with its arguments.

    Examples
    --------
    >>> from sbt_utils.training.networks import MLP
    >>> network = member_network(MLP(), initial_state(MLP(), [0]), 0, 0.2, 0.1)
    >>> network.activation1
    LeakyReLU(negative_slope=0.2)
    """
    network = copy.deepcopy(network)
    network.load_state_dict({name: tensor[member] for name, tensor in state.items()})
    for layer in network.modules():
        if isinstance(layer, nn.LeakyReLU):
            layer.negative_slope = float(negative_slope)
        if isinstance(layer, nn.Dropout):
            layer.p = float(dropout)
    return network.eval()


def stock_layers(network: nn.Sequential) -> list[tuple[str, nn.Module]]:
    """Return a network's layers and their names in order; raise if an ensemble cannot have it."""
    if not isinstance(network, nn.Sequential):
        raise TypeError(
            f"network is a {type(network).__name__}: ensembles train torch.nn.Sequential; "
            "train other models with a loop of your own and measure them with load_curve"
        )
    layers = [
        (name, layer)
        for name, layer in network.named_modules(remove_duplicate=False)
        if not isinstance(layer, nn.Sequential)
    ]
    for name, layer in layers:
        if reason := _unfit(layer):
            kind = shown(type(layer).__name__)
            raise TypeError(f"network: layer {quoted(name)} is a {kind}{reason}")
    if len({layer for _, layer in layers}) < len(layers):
        raise TypeError("network: a layer stands in it twice; give each place a layer of its own")
    tensors = dict(network.named_parameters(remove_duplicate=False))
    buffers = dict(network.named_buffers(remove_duplicate=False))
    known = {f"{name}.{own}" for name, _ in layers for own in _TENSORS}
    if others := sorted({*tensors, *buffers} - known):
        raise TypeError(
            f"network: {quoted(others[0])} is no tensor of a stock layer; remove it, by "
            "torch.nn.utils.remove_weight_norm or torch.nn.utils.prune.remove for instance"
        )
    for (name, tensor), (other, same) in combinations((tensors | buffers).items(), 2):
        if _overlap(tensor, same):
            raise TypeError(
                f"network: {quoted(name)} and {quoted(other)} are one tensor; ensembles do not "
                "share parameters between layers: give each layer its own"
            )
    if not tensors:
        raise TypeError("network: no layer has parameters; there is nothing to train")
    return layers


_TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def _overlap(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors share memory, such as one and its transpose."""
    (start, end), (low, high) = (
        (t.data_ptr(), t.data_ptr() + t.numel() * t.element_size()) for t in (one, other)
    )
    return one is other or (start < high and low < end and min(start, low) > 0)


def _fuser(rows: Tensor) -> Callable[[list[Layer]], list[Layer]]:
    """Return what replaces layers by faster ones where these members are."""
    if rows.dtype not in (torch.float32, torch.float64):
        return list
    if rows.is_cpu:
        return fuse
    if find_spec("triton") is None:  # PyTorch for Windows comes without it
        return list
    from sbt_utils.ensembles import gpu_layers  # which loads Triton

    return gpu_layers.fuse


def _views(rows: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    """Cut rows (M, P) into tensors of the given shapes (M, ...), sharing their memory."""
    sizes = [shape[1:].numel() for shape in shapes]
    pieces = zip(rows.split([padded(n) for n in sizes], dim=1), sizes, shapes, strict=True)
    return [piece[:, :size].view(shape) for piece, size, shape in pieces]


def _unfit(layer: nn.Module) -> str:
    """Say why an ensemble cannot have this layer, if it cannot."""
    if type(layer) not in LAYERS:
        return "; ensembles know " + ", ".join(sorted(kind.__name__ for kind in LAYERS))
    if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
        usual = layer.affine and layer.track_running_stats and layer.momentum is not None
        return "" if usual else " without affine, running statistics or momentum; give it all three"
    if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1):
        return " of some dimensions only; let it flatten all but the first"
    if isinstance(layer, nn.Conv2d) and (
        isinstance(layer.padding, str) or layer.padding_mode != "zeros"
    ):
        kind = f"{quoted(layer.padding)} of {shown(layer.padding_mode)}"
        return f" with padding {kind}; give a number, of zeros"
    if isinstance(layer, nn.MaxPool2d) and layer.return_indices:
        return " that returns indices; leave them out"
    if isinstance(layer, nn.Upsample) and (
        layer.mode != "nearest" or layer.scale_factor not in (2.0, 3.0, 4.0)
    ):
        kind = f"{quoted(layer.mode)} by {shown(layer.scale_factor)}"
        return f" of mode {kind}; let it repeat pixels 2 to 4 times"
    return ""
