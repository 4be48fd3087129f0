"""The spring-block chain: blocks on a rough table, joined by springs, pulled and shaken.

Blocks x_1..x_L stand for the hidden layers of a network, the extension of spring l for the load
of layer l, dry friction for nonlinearity, shaking for the noise of training, the pull for the loss.
A wall holds the chain at x_0 = 0; its other end is held at y, or drawn by a force.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from sbt_utils.mechanics.chain_steps import Forces, langevin_steps, overdamped_steps
from sbt_utils.mechanics.trajectories import Trajectory


@dataclass(frozen=True)
class SpringBlockChain:
    r"""A chain of blocks and springs.

    .. math:: m \dot v_l = k (x_{l+1} - 2 x_l + x_{l-1}) - \gamma v_l + \varphi(v_l)
              + \varepsilon e^{-\lambda t} \xi_l(t), \qquad l = 1..L

    with :math:`\varphi = -\mu_{right}` for a block that moves to the right, :math:`+\mu_{left}` for
    one that moves to the left, and what keeps it at rest in between. The units are of your choice;
    the defaults are those of the published chain.

    Parameters
    ----------
    blocks : int
        L, at least 1.
    spring_constant : float
        k, positive.
    mass : float
        m; zero only for `simulate_overdamped`.
    damping : float
        γ.
    friction_right, friction_left : float or sequence of float
        μ, of all blocks or of each.
    noise : float
        ε of `simulate`, where ξ is white noise of unit strength, or the standard deviation of the
        random force in each step of `simulate_overdamped`.
    noise_decay : float
        λ, a rate.
    common_noise : bool
        All blocks are shaken alike, with an amplitude of sqrt(L) ε; else each by itself, with ε.
    end : float or sequence of (time, position)
        y, or its history: joined by straight lines, constant before and after.
    force : float, optional
        Draws the end of the chain in place of `end`, which is then free: y = x_L + force / k.

    Raises
    ------
    TypeError, ValueError
        Numbers that are out of range or not finite, frictions that are not one for each block, a
        history that is not ordered in time.

    References
    ----------
    Shi, Pan & Dokmanić, Spring-block theory of feature learning in deep neural networks,
    Phys. Rev. Lett. (2025), arXiv:2407.19353.

    Examples
    --------
    >>> SpringBlockChain(noise=0.0).static_loads().round(3)
    array([0.02, 0.05, 0.08, 0.11, 0.14, 0.17, 0.2 , 0.23])
    """

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
        if self.noise > 1e300:
            raise ValueError(f"noise={self.noise}: no chain withstands it; give less")
        if self.force is not None:
            _check_number("force", self.force)
        if np.ndim(self.end) == 0:
            _check_number("end", self.end)
            return
        try:
            history = np.array(self.end, dtype=np.float64)
        except (TypeError, ValueError):
            history = np.empty(0)
        if history.ndim != 2 or history.shape[1] != 2 or not np.isfinite(history).all():
            raise ValueError("end: give a position, or a history of finite (time, position) pairs")
        if (np.diff(history[:, 0]) <= 0).any():
            raise ValueError("end: the times of the history do not increase; sort it by time")
        object.__setattr__(self, "end", tuple(map(tuple, history.tolist())))

    @property
    def frictions(self) -> tuple[np.ndarray, np.ndarray]:
        """μ_right and μ_left of each block, shapes (L,)."""
        right, left = np.empty(self.blocks), np.empty(self.blocks)
        right[:], left[:] = self.friction_right, self.friction_left
        return right, left

    @property
    def acting(self) -> Forces:
        """What acts on the blocks but for the pull, as compiled code takes it."""
        spring = self.spring_constant
        last = spring if self.force is None else 0.0
        return Forces(spring, last, self.mass, self.damping, *self.frictions)

    @property
    def pull(self) -> float:
        """Force that draws the last block: k y, or `force`; an error where y has a history."""
        return self.spring_constant * self._held_end() if self.force is None else self.force

    @property
    def amplitude(self) -> float:
        """Noise amplitude on each block at t = 0: ε, or sqrt(L) ε where it is common."""
        return self.noise * float(np.sqrt(self.blocks)) if self.common_noise else self.noise

    def static_loads(self) -> np.ndarray:
        r"""Return the loads after a pull from rest at x = 0 without noise.

        Every block has moved to the right and stopped where the springs no longer overcome its
        friction: the loads rise by exactly :math:`\mu_{right}/k` a layer towards the pull, a
        concave load curve. Blocks near the wall that the pull never reached stay, with loads 0.
        The overdamped chain ends there always, a second-order one unless a block overshoots.

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
        """
        steps = self.frictions[0] / self.spring_constant
        above = np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]])  # d_{L+1} - d_l
        last = self._last_load()
        if last is not None:
            if last < 0:
                raise ValueError(f"force={self.force}: the pull is to the right; give >= 0")
            return np.maximum(last - above, 0.0)
        total = self._held_end()
        if total < 0:
            raise ValueError(f"end={total}: the chain is pulled to the right; give y >= 0")
        # The last n loads are positive, and n is the largest number for which they can be.
        count = np.arange(1, self.blocks + 2)
        reached = (total + np.cumsum(above[::-1])) / count
        n = count[reached > above[::-1]][-1] if total > 0 else 1
        return np.maximum(reached[n - 1] - above, 0.0)

    def mean_field_loads(self) -> np.ndarray:
        r"""Return the mean loads that noise leads to in the end, whatever its strength.

        The net force F* of the springs on a block is where friction holds the balance on average,
        :math:`E[S(F^* + s z)] = 0` with S the soft threshold and z standard normal. The balance of
        both sides gives :math:`F^* = (\mu_{right} - \mu_{left}) / 2` for every s, and the same for
        the second order. It is exact: friction with two sides is symmetric friction on a table
        that slopes by that force, and on symmetric friction the chain's mean is that of a free one.

        Returns
        -------
        ndarray, shape (L + 1,)
            Differences F*_l / k from layer to layer; the sum is y. The curve is concave for
            friction that is larger to the right, convex for friction larger to the left.

        Raises
        ------
        ValueError
            If the end has a history.

        Examples
        --------
        >>> SpringBlockChain(blocks=3, spring_constant=0.1).mean_field_loads()
        array([0.2575, 0.2525, 0.2475, 0.2425])
        """
        right, left = self.frictions
        rise = np.concatenate([[0.0], np.cumsum((right - left) / 2 / self.spring_constant)])
        last = self._last_load()
        if last is not None:
            return last - rise[-1] + rise
        return self._held_end() / (self.blocks + 1) + rise - rise.mean()

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
        """Integrate the second-order chain.

        Parameters
        ----------
        duration : float
            Time to simulate; rounded to whole steps.
        dt : float
            Time step.
        seed : int or sequence of int
            Of the noise, drawn by ``numpy.random.default_rng``.
        seeds : iterable, optional
            One trajectory for each, instead of one for `seed`. A trajectory depends on its own
            seed alone.
        every : int
            Keep every k-th state (the last is kept in any case).
        start : Trajectory, optional
            Go on from its last state and time, with fresh noise and the parameters of this chain.
            Default: all blocks at rest at x = 0.

        Returns
        -------
        Trajectory

        Raises
        ------
        ValueError
            If the mass is zero, the step is not positive or too large to be stable
            (`sbt_utils.mechanics.chain.largest_step`), the duration is shorter than a step, or the
            noise drives the blocks out of all bounds.

        Notes
        -----
        Springs explicit, damping and friction implicit. As dt falls, the error falls as dt without
        noise, in the mean over the noise, and along a path with noise but no friction; with both,
        it falls along a path as dt^(3/4) only, for friction jumps where a velocity changes its
        sign. The state of rest that friction leads to does not depend on dt.

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
        part, and the noise is a random force, drawn anew in each step.

        Notes
        -----
        The noise has a standard deviation in each step, as published, so as dt falls it averages
        out: the trajectory tends to the path of `sbt_utils.mechanics.chain_theory.relaxation`, its spread
        falls as the square root of dt, the error of its mean as dt.

        Examples
        --------
        >>> chain = SpringBlockChain(noise=0.1, common_noise=False, noise_decay=0.0)
        >>> chain.simulate_overdamped(every=100).positions.shape
        (101, 7)
        """
        return simulate(self, duration, dt, seed, seeds, every, start, overdamped=True)

    def _held_end(self) -> float:
        if isinstance(self.end, tuple):
            raise ValueError("end: a closed form needs one position, not a history; give a number")
        return float(self.end)  # type: ignore[arg-type]

    def _last_load(self) -> float | None:
        return None if self.force is None else self.force / self.spring_constant


def _check_number(name: str, value: object, least: float = -np.inf) -> None:
    """Raise unless a value is a finite number of at least so much."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}={value!r}: give a number")
    if not np.isfinite(value) or value < least:
        at_least = f" of at least {least:g}" if np.isfinite(least) else ""
        raise ValueError(f"{name}={value}: give a finite number{at_least}")


Seed = int | Sequence[int]
"""What `numpy.random.default_rng` takes: an integer, or several."""


# Random numbers drawn at a time: memory is set by what is kept, not by the number of steps.
_DRAWN_AT_ONCE = 2**16


def end_at(chain: SpringBlockChain, times: np.ndarray) -> np.ndarray:
    """Return the position of the held end.

    Parameters
    ----------
    chain : SpringBlockChain
        With a held end.
    times : ndarray
        When.

    Returns
    -------
    ndarray
        As `times`.

    Examples
    --------
    >>> end_at(SpringBlockChain(end=[(0, 0.0), (10, 1.0)]), np.array([5, 20]))
    array([0.5, 1. ])
    """
    if not isinstance(chain.end, tuple):
        return np.full(np.shape(times), float(chain.end))  # type: ignore[arg-type]
    return np.interp(times, *np.transpose(chain.end))


def largest_step(chain: SpringBlockChain, overdamped: bool = False) -> float:
    r"""Return the largest stable time step.

    Parameters
    ----------
    chain : SpringBlockChain
        To simulate.
    overdamped : bool
        In first order; else in second.

    Returns
    -------
    float
        With κ the largest eigenvalue of the stiffness: 2 / κ in first order, and
        :math:`(\gamma + \sqrt{\gamma^2 + 4 m \kappa}) / \kappa` in second order, where
        :math:`\kappa\,dt^2 < 4 m + 2 \gamma\,dt` keeps both roots of
        :math:`z^2 - (1 + r - r \kappa\,dt^2 / m) z + r`, :math:`r = 1 / (1 + \gamma dt / m)`,
        within the unit circle.

    Examples
    --------
    >>> round(largest_step(SpringBlockChain(blocks=1, spring_constant=1, damping=0)), 6)
    1.414214
    """
    # Of the tridiagonal matrix in closed form.
    angle = np.pi / (2 * chain.blocks + (2 if chain.force is None else 1))
    stiffest = 4 * chain.spring_constant * float(np.cos(angle)) ** 2
    if overdamped:
        return 2 / stiffest
    root = np.sqrt(chain.damping**2 + 4 * chain.mass * stiffest)
    return float((chain.damping + root) / stiffest)


def simulate(
    chain: SpringBlockChain,
    duration: float,
    dt: float,
    seed: Seed,
    seeds: Iterable[Seed] | None,
    every: int,
    start: Trajectory | None,
    overdamped: bool,
) -> Trajectory:
    """Integrate a chain: what `SpringBlockChain.simulate` and `simulate_overdamped` call."""
    for name, value in (("duration", duration), ("dt", dt)):
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise TypeError(f"{name}={value!r}: give a number")
    largest = largest_step(chain, overdamped)
    if not 0 < dt < largest:
        raise ValueError(f"dt={dt}: give a step above 0 and below {largest:.6g}, the stable ones")
    if not overdamped and chain.mass == 0:
        raise ValueError("mass=0: the second order needs a mass; take simulate_overdamped instead")
    if not 0.5 < duration / dt < 1e15:
        raise ValueError(f"duration={duration}: give at least one step, dt={dt}, and up to 1e15")
    if isinstance(every, bool) or not isinstance(every, int | np.integer) or every < 1:
        raise ValueError(f"every={every!r}: give an integer of at least 1")
    members = [seed] if seeds is None else list(seeds)
    if not members:
        raise ValueError("seeds: there are none; give at least one")
    states, before = _initial(chain, start, len(members), overdamped)
    steps, first = round(duration / dt), round(before / dt)
    if start is not None:  # not the noise of the first steps again
        members = [[*np.atleast_1d(member).tolist(), first] for member in members]

    def one(member: Seed, state: np.ndarray) -> np.ndarray:
        return _integrate(chain, state, np.random.default_rng(member), steps, dt, every, before)

    with ThreadPoolExecutor() as pool:
        kept = np.stack(list(pool.map(one, members, states)))
    if not np.isfinite(kept).all():
        raise ValueError(
            f"noise={chain.noise}: the blocks were driven out of all bounds; give less noise"
        )
    if seeds is None:
        kept = kept[0]
    done = np.append(np.arange(0, steps, every), steps)
    times, positions = before + dt * done, kept[..., 0, :, :]
    if chain.force is None:
        ends = end_at(chain, times)
    else:
        ends = positions[..., -1] + chain.force / chain.spring_constant
    return Trajectory(times, positions, ends, None if overdamped else kept[..., 1, :, :])


def _initial(
    chain: SpringBlockChain, start: Trajectory | None, count: int, overdamped: bool
) -> tuple[np.ndarray, float]:
    """Return the initial positions and velocities, shape (seeds, 1 or 2, L), and the time."""
    kinds = 1 if overdamped else 2
    states = np.zeros((count, kinds, chain.blocks))
    if start is None:
        return states, 0.0
    last = start.positions[..., -1, :]
    if last.shape[-1] != chain.blocks:
        raise ValueError(f"start: {last.shape[-1]} blocks for a chain of {chain.blocks}")
    if last.ndim == 2 and len(last) != count:
        raise ValueError(f"start: {len(last)} trajectories for {count} seeds; give as many seeds")
    states[:, 0] = last
    if not overdamped and start.velocities is not None:
        states[:, 1] = start.velocities[..., -1, :]
    return states, float(start.times[-1])


def _integrate(
    chain: SpringBlockChain,
    state: np.ndarray,
    rng: np.random.Generator,
    steps: int,
    dt: float,
    every: int,
    before: float,
) -> np.ndarray:
    """Return the kept states of one trajectory, shape (1 or 2, kept, L)."""
    kept = np.empty((len(state), -(-steps // every) + 1, chain.blocks))
    kept[:, 0] = state
    forces, spring = chain.acting, chain.spring_constant
    advance = langevin_steps if len(state) == 2 else overdamped_steps
    # In second order the noise is white: what it transfers in a step grows as the root of dt.
    scale = chain.amplitude * (np.sqrt(dt) if len(state) == 2 else 1.0)
    columns = 1 if chain.common_noise else chain.blocks
    at_once = max(1, _DRAWN_AT_ONCE // columns)
    for done in range(0, steps, at_once):
        count = min(at_once, steps - done)
        times = before + dt * np.arange(done, done + count)
        kicks = rng.standard_normal((count, columns))
        with np.errstate(over="ignore"):  # reported when the trajectory is whole
            kicks *= scale * np.exp(-chain.noise_decay * times)[:, None]
        pulls = (
            np.full(count, chain.force)
            if chain.force is not None
            else spring * end_at(chain, times)
        )
        advance(state, forces, pulls, kicks, dt, done, every, kept)
    kept[:, -1] = state
    return kept
