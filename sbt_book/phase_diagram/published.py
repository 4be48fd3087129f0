"""The published numbers, and how ours compare with them."""

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.committed import RESULTS
from sbt_book.common.selections import scaled_curves
from sbt_book.common.statistics import rank_correlation


def published_diagram(axis: str) -> xr.Dataset:
    """Return a panel of the paper's phase diagram as numbers.

    Parameters
    ----------
    axis : {"dropout", "learning_rate"}
        The source of noise; the other two panels were not to be had as numbers.

    Returns
    -------
    xarray.Dataset
        ``curve`` (slope, noise, layer), load curves min-max scaled to [0, 1], and ``accuracy``
        (slope, noise), test accuracy in percent, read from grey levels to about 0.1.

    Raises
    ------
    ValueError
        If there is no such panel.

    References
    ----------
    Shi, Pan & Dokmanić, Phys. Rev. Lett. (2025), arXiv:2407.19353; digitised from the vector
    figure in the authors' public repository.

    Examples
    --------
    >>> published_diagram("dropout").curve.sel(slope=0, noise=0.28).values[:3]
    array([1.    , 0.7555, 0.4954])
    """
    file = RESULTS / "reference" / "published_phase_diagrams.json"
    panels = json.loads(file.read_text())["panels"]
    if axis not in panels:
        raise ValueError(f"axis={axis!r}: the published panels at hand are {', '.join(panels)}")
    panel = panels[axis]
    return xr.Dataset(
        {
            "curve": (("slope", "noise", "layer"), np.array(panel["curve"])),
            "accuracy": (("slope", "noise"), np.array(panel["accuracy"]), {"units": "%"}),
        },
        {"slope": panel["slope"], "noise": panel["noise"]},
    ).sortby("noise")


def compare(ours: xr.Dataset, published: xr.Dataset, average: str = "mean") -> xr.Dataset:
    """Compare a measured phase diagram with a published one, cell by cell.

    Parameters
    ----------
    ours : xarray.Dataset
        ``separation_train`` (slope, noise, seed, layer), ``accuracy_test`` (slope, noise, seed), a
        fraction.
    published : xarray.Dataset
        From `published_diagram`.
    average : {"mean", "median"}
        Of ours over the seeds. What was published is the mean.

    Returns
    -------
    xarray.Dataset
        For the cells that both have, (slope, noise): ``deviation``, the mean over the layers of the
        absolute difference of the min-max scaled curves (ours: of the average over the seeds that
        have one); ``accuracy`` and ``accuracy_published``, in percent; ``accuracy_difference``,
        ours less the published, in percentage points.

    Raises
    ------
    ValueError
        For another average.

    Examples
    --------
    >>> published = published_diagram("dropout")
    >>> ours = xr.Dataset({"separation_train": 3 * published.curve.expand_dims("seed"),
    ...                    "accuracy_test": published.accuracy.expand_dims("seed") / 100})
    >>> float(compare(ours, published).deviation.max()) < 1e-12
    True
    """
    ours, published = xr.align(ours, published, join="inner")
    deviation = abs(scaled_curves(ours, average) - published.curve).mean("layer", skipna=False)
    each = 100 * ours.accuracy_test
    accuracy = each.mean("seed") if average == "mean" else each.median("seed")
    cells = xr.Dataset(
        {
            "deviation": deviation,
            "accuracy": accuracy.assign_attrs(units="%"),
            "accuracy_published": published.accuracy,
            "accuracy_difference": (accuracy - published.accuracy).assign_attrs(
                units="percentage points"
            ),
        }
    )
    return cells.transpose("slope", "noise")


def deviation_by_chance(
    ours: xr.Dataset, quantile: float = 0.95, draws: int = 500, seed: int = 0
) -> xr.DataArray:
    """Return how far two diagrams like ours deviate from one another by their seeds alone.

    Two sets of as many networks as ours has are drawn from each cell with replacement (Efron's
    bootstrap) and compared as `compare` does. A published cell within this distance is no further
    from ours than another set of seeds might be.

    Parameters
    ----------
    ours : xarray.Dataset
        ``separation_train`` (slope, noise, seed, layer).
    quantile : float
        Of the deviations of all draws.
    draws : int
        Pairs of sets.
    seed : int
        Of the draws.

    Returns
    -------
    xarray.DataArray
        (slope, noise); nan where a network has no load curve.

    References
    ----------
    B. Efron, Bootstrap methods: another look at the jackknife, Ann. Statist. 7 (1979) 1.

    Examples
    --------
    >>> curves = [[[[1, 0.5, 0], [1, 0.5, 0]]]]
    >>> same = xr.Dataset({"separation_train": (("slope", "noise", "seed", "layer"), curves)})
    >>> deviation_by_chance(same).values
    array([[0.]])
    """
    curves = ours.separation_train.transpose("slope", "noise", "seed", "layer")
    count = curves.sizes["seed"]
    drawn = np.random.default_rng(seed).integers(count, size=(2, draws, count))
    means = curves.values[:, :, drawn].mean(-2)  # slope, noise, 2, draws, layer
    lowest = means.min(-1, keepdims=True)
    first, second = np.moveaxis((means - lowest) / (means.max(-1, keepdims=True) - lowest), 2, 0)
    apart = np.quantile(abs(first - second).mean(-1), quantile, axis=-1)
    return curves.isel(seed=0, layer=0, drop=True).copy(data=apart).rename("deviation_by_chance")


def agreement_table(
    comparisons: Mapping[str, xr.Dataset], limits: Mapping[str, float] | float = 0.03
) -> pd.DataFrame:
    """Sum up comparisons with the published diagram, a row for each.

    Parameters
    ----------
    comparisons : mapping of str to xarray.Dataset
        From `compare`, by what to call them.
    limits : float or mapping of str to float
        The deviation that a cell should keep to; one for all, or by name.

    Returns
    -------
    pandas.DataFrame
        Number of cells; mean deviation, its 90th percentile and the largest; the fraction of cells
        within the limit (a cell without a curve of ours is none of them); largest magnitude of the
        accuracy difference; Spearman's rank correlation of the accuracies with the published ones.

    Examples
    --------
    >>> cells = xr.Dataset({"deviation": ("noise", [0.01, 0.04]),
    ...                     "accuracy": ("noise", [90.0, 92.2]),
    ...                     "accuracy_published": ("noise", [90.5, 92.0]),
    ...                     "accuracy_difference": ("noise", [-0.5, 0.2])})
    >>> table = agreement_table({"two cells": cells}, limits=0.03)
    >>> table["largest deviation"].item(), table["within the limit"].item()
    (0.04, 0.5)
    """
    rows = {}
    for name, cells in comparisons.items():
        limit = limits[name] if isinstance(limits, Mapping) else limits
        rows[name] = {
            "cells": cells.deviation.size,
            "mean deviation": cells.deviation.mean().item(),
            "90 % of cells below": cells.deviation.quantile(0.9).item(),
            "largest deviation": cells.deviation.max().item(),
            "limit": limit,
            "within the limit": (cells.deviation <= limit).mean().item(),
            "accuracy within, points": abs(cells.accuracy_difference).max().item(),
            "rank correlation": rank_correlation(cells.accuracy, cells.accuracy_published),
        }
    return pd.DataFrame(rows).T
