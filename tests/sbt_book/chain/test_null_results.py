"""What chapter 3 says of the chain and its rivals is what the committed results hold."""

import json
from pathlib import Path

import numpy as np
import pytest

from sbt_book.chain.driven_matching import fitted_cells, one_number
from sbt_book.chain.null_experiment import (
    NETWORKS,
    null_scores,
    null_verdict,
    target_curves,
    undriven_models,
)
from sbt_book.common.committed import load_committed
from sbt_book.common.noise_axes import NOISES
from sbt_book.gradients.comparison import drive_table
from sbt_utils.measuring.curves import curve_statistics

CHAPTER = Path(__file__).parents[3] / "notebooks/03_spring_block_chain.ipynb"
CELLS = [(networks, source) for networks in NETWORKS for source in NOISES]


@pytest.fixture(scope="module")
def prose():
    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    text = " ".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return " ".join(text.split())


@pytest.fixture(scope="module")
def nulls():
    return load_committed("null_models")


@pytest.fixture(scope="module")
def driven():
    return load_committed("driven_chain")


def ahead(file, networks, source, model, rival):
    held = file.held_out.sel(networks=networks, source=source, score="within")
    return int((held.sel(model=model) > held.sel(model=rival)).sum())


def test_the_chain_adds_nothing_in_eight_diagrams_and_is_beaten_on_dropout(nulls, prose):
    curves, all_rivals = ["parabola", "exponential"], list(nulls.model.values[1:])
    for cell in CELLS:
        beaten = cell[1] == "dropout"
        verdict = null_verdict(nulls, *cell, "chain", curves, "within")
        assert verdict == ("beaten" if beaten else "undecided")
        assert null_verdict(nulls, *cell, "chain", all_rivals, "sign") == "undecided"
        worst = null_scores(nulls, *cell).within_held_out[["chain", *curves]].max()
        assert (worst < 1 / 3) == (cell[1] in ("learning_rate", "batch_size"))
    assert "the chain adds something in none of the eight diagrams" in prose
    scores = null_scores(nulls, "ours", "dropout")
    held = scores.within_held_out
    assert f"puts {held['exponential']:.0%}".replace("%", " %") in prose
    assert f"where the chain puts {held['chain']:.0%}".replace("%", " %") in prose
    noise = [ahead(nulls, "ours", "data_noise", "chain", rival) for rival in curves]
    assert "parabola in {} of 100 halves, but of the exponential in {} only".format(*noise) in prose
    sign = 100 * scores.sign_held_out
    held = "{:.1f} %, the sum in {:.1f} %, the exponential in {:.1f} %"
    assert held.format(*sign[["chain", "convexity", "exponential"]]) in prose
    whole = scores.sign[["chain", "convexity", "always convex"]]
    assert [f"{share:.2f}" for share in whole] == ["0.96", "0.96", "0.83"]


@pytest.mark.parametrize("cell", [("ours", "dropout"), ("published", "data_noise")])
def test_scores_of_all_cells_are_those_of_fits_made_now(nulls, cell):
    targets = target_curves(*cell)
    scores = null_scores(nulls, *cell)
    known = np.ones(targets.shape[:2], bool)
    for name, fit in undriven_models(targets).items():
        curves, convexities = fit(known)
        right = np.sign(convexities) == np.sign(curve_statistics(targets, "convexity"))
        assert scores.sign[name] == pytest.approx(right.mean(), abs=0.011)
        if np.isfinite(curves).all():
            distances = np.sqrt(((curves - targets) ** 2).mean(-1))
            assert scores["median"][name] == pytest.approx(np.median(distances), abs=1e-3)


def test_the_drive_is_not_needed_and_adds_nothing(driven, prose):
    rivals = ["exponential + parabola", "cubic"]
    for cell in CELLS:
        assert null_verdict(driven, *cell, "driven chain", ["chain"], "within") == "undecided"
        verdict = null_verdict(driven, *cell, "driven chain", rivals, "within")
        assert verdict == ("beaten" if cell[1] == "dropout" else "undecided")
    halves = [ahead(driven, "ours", source, "driven chain", "chain") for source in NOISES]
    named = "in {} (dropout) to {} (learning rate) of 100 halves"
    assert named.format(halves[0], halves[1]) in prose
    assert (min(halves), max(halves)) == (halves[0], halves[1])
    assert ahead(driven, "ours", "dropout", "exponential + parabola", "driven chain") == 100


def test_single_cells_are_fitted_no_better_than_by_rivals(driven, prose):
    share = driven.cells_within.sel(networks="ours").to_pandas()
    rivals = share[["exponential + parabola", "cubic"]].max(axis=1)
    assert (share["driven chain"] <= rivals).all()
    percent = (100 * share).round().astype(int)
    for source, words in (
        ("dropout", "with it {} % of the dropout cells are within 0.03 instead of {} %"),
        ("learning_rate", "and {} % instead of {} % of those of the learning rate"),
    ):
        assert words.format(*percent.loc[source, ["driven chain", "chain"]]) in prose


def test_the_drive_goes_with_the_slope_and_with_the_noise(driven, prose):
    spread = driven[["slope_correlation", "noise_correlation"]].quantile(
        [0.025, 0.5, 0.975], "draw"
    )
    low, middle, _ = spread.slope_correlation.transpose("quantile", ...).values
    assert (low > 0).all()
    assert "rank correlations of {:.2f}, {:.2f}, {:.2f} and {:.2f}".format(*middle) in prose
    low, middle, high = spread.noise_correlation.transpose("quantile", ...).values
    assert "rank correlations of {:.2f}, {:.2f} and {:.2f}, and only".format(*middle) in prose
    assert ((low > -0.3) & (high < 0.3)).tolist() == [False, False, False, True]


def test_the_three_most_nonlinear_rows_agree_with_other_curves_as_well(prose):
    levels = load_committed("dropout").noise.values
    inner = (levels >= 0.05) & (levels <= 0.25)
    targets = target_curves("ours", "dropout")[:3, inner]
    scatter = {}
    for name, table in one_number(8).items():
        rows, _, _ = fitted_cells(targets, table)
        rows = rows - rows.mean(1, keepdims=True)
        scatter[name] = 100 * rows.std(0).mean() / abs(rows[:, -1] - rows[:, 0]).mean()
    words = f"exponents scatter by {scatter['exponential']:.1f} % of what dropout changes them by"
    assert words in prose
    assert f"parabolas by {scatter['chain']:.1f} %, the logarithm" in prose


def test_the_share_of_the_gradient_falls_where_the_drive_is_large(driven, prose):
    table = drive_table(load_committed("gradients"), driven.drive)
    found = table.correlation.drop("within rows")
    words = f"from {found['dropout']:.2f} (dropout) to {found['batch_size']:.2f} (batch size)"
    assert (found.min(), found.max()) == (found["dropout"], found["batch_size"])
    within = f"within the rows it is {table.correlation['within rows']:.2f}"
    assert words.replace("-", "\N{MINUS SIGN}") in prose
    assert within.replace("-", "\N{MINUS SIGN}") in prose
    assert (table.high.drop("within rows") < 0).tolist() == [True, False, False, False]
    assert (table.permutations > 0.05).all()
