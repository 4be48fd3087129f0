"""Sweeps: against training by hand, interrupted and not, on workers that fail."""

import errno
import json
import multiprocessing
import os
import random
import re
import shutil
import tempfile
import time
from concurrent.futures import Executor, Future
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
import torch
import xarray as xr
from data_parts import parts
from torch.utils.flop_counter import FlopCounterMode

import sbt_utils.sweeping.sweeps
from sbt_utils import results
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.sweeping.experiments import Experiment, published
from sbt_utils.sweeping.shards import SweepError, cut, work
from sbt_utils.sweeping.sweeps import sweep
from sbt_utils.sweeping.tasks import measure, plan
from sbt_utils.sweeping.workers import LocalProcesses
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train
from sbt_utils.work_folders import LOCK

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = {"hidden_layers": 2, "width": 8, "epochs": 2, "train": 100, "test": 60, "seeds": 2}
GRID = Experiment({"dropout": [0.0, 0.1, 0.2], "negative_slope": [0.0, 1.0]}, **SIZE)
RUN_ATTRIBUTES = ("cpu_seconds", "wall_time_seconds", "commit", "shards_differ_in")


@pytest.fixture(scope="module")
def uninterrupted():
    return sweep(GRID, progress=False)


def assert_same(one, other):
    """Assert that two results are equal bit by bit and in everything but when they were made."""
    attributes = set(one.attrs) - set(RUN_ATTRIBUTES)
    assert {name: one.attrs[name] for name in attributes} == {
        name: other.attrs[name] for name in attributes
    }
    xr.testing.assert_identical(one.drop_attrs(), other.drop_attrs())
    for name in one.variables:
        assert one[name].attrs == other[name].attrs
        assert one[name].values.tobytes() == other[name].values.tobytes()


class Wayward(Executor):
    """Runs its tasks in this process, in an order of its own, some of them in another way."""

    def __init__(self, replace=()):
        self._replace = dict(replace)
        self.tried = []

    def submit(self, fn, /, *args, **kwargs):
        numbers = args[0]
        self.tried.append(numbers[0])
        future = Future()
        future.done = lambda: True

        def result():
            instead = self._replace.get(numbers[0])
            return instead.pop()() if instead else fn(*args, **kwargs)

        future.result = result
        return future


def failing(error, times):
    def fail():
        raise error

    return [fail] * times


# What it measures ----------------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["batch_size", "data_noise", "learning_rate", "dropout"])
def test_every_cell_holds_the_networks_trained_with_its_levels(axis):
    levels = {"batch_size": [20, 100]}.get(axis, [0.1, 0.3])
    experiment = Experiment({axis: levels, "negative_slope": [0.0, 0.5]}, **SIZE | {"seeds": 1})
    diagram = sweep(experiment, progress=False, shard_size=3)
    training, tests = parts(load_data("mnist", train=100, test=60))
    for number, network in enumerate(map(experiment.network, range(len(experiment)))):
        members = {name: network[name] for name in ("negative_slope", axis)}
        settings = {"seeds": network["seed"], "epochs": 2, "progress": False}
        trained = train(MLP(hidden_layers=2, width=8), *training, **settings, **members)
        cell = diagram.sel(noise=levels[number // 2], slope=[0.0, 0.5][number % 2]).isel(seed=0)
        on_train = evaluate(trained.networks, *training).isel(member=0)
        on_test = evaluate(trained.networks, *tests).isel(member=0)
        np.testing.assert_array_equal(cell.separation_train, on_train.separation)
        np.testing.assert_array_equal(cell.separation_test, on_test.separation)
        fuzziness = evaluate(trained.networks, *training, "fuzziness").isel(member=0)
        np.testing.assert_array_equal(cell.fuzziness_train, fuzziness.separation)
        assert cell.accuracy_train == on_train.accuracy
        assert cell.accuracy_test == on_test.accuracy
        assert cell.epochs == 2
        logits = next(trained.networks)(training[0])
        loss = torch.nn.functional.cross_entropy(logits, training[1])
        assert cell.loss_train.item() == pytest.approx(loss.item(), rel=1e-5)


def test_layers_that_a_network_lacks_are_nan():
    axes = {"hidden_layers": [1, 3], "width": [4, 8]}
    diagram = sweep(Experiment(axes, epochs=1, train=100, test=50, seeds=1), progress=False)
    assert diagram.separation_train.dims == ("hidden_layers", "width", "seed", "layer")
    missing = np.isnan(diagram.separation_train).any(("width", "seed"))
    np.testing.assert_array_equal(missing, [[False, False, True, True], [False] * 4])


def test_other_data_and_a_column_of_words():
    axes = {"optimizer": ["sgd", "adam"], "epochs": [1, 2]}
    settings = {"dataset": "gaussian_mixture", "size": 3, "train": 100, "test": 50, "seeds": 1}
    diagram = sweep(Experiment(axes, **settings), progress=False)
    assert diagram.optimizer.values.tolist() == ["sgd", "adam"]
    np.testing.assert_array_equal(diagram.epochs.squeeze("seed"), [[1, 2], [1, 2]])


def test_the_result_says_what_it_is(uninterrupted):
    assert dict(uninterrupted.sizes) == {"noise": 3, "slope": 2, "seed": 2, "layer": 3}
    assert uninterrupted.noise.attrs["long_name"] == "dropout"
    assert uninterrupted.separation_train.attrs["long_name"]
    configuration = json.loads(uninterrupted.attrs["configuration"])
    assert configuration.pop("device") == "cpu"
    assert Experiment(**configuration) == GRID
    assert 0 < uninterrupted.attrs["wall_time_seconds"] < 60
    assert 0 < uninterrupted.attrs["cpu_seconds"] < 60


@pytest.mark.parametrize("noise", ["dropout", "learning_rate", "data_noise", "batch_size"])
def test_the_published_experiments_at_smoke(noise):
    settings = {"hidden_layers": 1, "width": 4, "test": 50}
    diagram = sweep(published(noise, "smoke", **settings), progress=False)
    assert dict(diagram.sizes) == {"noise": 2, "slope": 2, "seed": 1, "layer": 2}


# The same bit by bit -------------------------------------------------------------------------


@pytest.mark.parametrize("shard_size", [1, 5])
def test_any_shard_size_and_order(uninterrupted, shard_size, monkeypatch):
    def shuffled(*args):
        shards = cut(*args)
        random.Random(0).shuffle(shards)
        return shards

    monkeypatch.setattr(sbt_utils.sweeping.sweeps, "cut", shuffled)
    assert_same(sweep(GRID, shard_size=shard_size, progress=False), uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_processes(uninterrupted, workers):
    with LocalProcesses(workers) as executor:
        diagram = sweep(GRID, executor=executor, shard_size=5, progress=False)
    assert_same(diagram, uninterrupted)


def test_any_number_of_threads(uninterrupted):
    torch.set_num_threads(2)
    assert_same(sweep(GRID, progress=False), uninterrupted)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Those of distributed are its own.
def test_a_dask_cluster(uninterrupted):
    distributed = pytest.importorskip("distributed")
    local = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**local) as cluster, distributed.Client(cluster) as client:
        diagram = sweep(GRID, executor=client.get_executor(), shard_size=5, progress=False)
    assert_same(diagram, uninterrupted)


@pytest.mark.gpu
def test_a_gpu_is_within_the_spread_between_seeds(uninterrupted):
    diagram = sweep(GRID, device="cuda", progress=False)
    difference = abs(diagram.separation_train - uninterrupted.separation_train)
    assert (difference.mean("seed") <= uninterrupted.separation_train.std("seed") + 1e-3).all()


# Stopped and resumed -------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_twenty_times_it_ends_with_the_same_file(uninterrupted, tmp_path):
    spawn = multiprocessing.get_context("forkserver")
    spawn.set_forkserver_preload(["sbt_utils.sweeping.sweeps"])
    out, rng, kills = tmp_path / "killed.nc", random.Random(0), 0
    settings = {"out": out, "shard_size": 1, "progress": False}
    folder = out.with_suffix(".shards")
    while kills < 20:
        process = spawn.Process(target=sweep, args=(GRID,), kwargs=settings)
        process.start()
        time.sleep(rng.uniform(0.0, 0.5))
        process.kill()
        process.join()
        killed = process.exitcode < 0
        kills += killed
        # What is there is whole.
        assert {path.name for path in tmp_path.iterdir()} <= {out.name, folder.name}
        for path in folder.glob("*.nc"):
            results.load(path)
        if out.exists():
            assert_same(results.load(out), uninterrupted)
            out.unlink()
            shutil.rmtree(folder, ignore_errors=True)
    assert_same(sweep(GRID, **settings), uninterrupted)
    assert os.listdir(tmp_path) == [out.name]


@pytest.fixture
def interrupted(tmp_path):
    """Return a file whose sweep has failed with five of its six shards finished."""
    out = tmp_path / "results" / "grid.nc"
    fault = RuntimeError("power cut")
    executor = Wayward({4: failing(fault, 3), 5: failing(fault, 1)})
    with pytest.raises(SweepError):
        sweep(GRID, out=out, executor=executor, shard_size=2, progress=False)
    return out


def test_finished_shards_are_not_computed_again(uninterrupted, interrupted):
    executor = Wayward()
    assert_same(sweep(GRID, out=interrupted, executor=executor, progress=False), uninterrupted)
    assert executor.tried == [4]
    assert os.listdir(interrupted.parent) == ["grid.nc"]


def test_any_shard_size_resumes(uninterrupted, interrupted):
    executor = Wayward()
    settings = {"executor": executor, "shard_size": 1, "progress": False}
    assert_same(sweep(GRID, out=interrupted, **settings), uninterrupted)
    assert executor.tried == [4, 5]


def test_without_resume_it_starts_anew(interrupted):
    executor = Wayward()
    for _ in range(2):
        settings = {"executor": executor, "resume": False, "progress": False}
        sweep(GRID, out=interrupted, shard_size=12, **settings)
    assert executor.tried == [0, 0]


def test_a_finished_file_is_returned_at_once(uninterrupted, tmp_path):
    first = sweep(GRID, out=tmp_path / "grid.nc", progress=False)
    executor = Wayward()
    again = sweep(GRID, out=tmp_path / "grid.nc", executor=executor, progress=False)
    assert executor.tried == []
    assert_same(first, uninterrupted)
    xr.testing.assert_identical(first, again)


def test_a_file_named_like_a_shard_is_not_taken_for_one(uninterrupted, tmp_path, monkeypatch):
    out, replace = tmp_path / "000004.nc", os.replace

    def stopped_at_the_last_move(source, target):
        if target == out:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", stopped_at_the_last_move)
        with pytest.raises(KeyboardInterrupt):
            sweep(GRID, out=out, shard_size=4, progress=False)
    executor = Wayward()
    assert_same(sweep(GRID, out=out, executor=executor, progress=False), uninterrupted)
    assert executor.tried == []
    assert os.listdir(tmp_path) == [out.name]


OTHER = Experiment(GRID.axes, **SIZE | {"width": 9})


def test_the_file_of_another_experiment_is_refused(tmp_path):
    out = tmp_path / "grid.nc"
    sweep(GRID, out=out, progress=False)
    message = r"grid.nc was made with width = 8, not 9: give another out, or resume=False"
    with pytest.raises(ValueError, match=message):
        sweep(OTHER, out=out, progress=False)


def test_the_shards_of_another_experiment_are_refused(interrupted):
    with pytest.raises(ValueError, match=r"shards .* was made with width = 8, not 9: give another"):
        sweep(OTHER, out=interrupted, progress=False)


def test_shards_of_another_version_are_refused(interrupted, monkeypatch):
    now = results.versions()
    monkeypatch.setattr(results, "versions", lambda: now | {"torch": "9.9"})
    message = rf"shards .* was made with torch = '{now['torch']}', not '9.9'.*resume=False"
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        sweep(GRID, out=interrupted, progress=False)


# Failures ------------------------------------------------------------------------------------


def test_a_failing_shard_is_tried_again(uninterrupted):
    executor = Wayward({4: failing(RuntimeError("flaky"), 2)})
    diagram = sweep(GRID, executor=executor, shard_size=4, progress=False)
    assert executor.tried == [0, 4, 8, 4, 4, 5, 6, 7]  # the last time singly
    assert_same(diagram, uninterrupted)


def test_a_network_that_keeps_failing_is_named_and_all_others_are_kept(tmp_path):
    executor = Wayward({4: failing(MemoryError("too large"), 3)})
    message = (
        r"1 networks failed 3 times \(network 4: MemoryError: too large\); finished shards are "
        r"kept in .*a\.shards; call again with out=.*a\.nc to resume"
    )
    with pytest.raises(SweepError, match=message):
        sweep(GRID, out=tmp_path / "a.nc", executor=executor, shard_size=4, progress=False)
    shards = [f"{number:06d}.nc" for number in (0, 5, 6, 7, 8)]
    assert sorted(os.listdir(tmp_path / "a.shards")) == [*shards, LOCK]


def test_without_a_file_what_is_finished_is_kept_where_the_message_says(uninterrupted):
    executor = Wayward({4: failing(MemoryError("too large"), 3)})
    with pytest.raises(SweepError) as failed:
        sweep(GRID, executor=executor, shard_size=4, progress=False)
    out = Path(re.search(r"with out=(.*) to resume", str(failed.value))[1])
    executor = Wayward()
    assert_same(sweep(GRID, out=out, executor=executor, progress=False), uninterrupted)
    assert executor.tried == [4]
    shutil.rmtree(out.parent)


def test_without_a_file_nothing_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sweep(GRID, progress=False)
    everything = {number: failing(RuntimeError("no"), 3) for number in range(12)}
    with pytest.raises(SweepError):
        sweep(GRID, executor=Wayward(everything), progress=False)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing(uninterrupted):
    class Deadly(LocalProcesses):
        deaths = 1

        def submit(self, fn, /, *args, **kwargs):
            if self.deaths:
                self.deaths -= 1
                return super().submit(os._exit, 1)
            return super().submit(fn, *args, **kwargs)

    with Deadly(2) as executor:
        diagram = sweep(GRID, executor=executor, shard_size=4, progress=False)
    assert_same(diagram, uninterrupted)


class Later(Executor):
    """Runs each task when so many seconds have passed since the one before."""

    def __init__(self, *seconds):
        self.seconds, self.at = iter(seconds), 0.0

    def submit(self, fn, *args, **kwargs):
        future = Future()
        self.at += next(self.seconds)
        Timer(self.at, lambda: future.set_result(fn(*args, **kwargs))).start()
        return future


def test_it_is_said_once_that_no_shard_finishes(monkeypatch, capsys, uninterrupted, tmp_path):
    monkeypatch.setattr(sbt_utils.sweeping.sweeps, "PATIENCE", 0.5)
    out, executor = tmp_path / "grid.nc", Later(1.2, 0.0, 0.0)
    diagram = sweep(GRID, out=out, executor=executor, shard_size=4, progress=False)
    assert_same(diagram, uninterrupted)
    error = capsys.readouterr().err
    assert re.fullmatch(
        r"no shard has finished for \d+ s, not one so far: see whether the executor's workers "
        r"still run\. If they do, wait; if not, press Ctrl-C: finished shards are kept in "
        rf"{out.with_suffix('.shards')}; call again with out={out} to resume\n",
        error,
    )


@pytest.mark.parametrize(
    ("waits", "said"), [((0.05, 0.3, 0.3, 1.2), ""), ((0.0, 0.0, 0.0, 3.0), "none took longer")]
)
def test_what_is_a_long_wait_depends_on_those_before(monkeypatch, capsys, waits, said):
    monkeypatch.setattr(sbt_utils.sweeping.sweeps, "PATIENCE", 0.1)
    shards = [[0], [1, 2], [3], [4, 5, 6]]
    outcomes = sbt_utils.sweeping.sweeps._results(len, shards, Later(*waits), "all is kept")
    assert [(numbers, len(numbers)) for numbers in shards] == [
        (numbers, result()) for numbers, result in outcomes
    ]
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == bool(said)


def test_ctrl_c_is_not_taken_for_a_failing_shard(tmp_path):
    executor = Wayward({4: failing(KeyboardInterrupt(), 1)})
    with pytest.raises(KeyboardInterrupt) as stopped:
        sweep(GRID, out=tmp_path / "a.nc", executor=executor, shard_size=4, progress=False)
    assert executor.tried == [0, 4, 8]
    assert re.search(r"are kept in .*a\.shards; call again", "".join(stopped.value.__notes__))


def test_a_full_disk(tmp_path, uninterrupted, monkeypatch):
    out, write, written = tmp_path / "grid.nc", Path.write_bytes, []

    def full(*args, **kwargs):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(args)
        return write(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        message = r"No space left on device.* before are kept in .*grid.shards: make room and call"
        with pytest.raises(SweepError, match=message):
            sweep(GRID, out=out, shard_size=4, progress=False)
    assert sorted(os.listdir(tmp_path / "grid.shards")) == ["000000.nc", "000004.nc", LOCK]
    assert_same(sweep(GRID, out=out, progress=False), uninterrupted)


# What is refused -----------------------------------------------------------------------------


def test_what_is_no_experiment_and_no_executor():
    for odd in (None, 3, {"width": [2]}):
        with pytest.raises(TypeError, match=r"^experiment=.*: give an Experiment, or the name of"):
            sweep(odd, progress=False)
    for odd in (3, "two", np.ones(2)):
        with pytest.raises(TypeError, match=r"^executor=.*: give one, such as Local"):
            sweep(GRID, executor=odd, progress=False)


def test_files_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"out=.*: this is a folder; give the name of a file"):
        sweep(GRID, out=tmp_path, progress=False)
    with pytest.raises(ValueError, match=r"out=.*grid.txt: give a file name that ends in \.nc"):
        sweep(GRID, out=tmp_path / "grid.txt", progress=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="its folder cannot be made"):
        sweep(GRID, out=tmp_path / "file" / "grid.nc", progress=False)
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_without_permission():
    with pytest.raises(ValueError, match=r"out=/proc/grid.nc: cannot be written \(.*\); give"):
        sweep(GRID, out="/proc/grid.nc", progress=False)  # where not even root may write


def test_something_else_under_the_name(tmp_path):
    (tmp_path / "grid.nc").write_text("notes")
    with pytest.raises(ValueError, match="is not a results file"):
        sweep(GRID, out=tmp_path / "grid.nc", progress=False)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("dropouts",), {}, "experiment='dropouts': choose one of dropout, "),
        (("dropout", "large"), {}, "profile='large': choose one of smoke"),
        ((GRID,), {"shard_size": 0}, "shard_size=0: give an integer"),
        ((GRID,), {"device": "tpu"}, "device='tpu': choose 'cpu' or 'cuda'"),
        ((GRID,), {"device": "cuda:99"}, "device='cuda:99': this machine has no such GPU"),
        ((Experiment(GRID.axes, train=100, batch_size=200),), {}, "batch_size=200: there are 100"),
        ((Experiment(GRID.axes, train=100, batch_size=33),), {}, "leaves a batch of 1 of 100"),
    ],
)
def test_arguments(arguments, settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        sweep(*arguments, out=tmp_path / "grid.nc", progress=False, **settings)
    assert os.listdir(tmp_path) == []


# Shards and plans ----------------------------------------------------------------------------


def test_shards_hold_every_network_once_and_only_alike_ones():
    experiment = Experiment({"batch_size": [20, 50, 100], "width": [4, 8]}, **SIZE)
    shards = cut(experiment, set(range(len(experiment))), shard_size=3)
    assert sorted(number for shard in shards for number in shard) == list(range(12))
    assert max(map(len, shards)) == 2  # two seeds to a cell
    sizes = [experiment.network(numbers[0])["batch_size"] for numbers in shards]
    assert sizes[0] == 20
    assert sizes[-1] == 100


def test_small_batches_are_more_work():
    grid = Experiment({"batch_size": [5, 2560], "dropout": [0.0]}, seeds=1)
    assert work(grid, 0) > work(grid, 1)


def test_a_worker_runs_on_one_thread():
    torch.set_num_threads(2)
    measure(GRID, [0], threads=1)
    assert torch.get_num_threads() == 1


def test_operations_are_those_that_pytorch_counts():
    experiment = Experiment({"width": [8, 12], "dropout": [0.0]}, **SIZE)
    images = load_data("mnist", train=100, test=60).train_images.requires_grad_()
    counted = 0
    for width in (8, 12):
        with FlopCounterMode(display=False) as counter:
            MLP(hidden_layers=2, width=width)(images).sum().backward()
        counted += counter.get_total_flops() * 2 * 2  # epochs, seeds
    estimate = plan(experiment, shard_size=1)
    assert estimate["operations"] == counted
    assert (estimate["networks"], estimate["shards"]) == (4, 4)
    assert 0 < estimate["seconds"] < 10


# Progress ------------------------------------------------------------------------------------


def test_a_bar_counts_networks_and_says_how_long_it_takes(interrupted, capsys):
    sweep(GRID, out=interrupted, shard_size=1)
    bar = capsys.readouterr().err
    assert "10/12 networks" in bar
    assert "12/12 networks" in bar
    assert "00:00 left" in bar
