"""The committed results: made as the code says, and drawn as they are."""

import json

import numpy as np
import pytest

import sbt_utils as sbt
from sbt_book.common.committed import load_committed
from sbt_book.friction import chains, experiment, figures, loops
from sbt_book.friction.cycling import swing

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")


@pytest.fixture(scope="module")
def found():
    return load_committed("friction")


def test_the_file_was_made_by_this_configuration(found):
    made = json.loads(found.attrs["configuration"])
    assert made == json.loads(json.dumps(experiment.CONFIGURATION))
    for name in ("pushed", "descended", "before", "read", "chain_pushed"):
        assert found[name].notnull().all(), name
    for name in ("cycled", "cycled_again", "held", "chain_cycled"):
        assert found[name].notnull().all(), name


def test_its_chains_come_out_again(found):
    force = [found.force.values[0]]
    again = chains.pushed_chains(force, 4, [0.04], [0.03], [3])
    expected = found.chain_pushed.sel(slope=0, noise=0.03, seed=3, force=force)
    assert again.ravel() == pytest.approx(expected.values, rel=1e-6)


def test_its_networks_have_the_regimes_of_the_published_ones(found):
    curves = found.before.sel(slope=0).mean("seed").transpose("dropout", "layer").values
    regimes = [sbt.LoadCurve(curve).regime for curve in curves]
    assert (regimes[0], regimes[2]) == ("lazy", "active")


def test_figures_show_the_results(found):
    pushed = figures.push_figure(found)
    assert len(pushed.axes) == 6
    assert all(len(axes.lines) == 5 for axes in pushed.axes)  # four slopes and no force
    line = pushed.axes[1].lines[3]  # a chain without friction
    assert line.get_ydata() == pytest.approx(np.ones(8), abs=1e-2)
    drawn = figures.loops_figure(found)
    area = loops.areas(loops.cycles(found, "networks")).mean("seed")
    assert drawn.axes[4].lines[0].get_ydata() == pytest.approx(area.values)
    swings = loops.loop_table(found)[["swing_fast", "swing_slow"]].values[0]
    assert drawn.axes[2].lines[0].get_ydata()[[0, -1]] == pytest.approx(swings)
    shaken = figures.mark_figure(found).axes[0].lines[0]
    assert shaken.get_ydata() == pytest.approx(found.held[0].mean("seed").values)
    assert len(figures.mobility_figure(found).axes) == 4
    assert len(figures.jerks_figure(found).axes[0].lines) == 6


def test_age_does_not_widen_the_fastest_loop(found):
    first = swing(loops.cycles(found, "networks").mean("seed").isel(period=0).values)
    again = swing(found.cycled_again.mean("seed").values)
    assert again < first < 0.01
