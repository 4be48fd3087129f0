"""Gradient descent: a chunk of members of one batch size, epoch by epoch."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sbt_utils.ensembles.ensemble import Ensemble, State
from sbt_utils.ensembles.noise import draw_keys, permutations, standard_normal, uniform
from sbt_utils.ensembles.stacked_layers import member_memory
from sbt_utils.training.ranges import RANGES
from sbt_utils.training.readings import Readings
from sbt_utils.training.settings import Members

STOP_LOSS, STOP_CHANGE = 1e-4, 1e-10
"""A network stops when its epoch loss is below the first or changes by less than the second."""

_OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": partial(torch.optim.Adam, betas=(0.9, 0.999), eps=1e-8, fused=True),
    "sgd": partial(torch.optim.SGD, fused=True),
    "momentum": partial(torch.optim.SGD, momentum=0.9, fused=True),
}

# The draws of a step: the order of the images (first step of an epoch), two words for Gaussian
# noise, which labels to redraw and what they become; dropout layers take the keys that follow.
_ORDER, _GAUSS, _REDRAW, _LABEL, _DROPOUT = 0, slice(1, 3), 3, 4, 5


@dataclass(frozen=True)
class Job:
    """What all chunks of members share."""

    network: nn.Sequential
    images: Tensor  # (N, ...), as the labels on the device to compute on
    labels: Tensor  # (N,)
    epochs: range
    optimizer: str
    readings: Readings
    spread: float  # standard deviation of the images, the unit of the Gaussian data noise
    classes: int  # over which labels are redrawn
    cancelled: threading.Event = field(default_factory=threading.Event)  # another chunk has failed


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
    count, last_epoch = len(members["word"]), job.epochs.stop
    history = np.full((2, count, len(job.epochs)), np.nan)
    finished: dict[int, dict[str, Any]] = {}
    active = np.arange(count)
    ensemble, optimizer = _assemble(job, members, state)

    def after_reading(epoch: int) -> Members:
        if epoch not in job.readings.epochs:
            return members
        following = job.readings.following(epoch, ensemble.state(), members)
        # All other settings are looked up at every epoch; the optimizer has a copy of this one.
        _set_rates(optimizer, following["learning_rate"])
        return following

    if job.epochs.start == 0:
        members = after_reading(0)
    for column, epoch in enumerate(job.epochs):
        if job.cancelled.is_set():
            raise CancelledError
        loss, accuracy = _train_epoch(job, ensemble, optimizer, members, epoch)
        history[:, active, column] = loss, accuracy
        # A loss that is not finite never becomes so again.
        stopped = (loss < STOP_LOSS) | ~np.isfinite(loss)
        stopped |= np.abs(loss - state["loss"].numpy()) < STOP_CHANGE
        state["loss"] = torch.from_numpy(loss)
        # Members that stop here are read as well, but keep the settings that they trained with.
        following = after_reading(epoch + 1)
        advance(len(active) + int(stopped.sum()) * (last_epoch - epoch - 1))
        leaving = stopped | (epoch + 1 == last_epoch)
        if not leaving.any():
            members = following
            continue
        state |= {
            "settings": {name: torch.from_numpy(members[name]) for name in RANGES},
            "networks": ensemble.state(),
            "optimizer": _moments(optimizer),
            "epochs": torch.full((len(active),), epoch + 1),
            "stopped": torch.from_numpy(stopped),
        }
        for index in np.flatnonzero(leaving):
            finished[int(active[index])] = select(state, np.array([index]))
        # The others go on in a smaller ensemble, so that nothing is computed for those who left.
        staying = np.flatnonzero(~leaving)
        active, state = active[staying], select(state, staying)
        members = select(following, staying)
        if not len(active):
            break
        ensemble, optimizer = _assemble(job, members, state)
    return concatenate([finished[index] for index in sorted(finished)]), history


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


def _train_epoch(
    job: Job, ensemble: Ensemble, optimizer: Optimizer, members: Members, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Take every member once through the images; return its mean loss and its accuracy."""
    device, count, batch = job.images.device, len(job.images), int(members["batch_size"][0])
    slope, dropout, noise = (
        torch.from_numpy(members[name]).to(device, job.images.dtype)
        for name in ("negative_slope", "dropout", "data_noise")
    )
    # Steps are counted from the start of training, so that a resumed one draws what comes next. The
    # keys of all steps are drawn at once, as a single step's would cost as much.
    starts = range(0, count, batch)
    steps = range(epoch * len(starts), (epoch + 1) * len(starts))
    keys = draw_keys(members["word"], steps, _DROPOUT + ensemble.draws).to(device)
    order = permutations(keys[:, 0, _ORDER], count) if batch < count else None
    loss, correct = torch.zeros(2, len(slope), dtype=torch.float64, device=device)
    for key, start in zip(keys.unbind(1), starts, strict=True):
        if order is None:
            images, labels = (t.expand(len(slope), *t.shape) for t in (job.images, job.labels))
        else:
            chosen = order[:, start : start + batch]
            images = job.images.index_select(0, chosen.flatten()).unflatten(0, chosen.shape)
            labels = job.labels[chosen]
        if members["data_noise"].any():
            images, labels = _noisy(images, labels, noise, key, job)
        logits = ensemble.forward(images, key[:, _DROPOUT:], slope, dropout)
        step_loss, gradient = _cross_entropy(logits, labels)
        loss += step_loss.double() * labels.shape[1]
        correct += (logits.argmax(2) == labels).sum(1)
        ensemble.backward(gradient)
        optimizer.step()
    return (loss / count).cpu().numpy(), (correct / count).cpu().numpy()


def _noisy(
    images: Tensor, labels: Tensor, noise: Tensor, keys: Tensor, job: Job
) -> tuple[Tensor, Tensor]:
    """Redraw a fraction of the labels and add Gaussian noise to the images."""
    # Uniform numbers are above 0 and reach 1: a member of level 0 keeps its labels, and its images
    # with 0 added, as if nobody had noise.
    normal = standard_normal(keys[:, _GAUSS], images[0].numel()).view(images.shape)
    amplitude = (noise * job.spread).view(-1, *(1,) * (images.dim() - 1))
    redrawn = uniform(keys[:, _REDRAW], labels.shape[1]) <= noise[:, None]
    drawn = (uniform(keys[:, _LABEL], labels.shape[1]) * job.classes).ceil().long() - 1
    return images + normal * amplitude, torch.where(redrawn, drawn, labels)


def _cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the members' losses (M,) and the losses' gradients (M, batch, classes)."""
    # PyTorch's softmax takes seven times as long over so few classes.
    batch, index = labels.shape[1], labels.unsqueeze(2)
    gradient = member_memory(logits, logits.shape)
    torch.sub(logits, logits.amax(2, keepdim=True), out=gradient)
    loss = gradient.gather(2, index).sum((1, 2))
    total = member_memory(logits, index.shape)
    torch.sum(gradient.exp_(), 2, keepdim=True, out=total)
    gradient.div_(total).scatter_add_(2, index, logits.new_full((), -1).expand(index.shape))
    loss = total.log_().sum((1, 2)).sub_(loss).div_(batch)
    return loss, gradient.div_(batch)


def _assemble(job: Job, members: Members, state: dict[str, Any]) -> tuple[Ensemble, Optimizer]:
    """Put members together; the optimizer has one parameter for each, its row."""
    # Rows of their own keep a member's update apart from its neighbours' in the fused kernels.
    ensemble = Ensemble(job.network, state["networks"], job.images.device)
    rows = list(ensemble.rows.unbind())
    for row, gradient in zip(rows, ensemble.gradients, strict=True):
        row.grad = gradient
    optimizer = _OPTIMIZERS[job.optimizer](rows)
    for member, row in enumerate(rows):
        optimizer.state[row] = {
            name: tensor[member].to(row.device, copy=True)
            for name, tensor in state["optimizer"].items()
        }
    _set_rates(optimizer, members["learning_rate"])
    return ensemble, optimizer


def _set_rates(optimizer: Optimizer, rates: np.ndarray) -> None:
    """Give each member its learning rate."""
    # One group, and so one call of the fused kernel, for all members of a rate.
    groups: dict[float, list[Tensor]] = {}
    for row, rate in zip(optimizer.state, rates.tolist(), strict=True):
        groups.setdefault(rate, []).append(row)
    optimizer.param_groups.clear()
    for rate, rows in groups.items():
        optimizer.add_param_group({"params": rows, "lr": rate})


def _moments(optimizer: Optimizer) -> State:
    """Return what the optimizer remembers, a tensor (M, ...) for each name, on the CPU."""
    members = list(optimizer.state.values())  # in the order of `_assemble`
    names = [name for name, value in members[0].items() if isinstance(value, Tensor)]
    return {name: torch.stack([member[name] for member in members]).cpu() for name in names}
