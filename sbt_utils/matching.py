"""Matching: the friction and the noise of the chain that behaves like a given network.

A network and a chain match where their load curves, scaled to fall from 1 to 0, have one shape.
Forces are in units of k y, as in `sbt_utils.mechanical_diagram`.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import xarray as xr
from scipy.optimize import least_squares
from scipy.stats import f as fisher
from tqdm.auto import tqdm

from sbt_utils.diagrams import scaled_curves, whole_curves
from sbt_utils.mechanical_diagram import (
    DURATION,
    SECOND_ORDER,
    in_units,
    relaxed_curve,
    theory_diagram,
)
from sbt_utils.separation import LoadCurve
from sbt_utils.spring_block import SpringBlockChain

# Where a fit looks. With more noise the curve's shape changes no further, and the chain jitters by
# more than its loads.
_FRICTIONS = tuple(np.linspace(0.0, 0.2, 41).tolist())
_NOISES = tuple(np.geomspace(0.003, 0.2, 54).tolist())
_ROUNDS = 4


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
        Of the chain, simulated: a trajectory a repeat.
    """

    chain: SpringBlockChain
    friction: float
    noise: float
    friction_interval: tuple[float, float]
    noise_interval: tuple[float, float]
    residual: float
    curve: LoadCurve


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
    chain : SpringBlockChain
        Says all but the number of blocks (the network's layers), the friction to the right and the
        noise.
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
        If the curve does not fall, or has fewer than four layers: too few for two numbers.

    Notes
    -----
    Least squares on the curve of the mean field. Then the chain found is simulated, what the mean
    field misses there is taken off the target, and the fit is repeated; the best of four rounds is
    returned. Beale's confidence region [1]_ holds the chains of the mean field whose mean square
    residual is at most :math:`1 + F\,p / (n - p)` times the best (or than the squared
    standard error of the network's curve, if that is more), for n inner layers, p fitted numbers
    and the 95 % quantile F of Fisher's distribution with p and n - p degrees of freedom.

    References
    ----------
    .. [1] E. M. L. Beale, "Confidence regions in non-linear estimation", J. R. Stat. Soc. B 22
       (1960) 41.

    Examples
    --------
    >>> match = fit_chain(LoadCurve([2.0, 1.5, 1.1, 0.8, 0.6, 0.5]), trajectories=4)
    >>> match.residual < 0.01
    True
    """
    if not np.isfinite(curve.convexity):
        raise ValueError("curve: its end is not below its beginning; there is no shape to fit")
    layers = len(curve.mean) - 1
    if layers < 4:
        raise ValueError(f"curve: {layers} layers; a fit of friction and noise needs at least 4")
    chain = replace(chain, blocks=layers)
    frictions = _FRICTIONS if friction is None else (friction,)
    library = _library(chain, duration, frictions)
    target, missed, matches = curve.scaled, np.zeros(layers + 1), []
    for _ in range(_ROUNDS):
        found = _fit_mean_field(target - missed, chain, duration, frictions, library)
        own = in_units(chain, *found)
        simulated = own.simulate(duration, every=10**9, seeds=range(trajectories)).load_curve
        missed = simulated.scaled - relaxed_curve(own, duration).scaled
        residual = float(np.sqrt(np.mean((simulated.scaled - target) ** 2)))
        region = _region(curve, residual, missed, frictions, library)
        matches.append(Match(own, *found, *region, residual, simulated))
    return min(matches, key=lambda match: match.residual)


def fit_cells(networks: xr.Dataset, frictions: xr.DataArray, progress: bool = True) -> xr.Dataset:
    """Fit a chain to every cell of a phase diagram, with a given friction for each nonlinearity.

    Parameters
    ----------
    networks : xarray.Dataset
        ``separation_train`` (noise, slope, seed, layer).
    frictions : xarray.DataArray
        (slope), in units of k y, for instance ``chain_friction`` of `fit_diagram`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        ``chain_friction`` (slope); over (slope, noise) ``chain_noise`` with ``chain_noise_low``
        and ``chain_noise_high``, the ends of its interval, ``residual``, and ``curve`` (layer as
        well), the simulated chain's scaled curve; ``target``, the networks' curve.

    Examples
    --------
    >>> seeds = [[[[2.0, 1.5, 1.1, 0.8, 0.6, 0.5]]]]
    >>> cells = xr.Dataset({"separation_train": (("slope", "noise", "seed", "layer"), seeds)})
    >>> fit_cells(cells, xr.DataArray([0.05], dims="slope"), progress=False).residual.dims
    ('slope', 'noise')
    """
    curves = whole_curves(networks).transpose("slope", "noise", "seed", "layer")
    target = scaled_curves(networks).transpose("slope", "noise", "layer")
    shape = target.shape[:2]
    noise = np.empty((3, *shape))
    curve = target.copy(data=np.empty(target.shape))
    for cell in tqdm(list(np.ndindex(shape)), unit="cell", disable=not progress):
        seeds = curves.values[cell]
        defined = LoadCurve(seeds[np.isfinite(seeds).all(-1)])
        match = fit_chain(defined, frictions.values[cell[0]].item())
        noise[:, *cell] = match.noise, *match.noise_interval
        curve.values[cell] = match.curve.scaled
    names = ("chain_noise", "chain_noise_low", "chain_noise_high")
    found = {
        name: (("slope", "noise"), values, {"units": "k y"})
        for name, values in zip(names, noise, strict=True)
    }
    return _matched(frictions.variable, target, curve).assign(found)


def fit_diagram(
    networks: xr.Dataset, mechanical: xr.DataArray, one_noise: bool = False
) -> xr.Dataset:
    """Lay a phase diagram of networks over a mechanical one.

    All networks of the same nonlinearity share one friction. With `one_noise`, those with the same
    level of noise share one noise of the chain as well: the axes of one diagram become the axes of
    the other, and nothing else is free.

    Parameters
    ----------
    networks : xarray.Dataset
        ``separation_train`` (noise, slope, seed, layer).
    mechanical : xarray.DataArray
        D_l of chains over (friction, noise, layer), with as many layers; interpolated in between.
    one_noise : bool
        Share the noise as well.

    Returns
    -------
    xarray.Dataset
        ``chain_friction`` (slope), ``chain_noise`` (slope, noise); ``curve`` (slope, noise, layer),
        the chain's scaled curve, and ``target``, the networks'; ``residual`` (slope, noise).

    Notes
    -----
    Least squares over all cells; with `one_noise`, over frictions and noises in turn until neither
    changes.

    Examples
    --------
    >>> theory = theory_diagram(SECOND_ORDER, [0.02, 0.1], [0.01, 0.3])
    >>> seeds = theory.rename(friction="slope").expand_dims("seed")
    >>> found = fit_diagram(xr.Dataset({"separation_train": seeds}), theory, one_noise=True)
    >>> found.chain_friction.round(2).values
    array([0.02, 0.1 ])
    """
    target = scaled_curves(networks).transpose("slope", "noise", "layer")
    chains = mechanical.assign_coords(noise=np.log(mechanical.noise))  # which spans decades
    finer = {name: _finer(chains[name].values) for name in ("friction", "noise")}
    chains = chains.interp(finer).transpose("friction", "noise", "layer")
    shapes = _scaled(chains.values)
    squares = ((target.values[:, :, None, None] - shapes) ** 2).mean(-1)
    slopes, sources = np.ix_(range(squares.shape[0]), range(squares.shape[1]))
    friction = squares.min(-1).mean(1).argmin(-1)
    noise = squares[slopes, sources, friction[:, None]].argmin(-1)
    while one_noise:
        shared = squares[slopes, sources, friction[:, None]].mean(0).argmin(-1)
        again = squares[slopes, sources, :, shared].mean(1).argmin(-1)
        settled = (shared == noise).all() and (again == friction).all()
        friction, noise = again, np.broadcast_to(shared, noise.shape)
        if settled:
            break
    values = chains.friction.values[friction]
    found = _matched(
        xr.Variable("slope", values), target, target.copy(data=shapes[friction[:, None], noise])
    )
    levels = np.exp(chains.noise.values)[noise]
    return found.assign(chain_noise=(("slope", "noise"), levels, {"units": "k y"}))


def _matched(frictions: xr.Variable, target: xr.DataArray, curve: xr.DataArray) -> xr.Dataset:
    """Return what matches of all kinds have in common."""
    residual = np.sqrt(((curve - target) ** 2).mean("layer"))
    frictions = xr.Variable("slope", frictions.values, {"units": "k y"})
    return xr.Dataset(
        {"chain_friction": frictions, "curve": curve, "target": target, "residual": residual}
    )


@lru_cache(maxsize=16)
def _library(chain: SpringBlockChain, duration: float, frictions: tuple[float, ...]) -> np.ndarray:
    """Return the mean field's scaled curves over frictions and noises."""
    return _scaled(theory_diagram(chain, frictions, _NOISES, duration).values)


def _scaled(curves: np.ndarray) -> np.ndarray:
    """Scale curves (..., L + 1) to [0, 1], each by itself."""
    lowest = curves.min(-1, keepdims=True)
    return (curves - lowest) / np.ptp(curves, axis=-1, keepdims=True)


def _finer(levels: np.ndarray) -> np.ndarray:
    """Return 101 levels, evenly spaced over the same range."""
    return np.linspace(float(levels[0]), float(levels[-1]), 101)


def _fit_mean_field(
    target: np.ndarray,
    chain: SpringBlockChain,
    duration: float,
    frictions: tuple[float, ...],
    library: np.ndarray,
) -> tuple[float, float]:
    """Return the friction and the noise whose mean field is nearest to a target."""

    def chain_at(parameters: np.ndarray) -> tuple[float, float]:
        friction = frictions[0] if len(frictions) == 1 else float(parameters[1])
        return friction, float(np.exp(parameters[0]))

    def difference(parameters: np.ndarray) -> np.ndarray:
        return relaxed_curve(in_units(chain, *chain_at(parameters)), duration).scaled - target

    distance = ((library - target) ** 2).sum(-1)
    friction, noise = np.unravel_index(distance.argmin(), distance.shape)
    ends = np.array([[np.log(_NOISES[0]), np.log(_NOISES[-1])], [frictions[0], frictions[-1]]])
    start = np.array([np.log(_NOISES[noise]), frictions[friction]])
    fitted = min(2, len(frictions))
    low, high = ends[:fitted].T
    inside = np.clip(start[:fitted], low + 1e-9, high - 1e-9)
    scale = np.array([0.5, 0.02])[:fitted]
    return chain_at(least_squares(difference, inside, x_scale=scale, bounds=(low, high)).x)


def _region(
    curve: LoadCurve,
    residual: float,
    missed: np.ndarray,
    frictions: tuple[float, ...],
    library: np.ndarray,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the extents of the confidence region in friction and noise."""
    squares = ((library + missed - curve.scaled) ** 2).mean(-1)
    fitted = min(2, len(frictions))
    free = len(missed) - 2 - fitted  # both ends of a scaled curve are given
    factor = 1 + fitted / free * fisher.ppf(0.95, fitted, free)
    repeats = np.atleast_2d(curve.separation)
    error = 0.0
    if len(repeats) > 1:
        error = np.mean(_scaled(repeats).var(0, ddof=1)) / len(repeats)
    inside = squares <= factor * max(min(squares.min(), residual**2), error)
    inside.flat[squares.argmin()] = True
    (frictions_in,), (noises_in,) = inside.any(1).nonzero(), inside.any(0).nonzero()
    return (
        (frictions[frictions_in[0]], frictions[frictions_in[-1]]),
        (_NOISES[noises_in[0]], _NOISES[noises_in[-1]]),
    )
