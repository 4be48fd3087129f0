"""Results on disk."""

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from sbt_utils import results
from sbt_utils.outputs import sealed
from sbt_utils.results import RESULTS_VERSION, kept, load, save

ROOT = Path(__file__).parents[2]


@pytest.fixture
def dataset(rng):
    return xr.Dataset(
        {
            "separation": (("seed", "layer"), rng.normal(size=(2, 4)), {"long_name": "D"}),
            "loss": ("seed", rng.normal(size=2).astype(np.float32)),
            "epochs": ("seed", np.array([3, 4], np.int64)),
            "collapsed": ("seed", np.array([np.nan, 1.0])),
        },
        {"seed": [5, 7], "optimizer": ("seed", ["adam", "sgd"])},
        {"title": "kept"},
    )


# Saving --------------------------------------------------------------------------------------


def test_what_is_saved_comes_back(dataset, tmp_path):
    before = dataset.copy(deep=True)
    path = save(dataset, tmp_path / "new" / "folder" / "run.nc", {"seeds": [5, 7]}, 1.0)
    assert path == tmp_path / "new" / "folder" / "run.nc"
    assert os.listdir(path.parent) == ["run.nc"]
    read = xr.load_dataset(path, engine="h5netcdf")
    xr.testing.assert_equal(read, dataset)
    assert dict(read.sizes) == {"seed": 2, "layer": 4}
    for name in ("separation", "loss", "epochs", "seed"):
        assert read[name].dtype == dataset[name].dtype
    assert read.separation.attrs["long_name"] == "D"
    assert read.attrs["title"] == "kept"
    xr.testing.assert_identical(dataset, before)


def test_the_file_says_how_it_came_about(dataset, tmp_path):
    configuration = {"seeds": [5, 7], "learning_rate": 1e-3, "batch_size": None, "name": "α"}
    path = save(dataset, tmp_path / "run.nc", configuration, 123.46)
    # Read without xarray: any reader of HDF5 sees them.
    with h5py.File(path) as file:
        attributes = dict(file.attrs)
    assert json.loads(attributes["configuration"]) == configuration
    versions = json.loads(attributes["versions"])
    assert versions["torch"] == version("torch")
    assert versions["sbt-utils"] == version("sbt-utils")
    assert {"numpy", "xarray", "h5netcdf"} <= set(versions)
    assert attributes["python"] == platform.python_version()
    assert platform.machine() in attributes["machine"]
    assert attributes["wall_time_seconds"] == 123.5


def test_the_commit_is_the_checkouts(dataset, tmp_path):
    def git(*arguments):
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        head = git("rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        head = None
    results.commit.cache_clear()
    path = save(dataset, tmp_path / "run.nc", {}, 1.0)
    commit = xr.load_dataset(path, engine="h5netcdf").attrs["commit"]
    if head is None:
        assert commit == "not a checkout"
    else:
        assert git("rev-parse", commit.removesuffix("-dirty") + "^{commit}") == head
        changed = bool(git("status", "--porcelain", "--untracked-files=no"))
        assert commit.endswith("-dirty") == changed


def _repository(folder):
    """Make a folder a git repository with everything in it committed."""
    git = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "All"]):
        subprocess.run([*git, *command], check=True)
    return subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize(
    ("home", "pyproject", "ours"),
    [
        ("", '[project]\nname = "sbt-utils"\n', True),
        ("venv/site-packages", None, False),
        ("", '[project]\nname = "another"\n', False),
        ("", "[tool.another]\n", False),
        ("", "name = ", False),
        ("vendored", '[project]\nname = "sbt-utils"\n', False),
    ],
    ids=["checkout", "installed", "copied", "no project", "not TOML", "below another"],
)
def test_the_commit_is_never_that_of_another_project(tmp_path, home, pyproject, ours):
    folder = tmp_path / home
    (folder / "sbt_utils").mkdir(parents=True)
    copy = shutil.copy(results.__file__, folder / "sbt_utils")
    if pyproject:
        (folder / "pyproject.toml").write_text(pyproject)
    head = _repository(tmp_path)
    spec = importlib.util.spec_from_file_location("copied_results", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.commit() == (head[:12] if ours else "not a checkout")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_not_of_the_repository_that_git_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    other = _repository(tmp_path)
    results.commit.cache_clear()
    ours = results.commit()
    results.commit.cache_clear()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    assert results.commit() == ours != other[:12]


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_asking_for_the_commit_locks_no_repository(tmp_path):
    (tmp_path / "sbt_utils").mkdir()
    copy = shutil.copy(results.__file__, tmp_path / "sbt_utils")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "sbt-utils"\n')
    head = _repository(tmp_path)
    index = tmp_path / ".git" / "index"
    before = index.stat().st_ino
    os.utime(tmp_path / "pyproject.toml", (0, 0))  # git would note that the content is the same
    spec = importlib.util.spec_from_file_location("copied_results", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.commit() == head[:12]
    # A new index comes from a lock, which a kill would leave behind: nobody could commit.
    assert index.stat().st_ino == before
    module.commit.cache_clear()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "sbt-utils"\nversion = "1"\n')
    assert module.commit() == f"{head[:12]}-dirty"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("fault", ["no git", "damaged"])
def test_a_checkout_that_git_does_not_read_is_not_said_to_be_none(tmp_path, monkeypatch, fault):
    (tmp_path / "sbt_utils").mkdir()
    copy = shutil.copy(results.__file__, tmp_path / "sbt_utils")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "sbt-utils"\n')
    _repository(tmp_path)
    if fault == "no git":
        monkeypatch.setenv("PATH", str(tmp_path))
    else:  # as where git refuses the repository of another user
        (tmp_path / ".git" / "HEAD").write_text("x")
    spec = importlib.util.spec_from_file_location("copied_results", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.commit() == "unknown: git does not read this checkout"


@pytest.mark.parametrize("named", [None, "0123456789ab"])
def test_without_a_checkout_the_commit_can_be_named(tmp_path, monkeypatch, named):
    copy = shutil.copy(results.__file__, tmp_path)
    spec = importlib.util.spec_from_file_location("copied_results", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if named:
        monkeypatch.setenv("SBT_COMMIT", named)
    assert module.commit() == (named or "not a checkout")


def test_saving_again_replaces_the_file(dataset, tmp_path):
    save(dataset, tmp_path / "run.nc", {}, 1.0)
    save(dataset + 1, tmp_path / "run.nc", {}, 1.0)
    assert os.listdir(tmp_path) == ["run.nc"]
    xr.testing.assert_equal(xr.load_dataset(tmp_path / "run.nc", engine="h5netcdf"), dataset + 1)


def test_a_relative_path(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert save(dataset, "run.nc", {}, 1.0) == Path("run.nc")
    assert os.listdir(tmp_path) == ["run.nc"]


@pytest.mark.parametrize(
    ("change", "configuration"),
    [
        ({"last": ("row", np.array([1, "a"], object))}, {}),  # found while writing
        ({"last": ("row", [1, 2], {"attribute": {}})}, {}),
        ({}, {"seeds": {1, 2}}),
    ],
    ids=["variable", "attribute", "configuration"],
)
def test_a_failure_leaves_the_old_file_and_nothing_else(dataset, tmp_path, change, configuration):
    path = save(dataset, tmp_path / "run.nc", {}, 1.0)
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError)):
        save(dataset.assign(change), path, configuration, 1.0)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.nc"]
    with pytest.raises((TypeError, ValueError)):
        save(dataset.assign(change), tmp_path / "other.nc", configuration, 1.0)
    assert os.listdir(tmp_path) == ["run.nc"]


# Loading -------------------------------------------------------------------------------------


def rewritten(path, **attributes):
    """Give a results file other attributes, or none for None, and a new digest."""
    path.write_bytes(path.read_bytes().rpartition(b"\nsha")[0])
    with h5py.File(path, "r+") as file:
        for name, value in attributes.items():
            del file.attrs[name]
            if value is not None:
                file.attrs[name] = value
    path.write_bytes(sealed(path.read_bytes()))


def test_a_file_of_another_version_is_refused_and_its_maker_named(dataset, tmp_path):
    path = save(dataset, tmp_path / "run.nc", {}, 1.0)
    rewritten(path, results_version=RESULTS_VERSION - 1, versions='{"sbt-utils": "0.0.7"}')
    message = rf"version {RESULTS_VERSION - 1} \(made by sbt-utils 0.0.7\).*compute them again"
    with pytest.raises(ValueError, match=message):
        load(path)


def test_what_is_no_results_file_is_said_to_be_none(dataset, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such results file"):
        load(tmp_path / "missing.nc")
    (tmp_path / "text.nc").write_text("D")
    with pytest.raises(ValueError, match="is not a results file"):
        load(tmp_path / "text.nc")
    dataset.to_netcdf(tmp_path / "bare.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="does not end in its digest"):
        load(tmp_path / "bare.nc")
    (tmp_path / "bare.nc").write_bytes(sealed((tmp_path / "bare.nc").read_bytes()))
    with pytest.raises(ValueError, match=r"version None .made by sbt-utils unknown"):
        load(tmp_path / "bare.nc")


def test_a_changed_byte_is_found_before_hdf5_sees_it(dataset, tmp_path, monkeypatch):
    path = save(dataset, tmp_path / "run.nc", {}, 1.0)
    whole = path.read_bytes()

    def never(*args, **kwargs):
        raise AssertionError("HDF5 has opened it")

    # One byte may send HDF5 into an endless loop, and one changes a number without a word.
    monkeypatch.setattr(xr, "load_dataset", never)
    for position in range(0, len(whole) - 200, 97):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(ValueError, match=r"run\.nc is damaged: its bytes .* copy it once more"):
            load(path)


def test_the_digest_at_the_end_is_that_of_the_bytes_before(dataset, tmp_path):
    data, mark, end = save(dataset, tmp_path / "run.nc", {}, 1.0).read_bytes().rpartition(b"\nsha")
    assert mark
    assert end == b"256 of the bytes before this line: %s\n" % sha256(data).hexdigest().encode()


@pytest.mark.parametrize("cut", [1, 104, 105, 2000])
@pytest.mark.parametrize("more", [b"", b"x", b"x" * 104])
def test_without_its_digest_at_the_end_hdf5_does_not_see_a_file(
    dataset, tmp_path, monkeypatch, cut, more
):
    """One more changed byte, and HDF5 might loop for ever, or a number be another."""
    path = save(dataset, tmp_path / "run.nc", {}, 1.0)
    path.write_bytes(path.read_bytes()[:-cut] + more)
    monkeypatch.setattr(xr, "load_dataset", lambda *_, **__: pytest.fail("HDF5 has opened it"))
    with pytest.raises(ValueError, match=r"run\.nc is .* copy it once more"):
        load(path)


@pytest.mark.parametrize("name", ["s3::run.nc", "~/run.nc", "http::run.nc", "file::run.nc"])
def test_a_name_is_that_of_a_file_here(dataset, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    save(dataset, name, {}, 1.0)
    xr.testing.assert_equal(load(name), dataset)


@pytest.mark.parametrize("name", ["configuration", "versions"])
@pytest.mark.parametrize("value", [None, "{", "[1]", b"\xff"])
def test_provenance_that_cannot_be_read(dataset, tmp_path, name, value):
    path = save(dataset, tmp_path / "run.nc", {}, 1.0)
    rewritten(path, **{name: value})
    with pytest.raises(ValueError, match=r"run\.nc is not a results file"):
        load(path)


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.nc")
    for path in (tmp_path, tmp_path / "pipe.nc", Path("/dev/zero")):
        with pytest.raises(ValueError, match="no regular file"):
            load(path)


# Keeping -------------------------------------------------------------------------------------


def counted(dataset):
    """Return a function that returns a dataset, and the list of its calls."""
    calls = []

    def compute():
        calls.append(None)
        return dataset

    return compute, calls


def test_what_is_kept_is_not_computed_again(dataset, tmp_path):
    compute, calls = counted(dataset)
    first = kept(tmp_path / "new" / "run.nc", {"seeds": [5, 7]}, compute)
    again = kept(tmp_path / "new" / "run.nc", {"seeds": [5, 7]}, compute)
    assert len(calls) == 1
    xr.testing.assert_equal(first, dataset)
    xr.testing.assert_identical(first, again)
    xr.testing.assert_identical(first, load(tmp_path / "new" / "run.nc"))
    assert os.listdir(tmp_path / "new") == ["run.nc"]
    assert json.loads(first.attrs["configuration"]) == {"seeds": [5, 7]}
    assert 0 <= first.attrs["wall_time_seconds"] < 60


def test_a_configuration_is_compared_as_json(dataset, tmp_path):
    compute, calls = counted(dataset)
    path = tmp_path / "run.nc"
    kept(path, {"slopes": (0.0, 0.4), "sources": {"dropout": (0.1,)}, 1: None}, compute)
    kept(path, {"1": None, "sources": {"dropout": [0.1]}, "slopes": [0.0, 0.4]}, compute)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"seeds": 3, "rate": 0.1}, "seeds = 2, not 3"),
        ({"seeds": 2, "rate": [0.1]}, r"rate = 0\.1, not \[0\.1\]"),
        ({"seeds": 2}, r"rate = 0\.1, not None"),
        ({"seeds": 2, "rate": 0.1, "device": "cuda"}, "device = None, not 'cuda'"),
    ],
)
def test_results_of_another_configuration_are_refused(dataset, tmp_path, other, difference):
    compute, calls = counted(dataset)
    path = tmp_path / "run.nc"
    kept(path, {"seeds": 2, "rate": 0.1}, compute)
    before = path.read_bytes()
    message = rf"run\.nc holds results with {difference}: give another path, or remove the file"
    with pytest.raises(ValueError, match=message):
        kept(path, other, compute)
    assert len(calls) == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize("seeds", [range(3), {1, 2}, float("nan"), np.arange(3)])
def test_what_json_cannot_hold_is_refused_before_the_computation(dataset, tmp_path, seeds):
    compute, calls = counted(dataset)
    with pytest.raises(ValueError, match=r"configuration: .* JSON .*; give numbers, text"):
        kept(tmp_path / "run.nc", {"seeds": seeds}, compute)
    assert not calls
    assert os.listdir(tmp_path) == []


def test_what_is_no_dataset_is_not_kept(tmp_path):
    with pytest.raises(TypeError, match=r"compute: returns a NoneType; return an xarray\.Dataset"):
        kept(tmp_path / "a.nc", {}, lambda: None)
    with pytest.raises(ValueError, match=r"configuration: .*; give numbers, text, lists and dicts"):
        kept(tmp_path / "a.nc", None, lambda: 1 / 0)
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_no_lock_of_ours_is_kept(dataset, tmp_path):
    (tmp_path / "a.nc.lock").write_text("notes")
    with pytest.raises(ValueError, match=r"a\.nc\.lock, which says who computes .*: move away"):
        kept(tmp_path / "a.nc", {}, lambda: dataset)
    assert (tmp_path / "a.nc.lock").read_text() == "notes"


def test_what_a_file_says_of_itself_steers_no_terminal(dataset, tmp_path):
    path = tmp_path / "a.nc"
    kept(path, {"a": "\x1b[31m" * 100}, lambda: dataset)
    with pytest.raises(ValueError, match="holds results with a = ") as error:
        kept(path, {"a": 1}, lambda: dataset)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600
    rewritten(path, results_version="\x1b[31m", versions=json.dumps({"sbt-utils": "\x1b" * 500}))
    with pytest.raises(ValueError, match="holds results of version ") as error:
        load(path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600


def test_a_computation_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        kept(tmp_path / "run.nc", {}, lambda: 1 / 0)
    assert os.listdir(tmp_path) == []


def test_nobody_computes_what_is_being_computed(dataset, tmp_path):
    path, messages = tmp_path / "run.nc", []

    def compute():
        for settings in ({}, {"seeds": 3}):
            with pytest.raises(ValueError, match="is being computed") as busy:
                kept(path, settings, lambda: 1 / 0)
            messages.append(str(busy.value))
        return dataset

    kept(path, {}, compute)
    assert len(messages) == 2
    assert f"{path} is being computed by another thread of this process: wait" in messages[0]
    assert os.listdir(tmp_path) == ["run.nc"]


def test_a_damaged_file_is_not_computed_anew_without_asking(dataset, tmp_path):
    path = save(dataset, tmp_path / "run.nc", {}, 1.0)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(ValueError, match=r"is damaged: .* remove it and compute it again"):
        kept(path, {}, lambda: 1 / 0)


def test_work_of_several_calls_says_how_long_it_took(dataset, tmp_path):
    compute, _ = counted(dataset.assign_attrs(wall_time_seconds=3600.0))
    assert kept(tmp_path / "run.nc", {}, compute).attrs["wall_time_seconds"] == 3600


def test_a_file_without_results_is_not_replaced(dataset, tmp_path):
    (tmp_path / "run.nc").write_text("D")
    compute, calls = counted(dataset)
    with pytest.raises(ValueError, match="is not a results file"):
        kept(tmp_path / "run.nc", {}, compute)
    assert not calls


def test_importing_results_loads_no_xarray():
    code = "import sbt_utils.results, sys; print('xarray' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
