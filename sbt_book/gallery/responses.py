"""How the load curves of each kind of network respond to noise."""

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import bootstrap

from sbt_book.common.selections import convexity
from sbt_book.common.statistics import spearman

HELD_FIXED = {"dropout": ("rate", 1.0), "rate": ("dropout", 0.0)}
"""For each noise that may be varied, the other one and the level at which it is held."""


def along(gallery: xr.Dataset, noise: str) -> xr.Dataset:
    """Return the networks (kind, noise, seed) among which one source of noise was varied.

    `gallery` is from `gallery`, `noise` is ``"dropout"`` or ``"rate"``; kinds that were not trained
    at every level are left out.
    """
    if noise not in HELD_FIXED:
        raise ValueError(f"noise={noise!r}: choose one of {', '.join(HELD_FIXED)}")
    other, level = HELD_FIXED[noise]
    varied = gallery.sel({other: level}, drop=True).rename({noise: "noise"})
    complete = varied.accuracy_test.notnull().all(("noise", "seed"))
    return varied.sel(kind=complete).transpose("kind", "noise", "seed", ...)


def shapes(gallery: xr.Dataset, part: str = "train", first: int = 0) -> xr.DataArray:
    """Return the convexity of every load curve of a `gallery` or a selection of it.

    `part` of the data, ``"train"`` or ``"test"``; the curve begins at the layer `first`: 0 is the
    input, 1 comes after the first block. nan for a curve that is undefined or does not fall.
    """
    curves = gallery[f"separation_{part}"].isel(layer=slice(first, None))
    by_kind = [
        # Curves of a kind end at its last layer.
        convexity(curve.dropna("layer", how="all"))
        for curve in curves.transpose("kind", ...)
    ]
    return xr.concat(by_kind, "kind").transpose(*(dim for dim in curves.dims if dim != "layer"))


def response_table(gallery: xr.Dataset, noise: str = "dropout", draws: int = 1000) -> pd.DataFrame:
    """Say for each kind how its convexity responds to noise.

    Parameters
    ----------
    gallery : xarray.Dataset
        From `gallery`, with two seeds or more.
    noise : {"dropout", "rate"}
        What is varied.
    draws : int
        Of the bootstrap, always the same ones.

    Returns
    -------
    pandas.DataFrame
        One row per kind. ``least`` and ``most``: mean convexity at the lowest and the highest
        level, with ``_spread``, the sample standard deviation over the seeds. For the whole curve
        (``train``), that of unseen data (``test``) and the one from the first block on
        (``blocks``), Spearman's rank correlation of noise and convexity over all networks of the
        kind, with the ends ``_low`` and ``_high`` of its 95 % interval over draws of seeds.
    """
    varied = along(gallery, noise)
    views = {
        "train": shapes(varied),
        "test": shapes(varied, "test"),
        "blocks": shapes(varied, first=1),
    }
    levels = np.repeat(varied.noise.values, varied.sizes["seed"])

    def correlation(*by_level: np.ndarray, axis: int) -> np.ndarray:
        return spearman(np.concatenate(by_level, axis), levels)

    rows = {}
    for kind in varied.kind.values:
        row = {}
        for name, index in (("least", 0), ("most", -1)):
            at_level = views["train"].sel(kind=kind).isel(noise=index)
            row[name] = at_level.mean().item()
            row[f"{name}_spread"] = at_level.std(ddof=1).item()
        for name, view in views.items():
            seen = view.sel(kind=kind).values
            row[name] = float(correlation(*seen, axis=-1))
            resampled = bootstrap(
                seen,
                correlation,
                n_resamples=draws,
                paired=True,  # the networks of a seed are drawn together, at all levels
                vectorized=True,
                axis=-1,
                method="percentile",
                random_state=np.random.default_rng(0),
            )
            row[f"{name}_low"], row[f"{name}_high"] = resampled.confidence_interval
        rows[str(kind)] = row
    return pd.DataFrame(rows).T
