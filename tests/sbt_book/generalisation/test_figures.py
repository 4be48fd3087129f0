"""Figures of shape and accuracy."""

import numpy as np
import pytest
import xarray as xr
from diagram_data import diagram
from drawing import drawn, legend_of
from scipy.stats import spearmanr

from sbt_book.common.noise_axes import NOISES
from sbt_book.generalisation.correlations import networks_of
from sbt_book.generalisation.figures import (
    accuracy_and_shape,
    correlations_held_fixed,
    prediction_in_time,
    shape_in_time,
    within_cells,
)

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")


@pytest.fixture
def networks(rng):
    levels = {"dropout": (0.0, 0.1, 0.2), "batch_size": (5, 40, 2560, 640)}
    return {
        name: networks_of(diagram(rng, noises, (0.0, 0.4), seeds=5))
        for name, noises in levels.items()
    }


def intervals(rng, **coords):
    """Return made-up estimates with their intervals."""
    low, value, high = np.sort(rng.uniform(-1, 1, size=(3, *map(len, coords.values()))), axis=0)
    return xr.Dataset(
        {"low": (list(coords), low), "value": (list(coords), value), "high": (list(coords), high)},
        coords,
    )


def test_correlations_held_fixed():
    rng = np.random.default_rng(1)
    names, words = ["bend", "loss"], ["nothing held fixed", "at one α"]
    tables = {each: intervals(rng, source=list(NOISES), predictor=names) for each in words}
    figure = drawn(correlations_held_fixed(tables))
    assert legend_of(figure) == names
    for axes, (title, table) in zip(figure.axes, tables.items(), strict=True):
        assert axes.get_title() == title
        assert [text.get_text() for text in axes.get_yticklabels()] == [
            noise.label for noise in NOISES.values()
        ]
        for bars, name in zip(axes.containers, names, strict=True):
            line, _, (stems,) = bars
            estimates = table.sel(predictor=name)
            assert line.get_xdata() == pytest.approx(estimates.value.values)
            assert np.round(line.get_ydata()).tolist() == [0, 1, 2, 3]
            ends = np.array([stem[:, 0] for stem in stems.get_segments()])
            assert ends == pytest.approx(np.stack([estimates.low, estimates.high], axis=1))


def test_within_cells(networks):
    figure = drawn(within_cells(networks))
    assert [axes.get_title() for axes in figure.axes] == [NOISES[name].label for name in networks]
    for axes, each in zip(figure.axes, networks.values(), strict=True):
        dots = axes.lines[1]
        shown = dict(zip(*dots.get_data(), strict=True))
        assert len(shown) == each.sizes["noise"] * each.sizes["slope"]
        regimes = {"lazy": [], "equiseparated": [], "active": []}
        for _, row in each.groupby("noise"):
            for place in range(each.sizes["slope"]):
                cell = row.squeeze("noise").isel(slope=place)
                shape = cell.convexity.mean().item()
                expected = spearmanr(cell.convexity, cell.accuracy).statistic
                assert shown[shape] == pytest.approx(expected)
                regime = (
                    "equiseparated" if abs(shape) <= 0.05 else "active" if shape > 0 else "lazy"
                )
                regimes[regime].append(expected)
        means = [np.mean(shape) for shape in regimes.values() if len(shape) > 1]
        bars = [container.lines[0].get_ydata()[0] for container in axes.containers]
        assert bars == pytest.approx(means)


def test_accuracy_and_shape(networks):
    family = networks["dropout"].isel(slope=0)
    figure = drawn(accuracy_and_shape({"ReLU": family}, "dropout p", images=1000))
    assert legend_of(figure) == ["levels of dropout p"]
    (axes,) = figure.axes
    mean = family.mean("seed")
    assert axes.lines[0].get_xdata() == pytest.approx(mean.convexity.values)
    assert axes.lines[0].get_ydata() == pytest.approx(100 * mean.accuracy.values)
    for level, bars in enumerate(axes.containers):
        line, _, (stems,) = bars
        accuracy = family.accuracy[level].values
        assert line.get_xdata() == pytest.approx(family.convexity[level].values)
        assert line.get_ydata() == pytest.approx(100 * accuracy)
        half = [np.ptp(stem[:, 1]) / 2 for stem in stems.get_segments()]
        assert half == pytest.approx(100 * np.sqrt(accuracy * (1 - accuracy) / 1000))
    places = {abs(mean.convexity).argmin("noise").item(), mean.accuracy.argmax("noise").item(), 2}
    written = {text.get_text() for text in axes.texts}
    assert written == {f"{family.noise.values[place]:g}" for place in places}


def test_a_level_without_any_curve(networks):
    family = networks["dropout"].isel(slope=0)
    drawn(accuracy_and_shape({"ReLU": family.where(family.noise < 0.2)}, "dropout p"))
    drawn(within_cells({"dropout": networks["dropout"].where(False)}))


def test_shape_in_time(networks):
    family = networks["dropout"].rename(slope="checkpoint").assign_coords(checkpoint=[100, 200])
    figure = drawn(shape_in_time(family, "dropout p"))
    assert legend_of(figure) == ["0", "0.1", "0.2"]
    for axes, name, scale in zip(figure.axes, ("convexity", "accuracy"), (1, 100), strict=True):
        for line, (_, level) in zip(axes.lines, family[name].groupby("noise"), strict=True):
            assert line.get_xdata().tolist() == [100, 200]
            expected = scale * level.squeeze("noise").mean("seed").values
            assert line.get_ydata() == pytest.approx(expected)
        for band, (_, level) in zip(axes.collections, family[name].groupby("noise"), strict=True):
            epochs, heights = band.get_paths()[0].vertices.T
            for epoch in (100, 200):
                networks = scale * level.sel(checkpoint=epoch).values
                here = heights[epochs == epoch]
                assert (here.min(), here.max()) == pytest.approx((networks.min(), networks.max()))


def test_levels_that_never_had_a_curve_are_left_out(networks):
    family = networks["dropout"].rename(slope="checkpoint").assign_coords(checkpoint=[100, 200])
    family = family.where(family.noise != 0.1)
    family.convexity[0, 0] = -3.0
    figure = drawn(shape_in_time(family, "dropout p"))
    assert legend_of(figure) == ["0", "0.2"]
    assert figure.axes[0].get_ylim()[0] == -1


def test_prediction_in_time():
    rng, epochs, names = np.random.default_rng(2), [1, 10, 100], ["bend", "loss", "sharpness"]
    tables = {each: intervals(rng, predictor=names, checkpoint=epochs) for each in ("all", "one")}
    figure = drawn(prediction_in_time(tables))
    assert legend_of(figure) == names
    for axes, (title, table) in zip(figure.axes, tables.items(), strict=True):
        assert axes.get_title() == title
        assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "10", "100"]
        for line, shade, name in zip(axes.lines[1:], axes.collections, names, strict=True):
            row = table.sel(predictor=name)
            assert line.get_ydata() == pytest.approx(row.value.values)
            vertices = shade.get_paths()[0].vertices
            for epoch, low, high in zip(epochs, row.low.values, row.high.values, strict=True):
                edges = vertices[vertices[:, 0] == epoch, 1]
                assert (edges.min(), edges.max()) == pytest.approx((low, high))


def test_the_networks_are_left_alone(networks):
    before = {name: each.copy(deep=True) for name, each in networks.items()}
    within_cells(networks)
    accuracy_and_shape({"ReLU": networks["dropout"].isel(slope=0)}, "dropout p")
    for name, each in networks.items():
        xr.testing.assert_identical(each, before[name])
