"""Chains of first order whose blocks are pushed one by one, and whose noise and pull may change.

`sbt_utils.mechanics.chain.SpringBlockChain` has no force on a single block, and its noise only
decays. The springs have k = 1, so forces are in units of k y. Time is counted in epochs, of which
a hundred are the time for which the paper simulates its second-order chain.
"""

from collections.abc import Sequence

import numpy as np

from sbt_utils.measuring.curves import curve_statistics

DT = 0.05
STEPS_PER_EPOCH = 140
"""Of `DT`: a hundred epochs are 700 units of time, as published."""
BLOCKS = 7


def overdamped(
    positions: np.ndarray,
    kicks: np.ndarray,
    friction: np.ndarray | float,
    end: np.ndarray,
    force: np.ndarray | float = 0.0,
    dt: float = DT,
    every: int = 1,
) -> np.ndarray:
    """Move blocks by x' = S(k (x_{l+1} - 2 x_l + x_{l-1}) + noise + force), with k = 1.

    As ``SpringBlockChain.simulate_overdamped``, which knows no force on a block and noise that
    decays at most. The friction S is the same to both sides.

    Parameters
    ----------
    positions : ndarray, shape (..., L)
        At the start.
    kicks : ndarray, shape (steps, ..., L)
        The random force in each step.
    friction, force : float or ndarray
        μ and the constant force, of whatever shape goes with (..., L).
    end : ndarray, shape (steps,)
        y, where the last spring is held in each step.
    every : int
        Keep every n-th state.

    Returns
    -------
    ndarray, shape (steps // every, ..., L)

    Examples
    --------
    >>> kicks, end = np.zeros((4000, 2)), np.ones(4000)
    >>> overdamped(np.zeros(2), kicks, 0.1, end)[-1].round(3)  # loads of 0.233, 0.333, 0.433
    array([0.233, 0.567])
    """
    chain = np.zeros((*np.shape(positions)[:-1], np.shape(positions)[-1] + 2))
    chain[..., 1:-1] = positions
    kept = np.empty((len(kicks) // every, *np.shape(positions)))
    for step, kick in enumerate(kicks):
        chain[..., -1] = end[step]
        total = chain[..., 2:] - 2 * chain[..., 1:-1] + chain[..., :-2] + kick + force
        chain[..., 1:-1] += dt * np.sign(total) * np.maximum(np.abs(total) - friction, 0.0)
        if (step + 1) % every == 0:
            kept[(step + 1) // every - 1] = chain[..., 1:-1]
    return kept


def pulled(kicks: np.ndarray, friction: np.ndarray | float) -> np.ndarray:
    """Return where blocks are, (..., L), after a pull from rest at x = 0 to y = 1 amid `kicks`."""
    steps = len(kicks)
    start = np.zeros(np.broadcast_shapes(kicks.shape[1:], np.shape(friction)))
    return overdamped(start, kicks, friction, np.ones(steps), every=steps)[-1]


def pushed_chains(
    forces: Sequence[float],
    block: int,
    frictions: Sequence[float],
    noises: Sequence[float],
    seeds: Sequence[int],
    epochs: tuple[int, int] = (100, 10),
) -> np.ndarray:
    """Pull chains, shake them, then push one of their blocks, and return how far it gives.

    Parameters
    ----------
    forces : sequence of float
        On the `block`, numbered from 1.
    frictions, noises : sequence of float
        μ to both sides, and the standard deviation of the random force on each block in each step.
    seeds : sequence of int
        A seed has the same random numbers whatever the force, the friction and the noise.
    epochs : (int, int)
        Before the push, and of the push.

    Returns
    -------
    ndarray, shape (frictions, noises, seeds, forces)
        By how much the block is further to the right than without a force.
    """
    mu, noise = np.reshape(frictions, (-1, 1, 1)), np.reshape(noises, (-1, 1))
    push = np.zeros((len(forces) + 1, 1, 1, BLOCKS))
    push[1:, 0, 0, block - 1] = forces
    given = []
    before, during = (STEPS_PER_EPOCH * number for number in epochs)
    for seed in seeds:
        kicks = np.random.default_rng(seed).standard_normal((before + during, 1, 1, BLOCKS))
        state = pulled(noise * kicks[:before], mu)
        last = overdamped(
            np.broadcast_to(state, (len(push), *state.shape)),
            noise * kicks[before:],
            mu,
            np.ones(during),
            push,
            every=during,
        )[-1, ..., block - 1]
        given.append(last[1:] - last[0])
    return np.moveaxis(np.array(given), (0, 1), (2, 3))


def triangle(time: np.ndarray, period: float) -> np.ndarray:
    """Return a wave that rises from 0 to 1 in the first half of each period, and falls again."""
    return 1 - np.abs(1 - 2 * (np.asarray(time) % period) / period)


def cycled_chains(
    period: int,
    seeds: Sequence[int],
    friction: float,
    noise: tuple[float, float],
    end: tuple[float, float],
    readings: int,
    mobility: float = 1.0,
) -> np.ndarray:
    """Return the convexity of chains whose noise and end go up and down together.

    They are pulled from rest, without noise, to the lower end, and read in the last one and a half
    of two and a half periods, `readings` times a period.

    Parameters
    ----------
    period : int
        In epochs.
    noise, end : (float, float)
        Between which the strength of the noise, and the pulled end y, go up and down.
    mobility : float
        How fast blocks go under a force, relative to the chains of the other functions.

    Returns
    -------
    ndarray, shape (seeds, 1.5 readings + 1)
    """
    every, pieces = period * STEPS_PER_EPOCH // readings, 5 * readings // 2
    wave = triangle(np.arange(1, pieces * every + 1) / STEPS_PER_EPOCH, period)
    strength, ends = (low + (high - low) * wave for low, high in (noise, end))
    generators = [np.random.default_rng(seed) for seed in seeds]
    rest = pulled(np.zeros((100 * STEPS_PER_EPOCH, BLOCKS)), friction) * end[0]
    states = [np.tile(rest, (len(generators), 1))]
    for piece in np.split(np.arange(pieces * every), pieces):
        drawn = [generator.standard_normal((every, BLOCKS)) for generator in generators]
        kicks = strength[piece, None, None] * np.stack(drawn, 1)
        states += list(
            overdamped(states[-1], kicks, friction, ends[piece], dt=DT * mobility, every=every)
        )
    positions = np.stack(states[readings:], 1)
    read = np.broadcast_to(
        ends[every - 1 :: every][readings - 1 :, None], (*positions.shape[:2], 1)
    )
    return curve_statistics(np.concatenate([read, read - positions], -1), "convexity")


def shaken(noise: float, friction: float, seed: int, epochs: tuple[int, int]) -> np.ndarray:
    """Return the states (steps + 1, L) of a chain that goes on being shaken after the pull.

    `epochs` are those of the pull and those that follow.
    """
    before, during = (STEPS_PER_EPOCH * number for number in epochs)
    kicks = noise * np.random.default_rng(seed).standard_normal((before + during, BLOCKS))
    start = pulled(kicks[:before], friction)
    later = overdamped(start, kicks[before:], friction, np.ones(during))
    return np.concatenate([start[None], later])
