"""Results on disk, and the published numbers."""

import json
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from sbt_utils.results import compare, published_diagram, save

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results/reference/published_phase_diagrams.json"
PANELS = json.loads(REFERENCE.read_text())["panels"]


def measured(separation, accuracy, slopes, levels):
    return xr.Dataset(
        {
            "separation_train": (("slope", "noise", "seed", "layer"), np.array(separation)),
            "accuracy_test": (("slope", "noise", "seed"), np.array(accuracy)),
        },
        {"slope": slopes, "noise": levels},
    )


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
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
    path = save(dataset, tmp_path / "new" / "folder" / "run.nc", {"seeds": [5, 7]}, time.time())
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
    path = save(dataset, tmp_path / "run.nc", configuration, time.time() - 100)
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
    assert 100 <= attributes["wall_time_seconds"] < 130


def test_the_commit_is_the_checkouts(dataset, tmp_path):
    def git(*arguments):
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        head = git("rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        head = None
    path = save(dataset, tmp_path / "run.nc", {}, time.time())
    commit = xr.load_dataset(path, engine="h5netcdf").attrs["commit"]
    if head is None:
        assert commit == "not a checkout"
    else:
        assert git("rev-parse", commit.removesuffix("-dirty") + "^{commit}") == head
        changed = bool(git("status", "--porcelain", "--untracked-files=no"))
        assert commit.endswith("-dirty") == changed


def test_saving_again_replaces_the_file(dataset, tmp_path):
    save(dataset, tmp_path / "run.nc", {}, time.time())
    save(dataset + 1, tmp_path / "run.nc", {}, time.time())
    assert os.listdir(tmp_path) == ["run.nc"]
    xr.testing.assert_equal(xr.load_dataset(tmp_path / "run.nc", engine="h5netcdf"), dataset + 1)


def test_a_relative_path(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert save(dataset, "run.nc", {}, time.time()) == Path("run.nc")
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
    path = save(dataset, tmp_path / "run.nc", {}, time.time())
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError)):
        save(dataset.assign(change), path, configuration, time.time())
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.nc"]
    with pytest.raises((TypeError, ValueError)):
        save(dataset.assign(change), tmp_path / "other.nc", configuration, time.time())
    assert os.listdir(tmp_path) == ["run.nc"]


# The published numbers -----------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["dropout", "learning_rate"])
def test_published_diagram(axis):
    panel, diagram = PANELS[axis], published_diagram(axis)
    assert diagram.noise.values.tolist() == sorted(panel["noise"])
    assert diagram.slope.values.tolist() == panel["slope"]
    assert diagram.curve.dims == ("slope", "noise", "layer")
    assert diagram.accuracy.dims == ("slope", "noise")
    for row, slope in enumerate(panel["slope"]):
        for column, noise in enumerate(panel["noise"]):
            cell = diagram.sel(slope=slope, noise=noise)
            assert cell.curve.values.tolist() == panel["curve"][row][column]
            assert cell.accuracy.item() == panel["accuracy"][row][column]


def test_published_diagram_reads_as_the_paper_does():
    # Strong dropout in a ReLU network: active (convex); none in a nearly linear one: straight.
    curve = published_diagram("dropout").curve
    chord = np.linspace(1, 0, 8)
    assert (curve.sel(slope=0, noise=0.28) - chord)[1:-1].max() < -0.05
    assert (curve.sel(slope=0, noise=0.0) - chord)[1:-1].min() > 0.05


@pytest.mark.parametrize("axis", ["data_noise", "batch_size", ""])
def test_a_panel_that_is_not_there(axis):
    with pytest.raises(ValueError, match=f"axis='{axis}': .* dropout, learning_rate"):
        published_diagram(axis)


# Comparing -----------------------------------------------------------------------------------


def published(curve, accuracy, slopes, levels):
    return xr.Dataset(
        {
            "curve": (("slope", "noise", "layer"), np.array(curve)),
            "accuracy": (("slope", "noise"), np.array(accuracy)),
        },
        {"slope": slopes, "noise": levels},
    )


def test_compare_by_hand():
    # Two seeds whose mean is 5, 2, 1: scaled 1, 1/4, 0. Published: 1, 1/2, 0 and 1, 0, 0.
    ours = measured(
        [[[[6.0, 2.0, 0.0], [4.0, 2.0, 2.0]]], [[[6.0, 2.0, 0.0], [4.0, 2.0, 2.0]]]],
        [[[0.90, 0.92]], [[0.5, 0.5]]],
        [0.0, 0.2],
        [0.1],
    )
    theirs = published([[[1.0, 0.5, 0.0]], [[1.0, 0.0, 0.0]]], [[90.5], [51.0]], [0.0, 0.2], [0.1])
    result = compare(ours, theirs)
    assert result.deviation.dims == ("slope", "noise")
    assert result.deviation.values.ravel() == pytest.approx([0.25 / 3, 0.25 / 3])
    assert result.accuracy_difference.values.ravel() == pytest.approx([0.5, -1.0])


def test_compare_takes_the_cells_that_both_have_whatever_their_order():
    rng = np.random.default_rng(1)
    ours = measured(
        rng.normal(size=(3, 2, 2, 5)), rng.random((3, 2, 2)), [1.0, 0.3, 0.2], [0.1, 0.2]
    )
    theirs = published(
        rng.random((2, 3, 5)), 100 * rng.random((2, 3)), [0.2, 1.0], [0.3, 0.2, 0.15]
    )
    result = compare(ours, theirs)
    assert sorted(result.slope.values) == [0.2, 1.0]
    assert result.noise.values.tolist() == [0.2]
    assert result.notnull().all().to_array().all()
    for slope in (0.2, 1.0):
        cell = {"slope": slope, "noise": 0.2}
        mean = sum(ours.separation_train.sel(cell).values) / 2
        scaled = (mean - min(mean)) / (max(mean) - min(mean))
        expected = sum(abs(scaled - theirs.curve.sel(cell).values)) / 5
        assert result.deviation.sel(cell).item() == pytest.approx(expected)
        points = 50 * sum(ours.accuracy_test.sel(cell).values) - theirs.accuracy.sel(cell).item()
        assert result.accuracy_difference.sel(cell).item() == pytest.approx(points)


@pytest.mark.parametrize("value", [np.nan, 1.0], ids=["collapsed", "constant"])
def test_compare_a_cell_without_a_shape(value):
    ours = measured(np.full((1, 1, 2, 8), value), np.full((1, 1, 2), 0.1), [0.0], [0.28])
    result = compare(ours, published_diagram("dropout"))
    assert result.deviation.isnull().all()
    expected = 10 - PANELS["dropout"]["accuracy"][0][0]
    assert result.accuracy_difference.item() == pytest.approx(expected)


def test_compare_without_common_cells():
    ours = measured(np.ones((1, 1, 1, 8)), np.ones((1, 1, 1)), [0.33], [0.28])
    assert compare(ours, published_diagram("dropout")).deviation.size == 0
