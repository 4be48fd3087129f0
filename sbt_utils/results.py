"""Results on disk: netCDF files that say how they came about, and the published numbers."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

RESULTS = Path(__file__).parent.parent / "results"
"""The committed results of a checkout."""


def save(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    configuration: Mapping[str, Any],
    start: float,
) -> Path:
    """Write a dataset with its provenance; the file is there whole or not at all.

    Parameters
    ----------
    dataset : xarray.Dataset
        Left as it is.
    path : path-like
        Ends in ``.nc``; its folder is made if need be.
    configuration : mapping
        What was computed, with the seeds; whatever JSON can hold.
    start : float
        When the computation began, as `time.time` gives it.

    Returns
    -------
    pathlib.Path
        The path, for a message.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(xr.Dataset({"D": ("layer", [1.0, 0.0])}), f"{folder}/chain.nc",
    ...                 {"blocks": 1}, time.time())
    ...     xr.load_dataset(path, engine="h5netcdf").attrs["configuration"]
    '{"blocks": 1}'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    packages = ("sbt-utils", "torch", "numpy", "xarray", "h5netcdf")
    dataset = dataset.assign_attrs(
        configuration=json.dumps(configuration),
        versions=json.dumps({name: version(name) for name in packages}),
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        commit=_commit(),
        wall_time_seconds=round(time.time() - start, 1),
    )
    with whole_file(path) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf")
    return path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside a file, and move it there if all went well.

    Parameters
    ----------
    path : pathlib.Path
        The file: it is there whole, or as it was before.

    Yields
    ------
    pathlib.Path
        Where to write.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder) / "curve.txt") as temporary:
    ...         _ = temporary.write_text("1 0")
    ...     [file.name for file in Path(folder).iterdir()]
    ['curve.txt']
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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


def _commit() -> str:
    """Return the checkout's commit, with a mark if files differ from it."""
    command = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not a checkout"
