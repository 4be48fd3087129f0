"""Results on disk: netCDF files with their provenance."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # half a second to import, and only `load` needs it
    import xarray as xr

FilePath = str | os.PathLike[str]
RESULTS_VERSION = 1  # of their layout and meaning; others are refused


def kept(
    path: FilePath, configuration: Mapping[str, Any], compute: Callable[[], xr.Dataset]
) -> xr.Dataset:
    """Return the results that a file holds, or compute them and keep them in it.

    Parameters
    ----------
    path : path-like
        Ends in ``.nc``.
    configuration : mapping
        Everything that decides the results, as JSON can hold it; a tuple equals a list.
    compute : callable
        Returns a dataset. Work of several calls states its time in ``wall_time_seconds``, an
        attribute; else the time of this call is recorded.

    Raises
    ------
    ValueError
        Before anything is computed: the file holds other results, or JSON cannot hold this.

    Examples
    --------
    >>> import tempfile, xarray as xr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, settings = f"{folder}/chain.nc", {"blocks": 1}
    ...     first = kept(path, settings, lambda: xr.Dataset({"D": ("layer", [1.0, 0.0])}))
    ...     kept(path, settings, lambda: 1 / 0).D.values
    array([1., 0.])
    """
    try:
        wanted = json.loads(json.dumps(configuration, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"configuration: {error}; give numbers, text, lists and dicts") from None
    if not Path(path).exists():
        start = time.perf_counter()
        dataset = compute()
        seconds = dataset.attrs.get("wall_time_seconds", time.perf_counter() - start)
        save(dataset, path, wanted, seconds)
    dataset = load(path)
    made = json.loads(dataset.attrs["configuration"])
    for key in wanted | made:
        if made.get(key) != wanted.get(key):
            raise ValueError(
                f"{path} holds results with {key} = {made.get(key)!r}, not {wanted.get(key)!r}: "
                "give another path, or remove the file to compute it again"
            )
    return dataset


def save(
    dataset: xr.Dataset, path: FilePath, configuration: Mapping[str, Any], wall_time: float
) -> Path:
    """Write a dataset with its provenance; the file is there whole or not at all.

    Parameters
    ----------
    dataset : xarray.Dataset
    path : path-like
        Ends in ``.nc``; its folder is made if need be.
    configuration : mapping
        What was computed, with the seeds; whatever JSON can hold.
    wall_time : float, in seconds
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


def load(path: FilePath) -> xr.Dataset:
    """Read results into memory; a ValueError if the file holds none, or of another version."""
    import xarray as xr

    try:
        dataset = xr.load_dataset(path, engine="h5netcdf")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such results file") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a results file ({error})") from None
    if (found := dataset.attrs.get("results_version")) != RESULTS_VERSION:
        maker = json.loads(dataset.attrs.get("versions", "{}")).get("sbt-utils", "unknown")
        raise ValueError(
            f"{path} holds results of version {found} (made by sbt-utils {maker}), not of version "
            f"{RESULTS_VERSION}: compute them again, or read them with that sbt-utils"
        )
    return dataset


def versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on."""
    packages = ("sbt-utils", "torch", "numba", "numpy", "xarray", "h5netcdf")
    return {name: version(name) for name in packages}


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside a file, and move it there if all went well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _commit() -> str:
    """Return the commit of this project's checkout, marked if files differ from it."""
    root = Path(__file__).resolve().parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        # Below another project's checkout, git would answer with that project's commit.
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        if project["name"] == "sbt-utils" and (root / ".git").exists():
            return subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True).strip()
    except (OSError, KeyError, tomllib.TOMLDecodeError, subprocess.CalledProcessError):
        pass
    return "not a checkout"
