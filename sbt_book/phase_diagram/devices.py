"""The phase diagrams of a GPU beside those of a CPU, and whether they differ more than seeds."""

import json
from collections.abc import Mapping

import numpy as np
import xarray as xr

from sbt_book.common.selections import convexity, whole_curves


def as_columns(diagrams: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Put phase diagrams with different levels of noise side by side, to keep them in one file.

    Parameters
    ----------
    diagrams : mapping of str to xarray.Dataset
        From `sbt_utils.sweeping.sweeps.sweep`, by their source of noise.

    Returns
    -------
    xarray.Dataset
        The same variables, with ``column`` in place of ``noise``; the coordinates ``source`` and
        ``noise`` say of a column what it is. The attribute ``configuration`` is that of all, by
        source, and the device; ``wall_time_seconds`` their sum.
    """
    columns = [
        diagram.rename(noise="column").assign_coords(
            source=("column", [source] * diagram.sizes["noise"]),
            noise=("column", diagram.noise.values.astype(float)),
        )
        for source, diagram in diagrams.items()
    ]
    whole = xr.concat([c.drop_vars("column") for c in columns], "column", combine_attrs="drop")
    configurations = {s: json.loads(d.attrs["configuration"]) for s, d in diagrams.items()}
    devices = {made.pop("device") for made in configurations.values()}
    return whole.assign_attrs(
        card=", ".join(dict.fromkeys(d.attrs.get("card", "") for d in diagrams.values())),
        configuration=json.dumps(configurations | {"device": ", ".join(sorted(devices))}),
        wall_time_seconds=float(sum(d.attrs["wall_time_seconds"] for d in diagrams.values())),
    )


def diagram_of(columns: xr.Dataset, source: str) -> xr.Dataset:
    """Return one of the diagrams that `as_columns` has put side by side."""
    diagram = columns.isel(column=np.flatnonzero(columns.source == source))
    return diagram.swap_dims(column="noise").drop_vars("source")


QUANTITIES = ("convexity", "last separation", "test accuracy")
"""What is compared: the shape of the load curve, where it ends, and what the network is worth."""


def quantities(diagram: xr.Dataset) -> xr.DataArray:
    """Return `QUANTITIES` (quantity, noise, slope, seed) of a diagram's networks, nan if undefined.

    Curves are those of the training images.
    """
    curves = whole_curves(diagram)
    values = [convexity(curves), curves.isel(layer=-1, drop=True), diagram.accuracy_test]
    whole = xr.concat([v.reset_coords(drop=True) for v in values], "quantity", coords="minimal")
    return whole.assign_coords(quantity=list(QUANTITIES)).transpose(..., "seed")


def apart(gpu: xr.Dataset, cpu: xr.Dataset, divisions: int = 999, seed: int = 0) -> xr.Dataset:
    r"""Compare the networks of two devices, cell by cell, in units of what their seeds explain.

    Parameters
    ----------
    gpu, cpu : xarray.Dataset
        The same diagram twice: ``separation_train`` (noise, slope, seed, layer) and
        ``accuracy_test`` (noise, slope, seed).
    divisions, seed : int
        Random divisions of the networks, and the seed of their generator.

    Returns
    -------
    xarray.Dataset
        Over ``quantity``: ``distance``; ``by_chance``, the largest distance of the divisions;
        ``shift`` and its standard error ``shift_error``; ``cells``, how many are compared.

    Notes
    -----
    The statistic and what it is held against were fixed before there were results of a GPU. In a
    cell with networks :math:`x_i` of one device and :math:`y_i` of the other, the difference of
    their means in units of its standard error is

    .. math:: z = (\bar x - \bar y) \big/ \sqrt{s_x^2 / n_x + s_y^2 / n_y},

    with the sample variances over the seeds. The ``distance`` of the devices is the root mean
    square of z over the cells.

    *Null hypothesis*: the device makes no difference to how networks come out, so that any ten of a
    cell's twenty might have been those of the GPU. The same distance is taken of random divisions
    of each cell's networks into two groups of the sizes :math:`n_x` and :math:`n_y`. If the
    hypothesis holds and the seeds of the devices are independent, then the distance exceeds all of
    999 divisions with probability 1/1000. The devices do have the same seeds; networks that also
    come out alike only make the distance smaller.

    A difference that is the same in all cells but small in each may hide below this. It shows in
    the ``shift``: the mean over the cells of :math:`(\bar x - \bar y) / s`, with the pooled
    standard deviation s over the seeds; its error is the standard error of that mean. A cell counts
    for a quantity if both devices have two networks with a value and not all values are equal.
    """
    ours, theirs = xr.align(quantities(gpu), quantities(cpu), join="exact")
    rng, rows = np.random.default_rng(seed), []
    for name in QUANTITIES:
        pair = [part.sel(quantity=name).values for part in (ours, theirs)]
        first = pair[0].shape[-1]
        networks = np.concatenate(pair, -1).reshape(-1, 2 * first)
        z, shifts = _differences(networks, first)
        networks, shifts = networks[np.isfinite(z)], shifts[np.isfinite(z)]
        drawn = [
            _distance(_differences(_divided(networks, rng), first)[0]) for _ in range(divisions)
        ]
        few = len(shifts) < 2
        rows.append(
            {
                "distance": _distance(z),
                "by_chance": max(drawn),
                "shift": np.nan if few else shifts.mean(),
                "shift_error": np.nan if few else shifts.std(ddof=1) / np.sqrt(len(shifts)),
                "cells": len(shifts),
            }
        )
    variables = {name: ("quantity", [row[name] for row in rows]) for name in rows[0]}
    return xr.Dataset(variables, {"quantity": list(QUANTITIES)})


def _divided(networks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle the networks of each cell (cells, networks); those undefined stay where they are."""
    defined = np.isfinite(networks)
    # Those defined in a random order, put into their places from left to right.
    keys = np.where(defined, rng.random(networks.shape), np.inf)
    order = np.take_along_axis(networks, keys.argsort(1), 1)
    places = np.maximum(defined.cumsum(1) - 1, 0)
    return np.where(defined, np.take_along_axis(order, places, 1), np.nan)


def _differences(networks: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Return z and the difference in pooled standard deviations (cells,), nan if undefined.

    The columns of `networks` (cells, networks) up to `first` are those of one device.
    """
    groups = networks[:, :first], networks[:, first:]
    with np.errstate(divide="ignore", invalid="ignore"):
        counts = np.array([np.isfinite(group).sum(1) for group in groups])
        means = np.array([np.nansum(group, 1) for group in groups]) / counts
        squares = [
            np.nansum((group - mean[:, None]) ** 2, 1)
            for group, mean in zip(groups, means, strict=True)
        ]
        variances = np.array(squares) / (counts - 1)  # nan or infinite without two networks
        error = np.sqrt((variances / counts).sum(0))
        pooled = np.sqrt(np.sum(squares, 0) / (counts.sum(0) - 2))
        defined = (counts > 1).all(0) & (error > 0)
        difference = np.where(defined, means[0] - means[1], np.nan)
        return difference / error, difference / pooled


def _distance(z: np.ndarray) -> float:
    """Return the root mean square of the differences that are defined."""
    defined = z[np.isfinite(z)]
    return float(np.sqrt((defined**2).mean())) if len(defined) else np.nan
