"""What chapter 11 says of a trained language model, held to the committed results."""

import json

import numpy as np
import pytest

from sbt_book.common.committed import committed_file, load_committed
from sbt_book.language.experiment import CONFIGURATION
from sbt_book.language.findings import (
    choice_table,
    correlation_table,
    cost_table,
    law_table,
    share_table,
)


@pytest.fixture(scope="module")
def saved():
    return load_committed("language")


def test_the_file_is_that_of_the_configuration_and_small(saved):
    assert json.loads(saved.attrs["configuration"]) == CONFIGURATION
    assert committed_file("language.nc").stat().st_size < 300_000
    assert not saved.attrs["commit"].endswith("dirty")
    # The model of chapter 7.
    weights = json.loads(load_committed("trained_models").attrs["weights"])
    assert saved.attrs["weights"] == weights["language model"]


def test_laws(saved):
    table = law_table(saved)
    assert table.convexity.round(2).tolist()[:2] == [-0.32, -0.18]
    ends = table[["low", "high"]].round(2).values.tolist()
    assert ends[:2] == [[-0.41, -0.24], [-0.22, -0.14]]
    assert np.isnan(table.convexity["scripture"])
    assert table.fall["scripture"] == pytest.approx(-0.25, abs=0.005)
    assert table.r.round(2).tolist() == [-0.94, -0.92, -0.97]
    assert table.r_held_out.round(2).tolist() == [-0.93, -0.89, -0.64]
    assert table.shuffled.round(2).tolist() == [-0.87, -0.98, -0.94]
    assert (table.current >= 0.955).all()
    assert table.previous.between(0.64, 0.70).all()
    held = saved.held_out.sel(target="next").mean("fold")
    assert held.min().item() == pytest.approx(0.884, abs=0.001)


def test_attention_mixes_and_mlps_sort(saved):
    table = share_table(saved)
    assert table.attention.round(2).tolist() == [-0.63, -0.74, -1.87]
    assert table.MLP.round(2).tolist() == [1.47, 2.1, 1.62]
    assert (table.attention_high < -0.4).all()
    assert (table.MLP_low > 1.3).all()


def test_what_tells_the_cost_of_a_block(saved):
    ranks, costs = correlation_table(saved), cost_table(saved)
    assert ranks.single.round(2).to_dict() == {
        "load": 0.02,
        "influence": 0.83,
        "angle": 0.81,
        "last angle": 0.74,
        "update": 0.88,
        "lens change": 0.75,
    }
    assert ranks.below_influence_low["load"] == pytest.approx(0.73, abs=0.005)
    assert ranks.below_influence_high["update"] < 0
    runs = ranks.runs.round(2)
    assert runs[["load", "influence", "angle", "update"]].tolist() == [-0.25, 0.78, 0.77, 0.79]
    assert costs.cost.nlargest(5).index.tolist() == [1, 2, 30, 12, 29]
    assert (costs.low > 0).all()


def test_which_choice_is_right(saved):
    table = choice_table(saved)
    cost = table.cost.unstack().round(2)
    assert cost.influence.tolist() == [0.25, 0.49, 1.02]
    assert cost["run by angle"].tolist() == [0.35, 0.45, 1.76]
    assert cost["load"].tolist() == [6.89, 9.93, 9.61]
    assert cost["single cost"].tolist() == [0.16, 0.53, 1.21]
    assert cost.random.tolist() == [1.45, 3.85, 4.51]
    beats = table.beats.unstack()
    assert beats.influence.round(2).tolist() == [0.93, 1, 1]
    assert (beats["load"] < 0.2).all()
    low = table.low.unstack()
    assert low["run by angle"][8] > table.high.unstack().influence[8]
