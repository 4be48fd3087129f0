"""Controllers of dropout: from a reading of the load curve to the dropout to train with next."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from sbt_utils.numbers import as_levels, as_number
from sbt_utils.text import quoted
from sbt_utils.training.ranges import check_number, check_range


class Controller(Protocol):
    """What `steer` asks of a controller: a dropout to train with, and what follows a reading."""

    @property
    def dropout(self) -> float:
        """The p to train with until the next reading."""

    def step(self, convexity: float) -> Self:
        """Return the controller after a reading of the convexity."""


@dataclass(frozen=True)
class DropoutController:
    """A proportional-integral controller of dropout, from one reading of the convexity to the next.

    With the error e = `target` - convexity, kept within ± `limit`, a reading sets

    ``memory <- clip(memory + integral_gain * e)``, ``dropout = clip(memory + gain * e)``,

    both clipped to [0, `highest`]: too lazy a curve (e > 0) asks for more dropout, too active a one
    for less. Since the memory is clipped, it does not wind up while p is at an end of its range. A
    curve without convexity (nan: it does not fall yet) leaves p as it is.

    Parameters
    ----------
    memory : float
        The dropout to begin with, and where the controller has got to since.
    gain, integral_gain : float
        Of the proportional part, in p for each unit of convexity, and of the integral part, in p
        for each unit and reading. With both 0 the dropout is constant.
    target : float
        The convexity to reach; 0 is a straight load curve.
    limit : float
        The largest error taken seriously. Every network begins very lazy, whatever its dropout.
    highest : float
        The largest p, below 1. An argument out of its range is a ValueError.
    error : float
        That of the last reading.

    Examples
    --------
    >>> controller = DropoutController(memory=0.1, gain=0.5, integral_gain=0.1)
    >>> lazy = controller.step(-0.2)
    >>> round(lazy.dropout, 3), round(lazy.step(0.0).dropout, 3)
    (0.22, 0.12)

    In a training loop of your own, with any model that has dropout modules::

        controller = DropoutController(memory=0.1)
        for epoch in range(100):
            train_one_epoch(model)
            if epoch % 5 == 4:
                curve = load_curve(model, probe_images, probe_labels)
                controller = controller.step(curve.convexity)
                set_dropout(model, controller.dropout)
    """

    memory: float = 0.0
    gain: float = 1.0
    integral_gain: float = 0.1
    target: float = 0.0
    limit: float = 0.2
    highest: float = 0.5
    error: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, float(as_number(name, value)))
        check_range("dropout", [self.memory, self.highest])
        if self.memory > self.highest:
            raise ValueError(
                f"memory={quoted(self.memory)} is above highest={quoted(self.highest)}: begin "
                "within the range"
            )
        for name in ("gain", "integral_gain", "limit"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise ValueError(f"{name}={quoted(value)}: give a finite number of at least 0")
        if not np.isfinite(self.target):
            raise ValueError(f"target={self.target}: give a finite convexity; straight is 0")
        if not np.isfinite(self.error):
            raise ValueError(f"error={self.error}: give a finite number")

    @property
    def dropout(self) -> float:
        """The p to train with until the next reading, in [0, `highest`]."""
        return self._clip(self.memory + self.gain * self.error)

    def step(self, convexity: float) -> "DropoutController":
        """Return the controller after a reading of the convexity, which may be nan."""
        convexity = as_number("convexity", convexity)
        if np.isnan(convexity):
            return self
        error = min(max(self.target - convexity, -self.limit), self.limit)
        memory = self._clip(self.memory + self.integral_gain * error)
        return replace(self, memory=memory, error=error)

    def _clip(self, dropout: float) -> float:
        return min(max(dropout, 0.0), self.highest)


@dataclass(frozen=True)
class Schedule:
    """Dropout by a timetable, whatever is read: what steering is to be compared with.

    Parameters
    ----------
    levels : sequence of float
        p of each segment between readings; the last one stays.

    Raises
    ------
    ValueError
        If there is none, or one is outside [0, 1).

    Examples
    --------
    >>> ramp = Schedule((0.2, 0.1, 0.0))
    >>> ramp.dropout, ramp.step(-0.3).dropout
    (0.2, 0.1)
    """

    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        levels = as_levels("levels", self.levels)
        check_range("dropout", levels)
        object.__setattr__(self, "levels", tuple(float(level) for level in levels))

    @property
    def dropout(self) -> float:
        """The p to train with until the next reading."""
        return self.levels[0]

    def step(self, convexity: float) -> "Schedule":
        """Return what is left of the timetable after a reading, which it ignores."""
        return Schedule(self.levels[1:] or self.levels)


def set_dropout(model: nn.Module, dropout: float) -> None:
    """Set the p of every dropout module of a model, in a training loop of your own.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place.
    dropout : float
        In [0, 1).

    Raises
    ------
    ValueError
        If p is out of range, or the model has no dropout module. Dropout called as a function, as
        in `torch.nn.MultiheadAttention`, is out of reach.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    >>> set_dropout(model, 0.1)
    >>> model[1]
    Dropout(p=0.1, inplace=False)
    """
    check_number("dropout", dropout)
    layers = [layer for layer in model.modules() if isinstance(layer, _DropoutNd)]
    if not layers:
        raise ValueError(f"model: {type(model).__name__} has no dropout module; give it some")
    for layer in layers:
        layer.p = float(dropout)
