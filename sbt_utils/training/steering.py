"""Steering: training networks whose dropout follows from their load curves as they train."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from torch import Tensor, nn

from sbt_utils.ensembles.ensemble import State
from sbt_utils.measuring.curves import curve_statistics
from sbt_utils.measuring.evaluation import accuracy, evaluate, separation_or_nan
from sbt_utils.measuring.probing import noting
from sbt_utils.measuring.stacked import Stack
from sbt_utils.models.batches import Data, whole_arrays
from sbt_utils.models.layer_choice import Layers
from sbt_utils.text import quoted
from sbt_utils.training.controllers import Controller
from sbt_utils.training.ranges import check_counts
from sbt_utils.training.readings import Readings, Record
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
        and ``accuracy`` (member, epoch) as in `sbt_utils.training.trainer.Training`. The
        coordinate ``reading`` is the epoch after which it was taken.
    """

    training: Training
    history: xr.Dataset


def steer(
    network: nn.Sequential,
    data: Data,
    labels: ArrayLike | Tensor | None = None,
    *,
    controllers: Controller | Sequence[Controller],
    seeds: int | Sequence[int] = 0,
    epochs: int = 100,
    every: int = 10,
    probe_images: int = 256,
    unseen: Data | None = None,
    layers: Layers | None = None,
    progress: bool = True,
    **settings: Any,
) -> Steering:
    """Train an ensemble of networks, each with a controller that sets its dropout.

    Parameters
    ----------
    network, data, labels, seeds, epochs, progress
        As in `sbt_utils.training.trainer.train`. The network needs dropout layers.
    controllers : Controller or sequence of them
        Such as `DropoutController` or `Schedule`: one for all members, or one for each. Each
        member has a copy of its own; those given stay as they are.
    every : int
        Epochs between two readings.
    probe_images : int
        The first so many training images are read; they should hold several of each class.
    unseen : (Tensor, Tensor) or loader, optional
        Labelled images that are not trained on: their accuracy is recorded, and steers nothing.
    layers : optional
        What to measure, as in `sbt_utils.measuring.evaluation.evaluate`.
    **settings
        The other settings of `train`: learning rate, batch size, ...

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or does not fit the others.

    Notes
    -----
    A member's steering depends on its own network alone. But for the dropout its training is that
    of `train`, bit-for-bit on a CPU. A member that stops early keeps its dropout.

    Examples
    --------
    >>> import sbt_utils as sbt
    >>> from sbt_utils.training import DropoutController
    >>> digits = sbt.load_data("mnist", train=300)
    >>> steered = sbt.steer(sbt.MLP(), (digits.train_images, digits.train_labels), seeds=range(3),
    ...                     controllers=DropoutController(), epochs=4, every=2, progress=False)
    >>> dict(steered.history.dropout.sizes)
    {'member': 3, 'reading': 2}
    """
    check_counts(epochs=epochs, every=every, probe_images=probe_images)
    images, labels = whole_arrays(data, labels)
    if probe_images > len(images):
        raise ValueError(
            f"probe_images={probe_images}: there are {len(images)} images; give at most that"
        )
    probe = images[:probe_images], labels[:probe_images]
    if (probe[1].unique(return_counts=True)[1] > 1).sum() < 2:
        raise ValueError(
            f"probe_images={probe_images}: among the first {probe_images} images no two classes "
            "have 2 or more; give more, or shuffle images and labels"
        )
    with noting("in the unseen data"):
        unseen = None if unseen is None else whole_arrays(unseen)
    _check_controllers(controllers)
    controller_of = _copies(controllers, _members(seeds, *settings.values()))
    start_of = deepcopy(controller_of)
    epochs_read = (*range(every, epochs, every), epochs)

    def read(network: nn.Sequential, dropout: float) -> dict[str, float]:
        curve = separation_or_nan(network, *probe, layers=layers)
        values = {"dropout": dropout, "convexity": float(curve_statistics(curve, "convexity"))}
        if unseen:
            with noting("in the unseen data"):
                values["accuracy_unseen"] = accuracy(network, unseen)
        return values

    def read_together(networks: Stack, dropout: np.ndarray) -> list[dict[str, float]]:
        curves = evaluate(networks, probe, layers=layers).separation.values
        columns = {"dropout": dropout, "convexity": curve_statistics(curves, "convexity")}
        if unseen:
            with noting("in the unseen data"):
                measured = evaluate(networks, unseen, layers=layers)
            columns["accuracy_unseen"] = measured.accuracy.values
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    record = Record(network, read, read_together, layers)

    def take(epoch: int, state: State, members: Members) -> Members:
        record.take(epoch, state, members)
        if epoch == 0:  # for its errors alone: not after hours of training
            return members
        for member in members["member"].tolist():
            if epoch == epochs_read[0]:  # so that a chunk can be begun again on a smaller scale
                controller_of[member] = deepcopy(start_of[member])
            convexity = record.values[epoch, member]["convexity"]
            controller_of[member] = controller_of[member].step(convexity)
        dropout = [controller_of[member].dropout for member in members["member"]]
        return members | {"dropout": np.array(dropout, dtype=np.float64)}

    training = train(
        network,
        images,
        labels,
        seeds=seeds,
        dropout=[controller.dropout for controller in controller_of],
        epochs=epochs,
        readings=Readings((0, *epochs_read), take),
        resume=None,  # where the controllers have got to is not part of a training's state
        progress=progress,
        **settings,
    )
    history, dropout = training.history.drop_vars("dropout"), training.history.dropout.values
    for member in np.flatnonzero(history.epochs < epochs).tolist():
        # It stopped early: it is read once more, and stays so at all readings to come.
        values = read(training.network(member), dropout[member])
        record.values = {(epoch, member): values for epoch in epochs_read} | record.values
    for name in record.values[epochs, 0]:
        table = [
            [record.values[epoch, member][name] for epoch in epochs_read]
            for member in range(len(controller_of))
        ]
        history[name] = ("member", "reading"), table, {"long_name": _LONG_NAMES[name]}
    return Steering(training, history.assign_coords(reading=list(epochs_read)))


def _copies(controllers: Any, count: int) -> list[Any]:
    """Return a controller for each member, with which it shares nothing that may change."""
    if not isinstance(controllers, Sequence):
        return [deepcopy(controllers) for _ in range(count)]
    if count not in (1, len(controllers)) or not controllers:
        raise ValueError(
            f"controllers: {len(controllers)} for {count} seeds; give one, or one for each seed"
        )
    return [deepcopy(controller) for controller in controllers]


def _members(*settings: Any) -> int:
    """Return how many networks settings are for: each has one value, or one for each network."""
    rows = [one for one in settings if isinstance(one, Sequence) and not isinstance(one, str)]
    arrays = [one for one in settings if isinstance(one, np.ndarray | Tensor) and one.ndim]
    return max((len(one) for one in (*rows, *arrays)), default=1)


def _check_controllers(controllers: Any) -> None:
    for controller in controllers if isinstance(controllers, Sequence) else [controllers]:
        if not callable(getattr(controller, "step", None)):
            raise TypeError(
                f"controllers: {quoted(controller)} given; give what has a step, such as a "
                "DropoutController or a Schedule"
            )
