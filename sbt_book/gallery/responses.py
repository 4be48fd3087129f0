"""How the load curves of each kind of network respond to noise."""

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.selections import convexity
from sbt_book.common.statistics import rank_correlation, spearman

NOISES = {"dropout": ("rate", 1.0), "rate": ("dropout", 0.0)}
"""What may be varied, and where the other is held."""


def along(gallery: xr.Dataset, noise: str) -> xr.Dataset:
    """Return the networks among which one source of noise was varied.

    Parameters
    ----------
    gallery : xarray.Dataset
        From `sbt_book.gallery.experiment.gallery`.
    noise : {"dropout", "rate"}

    Returns
    -------
    xarray.Dataset
        Over (kind, noise, seed), of the kinds that were trained at every level.

    Raises
    ------
    ValueError
        For another noise.

    Examples
    --------
    >>> dims = ("kind", "dropout", "rate", "seed")
    >>> gallery = xr.Dataset({"accuracy_test": (dims, [[[[0.9], [0.8]], [[0.7], [np.nan]]]])},
    ...                      {"kind": ["MLP"], "dropout": [0, 0.1], "rate": [0.3, 1], "seed": [0]})
    >>> along(gallery, "rate").accuracy_test.values.tolist()
    [[[0.9], [0.8]]]
    """
    if noise not in NOISES:
        raise ValueError(f"noise={noise!r}: choose one of {', '.join(NOISES)}")
    other, level = NOISES[noise]
    varied = gallery.sel({other: level}, drop=True).rename({noise: "noise"})
    there = varied.accuracy_test.notnull().all(("noise", "seed"))
    return varied.sel(kind=there).transpose("kind", "noise", "seed", ...)


def shapes(gallery: xr.Dataset, part: str = "train", first: int = 0) -> xr.DataArray:
    """Return the convexity of every network's load curve.

    Parameters
    ----------
    gallery : xarray.Dataset
        From `sbt_book.gallery.experiment.gallery`, or a selection of it.
    part : {"train", "test"}
        On which images.
    first : int
        Where the curve begins: 0 with the input, 1 after the first block.

    Returns
    -------
    xarray.DataArray
        As `gallery` without the layers; nan for a curve that is undefined or does not fall.

    Examples
    --------
    >>> dims = ("kind", "layer")  # the second kind has a layer less
    >>> curves = [[4.0, 1.0, 0.0, -2.0], [4.0, 1.0, 0.0, np.nan]]
    >>> gallery = xr.Dataset({"separation_train": (dims, curves)}, {"kind": ["a", "b"]})
    >>> shapes(gallery).round(3).values
    array([0.083, 0.25 ])
    """
    curves = gallery[f"separation_{part}"].isel(layer=slice(first, None))
    each = [convexity(curve.dropna("layer", how="all")) for curve in curves.transpose("kind", ...)]
    return xr.concat(each, "kind").transpose(*(dim for dim in curves.dims if dim != "layer"))


def response_table(
    gallery: xr.Dataset, noise: str = "dropout", draws: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Say for each kind how its convexity answers to noise.

    Parameters
    ----------
    gallery : xarray.Dataset
        From `sbt_book.gallery.experiment.gallery`.
    noise : {"dropout", "rate"}
    draws : int
        Of the bootstrap.
    seed : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        A row for each kind. ``least`` and ``most``: mean convexity at the lowest and the highest
        level, with ``_spread``, the sample standard deviation over the seeds. For the whole curve
        (``train``), that of unseen data (``test``) and the one from the first block on
        (``blocks``), Spearman's rank correlation of noise and convexity over all networks of the
        kind, with the limits ``_low`` and ``_high`` between which it lies in 95 of 100 draws of
        seeds with replacement (nan if a curve is undefined or does not fall).

    Examples
    --------
    >>> dims = ("kind", "dropout", "rate", "seed", "layer")
    >>> curves = np.array([[4, 3, 2.5, 0], [4, 2, 1, 0], [4, 1, 0.2, 0]])
    >>> curves = xr.DataArray(curves[None, :, None, None], dims=dims).isel(seed=[0, 0])
    >>> gallery = xr.Dataset({"separation_train": curves, "separation_test": curves,
    ...                       "accuracy_test": curves.isel(layer=0)})
    >>> gallery = gallery.assign_coords(kind=["MLP"], dropout=[0, 0.1, 0.2], rate=[1.0])
    >>> response_table(gallery)[["train", "train_low", "train_high"]].values.tolist()
    [[1.0, 1.0, 1.0]]
    """
    varied = along(gallery, noise)
    views = {
        "train": shapes(varied),
        "test": shapes(varied, "test"),
        "blocks": shapes(varied, first=1),
    }
    count = varied.sizes["seed"]
    chosen = np.random.default_rng(seed).integers(count, size=(draws, count))
    rows = {}
    for kind in varied.kind.values:
        own = views["train"].sel(kind=kind)
        row = {}
        for name, place in (("least", 0), ("most", -1)):
            row[name] = own.isel(noise=place).mean().item()
            row[f"{name}_spread"] = own.isel(noise=place).std(ddof=1).item()
        for name, view in views.items():
            seen = view.sel(kind=kind)
            row[name] = rank_correlation(seen, seen.noise)
            drawn = _rank_correlations(seen.values[:, chosen], seen.noise.values)
            row[f"{name}_low"], row[f"{name}_high"] = np.quantile(drawn, [0.025, 0.975])
        rows[str(kind)] = row
    return pd.DataFrame(rows).T


def _rank_correlations(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the rank correlation of values (noise, draws, seed) with the levels in each draw."""
    draws = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    return spearman(draws, np.repeat(levels, values.shape[2]))
