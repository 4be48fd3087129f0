"""Figures of trained models, on what was saved."""

import numpy as np
import pytest
from drawing import drawn, legend_of

from sbt_book.common.committed import load_committed
from sbt_book.trained_models.experiment import stress_of
from sbt_book.trained_models.figures import MAPS, can_it_go, load_curves_at_a_glance
from sbt_book.trained_models.removal_costs import cost_table

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")


@pytest.fixture(scope="module")
def saved():
    return load_committed("trained_models")


def test_load_curves_at_a_glance(saved):
    figure = drawn(load_curves_at_a_glance(saved))
    assert legend_of(figure) == ["first part", "second part", "equal loads", "shuffled labels"]
    for axes, (title, place) in zip(figure.axes, MAPS.items(), strict=True):
        stress = stress_of(saved, *place)
        assert (
            axes.get_title() == f"{title}\n{stress.regime}, convexity {stress.train.convexity:.2f}"
        )
        first, second, chord, *chance = axes.lines
        assert first.get_ydata() == pytest.approx(stress.train.mean)
        assert second.get_ydata() == pytest.approx(stress.test.mean)
        assert chord.get_ydata() == pytest.approx(stress.train.mean[[0, -1]])
        for line, samples in zip(chance, stress.images, strict=True):
            expected = np.log((samples - stress.classes[0]) / (stress.classes[0] - 1))
            assert line.get_ydata()[0] == pytest.approx(expected)


def test_can_it_go(saved):
    figure = drawn(can_it_go(saved))
    words = ["block influence", "cannot be skipped", "cost of removal, in nats"]
    assert sorted(legend_of(figure)) == words
    for axes, model in zip(figure.axes, saved.model.values, strict=True):
        table = cost_table(saved, model)
        dear = table[table.cost > 0]
        assert axes.get_title() == model
        assert axes.get_yscale() == "log"
        (bars,) = axes.containers
        line, _, (stems,) = bars
        assert line.get_ydata() == pytest.approx(dear.cost.values)
        assert line.get_xdata() + 0.1 == pytest.approx(dear.index.values)
        tops = [stem[:, 1].max() for stem in stems.get_segments()]
        assert tops == pytest.approx(dear.high.values)
        influence = next(one for one in axes.lines if one.get_label() == "block influence")
        assert influence.get_ydata() == pytest.approx(table.influence.values)
        skipped = [patch.get_x() + 0.4 for patch in axes.patches]
        layers = int((saved.name.sel(model=model) != "").sum()) - 1
        assert sorted(np.round(skipped)) == [
            n for n in range(1, layers + 1) if n not in table.index
        ]


def test_a_block_that_costs_nothing_is_hollow(saved):
    cheap = saved.copy(deep=True)
    place = {"model": "sentence encoder", "layer": 3}
    cheap.loss_without.loc[place] = saved.loss.sel(model="sentence encoder") - 0.01
    axes = drawn(can_it_go(cheap)).axes[1]
    hollow = next(line for line in axes.lines if line.get_markerfacecolor() == "none")
    assert hollow.get_xdata().tolist() == [3]
    (bars,) = axes.containers
    assert bars[0].get_xdata() + 0.1 == pytest.approx([1, 2, 4, 5, 6])
