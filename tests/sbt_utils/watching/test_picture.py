"""The picture of the curves so far."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sbt_utils.drawing import COLOURS
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.watching.picture import MOST_EARLIER, as_pixels, drawn_readings
from sbt_utils.watching.readings import CurveReading

NAMES = ("images", "one", "a_$very$_long_name_of_a_layer", "three")


def reading(step, curve=(3.0, 2.5, 1.0, 0.5), undefined=None):
    names = tuple(name for name in NAMES if name not in (undefined or {}))
    return CurveReading(step, NAMES, LoadCurve(curve, layers=names), undefined or {})


@pytest.mark.usefixtures("matplotlib_untouched")
def test_the_last_curve_stands_out_and_earlier_ones_are_faint():
    earlier = [reading(step, (3.0, 2.9, 2.8, 2.7 - step / 1000)) for step in range(0, 1000, 10)]
    lost = CurveReading(1000, problem="features: NaN")
    figure = drawn_readings([*earlier, lost, reading(1010)])
    (axes,) = figure.axes
    *faint, last, most = axes.lines
    assert len(faint) == MOST_EARLIER
    greys = [to_rgb(line.get_color())[0] for line in faint]
    assert greys == sorted(greys, reverse=True)
    assert min(greys) > 0.5
    assert faint[0].get_ydata()[-1] == earlier[0].curve.mean[-1]
    assert faint[-1].get_ydata()[-1] == earlier[-1].curve.mean[-1]
    assert last.get_color() == COLOURS[0]
    np.testing.assert_array_equal(last.get_ydata(), [3.0, 2.5, 1.0, 0.5])
    np.testing.assert_array_equal(last.get_xdata(), range(4))
    assert most.get_color() == COLOURS[1]
    np.testing.assert_array_equal(most.get_xdata(), [1, 2])
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[:2] == ["from step 0", "step 1010"]
    assert words[2].startswith("most load: 2 a_$very$")
    assert axes.get_title() == "equiseparated, convexity 0.000"


def test_layers_without_a_d_are_named_and_passed_over():
    figure = drawn_readings([reading(0, (3.0, 2.0, 1.5), {NAMES[2]: "dead"})])
    (axes,) = figure.axes
    last, most = axes.lines
    np.testing.assert_array_equal(last.get_xdata(), [0, 1, 3])
    np.testing.assert_array_equal(most.get_xdata(), [0, 1])
    assert "no D of" in axes.get_xlabel()


def test_a_curve_that_does_not_fall_has_no_most_loaded_layer():
    (axes,) = drawn_readings([reading(0, (1.0, 2.0, 1.5, 1.5))]).axes
    assert len(axes.lines) == 1
    assert axes.get_title() == "unresolved"


@pytest.mark.usefixtures("matplotlib_untouched")
def test_pixels_are_those_of_the_figure():
    figure = drawn_readings([reading(0)])
    pixels = as_pixels(figure)
    width, height = figure.get_size_inches() * figure.dpi
    assert pixels.shape == (round(height), round(width), 3)
    assert pixels.dtype == np.uint8
    assert (pixels[0, 0] == 255).all()
    blue = np.array(to_rgb(COLOURS[0])) * 255
    assert (abs(pixels - blue).max(2) < 2).sum() > 100
