"""Matching whole phase diagrams: networks over one pair of axes, chains over another."""

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from sbt_book.common.selections import scaled_curves, whole_curves
from sbt_utils.measuring.curves import LoadCurve, scaled
from sbt_utils.mechanics.matching import fit_chain


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

    Raises
    ------
    ValueError
        If the networks of a cell have no load curve.

    Examples
    --------
    >>> seeds = [[[[2.0, 1.5, 1.1, 0.8, 0.6, 0.5]]]]
    >>> cells = xr.Dataset({"separation_train": (("slope", "noise", "seed", "layer"), seeds)})
    >>> fit_cells(cells, xr.DataArray([0.05], dims="slope"), progress=False).residual.dims
    ('slope', 'noise')
    """
    curves = whole_curves(networks).transpose("slope", "noise", "seed", "layer")
    target = _targets(networks)
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

    Raises
    ------
    ValueError
        If the networks of a cell have no load curve, or the chains another number of layers.

    Notes
    -----
    Least squares over all cells; with `one_noise`, over frictions and noises in turn until neither
    changes.

    Examples
    --------
    >>> from sbt_utils.mechanics.mechanical_diagram import SECOND_ORDER, theory_diagram
    >>> theory = theory_diagram(SECOND_ORDER, [0.02, 0.1], [0.01, 0.3])
    >>> seeds = theory.rename(friction="slope").expand_dims("seed")
    >>> found = fit_diagram(xr.Dataset({"separation_train": seeds}), theory, one_noise=True)
    >>> found.chain_friction.round(2).values
    array([0.02, 0.1 ])
    """
    target = _targets(networks)
    if mechanical.sizes["layer"] != target.sizes["layer"]:
        raise ValueError(
            f"mechanical: {mechanical.sizes['layer']} layers for networks of "
            f"{target.sizes['layer']}; simulate chains with as many blocks as the networks' layers"
        )
    chains = mechanical.assign_coords(noise=np.log(mechanical.noise))  # which spans decades
    finer = {name: _finer(chains[name].values) for name in ("friction", "noise")}
    chains = chains.interp(finer).transpose("friction", "noise", "layer")
    shapes = scaled(chains.values)
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


def _finer(levels: np.ndarray) -> np.ndarray:
    """Return 101 levels, evenly spaced over the same range."""
    return np.linspace(float(levels[0]), float(levels[-1]), 101)
