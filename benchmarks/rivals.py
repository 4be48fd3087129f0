"""What an expert would write in PyTorch instead: the same training, for `training.py` to time.

A rival is made from a `Problem`; what is made trains the members anew for so many epochs and
returns the mean of their losses in the last. All start from the same weights as ours and draw the
same kind of dropout; only the order of images and the dropped units are their own.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import batch_norm, cross_entropy, dropout, leaky_relu

from sbt_utils.data.datasets import load_data
from sbt_utils.ensembles.ensemble import initial_state, member_network
from sbt_utils.ensembles.noise import seed_words
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

DIGITS = load_data("mnist")
IMAGES, LABELS = DIGITS.train_images, DIGITS.train_labels
Run = Callable[[int], float]


@dataclass(frozen=True)
class Problem:
    """Members, by their seeds, of one architecture and size of batch."""

    seeds: tuple[int, ...]
    batch: int
    dropout: float = 0.1
    width: int = 100

    @property
    def network(self) -> MLP:
        """The architecture."""
        return MLP(width=self.width, dropout=self.dropout)

    def state(self) -> dict[str, Tensor]:
        """Return the weights that our members start with, stacked."""
        return initial_state(self.network, [seed_words(seed)[0] for seed in self.seeds])

    def parts(self, count: int) -> Iterable["Problem"]:
        """Divide the members among so many workers."""
        return (replace(self, seeds=self.seeds[part::count]) for part in range(count))


def ours(problem: Problem) -> Run:
    settings: dict[str, Any] = {"seeds": problem.seeds, "batch_size": problem.batch}

    def run(epochs: int) -> float:
        trained = train(problem.network, IMAGES, LABELS, epochs=epochs, progress=False, **settings)
        return float(trained.history.loss[:, -1].mean())

    return run


def plain(problem: Problem) -> Run:
    """Make a loop over networks, one after the other: stock layers, autograd, fused Adam."""
    state = problem.state()

    def trained(member: int, epochs: int) -> float:
        network = member_network(problem.network, state, member, 0.0, problem.dropout).train()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        for _ in range(epochs):
            losses = []
            for images, labels in batches(problem.batch):
                optimizer.zero_grad()
                loss = cross_entropy(network(images), labels)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    def run(epochs: int) -> float:
        losses = [trained(member, epochs) for member in range(len(problem.seeds))]
        return sum(losses) / len(losses)

    return run


def batches(size: int) -> Iterable[tuple[Tensor, Tensor]]:
    if size == len(IMAGES):
        return [(IMAGES, LABELS)]
    return ((IMAGES[places], LABELS[places]) for places in torch.randperm(len(IMAGES)).split(size))


def stacked(problem: Problem) -> Run:
    """Make a loop over batched products of all members, `torch.baddbmm`, with autograd.

    Activations are (member, unit, image): products need no transposed copies, and a batch norm
    takes the units of all members as its channels.
    """
    initial, members = problem.state(), len(problem.seeds)
    hidden = (len(problem.network) - 3) // 4
    flat, targets = IMAGES.flatten(1).t().contiguous(), LABELS

    def normed(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
        wide = x.reshape(1, -1, x.shape[2])
        names = ("running_mean", "running_var", "weight", "bias")
        vectors = [state[f"{name}.{each}"].flatten() for each in names]
        return batch_norm(wide, *vectors, training=True).view(members, -1, x.shape[2])

    def linear(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
        return torch.baddbmm(state[f"{name}.bias"][:, :, None], state[f"{name}.weight"], x)

    def loss_of(x: Tensor, labels: Tensor, state: dict[str, Tensor]) -> Tensor:
        x = normed(x, state, "input_norm")
        for layer in range(1, hidden + 1):
            x = normed(linear(x, state, f"linear{layer}"), state, f"norm{layer}")
            x = dropout(leaky_relu(x, 0.0, inplace=True), problem.dropout)
        return cross_entropy(linear(x, state, "readout"), labels, reduction="none").mean(1)

    def all_batches() -> Iterable[tuple[Tensor, Tensor]]:
        if problem.batch == flat.shape[1]:
            return [(flat.expand(members, -1, -1), targets.expand(members, -1))]
        orders = torch.stack([torch.randperm(len(targets)) for _ in range(members)])
        return (
            (flat[:, places].transpose(0, 1), targets[places])
            for places in orders.split(problem.batch, 1)
        )

    def run(epochs: int) -> float:
        state = {name: tensor.clone() for name, tensor in initial.items()}
        trained = [t for name, t in state.items() if name.endswith(("weight", "bias"))]
        optimizer = torch.optim.Adam([t.requires_grad_() for t in trained], lr=1e-3, fused=True)
        for _ in range(epochs):
            losses = []
            for images, labels in all_batches():
                optimizer.zero_grad()
                loss = loss_of(images, labels, state)
                loss.sum().backward()
                optimizer.step()
                losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    return run


RIVALS: dict[str, Callable[[Problem], Run]] = {"ours": ours, "plain": plain, "stacked": stacked}


@cache
def made(name: str, problem: Problem) -> Run:
    """Return what trains, made once in each process."""
    return RIVALS[name](problem)


def work(name: str, epochs: int, problem: Problem) -> float:
    """Train the part of a worker process."""
    return made(name, problem)(epochs)


def in_processes(name: str, problem: Problem, pool: Executor, workers: int) -> Run:
    """Make a rival whose members are divided among the processes of a pool."""
    parts = list(problem.parts(workers))

    def run(epochs: int) -> float:
        losses = list(pool.map(partial(work, name, epochs), parts))
        return sum(losses) / len(losses)

    return run
