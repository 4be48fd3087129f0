"""The published numbers, and how ours compare with them."""

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from sbt_utils.results import RESULTS


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


def compare(ours: xr.Dataset, published: xr.Dataset) -> xr.Dataset:
    """Compare a measured phase diagram with a published one, cell by cell.

    Parameters
    ----------
    ours : xarray.Dataset
        ``separation_train`` (slope, noise, seed, layer), ``accuracy_test`` (slope, noise, seed), a
        fraction.
    published : xarray.Dataset
        From `published_diagram`.

    Returns
    -------
    xarray.Dataset
        For the cells that both have, (slope, noise): ``deviation``, the mean over the layers of the
        absolute difference of the min-max scaled curves (ours: of the mean over the seeds);
        ``accuracy_difference``, ours less the published, in percentage points.

    Examples
    --------
    >>> published = published_diagram("dropout")
    >>> ours = xr.Dataset({"separation_train": 3 * published.curve.expand_dims("seed"),
    ...                    "accuracy_test": published.accuracy.expand_dims("seed") / 100})
    >>> float(compare(ours, published).deviation.max()) < 1e-12
    True
    """
    mean = ours.separation_train.mean("seed")
    lowest = mean.min("layer")
    scaled = (mean - lowest) / (mean.max("layer") - lowest)
    points = 100 * ours.accuracy_test.mean("seed") - published.accuracy
    return xr.Dataset(
        {
            "deviation": abs(scaled - published.curve).mean("layer"),
            "accuracy_difference": points.assign_attrs(units="percentage points"),
        }
    )


def agreement_table(comparisons: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Sum up comparisons with the published diagram, a row for each.

    Parameters
    ----------
    comparisons : mapping of str to xarray.Dataset
        From `compare`, by what to call them.

    Returns
    -------
    pandas.DataFrame
        Number of cells, mean and largest deviation, largest magnitude of the accuracy difference.

    Examples
    --------
    >>> cells = xr.Dataset({"deviation": ("noise", [0.01, 0.03]),
    ...                     "accuracy_difference": ("noise", [-0.5, 0.2])})
    >>> agreement_table({"two cells": cells})["largest deviation"].item()
    0.03
    """
    return pd.DataFrame(
        {
            name: {
                "cells": cells.deviation.size,
                "mean deviation": cells.deviation.mean().item(),
                "largest deviation": cells.deviation.max().item(),
                "accuracy within, points": abs(cells.accuracy_difference).max().item(),
            }
            for name, cells in comparisons.items()
        }
    ).T
