"""Matching: the friction and the noise of the chain that behaves like a given network.

A network and a chain match where their load curves, scaled to fall from 1 to 0, have one shape.
Forces are in units of k y, as in `sbt_utils.mechanics.published_chains`.
"""

import warnings
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.optimize import least_squares
from scipy.special import fdtri

from sbt_utils.measuring.curves import LoadCurve, scaled
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_parameters import LARGEST
from sbt_utils.mechanics.published_chains import (
    DURATION,
    SECOND_ORDER,
    in_units,
    relaxed_curve,
    theory_diagram,
)
from sbt_utils.mechanics.trajectories import MOST_SEEDS
from sbt_utils.numbers import as_number
from sbt_utils.text import quoted

# Where a fit looks. More noise changes the curve's shape no further, and makes the chain jitter by
# more than its loads.
_FRICTIONS = tuple(np.linspace(0.0, 0.2, 41).tolist())
_NOISES = tuple(np.geomspace(0.003, 0.2, 54).tolist())
_ROUNDS = 4
_MOST_LAYERS = 50
# Steps times layers for one curve of the mean field, of which a fit needs thousands: a minute.
_MOST_WORK = 100_000

GOOD_MATCH = 0.03
"""Residual above which a chain's load curve no longer counts as the network's."""
_POOR_MATCH = 0.1


class PoorMatch(UserWarning):
    """No chain that `fit_chain` looked at behaves like the network."""


@dataclass(frozen=True)
class Match:
    """A chain, and how well its load curve fits a network's.

    Parameters
    ----------
    chain : SpringBlockChain
        The chain that fits best.
    friction, noise : float
        Its friction to the right and its noise amplitude on each block, in units of k y.
    friction_interval, noise_interval : tuple of float
        Extent of the 95 % confidence region of the least squares, within the range of the fit. It
        is wide where different pairs of friction and noise fit about equally well.
    residual : float
        Root mean square over the layers of the difference of the scaled curves.
    curve : LoadCurve
        Of the simulated chain, each trajectory a repeat.
    """

    chain: SpringBlockChain
    friction: float
    noise: float
    friction_interval: tuple[float, float]
    noise_interval: tuple[float, float]
    residual: float
    curve: LoadCurve

    @property
    def verdict(self) -> str:
        """Whether the chain matches, in words: up to a residual of 0.03 it does."""
        words = "a match" if self.residual <= GOOD_MATCH else "no match"
        return f"{words}: the scaled curves differ by {self.residual:.3f}"


def fit_chain(
    curve: LoadCurve,
    friction: float | None = None,
    *,
    chain: SpringBlockChain = SECOND_ORDER,
    duration: float = DURATION,
    trajectories: int = 20,
) -> Match:
    r"""Find the friction and the noise with which a chain behaves like a network.

    Parameters
    ----------
    curve : LoadCurve
        Of the network, which needs at least four layers.
    friction : float, optional
        The friction to the right, in units of k y, if it is known; then only the noise is fitted.
        One curve alone hardly determines both: more of both gives nearly the same curve.
    chain : SpringBlockChain
        Gives all but the number of blocks (the network's layers), the friction to the right and
        the noise: its drive as well, if the loss is to pull at every layer.
    duration : float
        For which the chain is simulated.
    trajectories : int
        Of which the chain's curve is the mean.

    Returns
    -------
    Match
        Frictions from 0 to 0.2, noise from 0.003 to 0.2.

    Raises
    ------
    ValueError
        If the curve does not fall, or has fewer than four layers: too few for two numbers; with
        more than 50, or a duration of so many steps that the fit would take long.

    Warns
    -----
    PoorMatch
        If the residual is above 0.1; above 0.03 where the duration is too short for the pull to
        cross the chain, which takes :math:`\gamma / (\pi^2 k / (L + 1)^2 + \kappa)`.

    Notes
    -----
    Least squares on the curve of the mean field. Then the fitted chain is simulated, what the mean
    field misses there is subtracted from the target, and the fit is repeated; the best of four
    rounds is returned. Beale's confidence region [1]_ holds the chains of the mean field whose mean
    square residual is at most :math:`1 + F\,p / (n - p)` times the best (or the squared standard
    errors of both curves, if they are larger), for n inner layers, p fitted numbers and the 95 %
    quantile F of Fisher's distribution with p and n - p degrees of freedom.

    References
    ----------
    .. [1] E. M. L. Beale, "Confidence regions in non-linear estimation", J. R. Stat. Soc. B 22
       (1960) 41.

    Examples
    --------
    >>> match = fit_chain(LoadCurve([2.0, 1.5, 1.1, 0.8, 0.6, 0.5]), trajectories=4)
    >>> match.residual < 0.01
    True

    A curve that falls like an exponential is beyond a chain without a drive, here of a fifth of k:

    >>> from dataclasses import replace
    >>> steep, driven = LoadCurve(0.65 ** np.arange(8)), replace(SECOND_ORDER, drive=0.02)
    >>> fit_chain(steep, chain=driven, trajectories=4).verdict
    'a match: the scaled curves differ by 0.003'
    """
    if not isinstance(curve, LoadCurve):
        raise TypeError(f"curve: a {type(curve).__name__}; give a LoadCurve")
    if not isinstance(chain, SpringBlockChain):
        raise TypeError(f"chain: a {type(chain).__name__}; give a SpringBlockChain")
    if not np.isfinite(curve.convexity):
        raise ValueError("curve: its end is not below its beginning; there is no shape to fit")
    layers = len(curve.mean) - 1
    if layers < 4:
        raise ValueError(f"curve: {layers} layers; a fit of friction and noise needs at least 4")
    if layers > _MOST_LAYERS:
        raise ValueError(
            f"curve: {layers} layers; a fit takes at most {_MOST_LAYERS}: keep every second or so, "
            "as LoadCurve(curve.separation[..., ::2])"
        )
    duration = as_number("duration", duration)
    friction = None if friction is None else as_number("friction", friction)
    if friction is not None and not 0 <= friction <= LARGEST:
        raise ValueError(
            f"friction={friction}: give a finite number of at least 0, at most {LARGEST:g}"
        )
    if not 0 < duration < np.inf:
        raise ValueError(f"duration={duration}: give a positive finite number")
    whole = isinstance(trajectories, int | np.integer) and not isinstance(trajectories, bool)
    if not whole or not 1 <= trajectories <= MOST_SEEDS:
        raise ValueError(
            f"trajectories={quoted(trajectories)}: give an integer of at least 1, at most "
            f"{MOST_SEEDS:,}"
        )
    # A step of the mean field is 0.4 γ / (k + κ / 4) long.
    stiff = chain.spring_constant + chain.drive / 4
    if duration * stiff * layers > 0.4 * _MOST_WORK * chain.damping:
        raise ValueError(
            f"duration={duration}: too many steps for a fit to {layers} layers with "
            f"damping={chain.damping} and spring_constant={chain.spring_constant}; give a shorter "
            "one, more damping or softer springs"
        )
    chain = replace(chain, blocks=layers)
    frictions = _FRICTIONS if friction is None else (friction,)
    if not np.isfinite(_library(chain, duration, frictions)).all():
        raise ValueError(
            f"duration={duration}: the pull has not moved the chain by then; give more"
        )
    target, missed, matches = curve.scaled, np.zeros(layers + 1), []
    for _ in range(_ROUNDS):
        levels = _fit_mean_field(target - missed, chain, duration, frictions)
        candidate = in_units(chain, *levels)
        # Only the last state counts: keep no other.
        simulated = candidate.simulate(duration, every=10**9, seeds=range(trajectories)).load_curve
        missed = simulated.scaled - relaxed_curve(candidate, duration).scaled
        residual = float(np.sqrt(np.mean((simulated.scaled - target) ** 2)))
        library = _library(chain, duration, frictions)
        intervals = _intervals(curve, simulated, library + missed, levels, frictions)
        matches.append(Match(candidate, *levels, *intervals, residual, simulated))
    best = min(matches, key=lambda match: match.residual)
    slowest = np.pi**2 * chain.spring_constant / (layers + 1) ** 2 + chain.drive
    crossing = chain.damping / slowest
    if best.residual > (_POOR_MATCH if duration >= crossing else GOOD_MATCH):
        remedy = (
            f"the pull takes about {crossing:.3g} to cross so long a chain: give a longer "
            "duration, less noise_decay and less friction_left"
            if duration < crossing
            else "do not rely on it, or try another chain"
        )
        warnings.warn(f"{best.verdict}; {remedy}", PoorMatch, stacklevel=2)
    return best


@lru_cache(maxsize=16)
def _library(chain: SpringBlockChain, duration: float, frictions: tuple[float, ...]) -> np.ndarray:
    """Return the mean field's scaled curves, shape (frictions, noises, L + 1)."""
    return scaled(theory_diagram(chain, frictions, _NOISES, duration).values)


def _fit_mean_field(
    target: np.ndarray, chain: SpringBlockChain, duration: float, frictions: tuple[float, ...]
) -> tuple[float, float]:
    """Return the friction and the noise whose mean field is nearest to a target."""

    def levels(parameters: np.ndarray) -> tuple[float, float]:
        friction = frictions[0] if len(frictions) == 1 else float(parameters[1])
        return friction, float(np.exp(parameters[0]))

    def difference(parameters: np.ndarray) -> np.ndarray:
        return relaxed_curve(in_units(chain, *levels(parameters)), duration).scaled - target

    # From the nearest curve of the library: the squares may have several minima.
    distance = ((_library(chain, duration, frictions) - target) ** 2).sum(-1)
    friction, noise = np.unravel_index(distance.argmin(), distance.shape)
    fitted = min(2, len(frictions))
    low = np.array([np.log(_NOISES[0]), frictions[0]])[:fitted]
    high = np.array([np.log(_NOISES[-1]), frictions[-1]])[:fitted]
    start = np.array([np.log(_NOISES[noise]), frictions[friction]])[:fitted]
    inside, scale = np.clip(start, low + 1e-9, high - 1e-9), (0.5, 0.02)[:fitted]
    return levels(least_squares(difference, inside, x_scale=scale, bounds=(low, high)).x)


def _intervals(
    curve: LoadCurve,
    simulated: LoadCurve,
    library: np.ndarray,
    levels: tuple[float, float],
    frictions: tuple[float, ...],
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the extents of the confidence region in friction and noise."""
    squares = ((library - curve.scaled) ** 2).mean(-1)
    fitted = min(2, len(frictions))
    free = library.shape[-1] - 2 - fitted  # both ends of a scaled curve are given
    factor = 1 + fitted / free * fdtri(fitted, free, 0.95)
    error = 0.0
    for separation in (curve.separation, simulated.separation):
        repeats = np.atleast_2d(separation)
        if len(repeats) > 1:
            error += np.mean(scaled(repeats).var(0, ddof=1)) / len(repeats)
    best = min(squares.min(), np.mean((simulated.scaled - curve.scaled) ** 2))
    inside = squares <= factor * max(best, error)
    inside.flat[squares.argmin()] = True
    friction, noise = levels
    return _extent(frictions, inside.any(1), friction), _extent(_NOISES, inside.any(0), noise)


def _extent(grid: tuple[float, ...], inside: np.ndarray, level: float) -> tuple[float, float]:
    """Return a range that holds a level and reaches to the grid points just outside."""
    (indices,) = inside.nonzero()
    low, high = grid[max(indices[0] - 1, 0)], grid[min(indices[-1] + 1, len(grid) - 1)]
    return min(low, level), max(high, level)
