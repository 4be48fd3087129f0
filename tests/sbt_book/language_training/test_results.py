"""The committed results of small language models, and what chapter 11 says of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from sbt_book import language_training as small_models
from sbt_book.common.collapsing import collapse
from sbt_book.common.committed import load_committed
from sbt_book.common.statistics import mean_interval
from sbt_book.language_training import figures, findings
from sbt_book.language_training.settings import DEPTHS, DROPOUTS, SETTINGS, configuration

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")
NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "11_language_models.ipynb"


@pytest.fixture(scope="module")
def found():
    return load_committed("language_training")


@pytest.fixture(scope="module")
def prose():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return " ".join(" ".join("".join(cell["source"]) for cell in cells).split())


def words(row, digits=2):
    """Return a mean and its interval as the chapter writes them."""
    mean, low, high = row
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def interval_of(table, row, *more):
    return table.loc[(row, *more)][["difference", "low", "high"]]


def test_the_file_was_made_by_this_configuration(found):
    made = json.loads(found.attrs["configuration"])
    assert made == json.loads(json.dumps(configuration("small")))
    assert "PSF" in found.attrs["text"]
    for setting, what in SETTINGS.items():
        curves = found.separation.sel(setting=setting)
        assert curves.notnull().any(["seed", "part", "reading"]).sum() == what.depth + 1
    start = found.loss.isel(reading=0)
    assert abs(start - np.log(98)).max() < 0.1  # of 98 characters


def test_noise_bends_as_the_chapter_says(found, prose):
    table = findings.noise_table(found)
    rate, dropout = (table.loc[knob] for knob in ("learning rate", "dropout"))
    columns = ["difference", "low", "high"]
    end, equal = (rate.loc[when, columns] for when in rate.index)
    assert f"rises by {words(end)} at the end and by {words(equal)[:4]}" in prose
    assert words(equal) in prose
    end, equal = (dropout.loc[when, columns] for when in dropout.index)
    assert f"it rises by {words(end)} at the end" in prose
    assert f"at equal training loss {words(equal)} is left" in prose
    assert end.low > 0 > equal.low


def test_the_straightest_is_not_shown_to_be_the_best(found, prose):
    measured, chance = findings.straightest(found)
    assert f"is {words(measured)}; {100 * chance:.0f} % of the permutations" in prose
    assert chance > 0.05
    bent = findings.at_training_loss(found, findings.ALIKE, abs(findings.shape_of(found)))
    assert bent.mean("seed").idxmin("setting") == "rate 0.001"


def test_scaled_norms_lower_the_loss_without_spreading_the_load(found, prose):
    table = findings.scaling_table(found)
    columns = ["difference", "low", "high"]
    for blocks in (6, 12):
        for quantity in ("imbalance", "share of the deeper half"):
            row = table.loc[(blocks, quantity), columns]
            assert row.low < 0 < row.high
            assert f"{row.difference:+.2f} ({row.low:.2f} to {row.high:.2f})".lstrip("+") in prose
        mean, low, high = -table.loc[(blocks, "test loss"), columns]
        assert f"{mean:.3f}" in prose
        assert f"({high:.3f} to {low:.3f})" in prose


def test_depths_do_not_collapse(found, prose):
    ends = {depth: findings.curves_of(found, name)[:, -1] for name, depth in DEPTHS.items()}
    ratio, share = collapse(ends)
    assert f"lie {ratio:.0f} times further apart than chance" in prose
    assert share == 0
    means = findings.depth_table(found).convexity
    assert "0.47, 0.45 and 0.54" in prose
    assert [f"{mean:.2f}" for mean in means] == ["0.47", "0.45", "0.54"]


def test_one_block_does_the_work(found, prose):
    def share_of_first(setting):
        curves = findings.curves_of(found, setting)[:, -1]
        return (curves[:, 0] - curves[:, 1]) / (curves[:, 0] - curves[:, -1])

    mean, low, high = 100 * np.array(mean_interval(share_of_first("base")))
    assert f"does {mean:.0f} % of the work in the base ({low:.0f} to {high:.0f} %)" in prose
    assert f"{100 * share_of_first('rate 0.001').mean():.0f} % at the low learning rate" in prose
    others = [share_of_first(name).mean() for name in SETTINGS if name != "rate 0.001"]
    assert min(others) > 0.89
    law = findings.law_of_residuals(found, "base").mean()
    assert f"is {law:.2f} on average" in prose


def test_steering_stays_away(found, prose):
    assert (found.dropout.sel(setting="steered") == 0).all()
    for name in ("separation", "loss"):
        steered, base = (found[name].sel(setting=one, drop=True) for one in ("steered", "base"))
        assert steered.equals(base)
    read = findings.shape_of(found, curve="from block 1").sel(setting="steered")
    assert read.isel(reading=slice(1, -1)).min() > 0
    assert findings.best_fixed(found) == "base"
    row = findings.steering_table(found).loc["dropout 0.2"]
    mean, low, high = -row[["steered less this", "low", "high"]]
    assert f"{mean:.2f} nats higher ({high:.2f} to {low:.2f})" in prose


def test_figures_show_the_results(found):
    grid = figures.curves_by_knob(found).axes
    assert [len(axes.lines) for axes in grid] == [4, 3, 3, 2]
    ends = findings.curves_of(found, "12 blocks")[:, -1].mean(0)
    assert grid[2].lines[2].get_ydata() == pytest.approx(ends)
    assert len(small_models.convexity_in_training(found).axes[1].lines) == 3
    assert len(small_models.loss_against_convexity(found).axes[0].containers) == 7
    right = small_models.losses_by_dropout(found).axes[1]
    tested = [findings.final_loss(found, name).mean() for name in (*DROPOUTS, "steered")]
    drawn = [float(one.lines[0].get_ydata()[0]) for one in right.containers]
    assert drawn == pytest.approx(tested)
