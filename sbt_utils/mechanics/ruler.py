"""The folding ruler: pulled slowly only its outer sections open, pulled quickly the inner ones too.

Rigid sections joined by hinges in a plane, folded like a zigzag. One end is pinned on a rough
table, a hand pulls the other. Friction of the table on the hinges lets the pull fade from section
to section, as nonlinearity does in a network. The inertia of a quick pull and large jerks overcome
it, as noise does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.hand import Hand
from sbt_utils.mechanics.linkage import advance

GRAVITY = 9.81
"""In m/s^2."""
LONGEST = 0.995
"""How far the hand may go, as a fraction of the full length: a straight ruler holds the hand."""


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
        N, at least 2.
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
        if not isinstance(self.sections, int | np.integer) or self.sections < 2:
            raise ValueError(f"sections: {self.sections}; give a whole number of at least 2")
        for name in ("section_length", "mass"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: {getattr(self, name)}; give a positive finite number")
        for name in ("table_friction", "hinge_friction"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: {getattr(self, name)}; give a finite number, 0 or more")
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
            A hand that starts elsewhere, a time step or a number of steps that is not positive.
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
        steps = self._checked_steps(hand, dt, every)
        steps = every * -(-steps // every)  # the last is kept too: the hand rests until then
        times = hand.times[0] + dt * np.arange(steps + 1)
        targets = np.stack([np.interp(times, hand.times, along) for along in hand.positions.T], 1)
        weight = self.table_friction * self.mass * GRAVITY
        forces = self.section_length, self.mass, weight, self.hinge_friction
        (angles, rates, velocities, energies), failed = advance(
            self.angles, targets, *forces, dt, every
        )
        if failed:
            raise ImpossiblePull(
                f"hand: the ruler cannot follow to {targets[failed].round(4).tolist()} at "
                f"{times[failed]:.4g} s (its hinges stop where they are shut or straight); "
                "move less towards the pin and across the pull"
            )
        return Motion(self, hand, times[::every], angles, rates, velocities, *energies.T)

    def _checked_steps(self, hand: Hand, dt: float, every: int) -> int:
        """Return the number of steps; raise where the arguments of `pull` are impossible."""
        duration = hand.times[-1] - hand.times[0]
        if not 0 < dt <= duration:
            raise ValueError(
                f"dt: {dt}; give a positive number of s, at most the hand's {duration}"
            )
        if not isinstance(every, int | np.integer) or every < 1:
            raise ValueError(f"every: {every}; give a whole number of at least 1")
        if np.abs(hand.positions[0] - self.end).max() > 1e-9 * self.section_length:
            raise ValueError(
                f"hand: starts at {hand.positions[0].tolist()}, the folded ruler ends at "
                f"{self.end.tolist()}; start at ruler.end"
            )
        farthest, full = np.hypot(*hand.positions.T).max(), self.sections * self.section_length
        if farthest > LONGEST * full:
            raise ImpossiblePull(
                f"hand: goes {farthest:.4g} m from the pin; stay within {LONGEST} of the ruler's "
                f"{full:.4g} m"
            )
        return math.ceil(duration / dt - 1e-9)


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
