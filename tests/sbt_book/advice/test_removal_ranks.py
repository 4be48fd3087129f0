"""What predicts the cost of a removal, on made-up networks whose answers are known."""

import numpy as np
import pytest
import xarray as xr

from sbt_book.advice.removal_ranks import PREDICTORS, correlations, rank_table, regrets


@pytest.fixture
def made_up(rng):
    """Six networks of two kinds with four blocks, one kind that cannot be skipped, one faulty one.

    The influence orders blocks as the cost does, the load the other way.
    """
    kinds = ["mixer"] * 3 + ["gated network"] * 3 + ["MLP"] * 2 + ["mixer"]
    faults = ["healthy"] * 8 + ["idle"]
    count = len(kinds)
    cost = rng.random((count, 5))
    cost[:, 0] = np.nan
    cost[6:8] = np.nan
    separation = -np.nancumsum(1 - cost, axis=1)
    planted = np.zeros((count, 5))
    planted[:, 0] = np.nan
    layers = ("network", "layer")
    curves = {
        f"separation_{part}": (("network", "draw", "layer"), separation[:, None])
        for part in ("train", "test")
    }
    return xr.Dataset(
        {
            "loss_test": ("network", np.full(count, 0.5)),
            "loss_without_test": (layers, 0.5 + cost),
            "influence_test": (layers, cost**3),
            "angular_distance_test": (layers, rng.random((count, 5))),
            "planted": (layers, planted),
            **curves,
        },
        {"kind": ("network", kinds), "fault": ("network", faults), "layer": range(5)},
    )


def test_correlations(made_up):
    found = correlations(made_up)
    assert set(found) == set(PREDICTORS)
    skipped = [0, 1, 2, 3, 4, 5, 8]
    assert found.influence[skipped].values == pytest.approx(1.0)
    assert found["load"][skipped].values == pytest.approx(-1.0)
    assert found["load on unseen data"][skipped].values == pytest.approx(-1.0)
    assert np.isnan(found.influence[6:8]).all()
    # Depth: 6 sum(d^2) / (n^3 - n), of ranks by hand.
    ranks = made_up.loss_without_test[0, 1:].values.argsort().argsort()
    expected = 1 - 6 * ((ranks - np.array([3, 2, 1, 0])) ** 2).sum() / 60
    assert found.depth[0].item() == pytest.approx(expected)


def test_regrets(made_up):
    found = regrets(made_up)
    assert found.influence[:6].values.tolist() == [0.0] * 6
    cost = made_up.loss_without_test[:6, 1:].values
    assert found["load"][:6].values == pytest.approx(cost.max(1) - cost.min(1))
    assert found.depth[:6].values == pytest.approx(cost[:, -1] - cost.min(1))
    assert np.isnan(found["load"][6:8]).all()


def test_the_table_is_that_of_healthy_networks_that_can_be_skipped(made_up):
    table = rank_table(made_up, draws=200)
    assert list(table.index) == ["mixer", "gated network", "all"]
    assert table.influence.tolist() == pytest.approx([1.0, 1.0, 1.0])
    depth = correlations(made_up).depth.values
    assert table.depth["mixer"] == pytest.approx(depth[:3].mean())
    assert table.depth["all"] == pytest.approx(depth[:6].mean())
    for kind in table.index:
        row = table.loc[kind]
        assert row.depth_low - 1e-12 <= row.depth <= row.depth_high + 1e-12
        assert np.isnan(row.influence_low)  # nothing varies
    # Means of three drawn out of three lie between the least and the most.
    assert table.depth_low["mixer"] >= depth[:3].min() - 1e-12
    assert table.depth_high["mixer"] <= depth[:3].max() + 1e-12
    assert table.equals(rank_table(made_up, draws=200))


def test_the_table_of_regrets(made_up):
    table = rank_table(made_up, regrets, draws=50)
    assert table.influence["all"] == 0
    assert table.load["mixer"] == pytest.approx(regrets(made_up)["load"].values[:3].mean())
