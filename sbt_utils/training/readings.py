"""Readings of networks as they train, which may change how they train on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from torch import Tensor, nn

from sbt_utils.ensembles.ensemble import State, member_network
from sbt_utils.measuring.evaluation import separation_or_nan
from sbt_utils.measuring.layer_choice import Layers
from sbt_utils.training.settings import Members


@dataclass(frozen=True)
class Readings:
    """When to read networks as they train, and what to do then.

    Attributes
    ----------
    epochs : tuple of int
        After how many epochs to take a reading; 0 is before training.
    take : callable
        Maps the epoch, the networks' state and the settings of M members to the settings to go on
        with. ``settings["member"]`` tells who they are, by their places in the ensemble. Chunks of
        members take their readings at the same time, in several threads.

    Examples
    --------
    >>> from sbt_utils.data.datasets import load_data
    >>> from sbt_utils.training.networks import MLP
    >>> from sbt_utils.training.trainer import train
    >>> def halve(epoch, state, members):
    ...     return members | {"dropout": members["dropout"] / 2}
    >>> digits = load_data("mnist", train=100)
    >>> trained = train(MLP(width=10), digits.train_images, digits.train_labels, dropout=0.2,
    ...                 epochs=3, readings=Readings((1, 2), halve), progress=False)
    >>> trained.history.dropout.item()
    0.05
    """

    epochs: tuple[int, ...]
    take: Callable[[int, State, Members], Members]


class SeparationRecord:
    """D_l of members as they train, for `Readings`: it leaves their settings as they are.

    Parameters
    ----------
    network : torch.nn.Sequential
        The architecture.
    images, labels : Tensor, shapes (N, ...) and (N,)
        What to measure on.
    layers : optional
        What to measure, as in `sbt_utils.measuring.probe.load_curve`.

    Examples
    --------
    >>> import torch
    >>> from sbt_utils.ensembles.ensemble import initial_state
    >>> from sbt_utils.training.networks import MLP
    >>> network = MLP(inputs=4, width=3, hidden_layers=2)
    >>> record = SeparationRecord(network, torch.rand(8, 4), torch.arange(8) % 2, None)
    >>> members = {"member": np.arange(2), "negative_slope": np.zeros(2)}
    >>> _ = record.take(0, initial_state(network, [0, 1]), members)
    >>> record.array(2).shape
    (2, 1, 3)
    """

    def __init__(
        self, network: nn.Sequential, images: Tensor, labels: Tensor, layers: Layers | None
    ) -> None:
        self.network, self.images, self.labels, self.layers = network, images, labels, layers
        self.curves: dict[tuple[int, int], np.ndarray] = {}  # by epoch and member

    def take(self, epoch: int, state: State, members: Members) -> Members:
        """Measure the members and train on as before."""
        for place, member in enumerate(members["member"].tolist()):
            slope = members["negative_slope"][place]
            network = member_network(self.network, state, place, slope, 0.0)
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
