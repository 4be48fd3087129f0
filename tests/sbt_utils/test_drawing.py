"""The figures: what they show is what they were given."""

import itertools

import numpy as np
import pytest
import xarray as xr
from drawing import band, drawn, legend_of
from matplotlib.colors import to_rgb

from sbt_book.in_time.figures import convexity_in_time
from sbt_book.law.figures import curves_in_time, digits, feature_clouds
from sbt_utils.drawing import COLOURS, load_curves
from sbt_utils.measuring.curves import LoadCurve

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# Digits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "per_class", "size"), [(2, 3, 4), (10, 12, 10), (1, 1, 1), (30, 12, 3), (3, 5, 28)]
)
def test_digits(rng, classes, per_class, size):
    labels = rng.permutation(np.repeat(np.arange(classes), per_class + 1))
    images = rng.random((len(labels), 1, size, size))
    (axes,) = drawn(digits(images, labels, per_class)).axes
    shown = np.asarray(axes.images[0].get_array())
    step = size + 2
    assert shown.shape == (classes * step, per_class * step)
    for label in range(classes):
        own = [image for image, its in zip(images, labels, strict=True) if its == label]
        for place in range(per_class):
            tile = shown[label * step :, place * step :][1 : size + 1, 1 : size + 1]
            np.testing.assert_array_equal(tile, own[place][0])


@pytest.mark.parametrize("counts", [(3, 5), (5, 3), (2, 2)])
def test_digits_of_classes_with_fewer_images_than_a_row_holds(rng, counts):
    labels = np.repeat([0, 1], counts)
    images = rng.random((len(labels), 1, 4, 4))
    (axes,) = drawn(digits(images, labels, per_class=4)).axes
    shown = np.asarray(axes.images[0].get_array())
    assert len(shown) == 12
    np.testing.assert_array_equal(shown[7:11, 1:5], images[counts[0], 0])


# Clouds --------------------------------------------------------------------------------------


def cloud(axes):
    return np.hstack([line.get_data() for line in axes.lines]).T


@pytest.mark.parametrize("classes", [2, 12])
def test_feature_clouds(rng, classes):
    labels = np.arange(60) % classes
    features = [rng.normal(size=(60, d)) * np.arange(1, d + 1) for d in (2, 40, 3)]
    curve = LoadCurve([[1.5, 0.25, -1.0], [1.5, 0.25, -2.0]])
    figure = drawn(feature_clouds(features, labels, curve, [0, 2]))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["l = 0,  D = 1.50", "l = 2,  D = -1.50"]
    for axes, layer in zip(figure.axes, (0, 2), strict=True):
        assert [line.get_marker() for line in axes.lines] == [f"${c}$" for c in range(classes)]
        assert len({tuple(line.get_color()) for line in axes.lines}) == classes
        # The plane keeps the two largest of the variances.
        largest = np.linalg.eigvalsh(np.cov(features[layer].T))[::-1][:2]
        assert np.sort(cloud(axes).var(0, ddof=1))[::-1] == pytest.approx(largest)
    # From two dimensions to two: all distances stay.
    ordered = np.vstack([features[0][labels == c] for c in range(classes)])
    for points in (ordered, cloud(figure.axes[0])):
        points -= points.mean(0)
    shown = cloud(figure.axes[0])
    shown -= shown.mean(0)
    np.testing.assert_allclose(shown @ shown.T, ordered @ ordered.T, atol=1e-10)


def test_feature_clouds_of_one_unit(rng):
    features, labels = rng.normal(size=(6, 1)), np.array([0, 1] * 3)
    figure = drawn(feature_clouds([features] * 2, labels, LoadCurve([1.0, 0.0]), [1]))
    ordered = np.concatenate([features[labels == c] for c in (0, 1)])
    distances = abs(ordered - ordered.T)
    shown = cloud(figure.axes[0])
    assert np.linalg.norm(shown[:, None] - shown, axis=-1) == pytest.approx(distances)


# Load curves ---------------------------------------------------------------------------------


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
        assert line.get_ydata() == pytest.approx((mean - min(mean)) / (max(mean) - min(mean)))
    assert np.transpose(chord.get_data()).tolist() == [[0, 1], [7, 0]]
    # A band of one sample standard deviation, for the curve with repeats alone.
    (collection,) = left.collections
    rows = curves["seeds"].separation
    expected = [rows.mean(0) + sign * rows.std(0, ddof=1) for sign in (-1, 1)]
    np.testing.assert_allclose(band(collection), expected)


def test_load_curves_without_a_shape():
    drawn(load_curves({"constant": LoadCurve([1.0, 1.0, 1.0])}))


def test_many_load_curves_are_told_apart(rng):
    curves = {f"width {n}": LoadCurve(rng.normal(size=(2, 4))) for n in range(12)}
    figure = drawn(load_curves(curves))
    assert legend_of(figure) == list(curves)
    looks = {(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
    assert len(looks) == 12


# Curves in time ------------------------------------------------------------------------------


@pytest.mark.parametrize(("epochs", "every"), [(1, 1), (6, 2), (500, 100)])
def test_curves_in_time(rng, epochs, every):
    probes = np.arange(0, epochs + 1, every)
    history = xr.Dataset(
        {
            "separation": (("probe_epoch", "layer"), rng.normal(size=(len(probes), 5))),
            "loss": ("epoch", rng.random(epochs) + 0.1),
        },
        {"probe_epoch": probes, "epoch": np.arange(1, epochs + 1)},
    )
    left, right = drawn(curves_in_time(history)).axes
    assert [line.get_label() for line in left.lines] == [f"epoch {n}" for n in probes]
    for line, curve in zip(left.lines, history.separation.values, strict=True):
        assert line.get_ydata() == pytest.approx(curve)
    loss, *dots = right.lines
    assert loss.get_xdata() == pytest.approx(np.arange(1, epochs + 1))
    assert loss.get_ydata() == pytest.approx(history.loss.values)
    assert right.get_yscale() == "log"
    # A dot at each probe, in the colour of its curve; before training there is no loss.
    for dot, line, epoch in zip(dots, left.lines[1:], probes[1:], strict=True):
        assert np.ravel(dot.get_data()) == pytest.approx([epoch, history.loss.values[epoch - 1]])
        assert tuple(dot.get_color()) == tuple(line.get_color())


def test_curves_in_time_of_a_member_that_stopped(rng):
    history = xr.Dataset(
        {
            "separation": (("probe_epoch", "layer"), [[1.0, 1.0], [1.0, 0.0], [np.nan] * 2]),
            "loss": ("epoch", [1.0, 0.5, np.nan, np.nan]),
        },
        {"probe_epoch": [0, 2, 4], "epoch": [1, 2, 3, 4]},
    )
    drawn(curves_in_time(history))


def test_convexity_in_time_leaves_out_what_does_not_fall(rng):
    curves = 1 - np.linspace(0, 1, 8) + rng.normal(0, 0.05, (2, 4, 8))
    curves[0, 0] = 1.0
    history = xr.Dataset(
        {"separation": (("member", "probe_epoch", "layer"), curves)},
        {"probe_epoch": [0, 5, 10, 15]},
    )
    (axes,) = drawn(convexity_in_time({"first": history, "second": history})).axes
    for line, label in zip(axes.lines, ["first", "second"], strict=True):
        each = [[LoadCurve(curve).convexity for curve in member] for member in curves[:, 1:]]
        assert line.get_label() == label
        assert line.get_xdata() == pytest.approx([5, 10, 15])
        assert line.get_ydata() == pytest.approx(np.mean(each, axis=0))


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
