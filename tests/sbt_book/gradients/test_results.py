"""What chapter 9 says of gradients, held to the results."""

import json

import pytest

from sbt_book.common.committed import load_committed
from sbt_book.gradients import drive_table, force_table, skewness_table, slope_table
from sbt_book.gradients.experiment import CONFIGURATION


@pytest.fixture(scope="module")
def gradients():
    return load_committed("gradients")


@pytest.fixture(scope="module")
def drive():
    return load_committed("driven_chain")


def test_the_results_are_of_this_experiment(gradients):
    assert json.loads(gradients.attrs["configuration"]) == json.loads(json.dumps(CONFIGURATION))


def test_no_source_of_noise_is_skewed(gradients):
    table = skewness_table(gradients)
    assert table.cells.sum() == 42
    assert (abs(table.skewness) < table["by chance"]).all()
    assert ((table.low < 0) & (table.high > 0)).all()
    assert (table.permutations > 0.05).all()
    assert table.loc[:"data_noise", "by chance"].max() == pytest.approx(0.08, abs=0.005)
    assert table.loc["batch_size", "by chance"] == pytest.approx(0.3, abs=0.02)


def test_what_a_single_cell_shows(gradients):
    chance = 1.96 * ((gradients.skewness_chance**2).mean("seed") / 2) ** 0.5
    median = chance.median(("level", "slope"))
    assert median.sel(source="batch_size").item() == pytest.approx(0.7, abs=0.05)
    assert 0.2 < median.drop_sel(source="batch_size").min() < 0.25


def test_skewness_leaves_nothing_of_the_convexity(gradients):
    row = force_table(gradients).loc["all"]
    assert row.cells == 14
    assert row.left == pytest.approx(0.19, abs=0.005)
    assert abs(row.predicted) < 0.0005
    assert row.most == pytest.approx(0.09, abs=0.005)
    assert -0.01 < row.low < 0 < row.high < 0.01


def test_a_row_may_become_more_convex_than_skewness_allows(gradients):
    table = force_table(gradients)
    assert (table.left > table.most).sum() == 4  # all sources together, and three of the four
    assert table.loc["batch_size", "left"] < table.loc["batch_size", "most"]


def test_the_drive_does_not_follow_the_share(gradients, drive):
    table = drive_table(gradients, drive.drive)
    assert table.cells.tolist() == [12, 12, 12, 12, 48]
    assert table.correlation.tolist() == pytest.approx(
        [-0.78, -0.53, -0.46, -0.43, -0.47], abs=6e-3
    )
    assert (table.permutations > 0.9).all()
    within = table.permutations["within rows"]
    assert within == pytest.approx(0.998, abs=0.002)
    fitted = drive_table(gradients, drive.drive.where(drive.residual <= 0.03))
    assert fitted.cells["within rows"] == 37
    assert (fitted.correlation < 0).all()


def test_linear_networks_have_no_larger_shares(gradients):
    table = slope_table(gradients)
    assert table["linear larger"].sum() == 5
    assert table.levels.sum() == 16
    assert (table[1.0] < table[0.0]).all()
    assert table[0.0].mean() == pytest.approx(1.7, abs=0.05)
    assert table[1.0].mean() == pytest.approx(1.2, abs=0.05)
