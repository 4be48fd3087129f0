"""The figures of the law: what they show is what they were given."""

import numpy as np
import pytest
import xarray as xr
from drawing import drawn

from sbt_book.law.figures import curves_in_time, digits, feature_clouds, law_by_protocol
from sbt_utils.measuring.curves import LoadCurve

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")


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
        members = images[labels == label]
        for place in range(per_class):
            tile = shown[label * step :, place * step :][1 : size + 1, 1 : size + 1]
            np.testing.assert_array_equal(tile, members[place][0])


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


# The law by its own protocol -----------------------------------------------------------------


def test_law_by_protocol(rng):
    dims = ("run", "statistics", "measure", "seed", "layer")
    values = rng.normal(size=(3, 2, 2, 4, 6))
    values[0, ..., 4:] = np.nan  # a run of four layers among those of six
    found = xr.Dataset(
        {"separation": (dims, values)},
        {
            "statistics": ["batch", "running"],
            "measure": ["trace", "fuzziness"],
            "seed": range(4),
            "depth": ("run", [4, 6, 6]),
            "optimizer": ("run", ["sgd", "sgd", "adam"]),
            "rate": ("run", [0.3, 0.1, 0.01]),
            "frozen": ("run", [0, 0, 1]),
        },
    )
    left, right = drawn(law_by_protocol(found)).axes
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == ["4 layers, sgd", "6 layers, sgd", "6 layers, adam, frozen"]
    _, *pairs = left.lines
    for run, (band, dots) in enumerate(zip(pairs[::2], pairs[1::2], strict=True)):
        depth = (4, 6, 6)[run]
        r = [np.corrcoef(range(depth), curve[:depth])[0, 1] for curve in values[run, 0, 1]]
        assert dots.get_xdata() == pytest.approx(np.abs(r))
        assert np.all(np.ravel(dots.get_ydata()) == run)
        assert 0.8 < band.get_xdata()[0] < band.get_xdata()[1] < 1
    assert pairs[1].get_color() == pairs[3].get_color() != pairs[5].get_color()
    assert [line.get_label() for line in right.lines] == ["sgd", "adam, frozen"]
    for run, line in enumerate(right.lines, 1):
        assert line.get_ydata() == pytest.approx(values[run, 0, 1].mean(0))
