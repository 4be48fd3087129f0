"""Load curves as pictures: what they show is what they were given."""

import itertools

import numpy as np
import pytest
from curves import scaled
from drawing import band, drawn, legend_of
from matplotlib.colors import to_rgb

from sbt_utils.drawing import COLOURS, load_curves
from sbt_utils.measuring.curves import LoadCurve

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")


def test_load_curves(rng):
    curves = {
        "seeds": LoadCurve(rng.normal(size=(3, 8))),
        "chain": LoadCurve([4.0, 1.0, 0.0]),
        "pair": LoadCurve([2.0, 3.0]),
    }
    figure = drawn(load_curves(curves, xlabel="block"))
    left, right = figure.axes
    assert {left.get_xlabel(), right.get_xlabel()} == {"block"}
    assert legend_of(figure) == list(curves)
    assert len(left.lines) == 3
    for line, curve in zip(left.lines, curves.values(), strict=True):
        rows = np.atleast_2d(curve.separation)
        assert line.get_xdata() == pytest.approx(np.arange(rows.shape[1]))
        assert line.get_ydata() == pytest.approx(sum(rows) / len(rows))
    *shapes, chord = right.lines
    for line, curve in zip(shapes, curves.values(), strict=True):
        mean = np.atleast_2d(curve.separation).mean(0)
        assert line.get_ydata() == pytest.approx(scaled(mean))
    assert np.transpose(chord.get_data()).tolist() == [[0, 1], [7, 0]]
    # A band of one sample standard deviation, for the curve with repeats alone.
    (collection,) = left.collections
    rows = curves["seeds"].separation
    expected = [rows.mean(0) + sign * rows.std(0, ddof=1) for sign in (-1, 1)]
    np.testing.assert_allclose(band(collection), expected)


def test_load_curves_without_a_shape():
    drawn(load_curves({"constant": LoadCurve([1.0, 1.0, 1.0])}))


def test_labels_are_shown_whatever_they_begin_with_and_hold():
    curve = LoadCurve([2.0, 1.0, 0.0])
    figure = drawn(load_curves({"_hidden": curve, "a\x1b[31m": curve, "b\ud800": curve}, "\0"))
    assert legend_of(figure) == ["_hidden", r"a\x1b[31m", r"b\ud800"]
    assert figure.axes[0].get_xlabel() == r"\x00"
    with pytest.raises(ValueError, match="curves: none given; give at least one, under its label"):
        load_curves({})


def test_many_load_curves_are_told_apart(rng):
    curves = {f"width {n}": LoadCurve(rng.normal(size=(2, 4))) for n in range(12)}
    figure = drawn(load_curves(curves))
    assert legend_of(figure) == list(curves)
    looks = {(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
    assert len(looks) == 12


# Colours -------------------------------------------------------------------------------------

# Machado, Oliveira & Fernandes (2009), severity 1, on linear RGB.
SIGHT = {
    "full": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
# From linear RGB to XYZ over that of white.
XYZ = np.array([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]])


@pytest.mark.parametrize("sight", SIGHT)
def test_the_colours_are_told_apart(sight):
    encoded = np.array([to_rgb(colour) for colour in COLOURS])
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(np.clip(linear @ np.transpose(SIGHT[sight]), 0, 1) @ XYZ.T).T
    lab = np.transpose([116 * y - 16, 500 * (x - y), 200 * (y - z)])
    # A difference of 2.3 is just noticed.
    for first, second in itertools.combinations(range(len(COLOURS)), 2):
        assert np.linalg.norm(lab[first] - lab[second]) > 12, (COLOURS[first], COLOURS[second])
