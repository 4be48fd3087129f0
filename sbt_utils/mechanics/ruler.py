"""The folding ruler: pulled slowly only its outer sections open, pulled quickly the inner ones too.

Rigid sections joined by hinges in a plane, folded like a zigzag. One end is pinned on a rough
table, a hand pulls the other. Friction of the table on the hinges lets the pull fade from section
to section, as nonlinearity does in a network. The inertia of a quick pull and large jerks overcome
it, as noise does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, NamedTuple, NoReturn

import numpy as np

from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.hand import LARGEST, Hand
from sbt_utils.mechanics.linkage import advance
from sbt_utils.numbers import as_number
from sbt_utils.text import quoted
from sbt_utils.threads import in_threads

GRAVITY = 9.81
"""In m/s^2."""
LONGEST = 0.995
"""How far the hand may go, as a fraction of the full length: a straight ruler holds the hand."""
MOST_SECTIONS = 200
"""The work of a step grows as the cube of their number: so many take up to a tenth of a second."""
# Steps times cubes of sections that are taken between two questions whether to stop.
_MOVED_AT_ONCE = 10**5
_MOST_FRICTION = 1e9  # in units of the force that brings a point to the speed of the hand in a step
_MOST_KEPT = 2**27  # states times sections: some gigabytes


class ImpossiblePull(ValueError):
    """A hand that goes where the ruler cannot follow."""


@dataclass(frozen=True)
class FoldingRuler:
    r"""A folding ruler on a table, folded like a zigzag along y, its first end pinned at (0, 0).

    Each hinge carries a point mass m and a friction force of at most μ m g on the table, and turns
    with a friction torque of at most τ. Its stops let it turn from shut to straight, not through.
    What matters besides the number of sections and the opening is, with the speed V of the hand
    and the amplitude A and frequency f of its jerks, :math:`\tau / \mu m g a`,
    :math:`V^2 / \mu g a` and :math:`A (2 \pi f)^2 / \mu g`.

    Parameters
    ----------
    sections : int
        N, from 2 to 200.
    section_length : float
        a, in m.
    mass : float
        m, in kg.
    table_friction : float
        Coefficient of friction μ.
    hinge_friction : float
        τ, in N m.
    opening : float
        Angle between neighbouring sections at the start, in radians.

    Raises
    ------
    ValueError
        A parameter out of its range.

    References
    ----------
    C. Shi, L. Pan & I. Dokmanić, "Spring-block theory of feature learning in deep neural
    networks", PRL 2025, arXiv:2407.19353.

    Examples
    --------
    >>> from sbt_utils.mechanics.pulls import slow_and_steady
    >>> ruler = FoldingRuler(sections=4)
    >>> ruler.pull(slow_and_steady(ruler, speed=0.5)).load_curve.regime
    'lazy'
    """

    sections: int = 10
    section_length: float = 0.1
    mass: float = 0.005
    table_friction: float = 0.3
    hinge_friction: float = 3e-4
    opening: float = 0.16

    def __post_init__(self) -> None:
        whole = isinstance(self.sections, int | np.integer) and not isinstance(self.sections, bool)
        if not whole or not 2 <= self.sections <= MOST_SECTIONS:
            raise ValueError(
                f"sections: {quoted(self.sections)}; give a whole number of at least 2, at most "
                f"{MOST_SECTIONS}"
            )
        object.__setattr__(self, "sections", int(self.sections))
        for name in ("section_length", "mass", "table_friction", "hinge_friction", "opening"):
            object.__setattr__(self, name, as_number(name, getattr(self, name)))
        for name in ("section_length", "mass"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name}: {value}; give a positive finite number")
            if not 1 / LARGEST <= value <= LARGEST:
                raise ValueError(f"{name}: {value}; give {1 / LARGEST:g} to {LARGEST:g}")
        for name in ("table_friction", "hinge_friction"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name}: {value}; give a finite number, 0 or more")
            if value > LARGEST:
                raise ValueError(f"{name}: {value}; give at most {LARGEST:g}")
        if not 1e-3 <= self.opening <= 3.0:
            raise ValueError(
                f"opening: {self.opening}; give 0.001 to 3 rad, pi would be a straight ruler"
            )

    @property
    def angles(self) -> np.ndarray:
        """Angles of the folded sections to the x axis, shape (N,), in radians."""
        return (math.pi - self.opening) / 2 * (-1.0) ** np.arange(self.sections)

    @property
    def end(self) -> np.ndarray:
        """Where the hand starts: the last point of the folded ruler, shape (2,), in m."""
        return self.points_at(self.angles)[-1]

    def points_at(self, angles: np.ndarray) -> np.ndarray:
        """Return the ends of the sections, shape (..., N + 1, 2), in m, the pin first.

        `angles` are those of the sections to the x axis, shape (..., N), in radians.
        """
        ends = np.stack([np.cos(angles), np.sin(angles)], axis=-1).cumsum(axis=-2)
        return np.insert(self.section_length * ends, 0, 0.0, axis=-2)

    def pull(self, hand: Hand, dt: float = 1e-3, every: int = 10) -> Motion:
        """Let the ruler, at rest at first, follow the hand.

        Parameters
        ----------
        hand : Hand
            Starts at `end`.
        dt : float
            Time step in s; the error of positions is of first order in it.
        every : int
            Keep every n-th step, the first and the last.

        Raises
        ------
        ValueError
            A hand that starts elsewhere, a time step or a number of steps that is not positive, or
            so small that the states to keep do not fit into memory.
        ImpossiblePull
            A hand that goes beyond `LONGEST` of the full length, or where the ruler cannot follow.

        Examples
        --------
        >>> ruler = FoldingRuler(sections=2)
        >>> hand = Hand([0.0, 0.5, 1.0], [ruler.end, [0.12, 0.0], [0.12, 0.0]])
        >>> ruler.pull(hand).points[-1].round(3)
        array([[0.  , 0.  ],
               [0.06, 0.08],
               [0.12, 0.  ]])
        """
        work = partial(follow, self, dt=dt, every=every)
        return in_threads(work, [hand])[0]


class State(NamedTuple):
    """What a ruler is between two steps; with one more axis in front, many of its states."""

    angles: np.ndarray  # (N,), at first a zigzag, the first one positive
    omega: np.ndarray  # (N,), angular velocities
    v: np.ndarray  # (N, 2), velocities of the points
    energies: np.ndarray  # (4,): kinetic energy, work of the hand, heat of table and hinges


def follow(ruler: FoldingRuler, hand: Hand, stopped: Event, dt: float, every: int) -> Motion:
    """Return the motion of `FoldingRuler.pull`, or, once `stopped` is set, anything."""
    steps = _checked_steps(ruler, hand, dt, every)
    dt, every, size = float(dt), min(int(every), steps), ruler.sections
    numbers = np.append(np.arange(0, steps, every), steps)
    state = State(ruler.angles, np.zeros(size), np.zeros((size, 2)), np.zeros(4))
    kept = State(*(np.zeros((len(numbers), *part.shape)) for part in state))
    impulses = np.zeros((size, 2)), np.zeros(size - 1), np.zeros(size - 1)
    weight = ruler.table_friction * ruler.mass * GRAVITY
    # Without digits in a step a friction is none.
    frictions = [f if dt * f > 1e-300 else 0.0 for f in (weight, ruler.hinge_friction)]
    forces: Any = [float(number) for number in (ruler.section_length, ruler.mass, *frictions, dt)]
    kept.angles[0] = state.angles
    path = np.ascontiguousarray(hand.positions.T)
    at_once = max(1, _MOVED_AT_ONCE // size**3)
    for done in range(0, steps, at_once):
        if stopped.is_set():
            break
        times = hand.times[0] + dt * np.arange(done + 1, min(done + at_once, steps) + 1)
        targets = np.stack([np.interp(times, hand.times, along) for along in path], axis=1)
        failed = advance(state, impulses, targets, *forces, done, every, kept)
        if failed:
            _raise_impossible(ruler, hand, targets[failed - done - 1], times[failed - done - 1], dt)
    for rows, part in zip(kept, state, strict=True):
        rows[-1] = part
    velocities = np.insert(kept.v, 0, 0.0, axis=1)  # with the pin's
    times = hand.times[0] + dt * numbers
    return Motion(ruler, hand, times, kept.angles, kept.omega, velocities, *kept.energies.T)


def _raise_impossible(
    ruler: FoldingRuler, hand: Hand, target: np.ndarray, time: float, dt: float
) -> NoReturn:
    """Say why a step has no solution: it is beyond the ruler, or lost to rounding."""
    weight = ruler.table_friction * ruler.mass * GRAVITY
    friction = max(weight, ruler.hinge_friction / ruler.section_length)
    if friction > _MOST_FRICTION * ruler.mass * hand.speeds.max() / dt:
        raise ValueError(
            f"hinge_friction: {ruler.hinge_friction}, table_friction: {ruler.table_friction}; so "
            f"large that the inertia of mass {ruler.mass} is lost to rounding; give less"
        )
    raise ImpossiblePull(
        f"hand: the ruler cannot follow to {target.round(4).tolist()} at {time:.4g} s (its hinges "
        "stop where they are shut or straight); move less towards the pin and across the pull"
    )


def _checked_steps(ruler: FoldingRuler, hand: Hand, dt: float, every: int) -> int:
    """Return the number of steps; raise where the arguments of a pull are impossible."""
    if not isinstance(hand, Hand):
        raise TypeError(f"hand: a {type(hand).__name__}; give a Hand")
    duration = float(hand.times[-1] - hand.times[0])
    dt = as_number("dt", dt)
    if not 0 < dt <= duration:
        raise ValueError(f"dt: {dt}; give a positive number of s, at most the hand's {duration}")
    if isinstance(every, bool) or not isinstance(every, int | np.integer) or every < 1:
        raise ValueError(f"every: {quoted(every)}; give a whole number of at least 1")
    if np.abs(hand.positions[0] - ruler.end).max() > 1e-9 * ruler.section_length:
        raise ValueError(
            f"hand: starts at {hand.positions[0].tolist()}, the folded ruler ends at "
            f"{ruler.end.tolist()}; start at ruler.end"
        )
    farthest, full = np.hypot(*hand.positions.T).max(), ruler.sections * ruler.section_length
    if farthest > LONGEST * full:
        raise ImpossiblePull(
            f"hand: goes {farthest:.4g} m from the pin; stay within {LONGEST} of the ruler's "
            f"{full:.4g} m"
        )
    if not duration / dt < 1e15:
        raise ValueError(f"dt: {dt}; more than 1e15 steps in the hand's {duration} s, give more")
    steps = math.ceil(duration / dt - 1e-9)
    if (1 + steps // every) * ruler.sections > _MOST_KEPT:
        raise ValueError(
            f"every: {quoted(every)}; of {steps:,} steps that keeps more than fits into memory, "
            "give more"
        )
    return steps


@dataclass(frozen=True, eq=False)
class Motion:
    """A ruler's motion, from `FoldingRuler.pull`.

    Parameters
    ----------
    ruler : FoldingRuler
    hand : Hand
    times : ndarray, shape (kept,)
        In s.
    angles : ndarray, shape (kept, N)
        Of the sections to the x axis, in radians.
    rates : ndarray, shape (kept, N)
        Angular velocities of the sections, in rad/s; equal where a hinge sticks.
    velocities : ndarray, shape (kept, N + 1, 2)
        Of the points, in m/s, averaged over the step before; 0.0 where a point sticks.
    energy : ndarray, shape (kept,)
        Kinetic energy of the hinge points, in J.
    work : ndarray, shape (kept,)
        Of the hand since the start, in J: its impulses times its velocities.
    table_heat, hinge_heat : ndarray, shape (kept,)
        What dry friction took since the start, in J: energy + table_heat + hinge_heat - work never
        grows.
    """

    ruler: FoldingRuler
    hand: Hand
    times: np.ndarray
    angles: np.ndarray
    rates: np.ndarray
    velocities: np.ndarray
    energy: np.ndarray
    work: np.ndarray
    table_heat: np.ndarray
    hinge_heat: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """Ends of the sections, the pin first, shape (kept, N + 1, 2), in m."""
        return self.ruler.points_at(self.angles)

    @property
    def extensions(self) -> np.ndarray:
        """Extension of each section along the pull over its length, shape (kept, N)."""
        return np.cos(self.angles)

    @property
    def distances(self) -> np.ndarray:
        """Distances y - x_l along the pull from the hand, l = 0..N-1, shape (kept, N), in m."""
        x = self.points[..., 0]
        return x[:, -1:] - x[:, :-1]

    @property
    def load_curve(self) -> LoadCurve:
        """Load curve of the last state: D_l = y - x_l, so that N - 1 hinges stand for layers.

        The section in the hand is left out like the last spring of a chain.
        """
        return LoadCurve(self.distances[-1], measure="distance")
