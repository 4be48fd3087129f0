"""The parameters of a spring-block chain, checked, and the forces that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sbt_utils.mechanics.chain_steps import Forces


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

    def __post_init__(self) -> None:
        if isinstance(self.blocks, bool) or not isinstance(self.blocks, int | np.integer):
            raise TypeError(f"blocks={self.blocks!r}: give an integer of at least 1")
        if self.blocks < 1:
            raise ValueError(f"blocks={self.blocks}: give at least 1")
        for name in ("spring_constant", "mass", "damping", "noise", "noise_decay"):
            _check_number(name, getattr(self, name), least=0.0)
        if self.spring_constant == 0:
            raise ValueError("spring_constant=0: without springs there is no chain; give more")
        if self.noise > 1e300:
            raise ValueError(f"noise={self.noise}: no chain withstands it; give less")
        for name in ("friction_right", "friction_left"):
            value = getattr(self, name)
            if np.ndim(value) == 0:
                _check_number(name, value, least=0.0)
                continue
            if np.shape(value) != (self.blocks,):
                raise ValueError(
                    f"{name}: shape {np.shape(value)} for {self.blocks} blocks; give one number "
                    "for all, or one for each"
                )
            for friction in value:
                _check_number(name, friction, least=0.0)
            object.__setattr__(self, name, tuple(float(friction) for friction in value))
        if not isinstance(self.common_noise, bool | np.bool_):
            raise TypeError(f"common_noise={self.common_noise!r}: give True or False")
        if self.force is not None:
            _check_number("force", self.force)
        if np.ndim(self.end) == 0:
            _check_number("end", self.end)
        else:
            object.__setattr__(self, "end", _checked_history(self.end))

    @property
    def frictions(self) -> tuple[np.ndarray, np.ndarray]:
        """μ_right and μ_left of each block, shapes (L,)."""
        right, left = self.friction_right, self.friction_left
        return np.full(self.blocks, right, np.float64), np.full(self.blocks, left, np.float64)

    @property
    def acting(self) -> Forces:
        """What acts on the blocks but for pull and noise, as compiled code takes it."""
        last_spring = self.spring_constant if self.force is None else 0.0
        return Forces(self.spring_constant, last_spring, self.mass, self.damping, *self.frictions)

    @property
    def pull(self) -> float:
        """Force that draws the last block: k y, or `force`; an error where y has a history."""
        return self.spring_constant * self._held_end if self.force is None else self.force

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


def _check_number(name: str, value: object, least: float = -np.inf) -> None:
    """Raise unless a value is a finite number of at least `least`."""
    check_is_number(name, value)
    if not np.isfinite(value) or value < least:  # type: ignore[call-overload, operator]
        at_least = f" of at least {least:g}" if np.isfinite(least) else ""
        raise ValueError(f"{name}={value}: give a finite number{at_least}")


def check_is_number(name: str, value: object) -> None:
    """Raise unless a value is a number, finite or not."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}={value!r}: give a number")


def _checked_history(end: object) -> tuple[tuple[float, float], ...]:
    try:
        history = np.array(end, dtype=np.float64)
    except (TypeError, ValueError):
        history = np.empty(0)
    if history.ndim != 2 or history.shape[1] != 2 or not np.isfinite(history).all():
        raise ValueError("end: give a position, or a history of finite (time, position) pairs")
    if (np.diff(history[:, 0]) <= 0).any():
        raise ValueError("end: the times of the history do not increase; sort it by time")
    return tuple(map(tuple, history.tolist()))
