"""The published numbers, and ours beside them."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from curves import scaled

from sbt_book.common.committed import load_committed
from sbt_book.common.noise_axes import NOISES
from sbt_book.common.statistics import rank_correlation
from sbt_book.phase_diagram.published import (
    agreement_table,
    compare,
    deviation_by_chance,
    published_diagram,
)
from sbt_utils.sweeping.experiments import published as published_experiment

ROOT = Path(__file__).parents[3]
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


@pytest.mark.parametrize("axis", NOISES)
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


@pytest.mark.parametrize("noise", NOISES)
def test_every_published_cell_is_in_the_grid(noise):
    experiment, panel = published_experiment(noise), published_diagram(noise)
    assert set(panel.noise.values) <= set(experiment.axes[noise])
    assert set(panel.slope.values) == set(experiment.axes["negative_slope"])


def test_published_diagram_reads_as_the_paper_does():
    # Strong dropout in a ReLU network: active (convex); none in a nearly linear one: straight.
    curve = published_diagram("dropout").curve
    chord = np.linspace(1, 0, 8)
    assert (curve.sel(slope=0, noise=0.28) - chord)[1:-1].max() < -0.05
    assert (curve.sel(slope=0, noise=0.0) - chord)[1:-1].min() > 0.05


def test_the_published_panels_differ_where_none_has_noise():
    # What the chapter says of them: the same networks, by two panels.
    dropout, data = (published_diagram(axis).sel(noise=0.0) for axis in ("dropout", "data_noise"))
    apart = abs(dropout.curve - data.curve).mean("layer")
    assert apart.sel(slope=0).item() == pytest.approx(0.050, abs=5e-4)
    accuracies = [panel.accuracy.sel(slope=0).item() for panel in (dropout, data)]
    assert accuracies == pytest.approx([92.0, 88.3], abs=0.05)
    ours = [load_committed(axis).sel(noise=0.0, slope=0) for axis in ("dropout", "data_noise")]
    curves = [scaled(diagram.separation_train.mean("seed").values) for diagram in ours]
    assert abs(curves[0] - curves[1]).mean() == pytest.approx(0.005, abs=5e-4)


@pytest.mark.parametrize("axis", ["width", ""])
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
        expected = sum(abs(scaled(mean) - theirs.curve.sel(cell).values)) / 5
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


def test_compare_leaves_out_seeds_without_a_curve():
    curves = [[6.0, 2.0, 0.0], [4.0, 2.0, 2.0], [100.0, np.nan, 0.0]]
    ours = measured([[curves]], [[[0.9, 0.8, 0.1]]], [0.0], [0.1])
    theirs = published([[[1.0, 0.25, 0.0]]], [[60.0]], [0.0], [0.1])
    result = compare(ours, theirs)
    assert result.deviation.item() == pytest.approx(0)
    # Every network has an accuracy.
    assert result.accuracy.item() == pytest.approx(60)
    assert result.accuracy_published.item() == 60
    assert result.accuracy_difference.item() == pytest.approx(0)


# Summing up ----------------------------------------------------------------------------------


@pytest.fixture
def comparison(rng):
    ours = measured(rng.random((3, 4, 2, 8)), rng.random((3, 4, 2)), [0.0, 0.4, 1.0], range(4))
    theirs = published(rng.random((3, 4, 8)), 100 * rng.random((3, 4)), [0.0, 0.4, 1.0], range(4))
    return compare(ours, theirs)


def test_agreement_table(comparison):
    deviation = comparison.deviation.values.ravel()
    ninth = np.sort(deviation)[8]
    table = agreement_table({"all": comparison, "row": comparison.isel(slope=[0])}, ninth)
    row = table.loc["all"]
    assert row["cells"] == 12
    assert row["mean deviation"] == pytest.approx(deviation.mean())
    assert row["90 % of cells below"] == pytest.approx(np.percentile(deviation, 90))
    assert row["largest deviation"] == pytest.approx(deviation.max())
    assert row["within the limit"] == pytest.approx(9 / 12)
    worst = abs(comparison.accuracy - comparison.accuracy_published).max().item()
    assert row["accuracy within, points"] == pytest.approx(worst)
    expected = rank_correlation(comparison.accuracy, comparison.accuracy_published)
    assert row["rank correlation"] == expected
    assert table.loc["row", "cells"] == 4


def test_each_comparison_has_its_limit(comparison):
    table = agreement_table({"one": comparison, "two": comparison}, {"one": 0.0, "two": 1.0})
    assert table["limit"].tolist() == [0, 1]
    assert table["within the limit"].tolist() == [0, 1]


def test_a_cell_without_a_curve_is_not_within_the_limit(comparison):
    comparison.deviation[0, 0] = np.nan
    row = agreement_table({"all": comparison}, 1.0).loc["all"]
    assert row["within the limit"] == pytest.approx(11 / 12)
    assert np.isfinite(row["mean deviation"])


def cells(values):
    return xr.DataArray(values, dims="noise")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3], [10, 20, 90], 1),
        ([1, 2, 3], [3, 2, -7], -1),
        ([1, 2, 3, 4], [1, 3, 2, 4], 0.8),  # 1 - 6 (1 + 1) / (4 (16 - 1))
        ([1, 1, 2], [1, 2, 3], 0.75**0.5),  # equal values share their mean rank
        ([1, np.nan, 2], [1, 5, 2], 1),
        ([1, 1, 1], [1, 2, 3], np.nan),
        ([1], [1], np.nan),
    ],
    ids=["order", "reverse", "swap", "tie", "nan", "constant", "single"],
)
def test_rank_correlation(first, second, expected):
    assert rank_correlation(cells(first), cells(second)) == pytest.approx(expected, nan_ok=True)


def test_rank_correlation_takes_cells_by_their_coordinates(rng):
    first = xr.DataArray(rng.random((3, 4)), {"slope": [0, 1, 2], "noise": range(4)})
    second = (2 * first).transpose("noise", "slope").isel(noise=[3, 0, 1, 2])
    assert rank_correlation(first, second) == pytest.approx(1)
    assert rank_correlation(first, second.isel(noise=[0, 2])) == pytest.approx(1)


# By chance -----------------------------------------------------------------------------------


def test_deviation_by_chance_is_that_of_two_means_of_normal_numbers():
    # Only the middle of three layers varies, so the deviation is a third of its difference.
    middle = np.random.default_rng(0).normal(0.5, 0.01, size=400)
    curves = np.stack([np.ones(400), middle, np.zeros(400)], axis=-1)
    ours = measured([[curves]], np.zeros((1, 1, 400)), [0.0], [0.1])
    expected = 1.96 * middle.std() * np.sqrt(2 / 400) / 3
    (found,) = deviation_by_chance(ours, draws=4000).values.ravel()
    assert found == pytest.approx(expected, rel=0.1)


def test_deviation_by_chance_of_an_undefined_curve_is_undefined():
    curves = [[[[1, 0.5, 0], [1, 0.6, 0]], [[1, np.nan, 0], [1, 0.5, 0]]]]
    ours = measured(curves, np.zeros((1, 2, 2)), [0.0], [0.1, 0.2])
    found = deviation_by_chance(ours.transpose("seed", "noise", "layer", "slope"))
    assert found.dims == ("slope", "noise")
    assert np.isnan(found.values).tolist() == [[False, True]]
    assert 0 < found.values[0, 0] < 0.1 / 3
