"""The driven chain against its rivals, in single cells and in whole phase diagrams.

``python -m sbt_book.chain.driven_experiment`` makes ``results/driven_chain.nc`` in minutes.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from sbt_book.chain.diagram_matching import GOOD_MATCH
from sbt_book.chain.driven_matching import (
    cubic,
    driven_table,
    fitted_cells,
    net_force,
    one_number,
    two_numbers,
)
from sbt_book.chain.held_out import tabulated
from sbt_book.chain.null_experiment import HALVES, NETWORKS, scores, target_curves
from sbt_book.chain.null_models import Fit, additive_shapes, exponential, parabola
from sbt_book.common.committed import RESULTS, load_committed
from sbt_book.common.noise_axes import NOISES
from sbt_book.common.selections import whole_curves
from sbt_book.common.statistics import spearman
from sbt_utils.measuring.curves import curve_statistics, scaled
from sbt_utils.mechanics.published_chains import SECOND_ORDER, theory_diagram
from sbt_utils.results import kept

FRICTIONS = np.linspace(0.0, 0.2, 21)
DRIVES = np.concatenate([[0.0], np.geomspace(0.01, 4.0, 15)])
SHAKINGS = np.geomspace(0.003, 0.6, 31)
"""What chains may have: frictions and noises in units of k y, κ in units of k."""
DRAWS = 400
"""Bootstrap draws of the seeds."""


def driven_diagrams() -> np.ndarray:
    """Return scaled curves of the mean field over (drive, friction, noise, layer)."""
    found = []
    for drive in tqdm(DRIVES, unit="drive"):
        chain = replace(SECOND_ORDER, drive=drive * SECOND_ORDER.spring_constant)
        found.append(theory_diagram(chain, FRICTIONS.tolist(), SHAKINGS.tolist()).values)
    return scaled(np.array(found))


def driven_models(diagrams: np.ndarray, targets: np.ndarray) -> dict[str, Fit]:
    """Return the driven chain, the same without drive, and rivals with as many free numbers.

    `diagrams` are those of `driven_diagrams`. A row has a friction and a drive, a column a noise.
    """
    rows = diagrams.reshape(-1, *diagrams.shape[2:])
    return {
        "driven chain": tabulated(targets, rows, starts=30),
        "chain": tabulated(targets, diagrams[0], starts=30),
        "exponential": additive_shapes(targets, exponential),
        "exponential + parabola": additive_shapes(targets, exponential, parabola),
        "cubic": additive_shapes(targets, parabola, cubic),
    }


def single_cells() -> xr.Dataset:
    """Fit single cells with one free number and with two.

    Returns
    -------
    xarray.Dataset
        Over (networks, source, cell_model): ``cells_within``, the share of the cells whose curve is
        within `GOOD_MATCH`, and ``cells_median``, the median distance.
    """
    shape = len(NETWORKS), len(NOISES)
    tables = one_number(8) | two_numbers(8)
    found = np.empty((2, *shape, len(tables)))
    for index in np.ndindex(shape):
        targets = target_curves(NETWORKS[index[0]], list(NOISES)[index[1]])
        targets = targets[np.isfinite(curve_statistics(targets, "convexity"))]
        for number, table in enumerate(tables.values()):
            *_, curves = fitted_cells(targets, table)
            distances = np.sqrt(((curves - targets) ** 2).mean(-1))
            found[:, *index, number] = (distances <= GOOD_MATCH).mean(), np.median(distances)
    dims = "networks", "source", "cell_model"
    return xr.Dataset(
        {"cells_within": (dims, found[0]), "cells_median": (dims, found[1])},
        {"networks": list(NETWORKS), "source": list(NOISES), "cell_model": list(tables)},
    )


def fitted_drives(source: str) -> xr.Dataset:
    """Fit F and κ to each cell of our diagram of a source of noise, with intervals over the seeds.

    Returns
    -------
    xarray.Dataset
        Over (level, slope), from the least noise on: ``drive`` κ / k and ``net_force`` F / (k y),
        each with ``_low`` and ``_high``, 95 % of the bootstrap draws; ``residual``, the root mean
        square distance. nan where the curve does not fall. Over ``draw``: ``slope_correlation``,
        Spearman's of κ and α over the cells that fit within `GOOD_MATCH`, and
        ``noise_correlation``, that of κ and the noise within a row, mean over the rows.
    """
    curves = whole_curves(load_committed(source)).sortby(
        "noise", ascending=not NOISES[source].falls
    )
    curves = curves.transpose("noise", "slope", "seed", "layer")
    table = driven_table(curves.sizes["layer"])
    targets = scaled(curves.mean("seed").values)
    drive, f, nearest = fitted_cells(targets, table)
    residual = np.sqrt(((nearest - targets) ** 2).mean(-1))
    falls = np.isfinite(curve_statistics(targets, "convexity"))
    fits = falls & (residual <= GOOD_MATCH)
    rng = np.random.default_rng(0)
    drives, forces = np.empty((2, DRAWS, *drive.shape))
    for draw in range(DRAWS):
        seeds = curves.isel(seed=rng.integers(curves.sizes["seed"], size=curves.sizes["seed"]))
        drawn = scaled(seeds.mean("seed").values)
        drives[draw], again, nearest = fitted_cells(drawn, table)
        forces[draw] = net_force(drives[draw], again, nearest)
    dims = "level", "slope"
    found: dict[str, tuple] = {"residual": (dims, np.where(falls, residual, np.nan))}
    for name, value, draws in (
        ("drive", drive, drives),
        ("net_force", net_force(drive, f, fitted_cells(targets, table)[2]), forces),
    ):
        for end, values in zip(
            ("", "_low", "_high"), (value, *np.quantile(draws, [0.025, 0.975], axis=0)), strict=True
        ):
            found[name + end] = dims, np.where(falls, values, np.nan)
    known = np.where(fits, drives, np.nan)
    slopes = np.broadcast_to(curves.slope.values, known.shape).reshape(DRAWS, -1)
    found["slope_correlation"] = "draw", spearman(known.reshape(DRAWS, -1), slopes)
    levels = np.arange(len(drive))
    found["noise_correlation"] = "draw", within_rows(known.transpose(0, 2, 1), levels)
    noise = "level", curves.noise.values
    return xr.Dataset(found, {"slope": curves.slope.values, "level": levels, "noise": noise})


def within_rows(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of values (..., row, level) and levels, mean over the rows.

    Rows with fewer than four values, or with equal ones only, have none and are left out.
    """
    rows = spearman(values, levels)
    rows = np.where(np.isfinite(values).sum(-1) >= 4, rows, np.nan)
    return np.nanmean(rows, axis=-1)


def everything() -> xr.Dataset:
    """Return the scores of whole diagrams, of single cells, and what κ does."""
    drives = xr.concat([fitted_drives(source) for source in NOISES], "source", join="outer")
    cells = xr.merge([single_cells(), drives.assign_coords(source=list(NOISES))])
    whole = scores(partial(driven_models, driven_diagrams()), HALVES)
    return xr.merge([cells, whole]).astype("float32")


if __name__ == "__main__":
    print("about five minutes of one core")
    grid = {"friction": FRICTIONS.tolist(), "drive": DRIVES.tolist(), "noise": SHAKINGS.tolist()}
    settings = {"halves": HALVES, "draws": DRAWS, "chains": grid}
    kept(RESULTS / "driven_chain.nc", settings, everything)
