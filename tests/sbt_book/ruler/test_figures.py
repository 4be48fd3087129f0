"""The folding ruler in pictures."""

import io

import numpy as np
import pytest
from drawing import drawn, frames_of, legend_of
from PIL import Image

from sbt_book.ruler.diagram import ruler_diagram
from sbt_book.ruler.figures import convexity_of_pulls, pulls, stills
from sbt_book.ruler.pull_film import film
from sbt_utils.mechanics.pulls import quick_and_jerky, slow_and_steady
from sbt_utils.mechanics.ruler import FoldingRuler

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")
RULER = FoldingRuler(sections=6)


@pytest.fixture(scope="module")
def motions():
    hands = {"slow": slow_and_steady(RULER, speed=0.2), "quick": quick_and_jerky(RULER)}
    return {name: RULER.pull(hand, every=5) for name, hand in hands.items()}


def test_stills(motions):
    figure = drawn(stills(motions, count=3))
    assert [axes.get_title() for axes in figure.axes] == ["slow", "quick", "", "", "", ""]
    for axes, motion in zip(figure.axes[-2:], motions.values(), strict=True):
        bars = axes.lines[: 2 * RULER.sections]
        ends = np.array([bar.get_xydata()[-1] for bar in bars[1::2]])
        np.testing.assert_allclose(ends, motion.points[-1, 1:])
        hand = axes.lines[-1].get_xydata()
        np.testing.assert_allclose(hand, motion.points[-1, -1:])
    first, last = (figure.axes[place].texts[0].get_text() for place in (0, 4))
    assert first == "0.00 s"
    moves = motions["slow"].velocities.any(axis=(1, 2))
    assert last == f"{motions['slow'].times[np.flatnonzero(moves)[-1] + 1]:.2f} s"


def test_stills_of_one_motion(motions):
    assert len(drawn(stills({"": motions["slow"]}, count=2)).axes) == 2


def test_pulls(motions):
    figure = drawn(pulls(motions))
    left, right = figure.axes
    assert [label.split(",")[0] for label in legend_of(figure)] == ["slow", "quick"]
    for line, motion in zip(left.lines, motions.values(), strict=True):
        assert line.get_ydata().max() == motion.hand.speeds.max()
        assert line.get_xdata().max() == pytest.approx(1.0)
    for line, motion in zip(right.lines[::2], motions.values(), strict=True):
        curve = motion.load_curve.mean
        np.testing.assert_allclose(line.get_ydata(), curve / curve[0])


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_convexity_of_pulls(seeds):
    cells = ruler_diagram(RULER, [0.2, 0.5, 1.0], [0.0, 0.002], seeds)
    figure = drawn(convexity_of_pulls(cells))
    left, right = figure.axes
    mean = cells.convexity.mean("seed")
    for bars, amplitude in zip(left.containers, cells.amplitude.values, strict=True):
        np.testing.assert_allclose(bars[0].get_ydata(), mean.sel(amplitude=amplitude))
    for bars, speed in zip(right.containers, cells.speed.values, strict=True):
        np.testing.assert_allclose(bars[0].get_ydata(), mean.sel(speed=speed))
    assert legend_of(left) == ["0 mm", "2 mm"]
    assert left.get_xscale() == "log"


def test_long_diagrams_show_five_lines():
    cells = ruler_diagram(RULER, [0.5], np.linspace(0, 0.002, 7), seeds=[0])
    left, right = drawn(convexity_of_pulls(cells)).axes
    assert (len(left.containers), len(right.containers)) == (5, 1)


def test_film(motions):
    data = film(motions["quick"], frames=10)
    with Image.open(io.BytesIO(data)) as gif:
        assert gif.format == "GIF"
        assert gif.n_frames == 10
        assert gif.width == 480
        assert gif.info["loop"] == 0
        assert frames_of(gif)[1] == [500] * 9 + [1000]
    assert data == film(motions["quick"], frames=10)


def test_film_beside_a_network(motions):
    network = np.linspace(1, 0, 8) * np.linspace(0, 1, 5)[:, None]
    data = film(motions["slow"], network, frames=6)
    with Image.open(io.BytesIO(data)) as gif:
        assert gif.n_frames == 6
        assert gif.width == 640


def test_a_film_of_the_book_is_small():
    ruler = FoldingRuler()
    data = film(ruler.pull(quick_and_jerky(ruler), every=5), np.ones((3, 8)))
    assert len(data) < 300_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": np.ones(8)}, r"network: shape \(8,\); give \(states, L \+ 1\)"),
        ({"network": np.full((2, 8), np.nan)}, r"network: shape \(2, 8\); .* without NaN"),
        ({"frames": 1}, r"frames: 1; give at least 2"),
    ],
)
def test_bad_films(motions, arguments, message):
    with pytest.raises(ValueError, match=message):
        film(motions["quick"], **arguments)


def test_bad_stills(motions):
    with pytest.raises(ValueError, match="count: 1; give at least 2 stills"):
        stills(motions, count=1)
