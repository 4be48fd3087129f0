"""Sweeps: the networks of an experiment trained shard by shard, here or on many machines."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import mkdtemp
from threading import Event, Thread
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from sbt_utils import results
from sbt_utils.outputs import named
from sbt_utils.sweeping import storage
from sbt_utils.sweeping.experiments import Experiment, published
from sbt_utils.sweeping.shards import SHARD_SIZE, SweepError, cut, work
from sbt_utils.sweeping.tasks import data_of, measure
from sbt_utils.sweeping.workers import Silence
from sbt_utils.text import quoted
from sbt_utils.training.progress import progress_bar
from sbt_utils.training.settings import check_device
from sbt_utils.work_folders import clear, owned

ATTEMPTS = 3
"""How often a shard is tried before the sweep gives up."""

PATIENCE = 600.0
"""Seconds without any finished shard until that is reported, at least."""

_INTERVAL = 0.05  # seconds between two questions whether shards are finished

Task = Callable[[list[int]], xr.Dataset]
"""Train and measure the networks of these numbers."""

_Entry = tuple[list[int], Any]  # the numbers of a shard, and its future, of whatever executor


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
        folder of the same name that ends in ``.shards``, where nothing but the sweep's own files is
        ever removed; shards whose digest does not fit are set aside there and computed again. One
        process at a time works on a file.
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
        on images without noise; D is nan where a collapsed network leaves it undefined. If shards
        were made by several commits, versions of Python or kinds of machines, the attribute
        ``shards_differ_in`` lists them, as JSON.

    Raises
    ------
    ValueError
        If an argument is out of range, `out` holds something else, another process is computing it,
        or the folder of its shards is somebody else's.
    SweepError
        If networks failed three times, the last time singly, if workers do not start, or if a file
        could not be written. Finished shards are kept, and the message says where.

    Examples
    --------
    >>> grid = Experiment({"dropout": [0.0, 0.1], "width": [4, 8]}, seeds=1, epochs=1, train=100)
    >>> diagram = sweep(grid, progress=False)
    >>> diagram.separation_train.dims
    ('dropout', 'width', 'seed', 'layer')
    """
    if isinstance(experiment, str):
        experiment = published(experiment, profile)
    _check_kinds(experiment, executor)
    device = check_device(device)
    if out is None:
        return _without_file(
            experiment, executor=executor, device=device, shard_size=shard_size, progress=progress
        )
    shard_numbers = cut(experiment, set(range(len(experiment))), shard_size)
    configuration = experiment.configuration | {"device": device.partition(":")[0]}
    path = storage.check_out(out)
    folder = storage.folder_of(path)
    if resume and path.exists():
        diagram = results.load(path)
        storage.check_same(f"out={named(out)}", diagram, configuration)
        storage.remove_leftovers(path)
        return diagram
    if not resume:
        storage.check_replaceable(path)
    storage.check_folder(out, folder)
    data_of(experiment)  # raises, or downloads, before any worker does
    with owned(folder, str(path), done=path if resume else None):
        if resume and path.exists():  # another process has finished it just now
            storage.tidy(folder)
            return results.load(path)
        if not resume:
            clear(folder, storage.OWN)
        shards = storage.finished_shards(folder, configuration)
        done = {int(number) for shard in shards for number in shard.network}
        # Whatever the size of the finished shards, only the missing networks are trained.
        missing = [[n for n in numbers if n not in done] for numbers in shard_numbers]
        task = partial(measure, experiment, device=device, threads=1 if executor else None)
        kept = f"finished shards are kept in {folder}; call again with out={path} to resume"
        if path.exists():  # it would be returned
            kept = f"finished shards are kept in {folder}, and the earlier results in {path}"
        try:
            with _progress_bar(experiment, done, shown=progress) as bar:
                for numbers, shard in _outcomes(task, list(filter(None, missing)), executor, kept):
                    wall_time = shard.attrs["stop"] - shard.attrs["start"]
                    file = folder / f"{numbers[0]:06d}.nc"
                    storage.save(shard, file, configuration, wall_time)
                    shards.append(results.load(file))
                    done.update(numbers)
                    bar.set_postfix_str(f"{len(done)}/{len(experiment)} networks", refresh=False)
                    bar.update(sum(work(experiment, number) for number in numbers))
        except KeyboardInterrupt as stop:
            stop.add_note(kept)
            raise
        # Written here and then moved: no partial file ever lies where results are expected.
        complete = folder / "complete.nc"
        diagram = _assemble(experiment, shards).assign_attrs(storage.differences(shards))
        storage.save(diagram, complete, configuration, _wall_time(shards))
        storage.put_in_place(complete, path, resume)
        storage.tidy(folder)
    return results.load(path)


def _check_kinds(experiment: Any, executor: Any) -> None:
    if not isinstance(experiment, Experiment):
        raise TypeError(
            f"experiment={quoted(experiment)}: give an Experiment, or the name of a published one"
        )
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor={quoted(executor)}: give one, such as LocalProcesses(2)")


def _without_file(experiment: Experiment, **settings: Any) -> xr.Dataset:
    """Sweep into a temporary file; where that fails, what is finished is kept nevertheless."""
    temporary = Path(mkdtemp(prefix="sweep-"))
    path = temporary / "results.nc"
    try:
        diagram = sweep(experiment, out=path, **settings)
    except BaseException:
        folder = storage.folder_of(path)
        if not (folder.is_dir() and list(folder.glob("*.nc"))):
            shutil.rmtree(temporary)
        raise
    shutil.rmtree(temporary)
    return diagram


def _outcomes(
    task: Task, waiting: list[list[int]], executor: Executor | None, kept: str
) -> Iterator[tuple[list[int], xr.Dataset]]:
    """Yield shards as they finish; retry those that failed, and raise SweepError in the end."""
    for attempt in range(1, ATTEMPTS + 1):
        failures: list[tuple[list[int], Exception]] = []
        for numbers, result in _results(task, waiting, executor, kept):
            try:
                yield numbers, result()
            except SweepError as error:  # no worker starts
                raise SweepError(f"{error}; {kept}") from None
            except Exception as error:
                failures.append((numbers, error))
        if not failures:
            return
        if attempt == ATTEMPTS:
            named = "; ".join(
                f"network {number}: {type(error).__name__}: {error}"
                for (number, *_), error in failures[:3]
            )
            more = "; ..." if len(failures) > 3 else ""
            raise SweepError(
                f"{len(failures)} networks failed {ATTEMPTS} times ({named}{more}); {kept}"
            ) from failures[0][1]
        waiting = [numbers for numbers, _ in failures]
        if attempt == ATTEMPTS - 1:  # singly, so that one network costs the others nothing
            waiting = [[number] for numbers in waiting for number in numbers]


def _results(
    task: Task, waiting: list[list[int]], executor: Executor | None, kept: str
) -> Iterator[tuple[list[int], Callable[[], xr.Dataset]]]:
    """Yield the numbers of each shard, once done, with a function that returns it or raises."""
    if executor is None:
        yield from ((numbers, partial(task, numbers)) for numbers in waiting)
        return
    entries: list[_Entry] = []
    finished, over = SimpleQueue[_Entry | BaseException](), Event()
    try:
        for numbers in waiting:
            entries.append((numbers, executor.submit(task, numbers)))
        # In a thread of its own: where Ctrl-C comes while it asks a future, that stays locked.
        Thread(target=_watch, args=(entries, finished, over), daemon=True).start()
        longest, silence = 0.0, Silence()
        for _ in waiting:
            while (entry := _next(finished)) is None:
                silence.report(max(PATIENCE, 10 * longest), _silent(longest, silence, kept))
            longest, silence = max(longest, silence.seconds), Silence()
            if isinstance(entry, BaseException):
                raise entry
            entries.remove(entry)
            yield entry[0], entry[1].result
    finally:
        over.set()
        for _, future in entries:
            future.cancel()


def _watch(entries: list[_Entry], finished: SimpleQueue[Any], over: Event) -> None:
    """Hand on the futures that are done, or what asking them raised."""
    try:
        waiting = list(entries)
        while waiting and not over.is_set():
            # Poll: concurrent.futures.wait does not accept the futures of every executor.
            for entry in [entry for entry in waiting if entry[1].done()]:
                waiting.remove(entry)
                finished.put(entry)
            time.sleep(_INTERVAL)
    except BaseException as error:
        finished.put(error)


def _next(finished: SimpleQueue[Any]) -> Any:
    """Return what is finished next, or None if nothing is for now."""
    try:
        return finished.get(timeout=_INTERVAL)
    except Empty:
        return None


def _silent(longest: float, silence: Silence, kept: str) -> str:
    """Say that no shard has finished for long, and what to do."""
    usual = f"none took longer than {longest:.0f} s before" if longest else "not one so far"
    return (
        f"no shard has finished for {silence.seconds:.0f} s, {usual}: see whether the executor's "
        f"workers still run. If they do, wait; if not, press Ctrl-C: {kept}"
    )


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
    bar = progress_bar(
        shown,
        total=sum(work(experiment, number) for number in range(len(experiment))),
        initial=sum(work(experiment, number) for number in done),
        smoothing=0,  # the rate since the start: shards differ in duration
        bar_format="{l_bar}{bar}| [{elapsed}, {remaining} left{postfix}]",
    )
    bar.set_postfix_str(f"{len(done)}/{len(experiment)} networks")
    return bar
