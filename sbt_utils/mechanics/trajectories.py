"""Trajectories of spring-block chains: one, or one for each of many seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sbt_utils.measuring.separation import LoadCurve
from sbt_utils.mechanics.chain_steps import langevin_steps, overdamped_steps

if TYPE_CHECKING:
    from sbt_utils.mechanics.chain import SpringBlockChain

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
    >>> from sbt_utils.mechanics.chain import SpringBlockChain
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
    >>> from sbt_utils.mechanics.chain import SpringBlockChain
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


def curve_of(loads: np.ndarray) -> LoadCurve:
    """Return the load curve of a chain with given loads, for instance those of a closed form.

    Parameters
    ----------
    loads : ndarray, shape (L + 1,) or (repeats, L + 1)
        d_1..d_{L+1}, from the wall to the end.

    Returns
    -------
    LoadCurve
        D_l = d_{l+1} + ... + d_{L+1} for l = 0..L: the last load is the height that is left.

    Examples
    --------
    >>> from sbt_utils.mechanics.chain import SpringBlockChain
    >>> chain = SpringBlockChain()
    >>> curve_of(chain.static_loads()).regime, curve_of(chain.mean_field_loads()).regime
    ('lazy', 'equiseparated')
    """
    return LoadCurve(np.cumsum(loads[..., ::-1], axis=-1)[..., ::-1], measure="distance")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The kept states of a chain, of one trajectory or of one for each seed.

    Parameters
    ----------
    chain : SpringBlockChain
        What was simulated.
    times : ndarray, shape (kept,)
        From the start; the last state is always there.
    positions : ndarray, shape (kept, L) or (seeds, kept, L)
        x_1..x_L.
    velocities : ndarray, optional
        As the positions; None in first order, where they are no part of the state.
    """

    chain: SpringBlockChain
    times: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray | None

    @property
    def separation(self) -> np.ndarray:
        """D_l = y - x_l of l = 0..L at every kept time, shape (..., kept, L + 1)."""
        if self.chain.force is None:
            end = np.broadcast_to(end_at(self.chain, self.times), self.positions.shape[:-1])
        else:
            end = self.positions[..., -1] + self.chain.force / self.chain.spring_constant
        return np.concatenate([end[..., None], end[..., None] - self.positions], axis=-1)

    @property
    def loads(self) -> np.ndarray:
        """Final loads d_l = x_l - x_{l-1} of l = 1..L + 1, shape (..., L + 1); their sum is y."""
        return -np.diff(self.separation[..., -1, :], append=0.0)

    @property
    def load_curve(self) -> LoadCurve:
        """Final load curve; each trajectory of several is a repeat."""
        return LoadCurve(self.separation[..., -1, :], measure="distance")

    def average_load_curve(self, after: float = 0.0) -> LoadCurve:
        """Return the load curve averaged over the kept times.

        Parameters
        ----------
        after : float
            Leave out what was before.

        Returns
        -------
        LoadCurve
            Each trajectory of several is a repeat.

        Raises
        ------
        ValueError
            If no state was kept from then on.

        Examples
        --------
        >>> from sbt_utils.mechanics.chain import SpringBlockChain
        >>> trajectory = SpringBlockChain().simulate(every=20)
        >>> trajectory.average_load_curve(after=350.0).regime
        'equiseparated'
        """
        late = self.times >= after
        if not late.any():
            raise ValueError(f"after={after}: the last kept time is {self.times[-1]:g}; give less")
        return LoadCurve(self.separation[..., late, :].mean(axis=-2), measure="distance")


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
    velocities = None if overdamped else kept[..., 1, :, :]
    return Trajectory(chain, before + dt * done, kept[..., 0, :, :], velocities)


def _initial(
    chain: SpringBlockChain, start: Trajectory | None, count: int, overdamped: bool
) -> tuple[np.ndarray, float]:
    """Return the initial positions and velocities, shape (seeds, 1 or 2, L), and the time."""
    kinds = 1 if overdamped else 2
    states = np.zeros((count, kinds, chain.blocks))
    if start is None:
        return states, 0.0
    if start.chain.blocks != chain.blocks:
        raise ValueError(f"start: {start.chain.blocks} blocks for a chain of {chain.blocks}")
    last = start.positions[..., -1, :]
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
