"""The published numbers, and ours beside them."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sbt_utils.published import compare, published_diagram

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
