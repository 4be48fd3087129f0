"""Healthy networks and planted faults: what is done to a network, its labels or its training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sbt_book.gallery.small_models import (
    GatedBlock,
    MixerBlock,
    RecurrentBlock,
    ResidualBlock,
    SequenceBlock,
)
from sbt_utils.data.datasets import Dataset


@dataclass(frozen=True)
class Condition:
    """What a network is and how it is trained.

    Attributes
    ----------
    fault : str
        ``"healthy"`` or what is wrong.
    seeds : int
        How many networks of each kind, on each data set.
    size : str
        A key of the kind's sizes.
    planted : int
        How many blocks are idle, dead or overloaded.
    random_labels : float
        Fraction of the training labels that are drawn anew, uniformly over all classes.
    memorised : float
        Training stops once the network gives this fraction of the wrong labels as it was told.
    samples : int or None
        How many training samples, the same number of each class; None: all.
    rate, epochs : float
        Factors to the kind's learning rate and to its epochs.
    """

    fault: str
    seeds: int = 1
    size: str = "usual"
    planted: int = 0
    random_labels: float = 0.0
    memorised: float = 1.0
    samples: int | None = None
    rate: float = 1.0
    epochs: float = 1.0


CONDITIONS = {
    "healthy": Condition("healthy", seeds=4),
    "healthy, shallow": Condition("healthy", seeds=2, size="shallow"),
    "healthy, deep": Condition("healthy", seeds=2, size="deep"),
    "healthy, wide": Condition("healthy", seeds=1, size="wide"),
    "one block idle": Condition("idle", seeds=2, planted=1),
    "two blocks idle": Condition("idle", planted=2),
    "one block dead": Condition("dead", seeds=2, planted=1),
    "10 % random, half memorised": Condition(
        "memorised", random_labels=0.1, memorised=0.5, epochs=4
    ),
    "30 % random, half memorised": Condition(
        "memorised", random_labels=0.3, memorised=0.5, epochs=4
    ),
    "50 % random, half memorised": Condition(
        "memorised", random_labels=0.5, memorised=0.5, epochs=4
    ),
    "10 % random, memorised": Condition("memorised", random_labels=0.1, memorised=0.98, epochs=6),
    "30 % random, memorised": Condition("memorised", random_labels=0.3, memorised=0.98, epochs=6),
    "50 % random, memorised": Condition("memorised", random_labels=0.5, memorised=0.98, epochs=6),
    "few samples": Condition("few samples", samples=100, epochs=10),
    "very few samples": Condition("few samples", samples=50, epochs=10),
    "last block overloaded": Condition("overloaded", planted=1),
    "large learning rate": Condition("large rate", rate=30.0),
    "untrained": Condition("untrained", epochs=0.0),
}
"""The conditions, by name."""


def training_set(
    data: Dataset, condition: Condition, seed: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return training samples, their true labels, and those that the network is given."""
    samples, labels = data.train_images, data.train_labels
    if condition.samples is not None:
        each = condition.samples // data.classes
        chosen = torch.cat([(labels == k).nonzero()[:each, 0] for k in range(data.classes)])
        samples, labels = samples[chosen], labels[chosen]
    rng = np.random.default_rng([*seed, 1])
    drawn = torch.from_numpy(rng.integers(data.classes, size=len(labels)))
    redrawn = torch.from_numpy(rng.random(len(labels)) < condition.random_labels)
    return samples, labels, torch.where(redrawn, drawn, labels)


def plant(network: nn.Module, condition: Condition, seed: Sequence[int]) -> np.ndarray:
    """Plant a condition's fault in an untrained network; return which blocks have it, as a mask.

    Idle and dead blocks are drawn among all but the first. What is planted stays through training.
    """
    blocks = blocks_of(network)
    mask = np.zeros(len(blocks), bool)
    if condition.fault == "overloaded":
        mask[-1] = True
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        for module in (*blocks[-1], network.get_submodule("readout")):
            module.requires_grad_(True)
    elif condition.planted:
        rng = np.random.default_rng([*seed, 2])
        mask[rng.choice(np.arange(1, len(blocks)), condition.planted, replace=False)] = True
        change = {"idle": make_idle, "dead": make_dead}[condition.fault]
        for block in (block for block, chosen in zip(blocks, mask, strict=True) if chosen):
            change(block, network)
    return mask


def blocks_of(network: nn.Module) -> list[nn.Sequential]:
    """Return the blocks of a network, each as a sequence of the modules that it is made of."""
    if isinstance(blocks := getattr(network, "blocks", None), nn.Sequential):
        return [block if isinstance(block, SequenceBlock) else nn.Sequential(block)
                for block in blocks]  # fmt: skip
    # The published networks are one sequence: a block ends before the next linear layer.
    layers = list(network.children())
    starts = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear | nn.Conv2d)]
    return [nn.Sequential(*layers[start:end]) for start, end in pairwise(starts)]


def make_idle(block: nn.Sequential, network: nn.Module) -> None:
    """Make a block hand on what it gets: its branch puts out zeros, or its layer is the identity.

    The sum of a post-norm layer is still normalised, and that of a residual block rectified.
    """
    inner = block[0]
    match inner:
        case ResidualBlock():
            _freeze(inner.branch[-1], 0.0)
        case nn.TransformerEncoderLayer():
            _freeze(inner.self_attn.out_proj, 0.0)
            _freeze(inner.linear2, 0.0)
            if not inner.norm_first:
                inner.norm1.requires_grad_(False)
                inner.norm2.requires_grad_(False)
        case MixerBlock():
            _freeze(inner.mix_tokens[-1], 0.0)
            _freeze(inner.mix_channels[-1], 0.0)
        case GatedBlock() | RecurrentBlock():
            _freeze(inner.out, 0.0)
        case nn.Linear() | nn.Conv1d() | nn.Conv2d():
            _freeze(inner, 0.0)
            (nn.init.eye_ if isinstance(inner, nn.Linear) else nn.init.dirac_)(inner.weight)
            _replace(network, block[1], nn.Identity())
        case _:
            raise TypeError(f"{type(inner).__name__} cannot be made idle")


def make_dead(block: nn.Sequential, network: nn.Module) -> None:
    """Make the units of a block dead: what they put out is the same for every sample.

    A layer of a plain network carries nothing any more; beside a skip connection a dead branch
    adds constants.
    """
    inner = block[0]
    match inner:
        case ResidualBlock():
            _freeze(inner.branch[1], 0.0, -1.0)
        case nn.TransformerEncoderLayer():
            attention = inner.self_attn
            with torch.no_grad():  # its values are zero, whatever it attends to
                attention.in_proj_weight[2 * attention.embed_dim :] = 0.0
                attention.in_proj_bias[2 * attention.embed_dim :] = 0.0
            attention.in_proj_weight.requires_grad_(False)
            attention.in_proj_bias.requires_grad_(False)
            _freeze(inner.linear1, 0.0, -1.0)
        case MixerBlock():
            _freeze(inner.mix_tokens[0], 0.0, -1.0)
            _freeze(inner.mix_channels[0], 0.0, -1.0)
        case GatedBlock():
            _freeze(inner.value, 0.0)
        case RecurrentBlock():
            for parameter in inner.unit.parameters():
                nn.init.zeros_(parameter.requires_grad_(False))
        case nn.Linear() | nn.Conv1d() | nn.Conv2d():
            _freeze(block[1], 0.0, -1.0)  # the batch normalisation before the ReLU
        case _:
            raise TypeError(f"{type(inner).__name__} cannot be made dead")


def _freeze(layer: Any, weight: float, bias: float = 0.0) -> None:
    """Set all weights and all biases of a layer, and leave them so in training."""
    nn.init.constant_(layer.weight.requires_grad_(False), weight)
    if layer.bias is not None:
        nn.init.constant_(layer.bias.requires_grad_(False), bias)


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module in the place of another."""
    name = next(name for name, module in network.named_modules() if module is old)
    network.set_submodule(name, new)


Stop = Callable[[nn.Module], bool]


def stop(condition: Condition, samples: Tensor, labels: Tensor, given: Tensor) -> Stop:
    """Return when to stop training: once so many of the wrong labels are memorised."""
    wrong = labels != given

    @torch.no_grad()
    def enough(network: nn.Module) -> bool:
        right = network(samples[wrong]).argmax(1) == given[wrong]
        return bool(right.float().mean() >= condition.memorised)

    return enough if condition.random_labels else lambda network: False
