"""Sweeps: the networks of an experiment trained shard by shard, here or on many machines."""

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
from sbt_utils.sweeping.shards import SHARD_SIZE, SweepError, cut, work
from sbt_utils.sweeping.tasks import data_of, measure
from sbt_utils.training.settings import check_device

ATTEMPTS = 3
"""How often a shard is tried before the sweep gives up."""

Task = Callable[[list[int]], xr.Dataset]
"""Train and measure the networks of these numbers."""


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

    Each finished shard is written to a file at once, and never in part, so that a sweep that was
    stopped, even killed, resumes. A network does not depend on the shard that it is trained in: on
    CPUs of one model, with the same versions of the packages, results are bit-for-bit identical for
    every executor, number of threads and shard size. Other processors may round differently.

    Parameters
    ----------
    experiment : {"dropout", "learning_rate", "data_noise", "batch_size"} or Experiment
        A published experiment (Shi, Pan & Dokmanić, Spring-block theory of feature learning in deep
        neural networks, Phys. Rev. Lett. (2025), arXiv:2407.19353) by its source of noise, or any
        other.
    profile : {"smoke", "quick", "paper"}
        How much of a published experiment; see `sbt_utils.sweeping.experiments.published`.
    out : path-like, optional
        Write the results to this netCDF file. Until it is complete, finished shards are kept in a
        folder of the same name that ends in ``.shards``.
    executor : concurrent.futures.Executor, optional
        Trains the shards, each on one thread: `sbt_utils.sweeping.workers.LocalProcesses`,
        ``dask.distributed.Client.get_executor()`` or an executor of ``submitit``. Default: train in
        this process, with all of PyTorch's threads.
    resume : bool
        Whether to use the results in `out` and the finished shards; False starts over.
    device : {"cpu", "cuda"}
        Where to train.
    shard_size, progress
        Networks in a shard, at most; whether to show a progress bar with the time left.

    Returns
    -------
    xarray.Dataset
        ``separation_train``, ``separation_test`` (measure "trace") and ``fuzziness_train`` with
        dimensions (noise, slope, seed, layer), and ``accuracy_train``, ``accuracy_test``,
        ``loss_train`` and ``epochs`` with (noise, slope, seed). The first two dimensions of other
        experiments are named after their axes. All are measured after training, in evaluation mode,
        on images without noise; D is nan where a collapsed network leaves it undefined.

    Raises
    ------
    ValueError
        If an argument is out of range, or `out` holds the results of something else.
    SweepError
        If a shard failed three times or a file could not be written. Finished shards are kept.

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
    shard_numbers = cut(experiment, set(range(len(experiment))), shard_size)
    configuration = experiment.configuration | {"device": torch.device(device).type}
    path = _check_out(Path(out))
    folder = path.with_suffix(".shards")
    if resume and path.exists():
        diagram = results.load(path)
        _check_same(f"out={path}", diagram, configuration)
        shutil.rmtree(folder, ignore_errors=True)
        return diagram
    data_of(experiment)  # raises, or downloads, before any worker does
    shards = _finished(folder, configuration, resume)
    done = {int(number) for shard in shards for number in shard.network}
    # Whatever the size of the finished shards, only the missing networks are trained.
    waiting = [left for numbers in shard_numbers if (left := [n for n in numbers if n not in done])]
    task = partial(measure, experiment, device=device, threads=1 if executor else None)
    with _progress_bar(experiment, done, shown=progress) as bar:
        for numbers, shard in _outcomes(task, waiting, executor):
            wall_time = shard.attrs["stop"] - shard.attrs["start"]
            _save(shard, folder / f"{numbers[0]:06d}.nc", configuration, wall_time)
            shards.append(shard)
            done.update(numbers)
            bar.set_postfix_str(f"{len(done)}/{len(experiment)} networks", refresh=False)
            bar.update(sum(work(experiment, number) for number in numbers))
    # Written in the folder and then moved: no partial file ever lies where results are expected.
    complete = folder / "complete.nc"
    _save(_assemble(experiment, shards), complete, configuration, _wall_time(shards))
    os.replace(complete, path)
    shutil.rmtree(folder)
    return results.load(path)


def _outcomes(
    task: Task, waiting: list[list[int]], executor: Executor | None
) -> Iterator[tuple[list[int], xr.Dataset]]:
    """Yield shards as they finish; retry those that failed, and raise SweepError in the end."""
    for attempt in range(1, ATTEMPTS + 1):
        failures: list[tuple[list[int], Exception]] = []
        for numbers, result in _results(task, waiting, executor):
            try:
                yield numbers, result()
            except Exception as error:
                failures.append((numbers, error))
        if not failures:
            return
        if attempt == ATTEMPTS:
            named = "; ".join(
                f"networks {numbers[0]} to {numbers[-1]}: {type(error).__name__}: {error}"
                for numbers, error in failures
            )
            raise SweepError(
                f"{len(failures)} shards failed {ATTEMPTS} times ({named}); the others are kept: "
                "fix the cause and call again to resume"
            ) from failures[0][1]
        waiting = [numbers for numbers, _ in failures]


def _results(
    task: Task, waiting: list[list[int]], executor: Executor | None
) -> Iterator[tuple[list[int], Callable[[], xr.Dataset]]]:
    """Yield the numbers of each shard, once done, with a function that returns it or raises."""
    if executor is None:
        yield from ((numbers, partial(task, numbers)) for numbers in waiting)
        return
    futures = []
    try:
        for numbers in waiting:
            futures.append((numbers, executor.submit(task, numbers)))
        while futures:
            # Poll: concurrent.futures.wait does not accept the futures of every executor.
            for numbers, future in [entry for entry in futures if entry[1].done()]:
                futures.remove((numbers, future))
                yield numbers, future.result
            time.sleep(0.05)
    finally:
        for _, future in futures:
            future.cancel()


def _check_out(path: Path) -> Path:
    """Raise ValueError now, rather than after hours, if results cannot be written here."""
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
    name: str, stored: xr.Dataset, configuration: Mapping[str, Any], versions: bool = False
) -> None:
    """Raise ValueError if results were made with another configuration, or other versions."""
    made, wanted = json.loads(stored.attrs["configuration"]), dict(configuration)
    if versions:
        made |= json.loads(stored.attrs["versions"])
        wanted |= results.versions()
    wanted = json.loads(json.dumps(wanted))  # tuples become lists, as in the file
    for key in wanted | made:
        if made.get(key) != wanted.get(key):
            raise ValueError(
                f"{name} was made with {key} = {made.get(key)!r}, not {wanted.get(key)!r}: "
                "give another out, or resume=False to replace it"
            )


def _finished(folder: Path, configuration: Mapping[str, Any], resume: bool) -> list[xr.Dataset]:
    """Return the finished shards in a folder, which is made if it does not exist."""
    if folder.exists() and not resume:
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    shards = [results.load(path) for path in sorted(folder.glob("[0-9]*.nc"))]
    for shard in shards:
        # Results of two versions must not end up in one file.
        _check_same(f"the folder of finished shards {folder}", shard, configuration, versions=True)
    return shards


def _save(
    dataset: xr.Dataset, path: Path, configuration: Mapping[str, Any], wall_time: float
) -> None:
    """Write results; an error says what is kept."""
    try:
        results.save(dataset, path, configuration, wall_time)
    except (OSError, RuntimeError) as error:
        # HDF5's message surrounds the reason with details of its own.
        number = getattr(error, "errno", None)
        raise SweepError(
            f"{path} cannot be written ({os.strerror(number) if number else error}); the shards "
            "finished before are kept: make room and call again to resume"
        ) from error


def _assemble(experiment: Experiment, shards: list[xr.Dataset]) -> xr.Dataset:
    """Join shards along their networks and spread these over the axes of the experiment."""
    # An outer join: networks with fewer layers than others have nan at the layers that they lack.
    joined = xr.concat(shards, "network", join="outer", combine_attrs="override")
    # Two sweeps that ran at once, with shards of different sizes, may both have trained a network.
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
    """Return the seconds during which at least one shard was being computed."""
    total, end = 0.0, -np.inf
    for start, stop in sorted((shard.attrs["start"], shard.attrs["stop"]) for shard in shards):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def _progress_bar(experiment: Experiment, done: set[int], shown: bool) -> tqdm:
    """Return a bar that counts work rather than networks, so that its time left is right."""
    bar = tqdm(
        total=sum(work(experiment, number) for number in range(len(experiment))),
        initial=sum(work(experiment, number) for number in done),
        smoothing=0,  # the rate since the start: shards differ in duration
        bar_format="{l_bar}{bar}| [{elapsed}, {remaining} left{postfix}]",
        disable=not shown,
    )
    bar.set_postfix_str(f"{len(done)}/{len(experiment)} networks")
    return bar
