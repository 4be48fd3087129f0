"""The published numbers, and how ours compare with them."""

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.committed import committed_file
from sbt_book.common.selections import scaled_curves
from sbt_book.common.statistics import rank_correlation


def published_diagram(axis: str) -> xr.Dataset:
    """Return a panel of the paper's phase diagram as numbers.

    Digitised from the vector figure in the authors' public repository (Shi, Pan & Dokmanić, Phys.
    Rev. Lett. (2025), arXiv:2407.19353). `axis` is a key of `sbt_book.common.noise_axes.NOISES`.
    ``curve`` (slope, noise, layer) holds load curves min-max scaled to [0, 1], ``accuracy`` (slope,
    noise) test accuracy in percent, read from grey levels to about 0.1.
    """
    file = committed_file("reference/published_phase_diagrams.json")
    panels = json.loads(file.read_text())["panels"]
    if axis not in panels:
        raise ValueError(f"axis={axis!r}: choose one of the published panels {', '.join(panels)}")
    panel = panels[axis]
    return xr.Dataset(
        {
            "curve": (("slope", "noise", "layer"), np.array(panel["curve"])),
            "accuracy": (("slope", "noise"), np.array(panel["accuracy"]), {"units": "%"}),
        },
        {"slope": panel["slope"], "noise": panel["noise"]},
    ).sortby("noise")


def compare(ours: xr.Dataset, published: xr.Dataset) -> xr.Dataset:
    """Compare a measured phase diagram with one from `published_diagram`, cell by cell.

    Parameters
    ----------
    ours : xarray.Dataset
        ``separation_train`` (slope, noise, seed, layer), ``accuracy_test`` (slope, noise, seed), a
        fraction.

    Returns
    -------
    xarray.Dataset
        For the cells that both have, (slope, noise): ``deviation``, the mean over the layers of the
        absolute difference of the min-max scaled curves (ours: of the mean over the seeds that have
        one); ``accuracy`` and ``accuracy_published``, in percent; ``accuracy_difference``, ours
        less the published, in percentage points.
    """
    ours, published = xr.align(ours, published, join="inner")
    deviation = abs(scaled_curves(ours) - published.curve).mean("layer", skipna=False)
    accuracy = (100 * ours.accuracy_test).mean("seed")
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


def deviation_by_chance(ours: xr.Dataset, draws: int = 500) -> xr.DataArray:
    """Return how far two diagrams like ours deviate from one another by their seeds alone.

    Two sets of as many networks as ours has are drawn from each cell with replacement (Efron's
    bootstrap), `draws` times, and compared as `compare` does. A published cell within this
    distance, (slope, noise), the 95 % quantile, is no further from ours than another set of seeds
    might be. nan where a network has no load curve.
    """
    curves = ours.separation_train.transpose("slope", "noise", "seed", "layer")
    count = curves.sizes["seed"]
    drawn = np.random.default_rng(0).integers(count, size=(2, draws, count))
    means = curves.values[:, :, drawn].mean(-2)  # slope, noise, 2, draws, layer
    lowest = means.min(-1, keepdims=True)
    first, second = np.moveaxis((means - lowest) / (means.max(-1, keepdims=True) - lowest), 2, 0)
    apart = np.quantile(abs(first - second).mean(-1), 0.95, axis=-1)
    return curves.isel(seed=0, layer=0, drop=True).copy(data=apart).rename("deviation_by_chance")


def agreement_table(
    comparisons: Mapping[str, xr.Dataset], limits: Mapping[str, float] | float = 0.03
) -> pd.DataFrame:
    """Sum up comparisons with the published diagram, one row per comparison.

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
        within the limit, to which cells without a curve of ours do not belong; largest magnitude of
        the accuracy difference; rank correlation of the accuracies with the published ones.
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
