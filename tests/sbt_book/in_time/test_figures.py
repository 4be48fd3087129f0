"""Figures and films of load curves on their way: what they show is what they were given."""

import io
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from drawing import drawn, frames_of
from matplotlib.figure import Figure
from PIL import Image

from sbt_book.common.films import gif
from sbt_book.in_time.figures import (
    convexity_in_time,
    curves_over_epochs,
    film_over_epochs,
    switched_on_and_off,
)
from sbt_utils.measuring.curves import LoadCurve

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")

EPOCHS = [0, 5, 10, 20]
DIMS = ("member", "probe_epoch", "layer")


@pytest.fixture
def histories(rng):
    return {
        name: xr.Dataset(
            {"separation": (DIMS, rng.normal(size=(3, 4, 6)))}, {"probe_epoch": EPOCHS}
        )
        for name in ("lazy", "active")
    }


def luminance(colour):
    red, green, blue = mpl.colors.to_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_curves_over_epochs(histories):
    *panels, bar = drawn(curves_over_epochs(histories)).axes
    assert [axes.get_title() for axes in panels] == list(histories)
    assert bar.get_ylabel() == "epoch"
    assert bar.get_ylim() == (0, 20)
    for axes, history in zip(panels, histories.values(), strict=True):
        *curves, chord = axes.lines
        for line, curve in zip(curves, history.separation.values.mean(0), strict=True):
            assert line.get_ydata() == pytest.approx(curve)
            assert axes.get_ylim()[0] < min(curve) <= max(curve) < axes.get_ylim()[1]
        shades = [luminance(line.get_color()) for line in curves]
        assert shades == sorted(shades)
        assert np.transpose(chord.get_data()) == pytest.approx(
            np.array([[0, curve[0]], [5, curve[-1]]])
        )
    assert panels[0].get_ylim() == panels[1].get_ylim()


def test_a_colour_is_an_epoch_in_every_panel(histories):
    histories["short"] = histories["lazy"].isel(probe_epoch=slice(3))
    *panels, _ = drawn(curves_over_epochs(histories)).axes
    colours = [[line.get_color() for line in axes.lines[:3]] for axes in panels]
    assert colours[0] == colours[1] == colours[2]


def test_film_over_epochs(histories):
    data = film_over_epochs(histories)
    with Image.open(io.BytesIO(data)) as film:
        assert film.size == (480, 290)
        assert film.n_frames == 4
        assert film.info["loop"] == 0
        frames, pauses = frames_of(film)
    assert pauses == [1250, 1250, 1250, 1000]
    assert all((abs(a - b) > 40).any() for a, b in pairwise(frames))
    assert data == film_over_epochs(histories)


def test_a_film_of_the_book_is_small(rng):
    falls = np.linspace(0, 1, 8) * np.linspace(0, 4, 21)[:, None]
    history = xr.Dataset(
        {"separation": (DIMS, 1 - falls[None] + rng.normal(0, 0.1, (3, 21, 8)))},
        {"probe_epoch": 5 * np.arange(21)},
    )
    film = film_over_epochs({"no dropout": history, "dropout 0.1": history, "dropout 0.3": history})
    assert len(film) < 400_000


def test_gif_shows_each_frame_and_keeps_the_layout():
    figure = Figure(figsize=(2, 1), dpi=50, layout="constrained")
    axes = figure.add_subplot(xticks=[], yticks=[])
    asked, places = [], []

    def show(number):
        asked.append(number)
        axes.set_facecolor(["black", "white", "black"][number])
        axes.set_title("high\n" * number)
        places.append(axes.get_position().bounds)

    with Image.open(io.BytesIO(gif(figure, show, frames=3, seconds=0.3))) as film:
        middles = [frame[30, 50] for frame in frames_of(film)[0]]
    assert asked == [0, 1, 2]
    assert [round(middle / 255) for middle in middles] == [0, 1, 0]
    assert places[1] == places[2]


def test_switched_on_and_off():
    rng = np.random.default_rng(1)
    curves = 1 - np.linspace(0, 1, 6) + rng.normal(0, 0.03, (4, 5, 6))
    curves[2, 0] = 1.0  # does not fall yet
    network = xr.DataArray(curves, {"time": [0, 10, 20, 30, 40]}, ("member", "time", "layer"))
    chains = {name: network[:, 1:].assign_coords(time=[70, 140, 210, 280]) for name in ("a", "b")}
    left, right = drawn(switched_on_and_off(network, chains, (10, 30), pace=7.0)).axes
    assert right.get_legend_handles_labels()[1] == ["a", "b"]
    expected = np.mean(
        [[LoadCurve(curve).convexity for curve in member] for member in curves[:, 1:]], axis=0
    )
    assert left.lines[0].get_xdata() == pytest.approx([10, 20, 30, 40])
    for line in (left.lines[0], *right.lines[:2]):
        assert line.get_ydata() == pytest.approx(expected)
    for axes, word, scale in ((left, "no dropout", 1), (right, "no shaking", 7)):
        (words,) = axes.texts
        assert words.get_text() == word
        assert words.get_position()[0] == 20 * scale
        assert [line.get_xdata()[0] for line in axes.lines[-2:]] == [10 * scale, 30 * scale]


def test_convexity_in_time_leaves_out_what_does_not_fall(rng):
    curves = 1 - np.linspace(0, 1, 8) + rng.normal(0, 0.05, (2, 4, 8))
    curves[0, 0] = 1.0
    history = xr.Dataset({"separation": (DIMS, curves)}, {"probe_epoch": [0, 5, 10, 15]})
    (axes,) = drawn(convexity_in_time({"first": history, "second": history})).axes
    for line, label in zip(axes.lines, ["first", "second"], strict=True):
        expected = [[LoadCurve(curve).convexity for curve in member] for member in curves[:, 1:]]
        assert line.get_label() == label
        assert line.get_xdata() == pytest.approx([5, 10, 15])
        assert line.get_ydata() == pytest.approx(np.mean(expected, axis=0))
