"""What a step of training does to D of each layer: the pull of the loss, and kicks.

The chain's blocks stand at x_l = D_0 - D_l, so a kick to the right (towards the pull) is one that
lowers D_l. A layer's own weights W_l change by -η P g in a step of Adam with the gradient g and
P = 1/(sqrt(v) + ε), so a step lowers D_l at the rate <∂D_l/∂W_l, P g> per unit of the learning
rate. That is what is called a kick here. Its mean is the pull of the loss.
"""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sbt_book.common.differentiable import differentiable_separation
from sbt_utils.ensembles.ensemble import Ensemble
from sbt_utils.ensembles.noise import seed_words
from sbt_utils.ensembles.stacked_layers import padded
from sbt_utils.training.chunks import divided
from sbt_utils.training.descent import select
from sbt_utils.training.ranges import RANGES
from sbt_utils.training.settings import Members, member_settings
from sbt_utils.training.steps import Steps, TrainingData
from sbt_utils.training.trainer import train

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Of Adam, by the published protocol."""

_NOISE_FROM = 100_000  # steps are numbered from here on: draws that no training has used


def layer_gradients(
    network: nn.Sequential, images: Tensor, labels: Tensor
) -> tuple[np.ndarray, list[Tensor]]:
    """Return how much of the loss gradient reaches each layer, and the directions of the layers.

    Of the step that training would take without noise: batch statistics of all images, no dropout.

    The first, (layer,), is the root mean square over the images of the gradient of the loss of an
    image with respect to its features h_l (after the activation), times the root mean square
    distance of features from their mean: like D, it does not depend on the unit of a layer's
    features. The second are ∂D_l/∂W_l, (outputs, inputs) for each hidden layer.
    """
    network = copy.deepcopy(network).train()
    features, weights, values = [], [], images
    for layer in network:
        if isinstance(layer, nn.Dropout):
            continue
        values = layer(values)
        if isinstance(layer, nn.Linear):
            weights.append(layer.weight)
        if isinstance(layer, nn.LeakyReLU):
            features.append(values)
    # A sum, not a mean: the gradient of an image's own loss.
    loss = cross_entropy(values, labels, reduction="sum")
    gradients = torch.autograd.grad(loss, features, retain_graph=True)
    arriving = [
        (gradient.square().sum(1).mean() * (h - h.mean(0)).square().sum(1).mean()).sqrt().item()
        for gradient, h in zip(gradients, features, strict=True)
    ]
    directions = [
        torch.autograd.grad(differentiable_separation(h, labels), weight, retain_graph=True)[0]
        for h, weight in zip(features, weights[:-1], strict=True)
    ]
    return np.array(arriving), directions


class Kicks:
    """Stands in for an optimizer: notes the kicks of a step, and leaves the weights alone."""

    def __init__(self, ensemble: Ensemble, directions: Tensor, sizes: Mapping[str, int]) -> None:
        self.ensemble, self.directions, self.sizes = ensemble, directions, sizes
        self.noted: list[Tensor] = []

    def step(self) -> None:
        """Note the kicks (member, layer) of the gradients that are in the ensemble."""
        self.noted.append(along(self.ensemble.gradients, self.directions, self.sizes))


def along(gradients: Tensor, directions: Tensor, sizes: Mapping[str, int]) -> Tensor:
    """Return the products (member, layer) of rows (member, P), by the hidden layers' weights."""
    products = (gradients * directions).split(list(sizes.values()), 1)
    hidden = [n for n, name in enumerate(sizes) if "linear" in name and name.endswith("weight")]
    return torch.stack([products[n].double().sum(1) for n in hidden], 1)


def row_sizes(network: nn.Sequential) -> dict[str, int]:
    """Return how many places each parameter takes in the rows of an ensemble, gaps included."""
    return {name: padded(value.numel()) for name, value in network.named_parameters()}


def adam_directions(
    state: Mapping[str, Any], directions: list[list[Tensor]], sizes: Mapping[str, int]
) -> Tensor:
    """Return rows (member, P) of P ∂D_l/∂W_l at the weights of the hidden layers, 0 elsewhere."""
    moments = state["optimizer"]
    rows = torch.zeros_like(moments["exp_avg_sq"])
    starts = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))
    for member, layers in enumerate(directions):
        for number, direction in enumerate(layers, 1):
            start = starts[f"linear{number}.weight"]
            rows[member, start : start + direction.numel()] = direction.flatten()
    second = moments["exp_avg_sq"] / (1 - BETA2 ** moments["step"])[:, None]
    return rows / (second.sqrt() + EPSILON)


def drawn_kicks(
    network: nn.Sequential,
    state: Mapping[str, Any],
    data: TrainingData,
    directions: Tensor,
    settings: Members,
    count: int,
) -> np.ndarray:
    """Return `count` kicks or more (draw, member, layer) of networks that stand still.

    Their steps meet the noise that training meets: dropout, data noise, and batches of an epoch.
    `state` is that of a training, `settings` (member) are those of `sbt_utils.training.train`.
    """
    sizes, batches = row_sizes(network), settings["batch_size"]
    names = {name: settings.get(name, 0.0) for name in RANGES}
    members = member_settings(network, seed=settings["seed"], batch_size=batches, **names)
    members["word"] = np.array([seed_words(seed)[1] for seed in members["seed"]])
    found = []
    chunks = divided(np.arange(len(batches)), batches, directions.shape[1] // len(sizes), "cpu")
    for chunk in chunks:
        ensemble = Ensemble(network, select(dict(state["networks"]), chunk))
        kicks = Kicks(ensemble, directions[chunk], sizes)
        optimizer: Any = kicks
        steps = Steps(data, ensemble, optimizer, select(members, chunk))
        first = _NOISE_FROM // len(steps.starts)
        for epoch in range(first, first + -(-count // len(steps.starts))):
            steps.epoch(epoch)
        found.append(torch.stack(kicks.noted))
    return torch.cat(found, 1)[:, np.argsort(np.concatenate(chunks))].numpy()


def successive_kicks(
    network: nn.Sequential,
    state: Mapping[str, Any],
    data: tuple[Tensor, Tensor],
    directions: Tensor,
    settings: Members,
    count: int,
) -> np.ndarray:
    """Return the kicks (step, member, layer) of `count` further steps of full batches of Adam.

    A gradient is what it added to Adam's mean: g = (m' - β1 m)/(1 - β1). Networks that had stopped
    go on.
    """
    sizes, noted = row_sizes(network), []
    done = int(state["epochs"].max())
    for epoch in range(done + 1, done + count + 1):
        before = state["optimizer"]["exp_avg"]
        state = dict(state) | {
            "stopped": torch.zeros_like(state["stopped"]),
            "epochs": torch.full_like(state["epochs"], epoch - 1),
        }
        arguments = as_arguments(settings)
        state = train(network, *data, resume=state, epochs=epoch, progress=False, **arguments).state
        gradients = (state["optimizer"]["exp_avg"] - BETA1 * before) / (1 - BETA1)
        noted.append(along(gradients, directions, sizes))
    return torch.stack(noted).numpy()


def as_arguments(settings: Members) -> dict[str, Any]:
    """Return settings as arguments of `train`."""
    return {"seeds" if name == "seed" else name: v.tolist() for name, v in settings.items()}
