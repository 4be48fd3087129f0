"""Results on disk: netCDF files that say how they came about."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xarray as xr

RESULTS_VERSION = 1
"""Of the layout and meaning of results; `load` refuses others."""


def save(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    configuration: Mapping[str, Any],
    wall_time: float,
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
    wall_time : float
        Seconds that the computation took.

    Returns
    -------
    pathlib.Path
        The path, for a message.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(xr.Dataset({"D": ("layer", [1.0, 0.0])}), f"{folder}/chain.nc",
    ...                 {"blocks": 1}, wall_time=0.1)
    ...     load(path).attrs["configuration"]
    '{"blocks": 1}'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = dataset.assign_attrs(
        results_version=RESULTS_VERSION,
        configuration=json.dumps(configuration),
        versions=json.dumps(versions()),
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        commit=_commit(),
        wall_time_seconds=round(wall_time, 1),
    )
    with whole_file(path) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf")
    return path


def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a results file into memory.

    Parameters
    ----------
    path : path-like
        Written by `save`.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is no results file, or one of another version.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(xr.Dataset({"D": ("layer", [1.0, 0.0])}), f"{folder}/chain.nc", {}, 0.1)
    ...     load(path).D.values
    array([1., 0.])
    """
    try:
        dataset = xr.load_dataset(path, engine="h5netcdf")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such results file") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a results file ({error})") from None
    found = dataset.attrs.get("results_version")
    if found != RESULTS_VERSION:
        maker = json.loads(dataset.attrs.get("versions", "{}")).get("sbt-utils", "unknown")
        raise ValueError(
            f"{path} holds results of version {found} (made by sbt-utils {maker}), not of version "
            f"{RESULTS_VERSION}: compute them again, or read them with that sbt-utils"
        )
    return dataset


def versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> "torch" in versions()
    True
    """
    packages = ("sbt-utils", "torch", "numba", "numpy", "xarray", "h5netcdf")
    return {name: version(name) for name in packages}


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


def _commit() -> str:
    """Return the checkout's commit, with a mark if files differ from it."""
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not a checkout"
