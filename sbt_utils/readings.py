"""Readings of networks as they train, which may change how they train on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from torch import Tensor, nn

from sbt_utils.ensemble import State, member_network
from sbt_utils.evaluation import separation_or_nan
from sbt_utils.layer_choice import Layers
from sbt_utils.settings import Members


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
        What to measure, as in `sbt_utils.probe.load_curve`.
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
