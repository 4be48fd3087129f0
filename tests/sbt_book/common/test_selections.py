"""Phase diagrams in numbers."""

import numpy as np
import pytest
import xarray as xr
from curves import scaled
from diagram_data import diagram

from sbt_book.common.selections import convexity, failed, scaled_curves, whole_curves
from sbt_book.phase_diagram.summaries import (
    cell_summary,
    one_family,
    shape_distances,
    universality_table,
)
from sbt_utils.measuring.curves import LoadCurve


def parabola(bend, layers=8):
    """Return a curve from 1 to 0 whose convexity is proportional to `bend`."""
    x = np.linspace(0, 1, layers)
    return 1 - x - bend * x * (1 - x)


def family(bends, extra=0.0):
    """Return a summary of cells in a column, of the family of parabolas or off it."""
    off = extra * np.sin(2 * np.pi * np.linspace(0, 1, 8))
    curves = xr.DataArray(
        [[parabola(bend) + off] for bend in bends], dims=("noise", "slope", "layer")
    )
    return xr.Dataset({"curve": curves, "convexity": convexity(curves)})


# Curves --------------------------------------------------------------------------------------


def test_a_seed_without_a_d_at_one_layer_has_no_curve(rng):
    cells = diagram(rng, seeds=3)
    whole = cells.separation_train.copy(deep=True)
    cells.separation_train[0, 0, 1, 5] = np.nan
    curves = whole_curves(cells)
    assert curves.dims == ("noise", "slope", "seed", "layer")
    assert curves[0, 0, 1].isnull().all()
    assert curves.isnull().sum() == curves.sizes["layer"]
    xr.testing.assert_equal(curves[1:], whole[1:])
    # The mean is over the two whole curves, at every layer.
    mean = (whole[0, 0, 0] + whole[0, 0, 2]).values / 2
    assert scaled_curves(cells)[0, 0].values == pytest.approx(scaled(mean))


def test_curves_on_the_test_images(rng):
    cells = diagram(rng)
    xr.testing.assert_equal(whole_curves(cells, "test"), cells.separation_test)


def test_scaled_curves_are_scaled_after_the_mean(rng):
    cells = diagram(rng, seeds=5)
    curves = scaled_curves(cells)
    for index in np.ndindex(curves.shape[:2]):
        mean = cells.separation_train.values[index].mean(axis=0)
        assert curves.values[index] == pytest.approx(scaled(mean))
    assert curves.min("layer").values == pytest.approx(0)
    assert curves.max("layer").values == pytest.approx(1)
    # Not the mean of scaled curves: seeds with a larger fall weigh more.
    cells["separation_train"] = cells.separation_train * (1 + 9 * (cells.seed == 0))
    assert not np.allclose(scaled_curves(cells), curves)


@pytest.mark.parametrize("value", [np.nan, 1.0], ids=["collapsed", "constant"])
def test_cells_without_a_shape(rng, value):
    cells = diagram(rng)
    cells["separation_train"] = xr.full_like(cells.separation_train, value)
    summary = cell_summary(cells)
    for name in ("curve", "convexity", "convexity_median", "convexity_spread"):
        assert summary[name].isnull().all(), name
    assert summary.accuracy.notnull().all()


def test_convexity_is_that_of_a_load_curve(rng):
    curves = xr.DataArray(
        np.sort(rng.normal(size=(3, 2, 8)))[..., ::-1], dims=("slope", "noise", "layer")
    )
    result = convexity(curves)
    assert result.dims == ("slope", "noise")
    for index in np.ndindex(3, 2):
        assert result.values[index] == pytest.approx(LoadCurve(curves.values[index]).convexity)


# Summaries -----------------------------------------------------------------------------------


def test_failed():
    cells = xr.Dataset(
        {
            "separation_train": (("seed", "layer"), [[1, 0], [1, 0], [1, 0], [np.nan, 0]]),
            "accuracy_train": ("seed", [0.9, 0.5, 0.49, 0.9]),
        }
    )
    assert failed(cells).values.tolist() == [False, False, True, True]
    assert failed(cells, least=0.95).all()


def test_cell_summary_by_hand():
    curves = [parabola(0.3), parabola(-0.1), parabola(0.7), np.full(8, np.nan)]
    cells = xr.Dataset(
        {
            "separation_train": (("noise", "slope", "seed", "layer"), [[[*curves]]]),
            "accuracy_train": (("noise", "slope", "seed"), [[[1.0, 0.9, 0.4, 0.9]]]),
            "accuracy_test": (("noise", "slope", "seed"), [[[0.9, 0.8, 0.1, 0.4]]]),
        },
        {"noise": [0.1], "slope": [0.2], "seed": range(4)},
    )
    summary = cell_summary(cells).squeeze()
    convexities = [LoadCurve(curve).convexity for curve in curves[:3]]
    assert summary.curve.values == pytest.approx(parabola(0.3))
    assert summary.convexity.item() == pytest.approx(convexities[0])
    assert summary.convexity_median.item() == pytest.approx(convexities[0])
    assert summary.convexity_spread.item() == pytest.approx(np.std(convexities, ddof=1))
    assert summary.accuracy.item() == pytest.approx(0.55)
    assert summary.accuracy_median.item() == pytest.approx(0.6)
    assert summary.accuracy_spread.item() == pytest.approx(np.std([0.9, 0.8, 0.1, 0.4], ddof=1))
    assert summary.failed.item() == 0.5


def test_cell_summary_of_one_seed(rng):
    summary = cell_summary(diagram(rng, seeds=1))
    assert summary.convexity_spread.isnull().all()
    assert summary.accuracy_spread.isnull().all()
    assert summary.convexity.notnull().all()
    assert set(summary.convexity.dims) == {"noise", "slope"}


def test_the_diagram_is_left_alone(rng):
    cells = diagram(rng)
    before = cells.copy(deep=True)
    cell_summary(cells)
    xr.testing.assert_identical(cells, before)


# Universality --------------------------------------------------------------------------------


def test_cells_of_one_family_have_one_shape():
    first, second = family(np.linspace(-1, 1, 9)), family(np.linspace(-0.9, 0.9, 400))
    assert shape_distances(first, second).max() < 0.002
    assert one_family({"dropout": first, "batch_size": second}) == pytest.approx(1)


def test_cells_off_the_family_are_found_out():
    # The added wave has no convexity, so equal convexities meet, and it is all that is left.
    bends = np.linspace(-0.5, 0.5, 5)
    distances = shape_distances(family(bends), family(bends, extra=0.1))
    wave = abs(0.1 * np.sin(2 * np.pi * np.linspace(0, 1, 8))).mean()
    assert distances == pytest.approx([wave] * 5)
    summaries = {"dropout": family(bends), "batch_size": family(bends, extra=0.1)}
    assert one_family(summaries) < 0.95


def test_cells_that_are_too_far_apart_do_not_meet():
    near, far = family([0.1]), family([0.9])
    assert shape_distances(near, far).size == 0
    assert shape_distances(near, far, within=1).size == 1


def test_a_cell_does_not_meet_itself():
    cells = family([0.1, 0.1002, 0.5])
    assert shape_distances(cells, cells) == pytest.approx(
        [abs(parabola(0.1) - parabola(0.1002)).mean()] * 2
    )
    assert shape_distances(family([0.1]), family([0.1])) == pytest.approx([0])


def test_cells_without_a_curve_are_left_out():
    cells = family([0.1, 0.2, 0.3])
    broken = cells.copy(deep=True)
    broken.curve[1], broken.convexity[1] = np.nan, np.nan
    assert shape_distances(broken, cells) == pytest.approx([0, 0])
    assert shape_distances(cells, broken, within=1).size == 3
    nothing = cells.where(False)
    assert shape_distances(nothing, cells).size == shape_distances(cells, nothing).size == 0
    assert np.isfinite(one_family({"dropout": broken}))


def test_universality_table():
    bends = np.linspace(-0.5, 0.5, 21)
    summaries = {"dropout": family(bends), "batch_size": family(bends, extra=0.02)}
    table = universality_table(summaries)
    assert list(table.index) == ["dropout", "batch_size"]
    assert list(table.columns) == ["dropout", "batch_size", "any cell"]
    expected = np.median(shape_distances(summaries["dropout"], summaries["batch_size"]))
    assert table.loc["dropout", "batch_size"] == pytest.approx(expected)
    assert (table["any cell"] > 3 * table.loc["dropout", "batch_size"]).all()
    assert table.equals(universality_table(summaries))
    alone = universality_table({"dropout": family([0.1])})
    assert np.isnan(alone.loc["dropout", "dropout"])
