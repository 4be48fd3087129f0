"""The parameters of a spring-block chain, checked, and the forces that follow from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammainc, gammaincc

from sbt_utils.mechanics.chain_steps import Forces
from sbt_utils.numbers import as_array, as_number
from sbt_utils.text import quoted

LARGEST = 1e100
"""Of any parameter: beyond, products of them overflow. Its inverse is the smallest divisor."""
MOST_BLOCKS = 10**6
"""So that no step takes longer than a moment, and all states fit into memory."""
MOST_SKEWED = 10.0
"""Skewness of the noise, either way: beyond, next to all of it comes in a kick out of hundreds."""
LEAST_SKEWED = 1e-6
"""Below, noise counts as normal: gamma numbers of so large a shape lose their digits."""


@dataclass(frozen=True)
class ChainParameters:
    """What `sbt_utils.mechanics.chain.SpringBlockChain` is made of; its docstring explains them."""

    blocks: int = 7
    spring_constant: float = 0.1
    mass: float = 1.0
    damping: float = 1.0
    friction_right: float | Sequence[float] = 0.003
    friction_left: float | Sequence[float] = 0.004
    noise: float = 0.003
    noise_decay: float = 0.001
    common_noise: bool = True
    end: float | Sequence[tuple[float, float]] = 1.0
    force: float | None = None
    drive: float = 0.0
    skewness: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.blocks, bool) or not isinstance(self.blocks, int | np.integer):
            raise TypeError(f"blocks={quoted(self.blocks)}: give an integer of at least 1")
        if not 1 <= self.blocks <= MOST_BLOCKS:
            bound = "at least 1" if self.blocks < 1 else f"at most {MOST_BLOCKS:,}"
            raise ValueError(f"blocks={as_number('blocks', self.blocks)}: give {bound}")
        object.__setattr__(self, "blocks", int(self.blocks))
        for name in ("spring_constant", "mass", "damping", "noise", "noise_decay", "drive"):
            value = _checked_number(name, getattr(self, name), least=0.0)
            object.__setattr__(self, name, value)
        if self.spring_constant == 0:
            raise ValueError("spring_constant=0: without springs there is no chain; give more")
        for name in ("spring_constant", "mass"):  # divisors
            if 0 < getattr(self, name) < 1 / LARGEST:
                raise ValueError(
                    f"{name}={getattr(self, name)}: give at least {1 / LARGEST:g}, in other units"
                )
        for name in ("friction_right", "friction_left"):
            value = getattr(self, name)
            shape = _shape(value)
            if shape == ():
                object.__setattr__(self, name, _checked_number(name, value, least=0.0))
                continue
            if shape is None:
                raise ValueError(f"{name}: rows of different lengths; give one number, or one each")
            if shape != (self.blocks,):
                raise ValueError(
                    f"{name}: shape {shape} for {self.blocks} blocks; give one number for all, or "
                    "one for each"
                )
            each = tuple(float(_checked_number(name, friction, least=0.0)) for friction in value)
            object.__setattr__(self, name, each)
        if not isinstance(self.common_noise, bool | np.bool_):
            raise TypeError(f"common_noise={quoted(self.common_noise)}: give True or False")
        if self.force is not None:
            object.__setattr__(self, "force", _checked_number("force", self.force))
            if self.drive > 0:
                raise ValueError(
                    f"drive={self.drive}: it draws every block to an end that is held, not to one "
                    f"that a force draws; give end in place of force={self.force}, or drive=0"
                )
        skewness = _checked_number("skewness", self.skewness)
        object.__setattr__(self, "skewness", skewness)
        if abs(skewness) > MOST_SKEWED:
            raise ValueError(f"skewness={skewness}: give a number from -10 to 10")
        one = _shape(self.end) == ()
        end = _checked_number("end", self.end) if one else _checked_history(self.end)
        object.__setattr__(self, "end", end)

    @property
    def frictions(self) -> tuple[np.ndarray, np.ndarray]:
        """μ_right and μ_left of each block, shapes (L,)."""
        right, left = self.friction_right, self.friction_left
        return np.full(self.blocks, right, np.float64), np.full(self.blocks, left, np.float64)

    @property
    def acting(self) -> Forces:
        """What acts on the blocks but for pull and noise, as compiled code takes it."""
        right, left = self.frictions
        spring, mass, damping = map(float, (self.spring_constant, self.mass, self.damping))
        last = spring if self.force is None else 0.0
        return Forces(spring, last, float(self.drive), mass, damping, right, left)

    @property
    def pull(self) -> float:
        """Force that draws the last block: k y, or `force`; an error where y has a history."""
        return self.spring_constant * self._held_end if self.force is None else float(self.force)

    @property
    def net_forces(self) -> np.ndarray:
        """F* of each block, shape (L,), where the noise balances friction in first order."""
        right, left = self.frictions
        if abs(self.skewness) < LEAST_SKEWED:
            return (right - left) / 2
        if self.amplitude == 0:
            raise ValueError(
                f"noise={self.noise}: where noise of skewness={self.skewness} leads depends on its "
                "strength; give more than 0, or skewness=0"
            )
        pairs, each = np.unique([right, left], axis=1, return_inverse=True)
        if self.skewness < 0:  # seen in a mirror, it is skewed to the right
            pairs = pairs[::-1]
        shape = gamma_shape(self.skewness)
        low, high = -pairs[1], pairs[0].copy()
        for _ in range(100):  # bisection, since weak noise hardly moves a block in between
            force = (low + high) / 2
            falls = _excess(shape, pairs[0] - force, self.amplitude) < _excess(
                shape, pairs[1] + force, self.amplitude, below=True
            )
            low, high = np.where(falls, force, low), np.where(falls, high, force)
        return np.copysign(1.0, self.skewness) * high[each.reshape(-1)]

    @property
    def amplitude(self) -> float:
        """Noise amplitude on each block at t = 0: ε, or sqrt(L) ε where it is common."""
        return self.noise * float(np.sqrt(self.blocks)) if self.common_noise else self.noise

    @property
    def _held_end(self) -> float:
        """The one position y of the end; an error where it has a history."""
        if isinstance(self.end, tuple):
            raise ValueError("end: a closed form needs one position, not a history; give a number")
        return float(self.end)  # type: ignore[arg-type]

    def end_at(self, times: np.ndarray) -> np.ndarray:
        """Return the position of the held end at some times."""
        if isinstance(self.end, tuple):
            return np.interp(times, *np.transpose(self.end))
        return np.full(np.shape(times), self._held_end)

    def pulls_at(self, times: np.ndarray) -> np.ndarray:
        """Return what pulls on the last block and, by the drive, on every block, shape (n, 2)."""
        pulls = np.zeros((len(times), 2))
        if self.force is not None:
            pulls[:, 0] = self.force
        else:
            ends = self.end_at(times)
            pulls[:, 0], pulls[:, 1] = self.spring_constant * ends, self.drive * ends
        return pulls


def gamma_shape(skewness: float) -> float:
    """Return the shape a of the gamma law that has a given skewness, 2 / sqrt(a)."""
    return 4 / skewness**2


def _excess(shape: float, margin: np.ndarray, scale: float, below: bool = False) -> np.ndarray:
    r"""Return the mean of what s z exceeds a margin by, over s; with `below`, what -s z does.

    z = (X - a) / sqrt(a) with X of the gamma law of shape a, whose tails P and Q = 1 - P give
    E[(z - u)_+] = sqrt(a) [Q(a + 1, c) - Q(a, c)] - u Q(a, c) at c = a + u sqrt(a).
    """
    root, u = math.sqrt(shape), margin / scale
    if below:
        c = np.maximum(shape - u * root, 0.0)
        near, far = gammainc(shape, c), gammainc(shape + 1, c)
        return np.maximum(root * (near - far) - u * near, 0.0)
    c = np.maximum(shape + u * root, 0.0)
    near, far = gammaincc(shape, c), gammaincc(shape + 1, c)
    return np.maximum(root * (far - near) - u * near, 0.0)


def _checked_number(name: str, value: object, least: float = -math.inf) -> float:
    """Return a finite number of at least `least`, and of at most `LARGEST` either way."""
    number = as_number(name, value)
    if not math.isfinite(number) or number < least:
        at_least = f" of at least {least:g}" if math.isfinite(least) else ""
        raise ValueError(f"{name}={number}: give a finite number{at_least}")
    if abs(number) > LARGEST:
        raise ValueError(f"{name}={number}: give less, at most {LARGEST:g}, in other units")
    return number


def _shape(value: Any) -> tuple[int, ...] | None:
    """Return the shape of numbers, () of a single one, None of rows that differ in length."""
    try:
        return np.shape(value)
    except ValueError:
        return None


def _checked_history(end: object) -> tuple[tuple[float, float], ...]:
    history = as_array(end)
    if history.ndim != 2 or history.shape[1] != 2 or not np.isfinite(history).all():
        raise ValueError("end: give a position, or a history of finite (time, position) pairs")
    if np.abs(history).max() > LARGEST:
        raise ValueError(f"end: a history beyond {LARGEST:g}; give less, in other units")
    if (np.diff(history[:, 0]) <= 0).any():
        raise ValueError("end: the times of the history do not increase; sort it by time")
    return tuple(map(tuple, history.tolist()))
