"""Skewed kicks: how far they move a chain with symmetric friction, and how far chance would.

In the long run the loads of a chain with friction μ both ways form an arithmetic sequence, of slope
F*/k, where F* is the force at which a block under it drifts neither way. With kicks ξ of mean 0
and the soft threshold S(z) = z - clip(z, -μ, μ) that is E S(F* + ξ) = 0, or

    F* = E clip(F* + ξ, -μ, μ).

Hence F* = 0 for symmetric kicks, and -μ <= F* <= μ for any. To first order in the skewness κ of
kicks of standard deviation s (the Gram-Charlier series), with the normal density φ and u = μ/s,

    F* = -κ/6 μ φ(u) / (1 - Φ(u)):

kicks with rare large ones *towards the pull* (κ > 0) make the loads fall towards the pull, which
is the active phase, and rare large ones backwards the lazy one; without friction they do nothing.
"""

import numpy as np
from scipy.stats import skew

FLIPS = 200
"""Symmetrised samples that say how far the statistics of a symmetric kick lie from 0 by chance."""

_HALVINGS = 40  # of the interval [-u, u]: to 1e-12


def force_left(kicks: np.ndarray, friction: float) -> np.ndarray:
    """Return F*/μ, the force that kicks leave in the long run, in units of symmetric friction.

    Parameters
    ----------
    kicks : ndarray, shape (K, ...)
        Samples along the first axis, in any unit; positive is towards the pull.
    friction : float, positive
        u = μ/s, in units of the kicks' standard deviation. Where no kick exceeds it, blocks stick
        wherever they are, and the force returned is one of many.

    Returns
    -------
    ndarray, shape (...)
        In [-1, 1]. Negative: the chain becomes active. nan where the kicks are all alike.

    Examples
    --------
    >>> kicks = np.random.default_rng(0).exponential(size=100_000)
    >>> round(float(force_left(kicks, 1.0)), 2)
    -0.45
    """
    spread = kicks.std(0)
    standardised = (kicks - kicks.mean(0)) / np.where(spread > 0, spread, np.nan)
    low = np.full(kicks.shape[1:], -friction)
    high = -low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # Never falls with the force: clip rises at most as fast as its argument.
        drift = middle - np.clip(middle + standardised, -friction, friction).mean(0)
        low, high = np.where(drift < 0, middle, low), np.where(drift < 0, high, middle)
    return np.where(spread > 0, (low + high) / 2 / friction, np.nan)


def by_chance(
    kicks: np.ndarray, friction: float, rng: np.random.Generator, run: int = 1
) -> tuple[float, ...]:
    """Return how skewness and F*/μ, averaged over layers, would scatter if kicks were symmetric.

    Two standard deviations. `kicks` (K, layer) get random signs, the same ones for all layers, and
    for `run` samples in succession, as far as these depend on one another.
    """
    centred = kicks - kicks.mean(0)
    signs = rng.choice([-1.0, 1.0], (-(-len(kicks) // run), FLIPS, 1)).repeat(run, 0)
    flipped = signs[: len(kicks)] * centred[:, None]
    drawn = skew(flipped), force_left(flipped, friction)
    return tuple(float(values.mean(-1).std()) for values in drawn)
