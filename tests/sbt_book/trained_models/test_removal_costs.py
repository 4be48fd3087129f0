"""What predicts the cost of a removal, on made-up models whose answers are known."""

from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from sbt_book.common.committed import load_committed
from sbt_book.trained_models.removal_costs import (
    PREDICTORS,
    choice_table,
    correlation_table,
    cost,
    cost_table,
    difference_table,
)


@pytest.fixture
def made_up():
    """Return a model of seven blocks, whose influence orders them as the cost does.

    Another has three blocks, of which one cannot be skipped, and no tokens.
    """
    rng = np.random.default_rng(0)
    mean = np.array([2.0, 0.5, 1.5, 0.25, 1.0, 0.125, 0.75])
    costs = np.full((2, 6, 8), np.nan)
    costs[0, :, 1:] = mean * (1 + 0.05 * rng.normal(size=(6, 7)))
    costs[1, :4, 2:4] = [0.5, 2.0]
    loss = np.where(np.isnan(costs).all(2), np.nan, 3.0)
    separation = np.full((2, 2, 10, 8), np.nan)
    separation[0] = -np.cumsum([0, *(3 - mean)])
    separation[1, 0, :, :4] = [3, 2, 1, 0]
    influence = costs**3
    sizes = ("model", "unit", "layer")
    names = np.array([["in", *"abcdefg"], ["in", *"xyz", *[""] * 4]], object)
    return xr.Dataset(
        {
            "loss": (sizes[:2], loss),
            "loss_without": (sizes, costs + 3.0),
            "influence": (sizes, influence),
            "angular_distance": (sizes, rng.random(costs.shape) + 0 * costs),
            "separation_train": (("model", "tokens", "draw", "layer"), separation),
            "separation_test": (("model", "tokens", "draw", "layer"), 2 * separation),
            "name": (("model", "layer"), names),
        },
        {"model": ["long", "short"], "layer": range(8)},
    )


def test_the_cost_is_what_is_lost(made_up):
    found = cost(made_up).sel(model="long").mean("unit")
    assert np.isnan(found[0])
    assert found[1:].values == pytest.approx([2.0, 0.5, 1.5, 0.25, 1.0, 0.125, 0.75], rel=0.1)


def test_the_table_of_costs(made_up):
    table = cost_table(made_up, "long")
    assert table.index.tolist() == list(range(1, 8))
    assert "".join(table.name) == "abcdefg"
    units = cost(made_up).sel(model="long").values[:, 1:]
    assert table.cost.values == pytest.approx(units.mean(0))
    # The 95 % interval of a mean of six normal numbers, roughly.
    error = units.std(0) / np.sqrt(6)
    assert (table.high - table.low).values == pytest.approx(2 * 1.96 * error, rel=0.3)
    assert table.load.values == pytest.approx(-np.diff(made_up.separation_train[0, 0, 0]))
    assert (table["load on the second part"] / table.load).values == pytest.approx(2)
    assert set(PREDICTORS) < set(table.columns)
    short = cost_table(made_up, "short")
    assert short.index.tolist() == [2, 3]
    assert short.cost.tolist() == [0.5, 2.0]
    assert "load without first tokens" not in short


def test_correlations(made_up):
    table = correlation_table(made_up)
    assert table.index.tolist() == ["long"]  # two blocks have no order to speak of
    row = table.loc["long"]
    assert row.blocks == 7
    assert row.influence == row.influence_low == row.influence_high == pytest.approx(1)
    assert row["load"] == pytest.approx(-1)
    means = cost(made_up).sel(model="long").mean("unit").values[1:]
    assert row.depth == pytest.approx(spearmanr(means, -np.arange(7)).statistic)
    angles = made_up.angular_distance.sel(model="long").mean("unit").values[1:]
    assert row["angular distance"] == pytest.approx(spearmanr(means, angles).statistic)
    assert row["angular distance_low"] < row["angular distance"] < row["angular distance_high"]
    assert table.equals(correlation_table(made_up))


def test_what_chance_does(made_up):
    orders = list(permutations(range(7)))
    sizes = [abs(1 - 6 * sum((i - o) ** 2 for i, o in enumerate(order)) / 336) for order in orders]
    expected = np.quantile(sizes, 0.95)
    # Correlations of seven come in steps of 1/28.
    assert correlation_table(made_up)["by chance"]["long"] == pytest.approx(expected, abs=0.04)


def test_differences(made_up):
    table, all_of = difference_table(made_up), correlation_table(made_up)
    assert "depth" not in table
    assert table.influence["long"] == pytest.approx(1 - all_of.depth["long"])
    # The influence is right in all draws, so that the difference varies as depth alone does.
    assert table.influence_low["long"] == pytest.approx(1 - all_of.depth_high["long"])
    assert table.influence_high["long"] == pytest.approx(1 - all_of.depth_low["long"])
    assert difference_table(made_up, "influence")["load"]["long"] == pytest.approx(-2)


def test_choices(made_up):
    table = choice_table(made_up)
    cheapest, by_load = table.loc[("long", "cost")], table.loc[("long", "load")]
    assert (cheapest.l, cheapest["name"]) == (6, "f")
    assert (by_load.l, by_load["name"]) == (1, "a")
    assert by_load.cost == pytest.approx(cost_table(made_up, "long").cost[1])
    assert table.loc[("long", "depth")].l == 7


# What was saved -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved():
    return load_committed("trained_models")


def test_influence_predicts_the_cost_in_trained_transformers(saved):
    """What the module says of the results, and that the load does not predict it."""
    table = correlation_table(saved)
    assert table.index.tolist() == ["sentence encoder", "language model"]
    for name in ("influence", "angular distance"):
        assert table[name].round(2).tolist() == [0.89, 0.88]
        assert (table[f"{name}_low"] > 0.7).all()
        assert (difference_table(saved)[f"{name}_low"] > 0.7).all()
    loads = [name for name in PREDICTORS if "load" in name]
    assert (abs(table[loads]) < table[["by chance"]].values).all(axis=None)
    assert abs(table.depth["language model"]) < 0.1


def test_which_blocks_are_dear(saved):
    encoder, language = (cost_table(saved, m) for m in ("sentence encoder", "language model"))
    assert encoder.cost.sort_values().index.tolist()[-3:] == [5, 1, 6]
    assert language.cost.sort_values().index.tolist()[-4:] == [12, 30, 2, 1]
    assert (encoder.low > 0).all()
    assert (language.low > 0).all()
    # The block that makes the massive activations looks like any other by its influence.
    assert 6 <= language.influence.rank(ascending=False)[12] <= 10
    heard = cost_table(saved, "pitch network")
    assert heard.index.tolist() == [3, 4]
    assert (heard.low > 15).all()


def test_what_a_wrong_choice_costs(saved):
    table = choice_table(saved).cost.unstack()
    assert (table.influence < 0.2).all()
    assert table["load"].round(1).to_dict() == {"sentence encoder": 0.6, "language model": 2.5}
