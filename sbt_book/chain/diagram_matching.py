"""Matching whole phase diagrams: networks over one pair of axes, chains over another."""

import warnings

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from sbt_book.common.selections import scaled_curves, whole_curves
from sbt_utils.measuring.curves import LoadCurve, scaled
from sbt_utils.mechanics.matching import GOOD_MATCH as GOOD_MATCH
from sbt_utils.mechanics.matching import PoorMatch, fit_chain

_ROUNDS = 100  # two or three are common


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
        and ``chain_noise_high``, the ends of its interval, and ``residual``; over (slope, noise,
        layer) the scaled curves: ``curve`` of the simulated chain, ``target`` of the networks.

    Raises
    ------
    ValueError
        If the networks of a cell have no load curve.
    """
    curves = whole_curves(networks).transpose("slope", "noise", "seed", "layer")
    target = _targets(networks)
    shape = target.shape[:2]
    noise = np.empty((3, *shape))
    curve = target.copy(data=np.empty(target.shape))
    for cell in tqdm(list(np.ndindex(shape)), unit="cell", disable=not progress):
        seeds = curves.values[cell]
        defined = LoadCurve(seeds[np.isfinite(seeds).all(-1)])
        with warnings.catch_warnings():  # the residual says so
            warnings.simplefilter("ignore", PoorMatch)
            match = fit_chain(defined, frictions.values[cell[0]].item())
        noise[:, *cell] = match.noise, *match.noise_interval
        curve.values[cell] = match.curve.scaled
    names = ("chain_noise", "chain_noise_low", "chain_noise_high")
    return _matched(frictions.values, dict(zip(names, noise, strict=True)), target, curve)


def fit_diagram(
    networks: xr.Dataset, mechanical: xr.DataArray, one_noise: bool = False
) -> xr.Dataset:
    """Lay a phase diagram of networks over a mechanical one, by least squares over all cells.

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
        That of `fit_cells`, without the ends of the interval.

    Raises
    ------
    ValueError
        If the networks of a cell have no load curve, or the chains another number of layers.
    """
    target = _targets(networks)
    if mechanical.sizes["layer"] != target.sizes["layer"]:
        raise ValueError(
            f"mechanical: {mechanical.sizes['layer']} layers for networks of "
            f"{target.sizes['layer']}; simulate chains with as many blocks as the networks' layers"
        )
    chains = between_levels(mechanical)
    shapes = scaled(chains.values)
    squares = squared_distances(target.values, shapes)
    friction, noise = best_levels(squares, one_noise)
    noises = {"chain_noise": chains.noise.values[noise]}
    curve = target.copy(data=shapes[friction[:, None], noise])
    return _matched(chains.friction.values[friction], noises, target, curve)


def between_levels(mechanical: xr.DataArray) -> xr.DataArray:
    """Return chains' D_l over (friction, noise, ..., layer) at 101 levels of either."""
    chains = mechanical.assign_coords(noise=np.log(mechanical.noise))  # which spans decades
    finer = {
        name: np.linspace(chains[name].values[0], chains[name].values[-1], 101)
        for name in ("friction", "noise")
    }
    chains = chains.interp(finer)
    chains = chains.assign_coords(noise=np.exp(chains.noise))
    return chains.transpose("friction", "noise", ..., "layer")


def squared_distances(target: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Return mean squares over (slope, level of the networks' noise, the chain's two numbers).

    The curves are (slope, noise, layer) and (first number, second number, layer).
    """
    distances = np.empty(target.shape[:2] + shapes.shape[:2])
    for cell in np.ndindex(target.shape[:2]):
        distances[cell] = ((shapes - target[cell]) ** 2).mean(-1)
    return distances


def best_levels(squares: np.ndarray, shared: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return which first number (slope,) and second number (slope, noise) fit best.

    `squares` is that of `squared_distances`; `shared` asks for one second number for all cells of
    the same noise.
    """
    slopes, levels = np.ix_(range(squares.shape[0]), range(squares.shape[1]))
    # With a noise for each cell: for each friction the best of them, then the best friction.
    friction = squares.min(-1).mean(1).argmin(-1)
    noise = squares[slopes, levels, friction[:, None]].argmin(-1)
    if shared:
        friction, shared_noise = settled_levels(squares, friction)
        noise = np.broadcast_to(shared_noise, noise.shape)
    return friction, noise


def settled_levels(squares: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return first numbers (slope,) and second ones (noise,) that fit best given one another.

    The best second numbers for the first ones and the reverse, from some first numbers on until
    neither changes.
    """
    slopes, levels = np.arange(squares.shape[0])[:, None], np.arange(squares.shape[1])
    second = np.full(squares.shape[1], -1)
    for _ in range(_ROUNDS):
        best = squares[slopes, levels, first[:, None]].mean(0).argmin(-1)
        again = squares[slopes, levels, :, best].mean(1).argmin(-1)
        settled = (best == second).all() and (again == first).all()
        first, second = again, best
        if settled:
            break
    return first, second


def _matched(
    frictions: np.ndarray, noises: dict[str, np.ndarray], target: xr.DataArray, curve: xr.DataArray
) -> xr.Dataset:
    units = {"units": "k y"}
    return xr.Dataset(
        {
            "chain_friction": ("slope", frictions, units),
            "curve": curve,
            "target": target,
            "residual": np.sqrt(((curve - target) ** 2).mean("layer")),
            **{name: (("slope", "noise"), values, units) for name, values in noises.items()},
        }
    )


def _targets(networks: xr.Dataset) -> xr.DataArray:
    """Return the networks' scaled curves (slope, noise, layer); raise where there is none."""
    target = scaled_curves(networks).transpose("slope", "noise", "layer")
    missing = np.argwhere(target.isnull().any("layer").values)
    if len(missing):
        raise ValueError(
            f"networks: no load curve in the cell (slope, noise) = {tuple(missing[0].tolist())}, "
            "counted from 0; leave its row or column out"
        )
    return target
