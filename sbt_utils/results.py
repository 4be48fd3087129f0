"""Results on disk: netCDF files with their provenance."""

from __future__ import annotations

import io
import json
import os
import platform
import subprocess
import time
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sbt_utils.outputs import FilePath, is_intact, sealed, whole_file
from sbt_utils.text import shown
from sbt_utils.threads import uncut
from sbt_utils.work_folders import locked

if TYPE_CHECKING:  # half a second to import, and only `load` needs it
    import xarray as xr

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
        Before anything is computed: the file holds other results or is damaged, another process is
        computing it, or JSON cannot hold this.

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
        wanted = json.loads(json.dumps(dict(configuration), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"configuration: {error}; give numbers, text, lists and dicts") from None
    if not Path(path).exists():
        import xarray as xr

        lock = Path(f"{os.path.realpath(path)}.lock")
        with locked(lock, str(path)):
            try:
                if not Path(path).exists():  # finished by another process just now
                    start = time.perf_counter()
                    dataset = compute()
                    if not isinstance(dataset, xr.Dataset):
                        kind = type(dataset).__name__
                        raise TypeError(f"compute: returns a {kind}; return an xarray.Dataset")
                    seconds = dataset.attrs.get("wall_time_seconds", time.perf_counter() - start)
                    save(dataset, path, wanted, seconds)
            finally:
                lock.unlink()
    dataset = load(path)
    made = json.loads(dataset.attrs["configuration"])
    for key in wanted | made:
        if made.get(key) != wanted.get(key):
            raise ValueError(
                f"{path} holds results with {shown(key)} = {shown(repr(made.get(key)))}, not "
                f"{shown(repr(wanted.get(key)))}: give another path, or remove the file to compute "
                "it again"
            )
    return dataset


def save(
    dataset: xr.Dataset, path: FilePath, configuration: Mapping[str, Any], wall_time: float
) -> Path:
    """Write a dataset with its provenance; the file is there whole or not at all.

    It ends in the SHA-256 digest of its bytes, which `load` compares and other readers of netCDF
    ignore. Its attribute ``commit`` is the one of this package's checkout, or the one that the
    environment variable ``SBT_COMMIT`` names where the code was copied without its repository.

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
    Path(os.path.realpath(path)).parent.mkdir(parents=True, exist_ok=True)
    dataset = dataset.assign_attrs(
        results_version=RESULTS_VERSION,
        configuration=json.dumps(configuration),
        versions=json.dumps(versions()),
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        commit=commit(),
        wall_time_seconds=round(wall_time, 1),
    )
    with whole_file(path) as temporary:
        temporary.write_bytes(sealed(_as_netcdf(dataset)))
    return path


def load(path: FilePath) -> xr.Dataset:
    """Read results into memory.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        The file holds no results, or those of another version; its bytes have changed, or do not
        end in their digest.
    """
    import xarray as xr

    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: there is no such results file")
    if not Path(path).is_file():  # a pipe would be waited for
        raise ValueError(f"{path} is not a results file (it is no regular file)")
    # First of all: over damaged data, HDF5 may loop for ever.
    if (intact := is_intact(Path(path))) is None:
        raise ValueError(
            f"{path} is not a results file, or not a whole one (it does not end in its digest): "
            "copy it once more from where it came from, or remove it and compute it again"
        )
    if not intact:
        raise ValueError(
            f"{path} is damaged: its bytes are not those that were written; copy it once more from "
            "where it came from, or remove it and compute it again"
        )
    try:
        # Not by its name: xarray looks for s3::run.nc in a network, for ~/run.nc elsewhere.
        with uncut():
            dataset = xr.load_dataset(io.BytesIO(Path(path).read_bytes()), engine="h5netcdf")
        found = dataset.attrs.get("results_version")
        made = {name: json.loads(dataset.attrs.get(name, "{}")) for name in _JSON}
        if not all(isinstance(value, dict) for value in made.values()):
            raise ValueError(f"{' and '.join(_JSON)} are no objects")
    except Exception as error:  # of every kind, where HDF5 meets what it did not write
        reason = str(error) if isinstance(error, OSError | ValueError) else repr(error)
        raise ValueError(f"{path} is not a results file ({shown(reason, 300)})") from None
    if found != RESULTS_VERSION:
        maker = made["versions"].get("sbt-utils", "unknown")
        raise ValueError(
            f"{path} holds results of version {shown(found)} (made by sbt-utils {shown(maker)}), "
            f"not of version {RESULTS_VERSION}: compute them again, or read them with that one"
        )
    if missing := [name for name in _JSON if name not in dataset.attrs]:
        raise ValueError(f"{path} is not a results file (it lacks {' and '.join(missing)})")
    return dataset


_JSON = ("configuration", "versions")


def _as_netcdf(dataset: xr.Dataset) -> bytes:
    """Return the content of a file: made in memory, because HDF5 may crash where a disk is full."""
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    buffer = io.BytesIO()
    with uncut():
        with h5netcdf.File(buffer, "w") as file:
            dataset.dump_to_store(H5NetCDFStore(file))
        del file  # its destructor, too
    return buffer.getvalue()


def versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on."""
    packages = ("sbt-utils", "torch", "numba", "numpy", "xarray", "h5netcdf")
    return {name: version(name) for name in packages}


@cache  # the code that runs is the one that was there when it was first imported
def commit() -> str:
    """Return the commit of this project's checkout, marked if files differ from it."""
    if named := os.environ.get("SBT_COMMIT"):
        return named
    root = Path(__file__).resolve().parents[1]
    # Not `describe --dirty`: killed half-way, it leaves a lock that keeps people from committing.
    git = ["git", "--no-optional-locks", "-C", str(root)]
    # GIT_DIR and its like would name another repository.
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    try:
        # Below another project's checkout, git would answer with that project's commit.
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        if project["name"] != "sbt-utils" or not (root / ".git").exists():
            return "not a checkout"
    except (OSError, ValueError, KeyError, TypeError):
        return "not a checkout"

    def said(*arguments: str) -> str:
        return subprocess.check_output(
            [*git, *arguments], stderr=subprocess.DEVNULL, text=True, env=environment
        ).strip()

    try:
        changed = said("status", "--porcelain", "--untracked-files=no")
        return said("describe", "--always", "--abbrev=12") + ("-dirty" if changed else "")
    except (OSError, ValueError, subprocess.CalledProcessError):
        return "unknown: git does not read this checkout"
