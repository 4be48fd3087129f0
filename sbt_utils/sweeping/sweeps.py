"""Sweeps: the networks of an experiment trained shard by shard, here or on many machines.

Each finished shard is written whole, so that a sweep that was stopped, even killed, goes on where
it was. What becomes of a network does not depend on its shard, nor on who trained it and when.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import xarray as xr
from tqdm.auto import tqdm

from sbt_utils import results
from sbt_utils.sweeping.experiments import Experiment, published
from sbt_utils.sweeping.shards import SHARD_SIZE, cut, data_of, measure, work
from sbt_utils.training.settings import check_device

_POLL = 0.05  # seconds

ATTEMPTS = 3
"""How often a shard is tried before the sweep gives it up."""


class SweepError(RuntimeError):
    """Some shards could not be computed or written; those that were are kept."""


def sweep(
    experiment: str | Experiment,
    profile: str = "paper",
    *,
    out: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    resume: bool = True,
    device: str = "cpu",
    shard_size: int = SHARD_SIZE,
    progress: bool = True,
) -> xr.Dataset:
    """Train every network of an experiment and measure its load curves.

    Parameters
    ----------
    experiment : {"dropout", "learning_rate", "data_noise", "batch_size"} or Experiment
        A published experiment by its source of noise, or any other.
    profile : {"smoke", "quick", "paper"}
        How much of a published experiment; see `sbt_utils.sweeping.experiments.published`.
    out : path-like, optional
        Write the results here, a netCDF file. Until it is complete, finished shards lie in a
        folder of the same name that ends in ``.shards``.
    executor : concurrent.futures.Executor, optional
        Where to train the shards, each on one thread: `sbt_utils.sweeping.workers.LocalProcesses`,
        ``dask.distributed.Client.get_executor()``, an executor of ``submitit``. Default: in this
        process, with all of PyTorch's threads.
    resume : bool
        Take what `out` and its finished shards hold; False starts anew.
    device : str
        ``"cpu"`` or ``"cuda"``.
    shard_size : int
        Networks of a shard, at most.
    progress : bool
        Show a bar over networks with the time left.

    Returns
    -------
    xarray.Dataset
        ``separation_train``, ``separation_test`` (measure "trace") and ``fuzziness_train`` with
        dimensions (noise, slope, seed, layer), ``accuracy_train``, ``accuracy_test``,
        ``loss_train`` and ``epochs`` with (noise, slope, seed). The first two dimensions of other
        experiments are named after their axes. All measured after training, in evaluation mode, on
        clean images; D is nan where a collapsed network leaves it undefined.

    Raises
    ------
    ValueError
        An unknown experiment, profile or device; `out` holds something else.
    SweepError
        Shards that failed three times; a file that could not be written. What was finished is kept.

    Notes
    -----
    On a CPU the results are the same bit by bit for any executor and any shard size.

    References
    ----------
    Shi, Pan & Dokmanić, Spring-block theory of feature learning in deep neural networks,
    Phys. Rev. Lett. (2025), arXiv:2407.19353.

    Examples
    --------
    >>> grid = Experiment({"dropout": [0.0, 0.1], "width": [4, 8]}, seeds=1, epochs=1, train=100)
    >>> diagram = sweep(grid, progress=False)
    >>> diagram.separation_train.dims
    ('dropout', 'width', 'seed', 'layer')
    """
    if isinstance(experiment, str):
        experiment = published(experiment, profile)
    check_device(device)
    if out is None:
        with TemporaryDirectory() as temporary:
            return sweep(
                experiment,
                out=Path(temporary) / "results.nc",
                executor=executor,
                device=device,
                shard_size=shard_size,
                progress=progress,
            )
    waiting = cut(experiment, set(range(len(experiment))), shard_size)
    configuration = experiment.configuration | {"device": torch.device(device).type}
    path = _check_out(Path(out))
    folder = path.with_suffix(".shards")
    if resume and path.exists():
        diagram = results.load(path)
        _check_same(f"out={path}", diagram, configuration)
        shutil.rmtree(folder, ignore_errors=True)
        return diagram
    data_of(experiment)  # Complains, or downloads, here and once.
    shards = _finished(folder, configuration, resume)
    done = {int(number) for shard in shards for number in shard.network}
    waiting = [left for numbers in waiting if (left := [n for n in numbers if n not in done])]
    task = partial(measure, experiment, device=device, threads=1 if executor else None)
    with _Bar(experiment, len(done), waiting, progress) as bar:
        for numbers, shard in _outcomes(task, waiting, executor):
            wall_time = shard.attrs["stop"] - shard.attrs["start"]
            _save(shard, folder / f"{numbers[0]:06d}.nc", configuration, wall_time)
            shards.append(shard)
            bar.count(numbers)
    # Moved from the folder, so that nothing half written can ever lie beside the results.
    _save(_assemble(experiment, shards), folder / path.name, configuration, _wall_time(shards))
    os.replace(folder / path.name, path)
    shutil.rmtree(folder)
    return results.load(path)


Task = Callable[[list[int]], xr.Dataset]


def _outcomes(
    task: Task, waiting: list[list[int]], executor: Executor | None
) -> Iterator[tuple[list[int], xr.Dataset]]:
    """Yield shards as they are finished; try again what failed, and raise in the end."""
    for attempt in range(1, ATTEMPTS + 1):
        failures: list[tuple[list[int], Exception]] = []
        for numbers, result in _results(task, waiting, executor):
            try:
                shard = result()
            except Exception as error:
                failures.append((numbers, error))
            else:
                yield numbers, shard
        if not failures:
            return
        if attempt == ATTEMPTS:
            named = "; ".join(
                f"networks {numbers[0]} to {numbers[-1]}: {type(error).__name__}: {error}"
                for numbers, error in failures
            )
            raise SweepError(
                f"{len(failures)} shards failed {ATTEMPTS} times ({named}); the others are kept: "
                "mend the cause and call again to go on"
            ) from failures[0][1]
        waiting = [numbers for numbers, _ in failures]


def _results(
    task: Task, waiting: list[list[int]], executor: Executor | None
) -> Iterator[tuple[list[int], Callable[[], xr.Dataset]]]:
    """Yield each shard with a function that returns its result or raises."""
    if executor is None:
        yield from ((numbers, partial(task, numbers)) for numbers in waiting)
        return
    futures = []
    try:
        for numbers in waiting:
            futures.append((numbers, executor.submit(task, numbers)))
        while futures:
            # Ask rather than wait: not every executor's futures know concurrent.futures.wait.
            for entry in [entry for entry in futures if entry[1].done()]:
                futures.remove(entry)
                yield entry[0], entry[1].result
            time.sleep(_POLL)
    finally:
        for _, future in futures:
            future.cancel()


def _check_out(path: Path) -> Path:
    """Raise now, not after hours, if results cannot be written here."""
    if path.is_dir():
        raise ValueError(f"out={path}: this is a folder; give the name of a file in it")
    if path.suffix != ".nc":
        raise ValueError(f"out={path}: give a file name that ends in .nc")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"out={path}: its folder cannot be made ({error})") from None
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"out={path}: the folder {path.parent} cannot be written to")
    return path


def _check_same(
    name: str, found: xr.Dataset, configuration: Mapping[str, Any], versions: bool = False
) -> None:
    """Raise if results were made with another configuration, or other versions."""
    made, wanted = json.loads(found.attrs["configuration"]), dict(configuration)
    if versions:
        made |= json.loads(found.attrs["versions"])
        wanted |= results.versions()
    wanted = json.loads(json.dumps(wanted))
    for key in wanted | made:
        if made.get(key) != wanted.get(key):
            raise ValueError(
                f"{name} was made with {key} = {made.get(key)!r}, not {wanted.get(key)!r}: "
                "give another out, or resume=False to replace it"
            )


def _finished(folder: Path, configuration: Mapping[str, Any], resume: bool) -> list[xr.Dataset]:
    """Return the shards that a folder holds; make the folder if there is none."""
    if folder.exists() and not resume:
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    shards = [results.load(path) for path in sorted(folder.glob("[0-9]*.nc"))]
    for shard in shards:
        _check_same(f"the folder of finished shards {folder}", shard, configuration, versions=True)
    return shards


def _save(
    dataset: xr.Dataset, path: Path, configuration: Mapping[str, Any], wall_time: float
) -> None:
    """Write results; if that fails, say what is kept."""
    try:
        results.save(dataset, path, configuration, wall_time)
    except (OSError, RuntimeError) as error:
        # HDF5 wraps the reason in lines about its own files.
        number = getattr(error, "errno", None)
        raise SweepError(
            f"{path} cannot be written ({os.strerror(number) if number else error}); the shards "
            "finished before are kept: make room and call again to go on"
        ) from error


def _assemble(experiment: Experiment, shards: list[xr.Dataset]) -> xr.Dataset:
    """Join shards along their networks and spread these over the axes of the experiment."""
    # Shallower networks than others have nan at the layers that they lack.
    joined = xr.concat(shards, "network", join="outer", combine_attrs="override")
    joined = joined.drop_duplicates("network").sortby("network")
    dimensions = (*experiment.dimensions, "seed")
    variables = {
        name: (
            (*dimensions, *variable.dims[1:]),
            variable.values.reshape(*experiment.shape, *variable.shape[1:]),
            variable.attrs,
        )
        for name, variable in joined.data_vars.items()
    }
    names = dict(zip(experiment.dimensions, experiment.axes, strict=True))
    levels = {
        dimension: (dimension, list(experiment.axes[name]), {"long_name": name.replace("_", " ")})
        for dimension, name in names.items()
    }
    coordinates = levels | {"seed": np.arange(experiment.seeds), "layer": joined.layer.values}
    processor_time = sum(shard.attrs["cpu_seconds"] for shard in shards)
    return xr.Dataset(variables, coordinates, {"cpu_seconds": round(processor_time, 1)})


def _wall_time(shards: list[xr.Dataset]) -> float:
    """Return for how many seconds at least one of the shards was being computed."""
    total, end = 0.0, -np.inf
    for start, stop in sorted((shard.attrs["start"], shard.attrs["stop"]) for shard in shards):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


class _Bar:
    """A bar over networks that knows how much work each of them is."""

    def __init__(
        self, experiment: Experiment, done: int, waiting: list[list[int]], progress: bool
    ) -> None:
        self._work = {
            numbers[0]: len(numbers) * work(experiment, numbers[0]) for numbers in waiting
        }
        self._total = sum(self._work.values())
        self._start = time.monotonic()
        self._bar = tqdm(
            total=len(experiment),
            initial=done,
            disable=not progress,
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} networks [{elapsed}{postfix}]",
        )

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def count(self, numbers: list[int]) -> None:
        """Count a finished shard."""
        del self._work[numbers[0]]
        left = sum(self._work.values()) / self._total
        seconds = (time.monotonic() - self._start) * left / (1 - left)
        self._bar.set_postfix_str(f"{tqdm.format_interval(seconds)} left", refresh=False)
        self._bar.update(len(numbers))
