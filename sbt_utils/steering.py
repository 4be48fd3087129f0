"""Steering: training networks whose dropout follows from their load curves as they train."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor, nn
from tqdm.auto import tqdm

from sbt_utils.controllers import Controller
from sbt_utils.evaluation import accuracy, separation_or_nan, single_threads
from sbt_utils.layer_choice import Layers
from sbt_utils.separation import LoadCurve
from sbt_utils.training import Training, train

_LONG_NAMES = {
    "dropout": "dropout p",
    "convexity": "convexity of the probe images' load curve",
    "accuracy_unseen": "accuracy on unseen images",
}


@dataclass(frozen=True)
class Steering:
    """Steered networks and how they got there.

    Attributes
    ----------
    training : sbt_utils.training.Training
        The trained networks. Its history is that of the last segment.
    history : xarray.Dataset
        ``dropout`` (member, reading), trained with up to a reading; ``convexity`` (member,
        reading), of the probe images there, nan where the curve does not fall;
        ``accuracy_unseen`` (member, reading), a fraction, if there are unseen images; ``loss``
        and ``accuracy`` (member, epoch) as in `sbt_utils.training.Training`. The coordinate
        ``reading`` is the epoch after which it was taken.
    """

    training: Training
    history: xr.Dataset


def steer(
    network: nn.Sequential,
    images: Tensor,
    labels: Tensor,
    *,
    controllers: Controller | Sequence[Controller],
    seeds: int | Sequence[int] = 0,
    epochs: int = 100,
    every: int = 10,
    probe_images: int = 256,
    unseen: tuple[Tensor, Tensor] | None = None,
    layers: Layers | None = None,
    progress: bool = True,
    **settings: Any,
) -> Steering:
    """Train an ensemble of networks, each with a controller that sets its dropout.

    Parameters
    ----------
    network, images, labels
        As in `sbt_utils.training.train`. The network needs dropout layers.
    controllers : Controller or sequence of them
        Such as `DropoutController` or `Schedule`: one for all members (each follows a copy of its
        own), or one for each.
    seeds : int or sequence of int
        One for each member; a single one serves all.
    epochs : int
        How many to train.
    every : int
        Epochs between two readings.
    probe_images : int
        The first so many training images are read; they should hold several of each class.
    unseen : (Tensor, Tensor), optional
        Images and labels that are not trained on, whose accuracy to record at each reading. It
        steers nothing.
    layers : optional
        What to measure, as in `sbt_utils.probe.load_curve`; ``torch.nn.MaxPool2d`` for
        `sbt_utils.networks.CNN`.
    progress : bool
        Show a progress bar.
    **settings
        The other settings of `sbt_utils.training.train`: learning rate, batch size, ...

    Returns
    -------
    Steering

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or does not fit the others.

    Notes
    -----
    A member's steering depends on its own network alone. Training in segments gives the networks
    that uninterrupted training gives, bit by bit on a CPU. A member that stops early keeps its
    dropout.

    Examples
    --------
    >>> from sbt_utils.controllers import DropoutController
    >>> from sbt_utils.datasets import load
    >>> from sbt_utils.networks import MLP
    >>> digits = load("mnist", train=300)
    >>> steered = steer(MLP(width=20), digits.train_images, digits.train_labels, seeds=range(3),
    ...                 controllers=DropoutController(), epochs=4, every=2, progress=False)
    >>> dict(steered.history.dropout.sizes)
    {'member': 3, 'reading': 2}
    """
    for name, value in (("epochs", epochs), ("every", every), ("probe_images", probe_images)):
        if not (isinstance(value, int) and value >= 1):
            raise ValueError(f"{name}={value!r}: give an integer of at least 1")
    if probe_images > len(images):
        raise ValueError(
            f"probe_images={probe_images}: there are {len(images)} images; give at most that"
        )
    own = _one_each(controllers, seeds)
    probe = images[:probe_images], labels[:probe_images]
    readings = [*range(every, epochs, every), epochs]
    trained: list[xr.Dataset] = []
    read: dict[str, list[list[float]]] = {"dropout": [], "convexity": []}
    read |= {"accuracy_unseen": []} if unseen else {}
    networks: list[nn.Sequential] = []
    state = None
    for reading in tqdm(readings, unit="reading", disable=not progress):
        read["dropout"].append([controller.dropout for controller in own])
        training = train(
            network,
            images,
            labels,
            seeds=seeds,
            dropout=read["dropout"][-1],
            epochs=reading,
            resume=state,
            progress=False,
            **settings,
        )
        state = training.state
        trained.append(training.history)
        networks = _networks(training, networks)
        with single_threads() as pool:
            convexity = list(pool.map(lambda each: _convexity(each, *probe, layers), networks))
            read["convexity"].append(convexity)
            if unseen:
                right = pool.map(lambda each: accuracy(each, *unseen), networks)
                read["accuracy_unseen"].append(list(right))
        own = [
            controller if stopped else controller.step(value)
            for controller, value, stopped in zip(own, convexity, state["stopped"], strict=True)
        ]
    return Steering(training, _history(trained, read, readings))


def _one_each(controllers: Any, seeds: Any) -> list[Any]:
    """Return a controller for each member."""
    count = np.size(seeds)
    if not isinstance(controllers, Sequence):
        return [controllers] * count
    if count not in (1, len(controllers)) or not controllers:
        raise ValueError(
            f"controllers: {len(controllers)} for {count} seeds; give one, or one for each seed"
        )
    return list(controllers)


def _networks(training: Training, networks: list[nn.Sequential]) -> list[nn.Sequential]:
    """Return the members as networks, made anew or, which is quicker, from earlier ones."""
    if not networks:
        return list(training.networks)
    for member, network in enumerate(networks):
        state = training.state["networks"].items()
        network.load_state_dict({name: tensor[member] for name, tensor in state})
    return networks


def _convexity(network: nn.Module, images: Tensor, labels: Tensor, layers: Layers | None) -> float:
    separation = separation_or_nan(network, images, labels, layers=layers)
    return LoadCurve(separation).convexity if np.isfinite(separation).all() else float("nan")


def _history(
    trained: list[xr.Dataset], read: dict[str, list[list[float]]], readings: list[int]
) -> xr.Dataset:
    """Join the histories of the segments and what was read at their ends."""
    parts = [each[["loss", "accuracy"]].drop_vars("dropout") for each in trained if "loss" in each]
    history = xr.concat(parts, "epoch", coords="minimal", compat="override", join="exact")
    for name, values in read.items():
        history[name] = ("reading", "member"), values, {"long_name": _LONG_NAMES[name]}
    history["epochs"] = trained[-1].epochs.drop_vars("dropout")
    return history.assign_coords(reading=readings).transpose("member", ...)
