"""Trajectories of spring-block chains: one, or one for each of many seeds."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from threading import Event
from typing import Any

import numpy as np

from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.chain_parameters import (
    LARGEST,
    LEAST_SKEWED,
    ChainParameters,
    gamma_shape,
)
from sbt_utils.mechanics.chain_steps import lane_steps, langevin_steps, overdamped_steps
from sbt_utils.numbers import as_array, as_number
from sbt_utils.text import quoted
from sbt_utils.threads import in_threads

Seed = int | Sequence[int]
"""What `numpy.random.default_rng` takes: an integer, or several."""

# Random numbers drawn at a time: memory grows with the states kept, not with the steps.
_DRAWN_AT_ONCE = 2**16
# Steps times blocks that are taken between two questions whether to stop: some milliseconds.
_MOVED_AT_ONCE = 2**20
# Trajectories that fill the widest vector registers, and how many side by side gain no more.
_LANES, _MOST_LANES = 8, 32
# Blocks of all of them together: the states of more leave the fastest cache.
_MOST_SIDE_BY_SIDE = 1024
# Of the time m / γ that a step may take, if the noise is skewed.
_LEAST_SHARE = 1e-12

MOST_SEEDS = 10**6
"""Of trajectories at a time."""


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

    Raises
    ------
    ValueError
        Another shape, or what is no finite number.

    Examples
    --------
    >>> from sbt_utils.mechanics.chain import SpringBlockChain
    >>> chain = SpringBlockChain()
    >>> curve_of(chain.static_loads()).regime, curve_of(chain.mean_field_loads()).regime
    ('lazy', 'equiseparated')
    """
    loads = as_array(loads)
    if not loads.size or loads.ndim not in (1, 2):
        raise ValueError("loads: give numbers, shape (L + 1,) or (repeats, L + 1)")
    with np.errstate(over="ignore", invalid="ignore"):
        distances = np.cumsum(loads[..., ::-1], axis=-1)[..., ::-1]
    if not np.isfinite(distances).all():
        raise ValueError("loads: NaN, infinite, or too large to add up; leave such chains out")
    return LoadCurve(distances, measure="distance")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The kept states of a chain, of one trajectory or of one for each seed.

    Parameters
    ----------
    times : ndarray, shape (kept,)
        From the start; the last state is always there.
    positions : ndarray, shape (kept, L) or (seeds, kept, L)
        x_1..x_L.
    ends : ndarray, shape (kept,) or (seeds, kept)
        y, the position of the pulled end.
    velocities : ndarray, optional
        As the positions; None in first order, where they are no part of the state.
    """

    times: np.ndarray
    positions: np.ndarray
    ends: np.ndarray
    velocities: np.ndarray | None

    @property
    def separation(self) -> np.ndarray:
        """D_l = y - x_l of l = 0..L at every kept time, shape (..., kept, L + 1)."""
        ends = np.broadcast_to(self.ends, self.positions.shape[:-1])[..., None]
        return np.concatenate([ends, ends - self.positions], axis=-1)

    @property
    def loads(self) -> np.ndarray:
        """Final loads d_l = x_l - x_{l-1} of l = 1..L + 1, shape (..., L + 1); their sum is y."""
        return -np.diff(self.separation[..., -1, :], append=0.0)

    @property
    def load_curve(self) -> LoadCurve:
        """Final load curve; each of several trajectories is a repeat."""
        return LoadCurve(self.separation[..., -1, :], measure="distance")

    def average_load_curve(self, after: float = 0.0) -> LoadCurve:
        """Return the load curve averaged over the kept times from `after` on; none is an error.

        Each of several trajectories is a repeat.
        """
        after = as_number("after", after)
        late = self.times >= after
        if not late.any():
            last = f"{self.times[-1]:g}, the last kept time"
            raise ValueError(f"after={after}: give a number up to {last}")
        return LoadCurve(self.separation[..., late, :].mean(axis=-2), measure="distance")


def largest_step(chain: ChainParameters, overdamped: bool = False) -> float:
    """Return the largest stable time step."""
    # The largest eigenvalue of the tridiagonal stiffness, in closed form.
    angle = np.pi / (2 * chain.blocks + (2 if chain.force is None else 1))
    stiffest = 4 * chain.spring_constant * float(np.cos(angle)) ** 2 + float(chain.drive)
    if overdamped:
        return 2 / stiffest
    # Both roots of z² - (1 + r - r a dt² / m) z + r, with r = 1 / (1 + γ dt / m) and the eigenvalue
    # a, lie within the unit circle as long as a dt² < 4 m + 2 γ dt.
    root = np.sqrt(chain.damping**2 + 4 * chain.mass * stiffest)
    return float((chain.damping + root) / stiffest)


def simulate(
    chain: ChainParameters,
    duration: float,
    dt: float,
    seed: Seed,
    seeds: Iterable[Seed] | None,
    every: int,
    start: Trajectory | None,
    overdamped: bool,
) -> Trajectory:
    """Integrate a chain, as `SpringBlockChain.simulate` and `simulate_overdamped` say."""
    duration, dt = float(as_number("duration", duration)), float(as_number("dt", dt))
    largest = largest_step(chain, overdamped)
    if not 0 < dt < largest:
        raise ValueError(f"dt={dt}: give a step above 0 and below {largest:.6g}, the stable ones")
    if not overdamped and chain.mass == 0:
        raise ValueError("mass=0: the second order needs a mass; take simulate_overdamped instead")
    if not overdamped and math.isinf(chain.damping * dt / chain.mass):
        raise ValueError(f"mass={chain.mass}: too light to matter; take simulate_overdamped")
    skewed = not overdamped and abs(chain.skewness) >= LEAST_SKEWED
    if skewed and _share(chain, dt) < _LEAST_SHARE:
        raise ValueError(
            f"damping={chain.damping}: skewness={chain.skewness} is that of the noise in a time "
            "m / γ, too long for steps of dt; give more damping, or skewness=0"
        )
    if not 0.5 < duration / dt < 1e15:
        raise ValueError(f"duration={duration}: give at least one step, dt={dt}, and up to 1e15")
    if isinstance(every, bool) or not isinstance(every, int | np.integer) or every < 1:
        raise ValueError(f"every={quoted(every)}: give an integer of at least 1")
    members = [check_seed(seed)] if seeds is None else _checked_seeds(seeds)
    steps = round(duration / dt)
    every = min(int(every), steps)
    count = len(members) * (-(-steps // every) + 1)
    try:
        if count * chain.blocks > 2**58:  # more than any machine can name
            raise MemoryError
        states, before = _initial(chain, start, len(members), overdamped)
        times = before + dt * np.append(np.arange(0, steps, every), steps)
        kept = np.empty((*states.shape[:2], len(times), chain.blocks))
    except MemoryError:
        raise ValueError(
            f"every={every}: {count:,} states of {chain.blocks:,} blocks do not fit into memory; "
            "keep fewer of them, or give fewer seeds at a time"
        ) from None
    if start is not None:  # not the noise of the first steps again
        first = round(min(before / dt, LARGEST))
        members = [[*np.atleast_1d(member).tolist(), first] for member in members]

    def integrate(group: slice, stopped: Event) -> bool:
        rngs = [np.random.default_rng(member) for member in members[group]]
        _integrate(chain, states[group], rngs, steps, dt, every, before, kept[group], stopped)
        return all(np.isfinite(one).all() for one in kept[group])

    groups = _groups(len(members), chain.blocks)
    if len(members) == 1 and steps * chain.blocks <= _MOVED_AT_ONCE:  # sooner than a thread starts
        finite = [integrate(groups[0], Event())]
    else:
        finite = in_threads(integrate, groups)
    if not all(finite):
        raise ValueError(
            f"noise={chain.noise}: the blocks were driven out of all bounds; give less noise"
        )
    if seeds is None:
        kept = kept[0]
    positions = kept[..., 0, :, :]
    if chain.force is None:
        ends = chain.end_at(times)
    else:
        ends = positions[..., -1] + chain.force / chain.spring_constant
    return Trajectory(times, positions, ends, None if overdamped else kept[..., 1, :, :])


def check_seed(seed: Seed, name: str = "seed") -> Seed:
    """Return what `numpy.random.default_rng` takes as a seed, if it is one that can be repeated."""
    several = isinstance(seed, Sequence) and not isinstance(seed, str | bytes)
    words: Any = seed if several or np.ndim(seed) == 1 else [seed]
    word: Any
    for word in words if len(words) else [None]:
        whole = isinstance(word, int | np.integer) and not isinstance(word, bool)
        if not whole or word < 0:
            raise ValueError(
                f"{name}={quoted(seed)}: give an integer of at least 0, or several of them"
            )
    return seed


def _checked_seeds(seeds: Iterable[Seed]) -> list[Seed]:
    one = isinstance(seeds, str) or getattr(seeds, "ndim", 1) == 0
    if one or not isinstance(seeds, Iterable):
        raise ValueError(f"seeds={quoted(seeds)}: give several, one for each trajectory")
    members = list(islice(seeds, MOST_SEEDS + 1))
    if not members:
        raise ValueError("seeds: there are none; give at least one")
    if len(members) > MOST_SEEDS:
        raise ValueError(f"seeds: more than {MOST_SEEDS:,}; give fewer at a time")
    return [check_seed(member, "seeds") for member in members]


def _initial(
    chain: ChainParameters, start: Trajectory | None, count: int, overdamped: bool
) -> tuple[np.ndarray, float]:
    """Return the initial positions and velocities, shape (seeds, 1 or 2, L), and the time."""
    states = np.zeros((count, 1 if overdamped else 2, chain.blocks))
    if start is None:
        return states, 0.0
    if not isinstance(start, Trajectory):
        raise TypeError(f"start: a {type(start).__name__}; give a Trajectory")
    last = as_array(start.positions[..., -1, :])
    if not last.ndim:
        raise ValueError("start: its positions are no real numbers; give what simulate returned")
    if last.shape[-1] != chain.blocks:
        raise ValueError(f"start: {last.shape[-1]} blocks for a chain of {chain.blocks}")
    if last.ndim == 2 and len(last) != count:
        raise ValueError(f"start: {len(last)} trajectories for {count} seeds; give as many seeds")
    states[:, 0] = last
    if not overdamped and start.velocities is not None:
        states[:, 1] = as_array(start.velocities[..., -1, :])
    if not (np.abs(states) <= LARGEST).all() or not 0 <= start.times[-1] <= LARGEST:
        raise ValueError(
            f"start: its last state or time is NaN, or beyond {LARGEST:g}; give one within bounds"
        )
    return states, float(start.times[-1])


def _groups(count: int, blocks: int) -> list[slice]:
    """Say which trajectories to take side by side; if there are many, every processor has some."""
    full = -(-count // _LANES)
    most = min(_MOST_LANES, _MOST_SIDE_BY_SIDE // blocks) // _LANES
    if count < _LANES or not most:
        return [slice(n, n + 1) for n in range(count)]
    groups = max(-(-full // most), min(os.cpu_count() or 1, count // _LANES))
    ends = (min(count, full * n // groups * _LANES) for n in range(groups + 1))
    return [slice(*pair) for pair in pairwise(ends)]


def _integrate(
    chain: ChainParameters,
    states: np.ndarray,
    rngs: list[np.random.Generator],
    steps: int,
    dt: float,
    every: int,
    before: float,
    kept: np.ndarray,
    stopped: Event,
) -> None:
    """Write the kept states of some trajectories, shape (seeds, 1 or 2, kept, L)."""
    lanes, orders, blocks = states.shape
    kept[:, :, 0] = states
    if lanes == 1:
        advance = langevin_steps if orders == 2 else overdamped_steps
        state, into = states[0], kept[0]
    else:
        advance, state, into = lane_steps, np.zeros((3, blocks + 1, lanes)), kept
        state[:orders, 1:] = np.moveaxis(states, 0, -1)
    forces = chain.acting
    # In second order the noise is white: what it transfers in a step grows as the root of dt.
    scale = chain.amplitude * (np.sqrt(dt) if orders == 2 else 1.0)
    draw = _standard_noise(chain.skewness, 1.0 if orders == 1 else _share(chain, dt))
    columns = 1 if chain.common_noise else blocks
    at_once = max(1, _DRAWN_AT_ONCE // (columns * lanes))
    in_sight = max(1, _MOVED_AT_ONCE // (blocks * lanes))
    for done in range(0, steps, at_once):
        count = min(at_once, steps - done)
        times = before + dt * np.arange(done, done + count)
        kicks = np.empty((count, columns, lanes))
        for lane, rng in enumerate(rngs):
            kicks[:, :, lane] = draw(rng, (count, columns))
        with np.errstate(over="ignore"):  # reported when the trajectory is whole
            kicks *= (scale * np.exp(-chain.noise_decay * times))[:, None, None]
        if lanes == 1:
            kicks = kicks[:, :, 0]
        pulls = chain.pulls_at(times)
        for n in range(0, count, in_sight):
            if stopped.is_set():
                return
            part = slice(n, n + in_sight)
            advance(state, forces, pulls[part], kicks[part], dt, done + n, every, into)
    kept[:, :, -1] = states if lanes == 1 else np.moveaxis(state[:orders, 1:], -1, 0)


def _share(chain: ChainParameters, dt: float) -> float:
    """Return what part of the time m / γ, to which the skewness refers, a step takes."""
    return dt * chain.damping / chain.mass


def _standard_noise(
    skewness: float, share: float
) -> Callable[[np.random.Generator, tuple[int, int]], np.ndarray]:
    """Return a source of random numbers of mean 0 and variance 1.

    The sum of 1 / `share` of them, over its standard deviation, has the given skewness: gamma
    numbers add up to gamma numbers, and their shapes are added.
    """
    if abs(skewness) < LEAST_SKEWED:
        return np.random.Generator.standard_normal
    shape = gamma_shape(skewness) * share
    scale = math.copysign(1 / math.sqrt(shape), skewness)
    return lambda rng, size: (rng.standard_gamma(shape, size) - shape) * scale
