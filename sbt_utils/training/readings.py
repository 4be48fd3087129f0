"""Readings of networks as they train, which may change how they train on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from torch import Tensor, nn

from sbt_utils.ensembles.ensemble import State, member_network
from sbt_utils.measuring.evaluation import separation_or_nan
from sbt_utils.measuring.layer_choice import Layers
from sbt_utils.training.ranges import RANGES, check_range
from sbt_utils.training.settings import Members


@dataclass(frozen=True)
class Readings:
    """When to read networks as they train, and what to do then.

    Attributes
    ----------
    epochs : tuple of int
        After how many epochs to take a reading; 0 is before training.
    take : callable
        Maps the epoch, the networks' state and the settings of M members to the settings to train
        with from the next epoch on. Of these it may change ``negative_slope``, ``dropout``,
        ``learning_rate`` and ``data_noise``. ``settings["member"]`` says who the members are, by
        their places in the ensemble. Chunks of members are read at the same time, in several
        threads.

    Examples
    --------
    >>> from sbt_utils.data.datasets import load_data
    >>> from sbt_utils.training.networks import MLP
    >>> from sbt_utils.training.trainer import train
    >>> def halve(epoch, state, settings):
    ...     return settings | {"dropout": settings["dropout"] / 2}
    >>> digits = load_data("mnist", train=100)
    >>> trained = train(MLP(width=10), digits.train_images, digits.train_labels, dropout=0.2,
    ...                 epochs=3, readings=Readings((1, 2), halve), progress=False)
    >>> trained.history.dropout.item()
    0.05
    """

    epochs: tuple[int, ...]
    take: Callable[[int, State, Members], Members]

    def following(self, epoch: int, state: State, members: Members) -> Members:
        """Take a reading; return the settings to go on with, checked, and leave the old ones."""
        following = self.take(epoch, state, {name: old.copy() for name, old in members.items()})
        for name, old in members.items():
            if not np.array_equal(following[name], old, equal_nan=True):
                if name not in RANGES:
                    raise ValueError(f"{name}: changed by a reading; change {', '.join(RANGES)}")
                check_range(name, following[name])
        return following


class SeparationRecord:
    """D_l of members as they train, for `Readings`: it leaves their settings as they are."""

    def __init__(
        self, network: nn.Sequential, images: Tensor, labels: Tensor, layers: Layers | None
    ) -> None:
        self.network, self.images, self.labels, self.layers = network, images, labels, layers
        self.curves: dict[tuple[int, int], np.ndarray] = {}  # by epoch and member

    def take(self, epoch: int, state: State, members: Members) -> Members:
        """Measure the members and train on as before."""
        for index, member in enumerate(members["member"].tolist()):
            slope = members["negative_slope"][index]
            network = member_network(self.network, state, index, slope, 0.0)
            curve = separation_or_nan(network, self.images, self.labels, layers=self.layers)
            self.curves[epoch, member] = curve
        return members

    def array(self, count: int) -> xr.DataArray:
        """Return D (member, probe_epoch, layer) of `count` members, nan where one had stopped."""
        epochs = sorted({epoch for epoch, _ in self.curves})
        missing = np.full_like(next(iter(self.curves.values())), np.nan)
        values = [
            [self.curves.get((epoch, member), missing) for epoch in epochs]
            for member in range(count)
        ]
        attributes = {"long_name": "data separation D of the training images"}
        dims = ("member", "probe_epoch", "layer")
        return xr.DataArray(values, {"probe_epoch": epochs}, dims, attrs=attributes)
