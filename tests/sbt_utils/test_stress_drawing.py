"""The stress map as a picture: what it shows is what it was given."""

import numpy as np
import pytest
from drawing import drawn, legend_of
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from sbt_utils.drawing import stress_map
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.reporting.stress_map import StressMap

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")


def curve(loads, names=(), spread=0.02):
    rng = np.random.default_rng(0)
    mean = np.r_[np.sum(loads), np.sum(loads) - np.cumsum(loads)]
    noise = spread * rng.normal(size=(60, len(mean)))
    return LoadCurve(mean + noise - noise.mean(0), layers=names)


@pytest.fixture
def stress():
    names = ("images", "stem", "block1", "block2", "head")
    return StressMap(curve([0.5, 0.0, -0.8, 3.0], names), curve([0.5, 0.0, -0.2, 2.0], names))


def members(axes):
    return [patch for patch in axes.patches if type(patch) is Rectangle]


def test_a_member_for_each_layer_with_its_share(stress):
    chain = drawn(stress_map(stress)).axes[0]
    labels = [text.get_text() for text in chain.texts if text.get_text()]
    expected = [*stress.table.share, *stress.table.unseen_share]
    assert [float(label.rstrip("%")) / 100 for label in labels] == pytest.approx(
        expected, abs=0.005
    )
    assert [label.get_text() for label in chain.get_yticklabels()] == ["training", "unseen"]
    for number, member in enumerate(members(chain)):
        assert member.get_x() < number % 4 + 1 < member.get_x() + member.get_width()
        assert member.get_y() < -(number // 4) < member.get_y() + member.get_height()


def test_colours_go_from_little_to_much_around_an_even_share():
    loads = [0.0, 0.5, 1.0, 1.5, 2.0]
    chain = stress_map(StressMap(curve(loads))).axes[0]
    colours = np.array([to_rgb(member.get_facecolor()) for member in members(chain)])
    red, green, blue = colours.T
    assert (np.diff(red - blue) > 0).all()  # ever redder
    assert np.ptp(colours[2]) < 0.05  # an even share is next to white
    assert colours[2].min() > 0.9
    # Told apart in grey as well, on either side of even.
    grey = 0.3 * red + 0.59 * green + 0.11 * blue
    assert grey[2] > grey[1] > grey[0]
    assert grey[2] > grey[3] > grey[4]


def test_states_are_hatched_and_in_the_legend(stress):
    figure = stress_map(stress)
    assert stress.table.state.tolist() == ["", "", "reversed", "overloaded"]
    hatches = [member.get_hatch() for member in members(figure.axes[0])]
    assert hatches[:2] == [None] * 2
    assert len(set(hatches[:4])) == 3
    assert hatches[4:] == [None] * 4
    *kinds, reverse, over = sorted(legend_of(figure), key="tubro".find)
    assert {reverse, over, *kinds} == {
        *("training inputs", "unseen inputs", "reversed", "overloaded")
    }


def test_loads_have_their_intervals_and_an_even_one(stress):
    loads = stress_map(stress).axes[1]
    for bars, prefix in zip(loads.containers, ("", "unseen_"), strict=True):
        line, _, (stems,) = bars
        np.testing.assert_allclose(line.get_ydata(), stress.table[f"{prefix}load"])
        assert np.abs(line.get_xdata() - [1, 2, 3, 4]).max() < 0.3
        ends = np.array([stem[:, 1] for stem in stems.get_segments()])
        np.testing.assert_allclose(ends[:, 0], stress.table[f"{prefix}low"])
        np.testing.assert_allclose(ends[:, 1], stress.table[f"{prefix}high"])
    dashed = [line.get_ydata()[0] for line in loads.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(dashed, [stress.train.loads.mean(), stress.test.loads.mean()])


def test_layers_are_named(stress):
    loads = stress_map(stress).axes[1]
    labels = [label.get_text() for label in loads.get_xticklabels()]
    assert labels == ["1 stem", "2 block1", "3 block2", "4 head"]
    long = ["images", "backbone.stages.0.blocks.3", "backbone.stages.1.blocks.0"]
    labels = stress_map(StressMap(curve([1, 1], long))).axes[1].get_xticklabels()
    assert [label.get_text() for label in labels] == ["1 …es.0.blocks.3", "2 …es.1.blocks.0"]


def test_training_images_alone_and_many_layers():
    figure = drawn(stress_map(StressMap(curve(np.ones(24)))))
    assert len(members(figure.axes[0])) == 24
    assert legend_of(figure) == ["training inputs"]
    assert figure.get_figwidth() <= 14


def test_layers_without_a_load_have_their_state_and_no_number():
    names = ("images", "stem", "block", "head")
    undefined = {"block": "collapsed", "head": "dead"}
    stress = StressMap(curve([1.0]), layers=names, undefined=undefined)
    figure = drawn(stress_map(stress))
    assert [text.get_text() for text in figure.axes[0].texts if text.get_text()] == [
        "100%",
        "?",
        "?",
    ]
    assert len({member.get_hatch() for member in members(figure.axes[0])}) == 3
    assert legend_of(figure) == ["training inputs", "dead", "collapsed"]
    nothing = StressMap(None, layers=names, undefined=dict.fromkeys(names[1:], "dead"))
    figure = drawn(stress_map(nothing))
    assert [text.get_text() for text in figure.axes[0].texts if text.get_text()] == ["?"] * 3


def test_intervals_without_a_width():
    drawn(stress_map(StressMap(curve([0.1, 0.2, 0.3], spread=0))))


def test_a_curve_that_does_not_fall():
    figure = drawn(stress_map(StressMap(curve([-0.5, 0.1]))))
    assert [text.get_text() for text in figure.axes[0].texts if text.get_text()] == ["?", "?"]


def test_names_that_are_no_formulas_and_steer_no_terminal():
    hostile = ["in", "a$\\x{b$", "red \x1b[31m", "long" * 300_000]
    stress = StressMap(curve([1, 0.1, 0.1], hostile))
    labels = [tick.get_text() for tick in stress_map(stress).axes[1].get_xticklabels()]
    assert labels[0] == "1 a$\\x{b$"
    assert not any("\x1b" in label or len(label) > 20 for label in labels)
    drawn(stress_map(stress))
    text = repr(stress) + "".join(advice.text + advice.evidence for advice in stress.advice)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 2000
