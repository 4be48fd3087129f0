"""Steering: training networks whose dropout follows from their load curves as they train."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor, nn

from sbt_utils.ensembles.ensemble import State, member_network
from sbt_utils.measuring.curves import curve_statistics
from sbt_utils.measuring.evaluation import accuracy, separation_or_nan
from sbt_utils.measuring.layer_choice import Layers
from sbt_utils.training.controllers import Controller
from sbt_utils.training.ranges import check_range
from sbt_utils.training.readings import Readings
from sbt_utils.training.settings import Members
from sbt_utils.training.trainer import Training, train

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
    training : sbt_utils.training.trainer.Training
        The trained networks.
    history : xarray.Dataset
        ``dropout`` (member, reading), trained with up to a reading; ``convexity`` (member,
        reading), of the probe images there, nan where the curve does not fall;
        ``accuracy_unseen`` (member, reading), a fraction, if there are unseen images; ``loss``
        and ``accuracy`` (member, epoch) as in `sbt_utils.training.trainer.Training`. The coordinate
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
        As in `sbt_utils.training.trainer.train`. The network needs dropout layers.
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
        What to measure, as in `sbt_utils.measuring.probe.load_curve`; ``torch.nn.MaxPool2d`` for
        `sbt_utils.training.networks.CNN`.
    progress : bool
        Show a progress bar.
    **settings
        The other settings of `sbt_utils.training.trainer.train`: learning rate, batch size, ...

    Returns
    -------
    Steering

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or does not fit the others.

    Notes
    -----
    A member's steering depends on its own network alone, and its training is that of `train`, bit
    by bit on a CPU, but for the dropout. A member that stops early keeps its dropout.

    Examples
    --------
    >>> from sbt_utils.training.controllers import DropoutController
    >>> from sbt_utils.data.datasets import load_data
    >>> from sbt_utils.training.networks import MLP
    >>> digits = load_data("mnist", train=300)
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
    readings = (*range(every, epochs, every), epochs)
    networks: dict[int, nn.Sequential] = {}
    found: dict[tuple[int, int], dict[str, float]] = {}

    def read(network: nn.Sequential, dropout: float) -> dict[str, float]:
        curve = separation_or_nan(network, *probe, layers=layers)
        convexity = float(curve_statistics(curve, "convexity"))
        right = {"accuracy_unseen": accuracy(network, *unseen)} if unseen else {}
        return {"dropout": dropout, "convexity": convexity} | right

    def take(epoch: int, state: State, members: Members) -> Members:
        for place, member in enumerate(members["member"].tolist()):
            if member in networks:  # to copy a network takes longer than to fill it
                weights = {name: tensor[place] for name, tensor in state.items()}
                networks[member].load_state_dict(weights)
            else:
                slope = members["negative_slope"][place]
                networks[member] = member_network(network, state, place, slope, 0.0)
            found[epoch, member] = read(networks[member], members["dropout"][place])
            own[member] = own[member].step(found[epoch, member]["convexity"])
        following = [own[member].dropout for member in members["member"]]
        check_range("dropout", following)
        return members | {"dropout": np.array(following, dtype=np.float64)}

    training = train(
        network,
        images,
        labels,
        seeds=seeds,
        dropout=[controller.dropout for controller in own],
        epochs=epochs,
        readings=Readings(readings, take),
        resume=None,  # where the controllers have got to is not part of a training's state
        progress=progress,
        **settings,
    )
    history, dropout = training.history.drop_vars("dropout"), training.history.dropout.values
    stopped = np.flatnonzero(history.epochs < epochs).tolist()
    last = {member: read(training.network(member), dropout[member]) for member in stopped}
    rows = [
        [found[epoch, member] if (epoch, member) in found else last[member] for epoch in readings]
        for member in range(len(own))
    ]
    for name in rows[0][0]:
        values = [[each[name] for each in row] for row in rows]
        history[name] = ("member", "reading"), values, {"long_name": _LONG_NAMES[name]}
    return Steering(training, history.assign_coords(reading=list(readings)))


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
