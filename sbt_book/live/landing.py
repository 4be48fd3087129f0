"""The live picture of the landing page: networks under two knobs, and the chains that match them.

A chain's three numbers follow the networks': one friction for each nonlinearity, a shaking that
grows in proportion to the dropout, and a drive for each cell.
"""

import json
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from sbt_book.chain.diagram_matching import GOOD_MATCH
from sbt_book.common.committed import load_committed
from sbt_book.common.selections import scaled_curves, whole_curves
from sbt_book.live.explorable import classic, styles
from sbt_utils.measuring.curves import scaled
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.published_chains import SECOND_ORDER, in_units, theory_diagram

# More friction with more shaking gives nearly the same curves.
_LEVELS = {
    "friction": np.linspace(0.0, 0.12, 9),
    "noise": np.geomspace(0.03, 0.2, 9),
    "drive": np.concatenate([[0.0], np.geomspace(0.01, 1.0, 12)]),
}
_FINER = 3  # steps between two of these, by interpolation
_LEAST, _RISES = np.linspace(0.02, 0.06, 17), np.linspace(0.0, 0.5, 26)
_ROUNDS = 3


def chain_of(friction: float, shaking: float, drive: float) -> SpringBlockChain:
    """Return a chain with a friction and a shaking in units of k y and a drive in units of k."""
    driven = replace(SECOND_ORDER, drive=drive * SECOND_ORDER.spring_constant)
    return in_units(driven, friction, shaking)


@cache
def matched_chains() -> xr.Dataset:
    """Match a driven chain to each cell of the dropout diagram, in some seconds.

    Least squares over all cells, on the curves of the mean field, corrected by what they missed of
    chains simulated with the numbers of the round before; the best of three rounds. Do not change
    the result: the next call returns the same.

    Returns
    -------
    xarray.Dataset
        From the least nonlinear and the least noisy networks on: ``friction`` (slope), ``shaking``
        (noise) and ``drive`` (slope, noise), as `chain_of` takes them; ``residual`` (slope,
        noise), the root mean square difference of the scaled curves of networks and chain.
    """
    networks = _networks()
    target = scaled_curves(networks).transpose("slope", "noise", "layer").values
    mean_field = _mean_field()
    missed, matches = np.zeros_like(target), []
    for _ in range(_ROUNDS):
        *numbers, expected = _nearest(target - missed, mean_field, networks.noise.values)
        friction, shaking, drive = numbers
        curves = np.empty_like(target)
        for place in np.ndindex(drive.shape):
            row, column = place
            chain = chain_of(friction[row].item(), shaking[column].item(), drive[place].item())
            curves[place] = chain.simulate(every=10**9, seeds=range(10)).load_curve.scaled
        residual = np.sqrt(((curves - target) ** 2).mean(-1))
        matches.append((*numbers, residual))
        missed = curves - expected
    friction, shaking, drive, residual = min(matches, key=lambda match: (match[-1] ** 2).sum())
    return xr.Dataset(
        {
            "friction": ("slope", friction),
            "shaking": ("noise", shaking),
            "drive": (("slope", "noise"), drive),
            "residual": (("slope", "noise"), residual),
        },
        {name: networks[name] for name in ("slope", "noise")},
    )


def landing_data() -> dict[str, Any]:
    """Return the cells of the dropout diagram with their chains, as nested lists for the page.

    Curves are lists over slope, noise and layer, rounded to 0.001; the chains' numbers are those of
    `SpringBlockChain`, in its units.
    """
    networks, matched = _networks(), matched_chains()
    curves = whole_curves(networks).transpose("slope", "noise", "seed", "layer")
    shaking = matched.shaking.values * chain_of(0.0, 1.0, 0.0).noise
    return {
        "slope": networks.slope.values.tolist(),
        "noise": networks.noise.values.tolist(),
        "seeds": networks.sizes["seed"],
        "separation": curves.mean("seed").values.round(3).tolist(),
        "spread": curves.std("seed", ddof=1).values.round(3).tolist(),
        "chain": vars(SECOND_ORDER),
        "friction": (matched.friction.values * SECOND_ORDER.pull).round(6).tolist(),
        "shaking": shaking.round(6).tolist(),
        "drive": (matched.drive.values * SECOND_ORDER.spring_constant).round(6).tolist(),
        "good_match": GOOD_MATCH,
    }


def landing_script() -> str:
    """Return the script of the landing page, which makes its place there come alive."""
    data = json.dumps(landing_data(), separators=(",", ":"))
    return classic(
        "landing/landing.js", last=f'landing(document.querySelector(".landing"), {data});'
    )


def landing_styles() -> str:
    """Return the style sheet of the landing page's live picture."""
    return styles("chain/chain.css", "landing/landing.css")


def _networks() -> xr.Dataset:
    """Return the networks of the dropout diagram, the least nonlinear and least noisy first."""
    return load_committed("dropout").sortby("noise").sortby("slope", ascending=False)


def _mean_field() -> xr.DataArray:
    """Return the mean field's scaled curves over the levels of friction, noise and drive."""
    coarse, count = list(_LEVELS.values()), [len(levels) for levels in _LEVELS.values()]
    grid = list(coarse[0]), list(coarse[1])
    curves = [theory_diagram(chain_of(0.0, 0.0, drive), *grid).values for drive in coarse[2]]
    finer = [np.linspace(0, n - 1, _FINER * (n - 1) + 1) for n in count]
    places = dict(zip(_LEVELS, finer, strict=True))
    found = xr.DataArray(
        scaled(np.stack(curves, axis=2)),
        {name: np.arange(n) for name, n in zip(_LEVELS, count, strict=True)},
        (*_LEVELS, "layer"),
    ).interp(places)
    levels = {
        name: np.interp(at, np.arange(len(_LEVELS[name])), _LEVELS[name])
        for name, at in places.items()
    }
    return found.assign_coords(levels)


def _nearest(
    target: np.ndarray, mean_field: xr.DataArray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the friction (slope,), shaking (noise,) and drive (slope, noise) that fit best.

    Parameters
    ----------
    target : ndarray, shape (slope, noise, layer)
    mean_field : xarray.DataArray
        Over (friction, noise, drive, layer).
    noise : ndarray, shape (noise,)
        Of the networks.

    Returns
    -------
    friction, shaking, drive : ndarray
    curves : ndarray, shape (slope, noise, layer)
        Those of the mean field that are nearest to these numbers.
    """
    curves, levels = mean_field.values, [mean_field[name].values for name in _LEVELS]
    squares = np.array([[((curves - t) ** 2).mean(-1) for t in row] for row in target])
    of_best_drive, columns = squares.min(-1), np.arange(len(noise))
    scored = []
    for least, rise in product(_LEAST, _RISES):
        shaking = least + rise * noise
        at = abs(np.log(shaking[:, None] / levels[1])).argmin(-1)
        by_row = of_best_drive[:, columns, :, at].sum(0)  # (slope, friction)
        scored.append((by_row.min(-1).sum(), by_row.argmin(-1), at, shaking))
    _, row, at, shaking = min(scored, key=lambda each: each[0])
    rows = np.arange(len(row))[:, None]
    drive = squares[rows, columns, row[:, None], at].argmin(-1)
    return levels[0][row], shaking, levels[2][drive], curves[row[:, None], at, drive]
