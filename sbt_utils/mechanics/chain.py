"""The spring-block chain: blocks on a rough table, joined by springs, pulled and shaken.

Blocks x_1..x_L stand for the hidden layers of a network, the extension of spring l for the load
of layer l, dry friction for nonlinearity, shaking for the noise of training, the pull for the loss.
A wall holds the chain at x_0 = 0; its other end is held at y, or drawn by a force.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_banded

from sbt_utils.mechanics.chain_parameters import ChainParameters
from sbt_utils.mechanics.trajectories import Seed, Trajectory, simulate


@dataclass(frozen=True)
class SpringBlockChain(ChainParameters):
    r"""A chain of blocks and springs.

    .. math:: m \dot v_l = k (x_{l+1} - 2 x_l + x_{l-1}) + \kappa (y - x_l) - \gamma v_l
              + \varphi(v_l) + \varepsilon e^{-\lambda t} \xi_l(t), \qquad l = 1..L

    with friction :math:`\varphi = -\mu_{right}` on a block that moves to the right,
    :math:`+\mu_{left}` on one that moves to the left, and what keeps it at rest in between. The
    units are yours to choose; the defaults are those of the published chain.

    Parameters
    ----------
    blocks : int
        L, from 1 to 1,000,000.
    spring_constant : float
        k, positive.
    mass : float
        m; zero only for `simulate_overdamped`.
    damping : float
        γ.
    friction_right, friction_left : float or sequence of float
        μ, one for all blocks or one for each.
    noise : float
        ε: in `simulate` the strength of white noise, in `simulate_overdamped` the standard
        deviation of the random force in each step.
    noise_decay : float
        λ, a rate.
    common_noise : bool
        One random force, of amplitude sqrt(L) ε, on all blocks; else one on each, of amplitude ε.
    end : float or sequence of (time, position)
        y, or its history: linear between the given times, constant before and after.
    force : float, optional
        Draws the end of the chain in place of `end`, which is then free: y = x_L + force / k.
    drive : float
        κ, the constant of a further spring from every block to the held end y, whatever its
        history: all blocks are pulled, not only the last. Not together with `force`.
    skewness : float
        Third moment of the noise in units of its standard deviation, from -10 to 10: 0 is normal
        noise, 2 an exponential random number less its mean, or else a gamma one. In
        `simulate_overdamped` it is that of the random force in each step, in `simulate` of what
        the noise transfers in a time m / γ, whatever the step.

    Raises
    ------
    TypeError, ValueError
        Numbers out of range, not finite or beyond 1e100, a number of frictions other than L, a
        history that is not ordered in time, a drive together with a force.

    References
    ----------
    Shi, Pan & Dokmanić, Spring-block theory of feature learning in deep neural networks,
    Phys. Rev. Lett. (2025), arXiv:2407.19353.

    Examples
    --------
    >>> SpringBlockChain(noise=0.0).static_loads().round(3)
    array([0.02, 0.05, 0.08, 0.11, 0.14, 0.17, 0.2 , 0.23])
    """

    def static_loads(self) -> np.ndarray:
        r"""Return the loads after a pull from rest at x = 0 without noise.

        Every block that moved has stopped where the springs no longer overcome its friction: the
        loads rise by exactly :math:`\mu_{right}/k` a layer towards the pull, a concave load curve.
        Blocks near the wall that the pull never reached have loads of 0. The overdamped chain
        always ends there, the second-order one unless a block overshoots.

        With a drive, :math:`k (x_{l+1} - 2 x_l + x_{l-1}) + \kappa (y - x_l) = \mu_{right}` where a
        block moved, and no more than that where it did not. Friction lets a chain rest in many
        places; this one is the first that a pull to the right comes to. Springs pass a push to
        the right on and never turn it round, so blocks only move to the right, up to the least
        positions x >= 0 that hold every block: whether y is reached slowly, in steps or at once.

        Returns
        -------
        ndarray, shape (L + 1,)
            d_l = x_l - x_{l-1}; the sum is y.

        Raises
        ------
        ValueError
            If the end has a history, or is pushed to the left.

        Examples
        --------
        >>> SpringBlockChain(blocks=3, spring_constant=1, friction_right=0.5).static_loads()
        array([0.  , 0.  , 0.25, 0.75])
        >>> driven = SpringBlockChain(blocks=3, spring_constant=1, friction_right=0.5, drive=1)
        >>> driven.static_loads().round(4)
        array([0.3333, 0.1667, 0.1667, 0.3333])
        """
        if self.drive > 0:
            return self._driven_loads(self.frictions[0], from_rest=True)
        steps = self.frictions[0] / self.spring_constant
        above = np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]])  # d_{L+1} - d_l
        if self.force is not None:
            if self.force < 0:
                raise ValueError(f"force={self.force}: the pull is to the right; give >= 0")
            return np.maximum(self.force / self.spring_constant - above, 0.0)
        total = self._held_end
        if total < 0:
            raise ValueError(f"end={total}: the chain is pulled to the right; give y >= 0")
        # The last n loads are positive, and n is the largest number for which they can be.
        count = np.arange(1, self.blocks + 2)
        last = (total + np.cumsum(above[::-1])) / count  # d_{L+1} if they sum to y
        n = count[last > above[::-1]][-1] if total > 0 else 1
        return np.maximum(last[n - 1] - above, 0.0)

    def mean_field_loads(self) -> np.ndarray:
        r"""Return the mean loads that noise leads to in the long run.

        Every block ends where friction is balanced on average, at the net force F* with
        :math:`E[S(F^* + s z)] = 0`: S is the soft threshold, s the strength of the noise, z its
        law. The loads rise from layer to layer by F* / k; with a drive
        :math:`k (x_{l+1} - 2 x_l + x_{l-1}) + \kappa (y - x_l) = F^*`, where F* = 0 makes the
        distance to the end a hyperbolic sine.

        Symmetric noise of any strength has :math:`F^* = c = (\mu_{right} - \mu_{left}) / 2`,
        whether common or independent, in both orders. This is exact: with
        :math:`w = (\mu_{right} + \mu_{left}) / 2`, S(c + u) is odd in u, so friction with two
        sides is symmetric friction on a table that slopes by c. It takes

        - noise that pushes alike to both sides. A long tail to the right, `skewness` > 0, lowers
          F* even where friction is symmetric, a second road to the active regime. F* is then that
          of `simulate_overdamped` for small steps; the second order has no such formula.
        - noise that can exceed w, as normal noise can. Forces that stay within ± B < w merely take
          B from friction: a pulled chain sticks where its loads rise by
          :math:`(\mu_{right} - B)/k`.
        - time: the chain creeps, for about :math:`(L + 1)^2 / (\pi^2 k\,V'(F^*))` with the mean
          velocity V of `sbt_utils.mechanics.chain_theory.drift`. In first order
          :math:`V'(F^*) = 2\,\Phi(-w/s)`, 0.0002 where w is 3.75 s; `relaxation` says how far it
          has got at a given time.

        Returns
        -------
        ndarray, shape (L + 1,)
            The sum is y. Without a drive the load curve is concave for F* > 0, convex for F* < 0.

        Raises
        ------
        ValueError
            If the end has a history, or the noise is skewed and has no strength.

        Examples
        --------
        >>> SpringBlockChain(blocks=3, spring_constant=0.1).mean_field_loads()
        array([0.2575, 0.2525, 0.2475, 0.2425])
        >>> even = SpringBlockChain(blocks=3, friction_right=0.1, friction_left=0.1, noise=0.05,
        ...                         common_noise=False, spring_constant=1, skewness=2)
        >>> np.diff(even.mean_field_loads()).round(4)
        array([-0.059, -0.059, -0.059])
        """
        if self.drive > 0:
            return self._driven_loads(self.net_forces, from_rest=False)
        rise = np.concatenate([[0.0], np.cumsum(self.net_forces / self.spring_constant)])
        if self.force is not None:
            return self.force / self.spring_constant - rise[-1] + rise
        return self._held_end / (self.blocks + 1) + rise - rise.mean()

    def _driven_loads(self, net_forces: np.ndarray, from_rest: bool) -> np.ndarray:
        """Return the loads at given net forces on the blocks, or on those that leave x = 0."""
        y, k = self._held_end, self.spring_constant
        if from_rest and y < 0:
            raise ValueError(f"end={y}: the chain is pulled to the right; give y >= 0")
        diagonal = 2 * k + self.drive
        pull = np.full(self.blocks, self.drive * y)
        pull[-1] += k * y
        excess, coupling = (pull - net_forces) / diagonal, k / diagonal
        moved = _set_off(excess.tolist(), coupling) if from_rest else np.ones(self.blocks, bool)
        bands = np.ones((3, self.blocks))
        bands[0, 1:] = bands[2, :-1] = -coupling * (moved[1:] & moved[:-1])
        x = solve_banded((1, 1), bands, np.where(moved, excess, 0.0))
        if from_rest:
            x = np.maximum(x, 0.0)  # rounding
        return np.diff(x, prepend=0.0, append=y)

    def simulate(
        self,
        duration: float = 700.0,
        dt: float = 0.05,
        *,
        seed: Seed = 0,
        seeds: Iterable[Seed] | None = None,
        every: int = 1,
        start: Trajectory | None = None,
    ) -> Trajectory:
        """Integrate the second-order chain: springs explicit, damping and friction implicit.

        Parameters
        ----------
        duration, dt : float
            Time to simulate, rounded to whole steps, and the step.
        seed : int or sequence of int
            Of the noise, drawn by ``numpy.random.default_rng``.
        seeds : iterable, optional
            One trajectory for each, instead of one for `seed`; up to 1,000,000. A trajectory
            depends on its own seed alone.
        every : int
            Keep every n-th state; the last is kept in any case.
        start : Trajectory, optional
            Resume from its last state and time, with fresh noise and the parameters of this chain.
            Default: all blocks at rest at x = 0.

        Raises
        ------
        TypeError, ValueError
            If the mass is zero, the step is not positive or too large to be stable, the duration
            is shorter than a step, a seed is no integer of at least 0, the states to keep do not
            fit into memory, or the noise drives the blocks out of all bounds.

        Notes
        -----
        As dt falls, the error falls as dt without noise, in the mean over the noise, and along a
        path with noise but no friction; with both, along a path only as dt^(3/4), since friction
        jumps where a velocity changes its sign. The state of rest that friction leads to does not
        depend on dt.

        Examples
        --------
        >>> quiet = SpringBlockChain(noise=0.0).simulate(duration=5000.0, every=1000)
        >>> quiet.load_curve.verdict
        'lazy (concave, deep layers do more): convexity -0.182'
        >>> float(abs(quiet.velocities[-1]).max())
        0.0
        """
        return simulate(self, duration, dt, seed, seeds, every, start, overdamped=False)

    def simulate_overdamped(
        self,
        duration: float = 100.0,
        dt: float = 0.01,
        *,
        seed: Seed = 0,
        seeds: Iterable[Seed] | None = None,
        every: int = 1,
        start: Trajectory | None = None,
    ) -> Trajectory:
        """Integrate the first-order chain, whose velocity is the force that friction leaves over.

        x'_l = S(k (x_{l+1} - 2 x_l + x_{l-1}) + noise), S the soft threshold between -μ_left and
        μ_right. Parameters, result and errors are those of `simulate`; mass and damping play no
        part, and the noise is a random force drawn anew in each step.

        Notes
        -----
        The noise has a standard deviation in each step, as published, so it averages out as dt
        falls: the trajectory tends to the path of `sbt_utils.mechanics.chain_theory.relaxation`,
        its spread falls as the square root of dt, the error of its mean as dt.

        Examples
        --------
        >>> chain = SpringBlockChain(noise=0.1, common_noise=False, noise_decay=0.0)
        >>> chain.simulate_overdamped(every=100).positions.shape
        (101, 7)
        """
        return simulate(self, duration, dt, seed, seeds, every, start, overdamped=True)


def _set_off(excess: list[float], coupling: float) -> np.ndarray:
    """Say which blocks leave x = 0, shape (L,): x_l = excess_l + coupling (x_{l-1} + x_{l+1}).

    Blocks set off one after another, and none that has moved comes back (R. Chandrasekaran,
    Opsearch 7 (1970) 263). Each one joins the runs of moved blocks on both sides of it, of which
    only the ends count: one pass, however far the pull reaches.
    """
    size = len(excess)
    # Of the run that has its end here, from 1 to L: its other end, this end's position, and by how
    # much this end and the other one give way to a unit force on this end. 0 where none has moved.
    other, x, own, across = [0] * (size + 2), *([0.0] * (size + 2) for _ in range(3))
    waiting = list(range(1, size + 1))
    while waiting:
        block = waiting.pop()
        pull = excess[block - 1] + coupling * (x[block - 1] + x[block + 1])
        if other[block] or pull <= 0:
            continue
        gives = 1 / (1 - coupling**2 * (own[block - 1] + own[block + 1]))
        first, last, first_follows, last_follows = block, block, 1.0, 1.0
        if other[block - 1]:
            first, first_follows = other[block - 1], coupling * across[block - 1]
        if other[block + 1]:
            last, last_follows = other[block + 1], coupling * across[block + 1]
        for end, follows in {first: first_follows, last: last_follows}.items():
            x[end] += follows * gives * pull
            own[end] += follows**2 * gives
            across[end] = first_follows * last_follows * gives
        other[block], other[first], other[last] = block, last, first
        waiting += [n for n in (first - 1, last + 1) if 0 < n <= size]
    return np.array(other[1:-1]) > 0
