"""Gradient descent: a chunk of members of one batch size, epoch by epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sbt_utils.ensembles.ensemble import Ensemble, State
from sbt_utils.ensembles.stages import BETAS, EPSILON, MOMENTS, MOMENTUM, StageLoop, stages_of
from sbt_utils.training.ranges import RANGES
from sbt_utils.training.readings import Readings
from sbt_utils.training.settings import Members
from sbt_utils.training.steps import PerceptronSteps, Steps, TrainingData

STOP_LOSS, STOP_CHANGE = 1e-4, 1e-10
"""A network stops when its epoch loss is below the first or changes by less than the second."""

_FULL = 7 / 8
"""An ensemble is put together anew when no more of its members than this are still training."""

_OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": partial(torch.optim.Adam, betas=BETAS, eps=EPSILON, fused=True),
    "sgd": partial(torch.optim.SGD, fused=True),
    "momentum": partial(torch.optim.SGD, momentum=MOMENTUM, fused=True),
}


@dataclass(frozen=True)
class Job:
    """What all chunks of members share."""

    network: nn.Sequential
    data: TrainingData
    epochs: range
    optimizer: str
    readings: Readings


def train_chunk(
    job: Job, members: Members, state: dict[str, Any], advance: Callable[[int], Any]
) -> tuple[dict[str, Any], np.ndarray]:
    """Train members of one batch size to the end of `job.epochs` or until each has stopped.

    `members` are their settings, with their noise words (``word``) and places in the ensemble
    (``member``). `state` holds their ``networks``, ``optimizer``, ``epochs``, ``loss`` and
    ``stopped``, with a leading member axis. Returns the state at the end, with the ``settings``
    that each trained with last, and loss and accuracy (2, member, epoch), nan where a member had
    stopped. `advance` is told how many epochs of a member are done.
    """
    last_epoch, count = job.epochs.stop, len(members["word"])
    history = np.full((2, count, len(job.epochs)), np.nan)
    finished: dict[int, dict[str, Any]] = {}
    # Who is in the ensemble, by the place in the chunk, and who of them is still training.
    present, going = np.arange(count), np.ones(count, dtype=bool)
    seeds, before = state["seed"], state["loss"].numpy()
    ensemble, moments = _assemble(job, state)
    steps = _steps(job, ensemble, moments, members)

    def read(epoch: int) -> Members:
        """Return the settings of those in the ensemble from this epoch on."""
        if epoch not in job.readings.epochs:
            return members
        read = select(members, going)
        now = job.readings.following(epoch, ensemble.state(np.flatnonzero(going)), read)
        following = {name: values.copy() for name, values in members.items()}
        for name in following:
            following[name][going] = now[name]
        return following

    def steps_with(following: Members) -> Steps:
        same = [np.array_equal(following[name], members[name], equal_nan=True) for name in RANGES]
        return steps if all(same) else _steps(job, ensemble, moments, following)

    if job.epochs.start == 0:
        following = read(0)
        steps, members = steps_with(following), following
    for column, epoch in enumerate(job.epochs):
        loss, accuracy = steps.epoch(epoch)
        history[:, present[going], column] = loss[going], accuracy[going]
        # A loss that is not finite never becomes so again.
        stopped = (loss < STOP_LOSS) | ~np.isfinite(loss)
        stopped |= np.abs(loss - before) < STOP_CHANGE
        before = loss
        # Members that stop here are read as well, but keep the settings that they trained with.
        following = read(epoch + 1)
        advance(int(going.sum()) + int((stopped & going).sum()) * (last_epoch - epoch - 1))
        leaving = np.flatnonzero(going & (stopped | (epoch + 1 == last_epoch)))
        if len(leaving):
            left = _state(members, ensemble, moments, loss, leaving) | {
                "seed": seeds[present[leaving]],
                "epochs": torch.full((len(leaving),), epoch + 1),
                "stopped": torch.from_numpy(stopped[leaving]),
            }
            for index, member in enumerate(present[leaving]):
                finished[int(member)] = select(left, np.array([index]))
            going[leaving] = False
        if not going.any():
            break
        # Those who left are trained along, unheeded, until it is worth putting the others together.
        if going.sum() > _FULL * len(going):
            steps, members = steps_with(following), following
            continue
        staying = np.flatnonzero(going)
        state = _state(members, ensemble, moments, loss, staying)
        members, present, going = select(following, staying), present[staying], going[staying]
        before = before[staying]
        ensemble, moments = _assemble(job, state)
        steps = _steps(job, ensemble, moments, members)
    return concatenate([finished[index] for index in sorted(finished)]), history


def _state(
    members: Members, ensemble: Ensemble, moments: State, loss: np.ndarray, which: np.ndarray
) -> dict[str, Any]:
    """Return the state of some members, on the CPU, with the settings that they trained with."""
    return {
        "settings": {name: torch.from_numpy(members[name][which]) for name in RANGES},
        "networks": {name: tensor.cpu() for name, tensor in ensemble.state(which).items()},
        "optimizer": {name: tensor[which].cpu() for name, tensor in moments.items()},
        "loss": torch.from_numpy(loss[which]),
    }


def select(tree: dict[str, Any], members: np.ndarray) -> dict[str, Any]:
    """Return the entries of some members from every array or tensor of a nested dictionary."""
    return {
        name: select(value, members) if isinstance(value, dict) else value[members]
        for name, value in tree.items()
    }


def concatenate(trees: list[dict[str, Any]]) -> dict[str, Any]:
    """Join nested dictionaries of tensors along the member axis."""
    return {
        name: concatenate([tree[name] for tree in trees])
        if isinstance(value, dict)
        else torch.cat([tree[name] for tree in trees])
        for name, value in trees[0].items()
    }


def _assemble(job: Job, state: dict[str, Any]) -> tuple[Ensemble, State]:
    """Put members together; return them and what the optimizer remembers of them (M, ...)."""
    ensemble = Ensemble(job.network, state["networks"], job.data.images.device)
    if state["optimizer"]:
        return ensemble, {n: t.to(ensemble.rows.device) for n, t in state["optimizer"].items()}
    moments = {name: torch.zeros_like(ensemble.rows) for name in MOMENTS[job.optimizer]}
    if job.optimizer == "adam":
        moments["step"] = ensemble.rows.new_zeros(len(ensemble.rows), dtype=torch.float32)
    return ensemble, moments


def _steps(job: Job, ensemble: Ensemble, moments: State, members: Members) -> Steps:
    """Return the steps of an ensemble with these settings."""
    stages = None
    if ensemble.rows.is_cpu:
        flat = job.data.images.dim() == 2
        stages = stages_of(job.network, ensemble.parts, flat=flat)
    if stages is None:
        optimizer = _stock_optimizer(job.optimizer, ensemble, moments, members["learning_rate"])
        return Steps(job.data, ensemble, optimizer, members)
    loop = StageLoop(stages, ensemble, job.optimizer, moments, members)
    return PerceptronSteps(job.data, ensemble, members, loop)


def _stock_optimizer(
    algorithm: str, ensemble: Ensemble, moments: State, rates: np.ndarray
) -> Optimizer:
    """Return PyTorch's optimizer; it has one parameter for each member, its row."""
    # Rows of their own keep a member's update apart from its neighbours' in the fused kernels.
    rows = list(ensemble.rows.unbind())
    for row, gradient in zip(rows, ensemble.gradients, strict=True):
        row.grad = gradient
    # One group, and so one call of the fused kernel, for all members of a rate.
    groups: dict[float, list[Tensor]] = {}
    for row, rate in zip(rows, rates.tolist(), strict=True):
        groups.setdefault(rate, []).append(row)
    # What is recorded for a GPU may not depend on numbers that the processor holds.
    options = {"capturable": True} if algorithm == "adam" and ensemble.rows.is_cuda else {}
    optimizer = _OPTIMIZERS[algorithm](
        [{"params": rows, "lr": rate} for rate, rows in groups.items()], **options
    )
    for member, row in enumerate(rows):
        optimizer.state[row] = {name: values[member] for name, values in moments.items()}
    return optimizer
