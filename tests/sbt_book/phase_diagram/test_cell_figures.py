"""Single cells, large: what is shown is what was given."""

import numpy as np
import pytest
import xarray as xr
from curves import scaled
from diagram_data import diagram, published_cells
from drawing import band, drawn, legend_of

from sbt_book.phase_diagram.cell_figures import (
    cells_compared,
    diagram_excerpt,
    seeds_apart,
    train_and_test,
    worst_cells,
    worst_of_each,
)
from sbt_book.phase_diagram.published import compare

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")


def lines(axes):
    return {line.get_label(): line.get_ydata() for line in axes.lines}


# The excerpt ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slopes", "levels", "seeds"),
    [
        ([0.2], [0.1], 1),
        ([0.0, 1.0], [0.0, 0.04, 0.28], 3),
        ([0.0], [0.0, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 2),
        ([0.0, 0.2, 0.4, 0.6, 1.0], [0.1], 1),
        # Not in order: the figure has an order of its own.
        ([0.6, 0.2], [0.28, 0.0, 0.12], 2),
    ],
    ids=["one cell", "block", "row", "column", "unordered"],
)
def test_diagram_excerpt(rng, slopes, levels, seeds):
    ours = diagram(rng, levels, slopes, seeds)
    published = published_cells(rng, ours)
    figure = drawn(diagram_excerpt(ours, published))
    assert legend_of(figure) == ["published", "this companion"]
    assert len(figure.axes) == len(slopes) * len(levels)
    grid = np.reshape(figure.axes, (len(slopes), len(levels)))
    assert [row[0].get_ylabel() for row in grid] == [f"α = {s:g}" for s in sorted(slopes)]
    assert [axes.get_xlabel() for axes in grid[-1]] == [f"p = {p:g}" for p in sorted(levels)[::-1]]
    for row, slope in zip(grid, sorted(slopes), strict=True):
        for axes, noise in zip(row, sorted(levels)[::-1], strict=True):
            cell = {"slope": slope, "noise": noise}
            theirs, ours_drawn = (line.get_ydata() for line in axes.lines)
            assert theirs == pytest.approx(published.curve.sel(cell).values)
            rows = ours.separation_train.sel(cell).values
            mean = rows.mean(0)
            assert ours_drawn == pytest.approx(scaled(mean))
            assert axes.get_title() == f"{ours.accuracy_test.sel(cell).values.mean():.1%}"
            assert len(axes.collections) == (seeds > 1)
            if seeds > 1:
                spread = rows.std(0, ddof=1) / (max(mean) - min(mean))
                expected = [scaled(mean) - spread, scaled(mean) + spread]
                np.testing.assert_allclose(band(axes.collections[0]), expected)


def test_the_ground_is_the_darker_the_lower_the_accuracy(rng):
    ours = diagram(rng, [0.0, 0.1, 0.2], [0.0, 0.5, 1.0])
    published = published_cells(rng, ours)
    figure = diagram_excerpt(ours, published)
    accuracy = ours.accuracy_test.mean("seed").transpose("slope", "noise").values[:, ::-1].ravel()
    brightness = np.array([sum(axes.get_facecolor()[:3]) for axes in figure.axes])
    assert np.argsort(brightness).tolist() == np.argsort(accuracy).tolist()


def test_the_data_handed_in_are_left_alone(rng):
    ours = diagram(rng, [0.0, 0.1], [0.0])
    published = published_cells(rng, ours)
    before = ours.copy(deep=True), published.copy(deep=True)
    diagram_excerpt(ours, published)
    xr.testing.assert_identical(ours, before[0])
    xr.testing.assert_identical(published, before[1])


def test_a_cell_with_collapsed_networks_is_drawn_without_them(rng):
    ours = diagram(rng, [0.1], [0.0, 1.0], seeds=3)
    ours.separation_train[0, 0, 1, 4] = np.nan
    ours.separation_train[0, 1] = np.nan
    figure = drawn(diagram_excerpt(ours, published_cells(rng, ours)))
    mean = ours.separation_train[0, 0, [0, 2]].values.mean(0)
    assert figure.axes[0].lines[1].get_ydata() == pytest.approx(scaled(mean))
    assert len(figure.axes[1].lines) == 1  # the published curve alone


# The worst cells -----------------------------------------------------------------------------


def test_worst_cells_come_worst_first(rng):
    deviation = xr.DataArray(
        [[0.3, 0.1, np.nan], [0.2, 0.5, 0.4]], {"slope": [0.0, 1.0], "noise": [0.0, 0.1, 0.2]}
    )
    comparison = xr.Dataset({"deviation": deviation})
    assert worst_cells(comparison, 2) == [
        {"noise": 0.1, "slope": 1.0, "deviation": 0.5},
        {"noise": 0.2, "slope": 1.0, "deviation": 0.4},
    ]
    assert len(worst_cells(comparison, 10)) == 5
    assert worst_cells(comparison.transpose("noise", "slope"), 1)[0]["deviation"] == 0.5


@pytest.mark.parametrize("count", [1, 3, 4])
def test_cells_compared(rng, count):
    ours = diagram(rng, seeds=3)
    published = published_cells(rng, ours)
    published["accuracy"] = published.curve.mean("layer")
    worst = worst_cells(compare(ours, published), count)
    figure = drawn(cells_compared("data_noise", ours, published, worst))
    assert len(figure.axes) == count
    assert legend_of(figure) == ["published", "its seeds", "this companion"]
    for axes, cell in zip(figure.axes, worst, strict=True):
        where = {"noise": cell["noise"], "slope": cell["slope"]}
        words = f"data noise = {cell['noise']:g}, α = {cell['slope']:g}: {cell['deviation']:.3f}"
        assert axes.get_title() == words
        theirs, *seeds, mean = (line.get_ydata() for line in axes.lines)
        assert theirs == pytest.approx(published.curve.sel(where).values)
        curves = ours.separation_train.sel(where).values
        lowest, height = curves.mean(0).min(), np.ptp(curves.mean(0))
        assert mean == pytest.approx((curves.mean(0) - lowest) / height)
        np.testing.assert_allclose(seeds, (curves - lowest) / height)
        spread = curves.std(0, ddof=1) / height
        np.testing.assert_allclose(band(axes.collections[0]), [mean - spread, mean + spread])


def test_worst_of_each(rng):
    ours = {source: diagram(rng, seeds=3) for source in ("dropout", "data_noise")}
    published = {source: published_cells(rng, cells) for source, cells in ours.items()}
    for panel in published.values():
        panel["accuracy"] = panel.curve.mean("layer")
    compared = {source: compare(ours[source], published[source]) for source in ours}
    figure = drawn(worst_of_each(ours, published, compared))
    for axes, (source, cells) in zip(figure.axes, compared.items(), strict=True):
        worst = cells.deviation.max().item()
        assert axes.get_title().endswith(f": {worst:.3f}")
        assert axes.get_title().startswith(source.replace("_", " "))
        theirs, *_, mean = (line.get_ydata() for line in axes.lines)
        assert abs(mean - theirs).mean() == pytest.approx(worst)


# Training and test images --------------------------------------------------------------------


def test_train_and_test(rng):
    ours = diagram(rng, seeds=3)
    ours.separation_test[0, 0, 1, 3] = np.nan
    cells = [{"noise": 0.0, "slope": 0.0}, {"noise": 0.3, "slope": 0.6}]
    figure = drawn(train_and_test("dropout", ours, cells))
    assert legend_of(figure) == ["training images", "test images"]
    first, second = figure.axes
    assert [axes.get_title() for axes in (first, second)] == [
        "dropout p = 0, α = 0",
        "dropout p = 0.3, α = 0.6",
    ]
    shown = lines(first)
    assert shown["training images"] == pytest.approx(ours.separation_train[0, 0].values.mean(0))
    whole = ours.separation_test[0, 0, [0, 2]].values
    assert shown["test images"] == pytest.approx(whole.mean(0))
    np.testing.assert_allclose(
        band(first.collections[1]), [whole.mean(0) + s * whole.std(0, ddof=1) for s in (-1, 1)]
    )


def test_train_and_test_of_a_collapsed_cell(rng):
    ours = diagram(rng, [0.1], [0.0])
    ours["separation_test"] = xr.full_like(ours.separation_test, np.nan)
    figure = drawn(train_and_test("dropout", ours, [{"noise": 0.1, "slope": 0.0}]))
    assert list(lines(figure.axes[0])) == ["training images"]


# Seeds ---------------------------------------------------------------------------------------


def test_seeds_apart(rng):
    ours = diagram(rng, [0.001, 0.1, 0.5], [0.0, 1.0], seeds=4)
    ours.accuracy_train[2, 0, :3] = 0.1
    ours.accuracy_test[2, 0, :3] = 0.1
    figure = drawn(seeds_apart("learning_rate", ours))
    assert [axes.get_title() for axes in figure.axes] == ["α = 0", "α = 1"]
    accuracy = 100 * ours.accuracy_test[::-1].values  # the strongest noise first
    for axes, expected, lost in zip(figure.axes, np.moveaxis(accuracy, 1, 0), (3, 0), strict=True):
        shown = lines(axes)
        assert len(shown["one that failed"]) == lost
        assert sorted([*shown["a network"], *shown["one that failed"]]) == pytest.approx(
            sorted(expected.ravel())
        )
        assert shown["mean"] == pytest.approx(expected.mean(1))
        assert shown["median"] == pytest.approx(np.median(expected, axis=1))
        assert [text.get_text() for text in axes.texts] == ["3"] * (lost > 0)
