"""Readings of networks as they train, which may change how they train on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import local
from typing import Any

import numpy as np
import torch
from torch import nn

from sbt_utils.ensembles.ensemble import State, member_network
from sbt_utils.measuring.stacked import Stack, stacked_state
from sbt_utils.models.layer_choice import Layers
from sbt_utils.training.ranges import RANGES, check_range
from sbt_utils.training.settings import Members


@dataclass(frozen=True)
class Readings:
    """When to read networks as they train, and what to do then.

    `take` maps the epoch, the networks' state and the settings of M members to the settings to
    train with from the next epoch on: it may change those in `RANGES`. ``member`` among them says
    who the members are. Chunks of members are read at the same time, in several threads.
    """

    epochs: tuple[int, ...]  # after how many to take a reading; 0 is before training
    take: Callable[[int, State, Members], Members]

    def following(self, epoch: int, state: State, members: Members) -> Members:
        """Take a reading and return the settings to go on with, checked."""
        # A copy: members that stop here keep the settings that they trained with.
        following = self.take(epoch, state, {name: old.copy() for name, old in members.items()})
        shapes = {name: old.shape for name, old in members.items()}
        if not isinstance(following, dict) or shapes != {
            name: np.shape(values) for name, values in following.items()
        }:
            raise TypeError(
                "readings: take returns other than the settings that it is given; return them all, "
                "each an array with an entry for each member"
            )
        for name, old in members.items():
            if not np.array_equal(following[name], old, equal_nan=True):
                if name not in RANGES:
                    raise ValueError(f"{name}: changed by a reading; change {', '.join(RANGES)}")
                check_range(name, following[name])
        return following


class Record:
    """What is measured of members as they train, for `Readings`: their settings stay as they are.

    `measure` is given a member's network, in evaluation mode, and its dropout; the network is that
    of another member afterwards. Where the state lies on a GPU, `together` is given all members in
    company and their dropout (M,), and returns what `measure` would of each. `layers` are those to
    measure.
    """

    def __init__(
        self,
        architecture: nn.Sequential,
        measure: Callable[[nn.Sequential, float], Any],
        together: Callable[[Stack, np.ndarray], Iterable[Any]] | None = None,
        layers: Layers | None = None,
    ) -> None:
        self.architecture, self.measure = architecture, measure
        self.together, self.layers = together, layers
        self.values: dict[tuple[int, int], Any] = {}  # by epoch and member
        self._of_thread = local()

    def take(self, epoch: int, state: State, members: Members) -> Members:
        """Measure the members."""
        if self.together is not None and not next(iter(state.values())).is_cpu:
            slopes = torch.from_numpy(members["negative_slope"])
            stack = stacked_state(self.architecture, state, slopes, self.layers)
            if stack is not None:
                values = self.together(stack, members["dropout"])
                keys = ((epoch, member) for member in members["member"].tolist())
                self.values.update(zip(keys, values, strict=True))
                return members
        own = self._of_thread
        if not hasattr(own, "network"):  # to copy one takes longer than to fill it
            own.network = member_network(self.architecture, state, 0, 0.0, 0.0)
            own.tensors = own.network.state_dict()
        for index, member in enumerate(members["member"].tolist()):
            for name, tensor in own.tensors.items():
                tensor.copy_(state[name][index])
            for layer in own.network.modules():
                if isinstance(layer, nn.LeakyReLU):
                    layer.negative_slope = float(members["negative_slope"][index])
            self.values[epoch, member] = self.measure(own.network, members["dropout"][index])
        return members
