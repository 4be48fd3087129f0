"""Laws, costs and choices on made-up results whose answers are known."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from sbt_book.language.experiment import chosen_sets
from sbt_book.language.figures import cost_of_removal, curve_and_law
from sbt_book.language.findings import (
    choice_table,
    correlation_table,
    cost_table,
    law_table,
    share_table,
)

BLOCKS = 9


@pytest.fixture
def made_up():
    """Return nine blocks whose cost is their influence, and whose load is the other way round."""
    rng = np.random.default_rng(0)
    depth = np.arange(2 * BLOCKS + 1) / 2
    single = rng.permutation(BLOCKS) + 1.0
    draws = 5.0 + np.zeros((2, 10, len(depth)))
    draws[:, :, 2::2] = 5 - np.cumsum(10 - single) / 20
    draws[:, :, 1::2] = draws[:, :, :-1:2] + 0.2
    draws += 0.001 * rng.normal(size=(2, 10, 1))
    runs = np.full((2, 4, BLOCKS, 8), np.nan)
    for start in range(BLOCKS):
        for length in range(1, min(8, BLOCKS - start) + 1):
            runs[:, :, start, length - 1] = single[start : start + length].sum()
    noise = 1 + 0.001 * rng.normal(size=(2, 4, 1, 1))
    axes = ("text", "piece", "start", "length")
    residual = np.tile(0.9 * np.exp(-0.1 * depth), (2, 2, 1))
    choices = ["load", "influence", *(f"random {n}" for n in range(4))]
    sets = 3 + np.array([4.0, 1.0, 2.0, 3.0, 0.5, 5.0]) * np.ones((2, 4, 1, 6))
    proxies = {name: (axes, runs * noise) for name in ("influence", "angle", "last angle")}
    return xr.Dataset(
        {
            "separation": (("text", "draw", "depth"), draws),
            "floor": ("text", [5.5, 5.6]),
            "residual": (("text", "target", "depth"), residual),
            "held_out": (
                ("text", "target", "fold", "depth"),
                np.repeat(1.1 * residual[:, :, None], 2, axis=2),
            ),
            "loss": (("text", "piece"), np.full((2, 4), 3.0)),
            "loss_without": (axes, 3 + runs),
            **proxies,
            "update": (axes, -runs),
            "lens change": (axes, rng.random(runs.shape)),
            "set_loss": (("text", "piece", "size", "choice"), sets),
        },
        {
            "text": ["one", "two"],
            "target": ["next", "current"],
            "depth": depth,
            "start": np.arange(1, BLOCKS + 1),
            "length": np.arange(1, 9),
            "size": [3],
            "choice": choices,
        },
    ).assign_attrs(single=single)


def test_laws(made_up):
    table = law_table(made_up)
    assert table.r.tolist() == pytest.approx([-1, -1])
    assert table.r_held_out.tolist() == pytest.approx([-1, -1])
    fall = (10 - made_up.attrs["single"]).sum() / 20
    assert table.fall.tolist() == pytest.approx([fall, fall])
    # Draws differ by a constant, which has no shape.
    assert table.low.tolist() == pytest.approx(table.convexity.tolist())
    assert table.high.tolist() == pytest.approx(table.convexity.tolist())


def test_attention_and_mlps_share_the_fall(made_up):
    table, laws = share_table(made_up), law_table(made_up)
    # Attention raises D by 0.2 in each block.
    assert table.attention.tolist() == pytest.approx([-0.2 * BLOCKS] * 2)
    assert (table.attention + table.MLP).tolist() == pytest.approx(laws.fall.tolist())


def test_costs_and_what_tells_them(made_up):
    costs, ranks = cost_table(made_up), correlation_table(made_up)
    single = made_up.attrs["single"]
    assert costs.cost.values == pytest.approx(single)
    assert costs.load.values == pytest.approx((10 - single) / 20)
    assert ranks.single[["influence", "angle", "update", "load"]].tolist() == [1, 1, -1, -1]
    # Runs of equal cost differ by rounding in their loads.
    runs = ranks.runs[["influence", "update", "load"]].tolist()
    assert runs == pytest.approx([1, -1, -1], abs=0.05)
    lens = made_up["lens change"].sel(length=1).mean(["text", "piece"])
    assert ranks.single["lens change"] == pytest.approx(spearmanr(lens, single).statistic)
    assert ranks.below_influence["load"] == pytest.approx(2)
    assert (ranks.single_low <= ranks.single + 1e-12).all()


def test_choices(made_up):
    table = choice_table(made_up)
    assert table.loc[(3, "load")].tolist() == pytest.approx([4, 4, 4, 0.25])
    assert table.loc[(3, "influence")].tolist() == pytest.approx([1, 1, 1, 0.75])
    assert table.cost[3, "random"] == pytest.approx(2.5)


def test_sets_are_the_smallest(made_up):
    runs, loads = made_up.isel(text=0), cost_table(made_up).load.values
    single = made_up.attrs["single"]
    found = chosen_sets(runs, loads, 3)
    assert found["load"] == sorted(np.argsort(-single)[:3] + 1)
    assert found["influence"] == found["single cost"] == sorted(np.argsort(single)[:3] + 1)
    sums = [single[start : start + 3].sum() for start in range(BLOCKS - 2)]
    first = int(np.argmin(sums)) + 1
    assert found["run by angle"] == [first, first + 1, first + 2]
    chance = [tuple(numbers) for name, numbers in found.items() if name.startswith("random")]
    assert len(chance) == 20
    assert all(len(set(numbers)) == 3 and min(numbers) >= 1 for numbers in chance)


def test_figures_show_what_the_tables_say(made_up):
    left, right = curve_and_law(made_up).axes
    assert "convexity" in left.get_legend().get_texts()[0].get_text()
    assert "r = -1.00, unseen -1.00" in right.get_legend().get_texts()[0].get_text()
    first, _, third = cost_of_removal(made_up).axes
    dots = first.containers[0].lines[0]
    assert dots.get_ydata() == pytest.approx(made_up.attrs["single"])
    names = [text.get_text() for text in third.get_legend().get_texts()]
    assert names == ["random, 90 %", "load", "influence"]
