"""A sweep's files: those of others, damaged ones, several processes at one file."""

import dataclasses
import errno
import json
import os
import platform
import re
import shutil
import sys
import tracemalloc

import pytest
import xarray as xr

from sbt_utils import results
from sbt_utils.outputs import sealed
from sbt_utils.sweeping import storage
from sbt_utils.sweeping.experiments import Experiment
from sbt_utils.sweeping.sweeps import sweep
from sbt_utils.work_folders import LOCK, owned

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = {"hidden_layers": 1, "width": 4, "epochs": 1, "train": 100, "test": 50, "seeds": 1}
GRID = Experiment({"dropout": [0.0, 0.1], "negative_slope": [0.0, 1.0]}, **SIZE)


def run(out, **settings):
    return sweep(GRID, out=out, progress=False, shard_size=1, **settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a sweep that was stopped before its shards were put together."""
    out = tmp_path_factory.mktemp("finished") / "grid.nc"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(storage, "put_in_place", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(out)
    return storage.folder_of(out)


@pytest.fixture
def out(finished, tmp_path):
    """Return the file of such a sweep of one's own."""
    shutil.copytree(finished, tmp_path / "grid.shards")
    return tmp_path / "grid.nc"


@pytest.fixture(scope="module")
def expected():
    return sweep(GRID, progress=False)


# The files of others -------------------------------------------------------------------------


@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_that_is_not_the_sweeps_is_refused_and_kept(tmp_path, resume):
    folder = tmp_path / "x.shards"
    folder.mkdir()
    (folder / "thesis.txt").write_text("hi")
    (folder / "000000.nc").write_text("data of another program")
    with pytest.raises(ValueError, match=r"x\.shards holds files of somebody else.*another out"):
        run(tmp_path / "x.nc", resume=resume)
    assert sorted(os.listdir(folder)) == ["000000.nc", "thesis.txt"]
    assert os.listdir(tmp_path) == ["x.shards"]


@pytest.mark.parametrize("resume", [True, False])
def test_files_of_others_in_the_sweeps_folder_are_kept(out, expected, resume):
    folder = storage.folder_of(out)
    (folder / "thesis.txt").write_text("hi")
    xr.testing.assert_identical(run(out, resume=resume).drop_attrs(), expected.drop_attrs())
    assert os.listdir(folder) == ["thesis.txt"]
    run(out)  # finished: the folder is nobody's business any more
    assert os.listdir(folder) == ["thesis.txt"]


def test_what_a_killed_sweep_left_beside_its_finished_file_is_removed(out):
    (storage.folder_of(out) / ".0123456789abcdef.part").touch()
    shutil.copy(storage.folder_of(out) / "complete.nc", out)
    run(out)
    assert os.listdir(out.parent) == ["grid.nc"]


def test_starting_over_replaces_no_file_of_another_program(tmp_path):
    out = tmp_path / "climate.nc"
    xr.Dataset({"temperature": ("year", [280.0])}).to_netcdf(out, engine="h5netcdf")
    before = out.read_bytes()
    with pytest.raises(ValueError, match=r"climate\.nc: this file holds no results of sbt-utils"):
        run(out, resume=False)
    assert out.read_bytes() == before
    assert os.listdir(tmp_path) == ["climate.nc"]


def test_starting_over_keeps_the_earlier_results_until_it_is_complete(out, monkeypatch):
    run(out)
    before = out.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("sbt_utils.sweeping.sweeps.measure", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(RuntimeError, match=r"and the earlier results in .*grid\.nc$"):
            run(out, resume=False)
    assert out.read_bytes() == before


@pytest.mark.parametrize("name", ["grid.shards/000000.nc", "grid.shards/complete.nc"])
def test_no_results_in_the_folder_of_another_sweep(out, name):
    with pytest.raises(ValueError, match=r"out=.*: this folder is of a sweep, which removes it; "):
        run(out.parent / name)


def test_a_folder_with_the_name_of_a_shard(tmp_path):
    folder = tmp_path / "grid.shards"
    (folder / "000000.nc").mkdir(parents=True)
    (folder / LOCK).touch()
    with pytest.raises(
        ValueError, match=r"000000\.nc has the name of a shard and is no file: move"
    ):
        run(tmp_path / "grid.nc")


def test_a_large_file_of_another_program_is_not_read_into_memory(tmp_path):
    path = tmp_path / "grid.nc"
    with path.open("wb") as file:
        file.truncate(2**27)
    tracemalloc.start()
    with pytest.raises(ValueError, match="holds no results of sbt-utils and is not replaced"):
        storage.check_replaceable(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24
    with path.open("rb+") as file:  # between two blocks
        file.seek(2**20 - 7)
        file.write(b"results_version")
    storage.check_replaceable(path)


def test_a_file_older_than_weight_noise_was_made_without(tmp_path, expected):
    out = tmp_path / "grid.nc"
    settings = {k: v for k, v in GRID.configuration.items() if k != "weight_noise"}
    results.save(expected, out, settings | {"device": "cpu"}, 1.0)
    run(out)
    noisy = dataclasses.replace(GRID, weight_noise=0.1)
    with pytest.raises(ValueError, match=r"was made with weight_noise = 0\.0, not 0\.1"):
        sweep(noisy, out=out, progress=False)


def test_settings_of_a_file_are_shown_cut(tmp_path):
    out = tmp_path / "grid.nc"
    settings = GRID.configuration | {"seed": "\x1b[31m" * 100}
    results.save(xr.Dataset(), out, settings, 1.0)
    with pytest.raises(ValueError, match="was made with ") as error:
        run(out)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600


def test_starting_over_replaces_a_damaged_file(tmp_path, expected):
    out = results.save(expected, tmp_path / "grid.nc", {}, 1.0)
    out.write_bytes(b"x" + out.read_bytes()[1:])
    with pytest.raises(ValueError, match="is damaged"):
        run(out)
    run(out, resume=False)
    run(out)


def test_a_file_that_appears_meanwhile_is_not_replaced(out, monkeypatch):
    def appear(*args):
        out.write_text("notes")
        return {}

    with monkeypatch.context() as patched:
        patched.setattr(storage, "differences", appear)
        with pytest.raises(RuntimeError, match=r"grid\.nc was written by somebody else .* kept in"):
            run(out)
    assert out.read_text() == "notes"
    out.unlink()
    run(out)


def test_a_link_stays_one(tmp_path, expected):
    (tmp_path / "other").mkdir()
    (tmp_path / "latest.nc").symlink_to("other/grid.nc")
    for resume in (True, False):
        run(tmp_path / "latest.nc", resume=resume)
        assert (tmp_path / "latest.nc").is_symlink()
        found = results.load(tmp_path / "other" / "grid.nc")
        xr.testing.assert_identical(found.drop_attrs(), expected.drop_attrs())
    assert os.listdir(tmp_path / "other") == ["grid.nc"]


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.nc")
    with pytest.raises(ValueError, match=r"pipe\.nc: this is no regular file"):
        run(tmp_path / "pipe.nc")
    for odd in (5, b"grid.nc", ["grid.nc"]):
        with pytest.raises(ValueError, match=r"out=.*: this cannot be a name; give another"):
            run(odd)


# Two at one file -----------------------------------------------------------------------------


@pytest.mark.parametrize("resume", [True, False])
def test_a_second_sweep_is_told_who_is_at_work(out, resume):
    before = sorted(os.listdir(storage.folder_of(out)))
    with (
        owned(storage.folder_of(out), "x"),
        pytest.raises(ValueError, match=r"grid\.nc is being computed by .*: wait for it"),
    ):
        run(out, resume=resume)
    assert sorted(os.listdir(storage.folder_of(out))) == before


def test_what_another_process_has_just_finished_is_returned(out, expected, monkeypatch):
    def finish(experiment):  # after the look at the file, before the folder is held
        shutil.copy(storage.folder_of(out) / "complete.nc", out)

    monkeypatch.setattr("sbt_utils.sweeping.sweeps.data_of", finish)
    xr.testing.assert_identical(run(out).drop_attrs(), expected.drop_attrs())
    assert os.listdir(out.parent) == ["grid.nc"]


def test_a_process_that_has_just_finished_may_leave_a_folder_of_somebody_else(
    out, expected, monkeypatch
):
    folder = storage.folder_of(out)

    def finish(experiment):
        shutil.copy(folder / "complete.nc", out)
        (folder / "thesis.txt").write_text("hi")
        storage.tidy(folder)

    monkeypatch.setattr("sbt_utils.sweeping.sweeps.data_of", finish)
    xr.testing.assert_identical(run(out).drop_attrs(), expected.drop_attrs())
    assert os.listdir(folder) == ["thesis.txt"]


def test_a_sweep_without_a_stream_for_its_bar(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)  # as in programs without a terminal
    assert sweep(GRID, out=tmp_path / "grid.nc").sizes["seed"] == GRID.seeds


# Damage --------------------------------------------------------------------------------------


def flip(data, position):
    return data[:position] + bytes([data[position] ^ 64]) + data[position + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: flip(data, 100),
        lambda data: flip(data, len(data) // 2),
        lambda data: flip(data, len(data) - 10),
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data + b"\n",
    ],
    ids=["start", "middle", "digest", "one byte less", "half", "empty", "one byte more"],
)
def test_damaged_shards_are_set_aside_and_computed_again(out, expected, damage, capsys):
    shard = storage.folder_of(out) / "000002.nc"
    damaged = damage(shard.read_bytes())
    shard.write_bytes(damaged)
    xr.testing.assert_identical(run(out).drop_attrs(), expected.drop_attrs())
    shown = capsys.readouterr()
    assert shown.err.endswith("000002.nc.damaged, and computed again\n")
    assert shown.out == ""
    assert os.listdir(out.parent) == ["grid.nc"]


def test_what_is_set_aside_is_there_until_the_sweep_is_complete(out):
    shard = storage.folder_of(out) / "000002.nc"
    shard.write_bytes(b"x")
    storage.finished_shards(shard.parent, GRID.configuration | {"device": "cpu"})
    assert shard.with_name("000002.nc.damaged").read_bytes() == b"x"


# Where shards come from ----------------------------------------------------------------------


def remade(shard, **attributes):
    """Give a shard other attributes, as another process might have made it."""
    dataset = results.load(shard)
    dataset.attrs |= attributes
    dataset.to_netcdf(shard, engine="h5netcdf")
    shard.write_bytes(sealed(shard.read_bytes()))


def test_what_differed_between_shards_is_listed(out):
    remade(storage.folder_of(out) / "000001.nc", python="3.99.0", commit="fedcba987654")
    listed = json.loads(run(out).attrs["shards_differ_in"])
    assert listed["python"] == sorted({platform.python_version(), "3.99.0"})
    assert "fedcba987654" in listed["commit"]
    assert set(listed) == {"python", "commit"}


def test_nothing_is_listed_where_nothing_differed(tmp_path):
    assert "shards_differ_in" not in run(tmp_path / "grid.nc").attrs


def test_another_version_of_the_algorithm_is_refused(out):
    remade(storage.folder_of(out) / "000001.nc", algorithm=2)
    message = r"grid\.shards was made with algorithm = 2, not 1: give another out, or resume=False"
    with pytest.raises(ValueError, match=message):
        run(out)
    shutil.copy(storage.folder_of(out) / "000001.nc", out)
    with pytest.raises(ValueError, match=r"grid\.nc was made with algorithm = 2, not 1"):
        run(out)


# Places --------------------------------------------------------------------------------------


def test_shards_on_another_disk(tmp_path, expected, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "grid.shards").symlink_to("disk")
    replace = os.replace

    def within_one_disk(source, target):
        if ("grid.shards" in str(source)) != ("grid.shards" in str(target)):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        replace(source, target)

    monkeypatch.setattr(os, "replace", within_one_disk)
    found = run(tmp_path / "grid.nc")
    xr.testing.assert_identical(found.drop_attrs(), expected.drop_attrs())
    assert sorted(os.listdir(tmp_path)) == ["disk", "grid.nc", "grid.shards"]
    assert os.listdir(tmp_path / "disk") == []


def test_names_as_long_as_there_are(tmp_path):
    out = tmp_path / ("a" * 247 + ".nc")
    run(out)
    assert os.listdir(tmp_path) == [out.name]
    for length in (250, 252, 253):  # too long for the folder, or for the file itself
        with pytest.raises(ValueError, match=r"out=.*\(File name too long\); give another"):
            run(tmp_path / ("b" * length + ".nc"))
    with pytest.raises(ValueError, match=r"out=.*: give a file name that ends in \.nc"):
        run(tmp_path / ("b" * 260 + ".shards"))
    assert os.listdir(tmp_path) == [out.name]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EFBIG, "make room"),
        (errno.EACCES, "make it writable"),
        (errno.EROFS, "make it writable"),
    ],
)
def test_the_remedy_suits_the_fault(out, monkeypatch, number, remedy):
    def fail(*args):
        raise OSError(number, "x")

    monkeypatch.setattr(results, "save", fail)
    message = rf"{re.escape(os.strerror(number))}\); the shards .* in .*grid\.shards: {remedy} and"
    with pytest.raises(RuntimeError, match=message):
        run(out)
    assert LOCK in os.listdir(storage.folder_of(out))
