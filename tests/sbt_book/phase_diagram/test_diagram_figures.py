"""Phase diagrams: what is shown is what was given, where it belongs."""

import numpy as np
import pytest
import xarray as xr
from diagram_data import diagram, published_cells
from drawing import drawn

from sbt_book.common.noise_axes import NOISES
from sbt_book.common.selections import scaled_curves
from sbt_book.phase_diagram.diagram_figures import cell_values, phase_diagram, shape_and_accuracy
from sbt_book.phase_diagram.summaries import cell_summary
from sbt_utils.sweeping.experiments import SLOPES
from sbt_utils.sweeping.experiments import published as experiment

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")


def whole(rng, name):
    return diagram(rng, experiment(name).axes[name], SLOPES)


def panels_of(figure):
    return [axes for axes in figure.axes if axes.get_ylabel() == "negative slope α"]


def shown(axes):
    return np.asarray(axes.images[0].get_array())


def drawn_curves(collection):
    """Return the curves by (row, column) of their cell, scaled back to 0..1."""
    curves = {}
    for line in collection.get_segments():
        column, row = round(line[:, 0].mean()), round((line[:, 1].min() + line[:, 1].max()) / 2)
        curves[row, column] = (row + 0.36 - line[:, 1]) / 0.72
        assert np.all(np.diff(line[:, 0]) > 0)
        assert abs(line - [column, row]).max() < 0.5, "a curve leaves its cell"
    return curves


# The diagram as published --------------------------------------------------------------------


def test_phase_diagram(rng):
    diagrams = {name: whole(rng, name) for name in NOISES}
    figure = drawn(phase_diagram(diagrams))
    panels = panels_of(figure)
    assert [axes.get_xlabel() for axes in panels] == [noise.label for noise in NOISES.values()]
    for axes, (name, cells) in zip(panels, diagrams.items(), strict=True):
        levels = NOISES[name].shown
        names = [label.get_text() for label in axes.get_xticklabels()]
        assert [float(label) for label in names] == list(levels)
        assert [float(label.get_text()) for label in axes.get_yticklabels()] == list(SLOPES)
        accuracy, curves = cells.accuracy_test.mean("seed"), scaled_curves(cells)
        drawn_cells = drawn_curves(axes.collections[0])
        assert len(drawn_cells) == 48
        for row, slope in enumerate(SLOPES):
            for column, noise in enumerate(levels):
                cell = {"noise": noise, "slope": slope}
                assert shown(axes)[row, column] == pytest.approx(100 * accuracy.sel(cell).item())
                assert drawn_cells[row, column] == pytest.approx(curves.sel(cell).values)


def test_phase_diagram_over_the_published_curves(rng):
    cells = whole(rng, "dropout")
    published = published_cells(rng, cells.sel(noise=[0.0, 0.28]))
    (axes,) = panels_of(drawn(phase_diagram({"dropout": cells}, {"dropout": published})))
    theirs = drawn_curves(axes.collections[1])
    assert set(theirs) == {(row, column) for row in range(6) for column in (0, 7)}
    expected = published.curve.sel(slope=0.4, noise=0.28).values
    assert theirs[2, 0] == pytest.approx(expected)
    # Our curve is the first one, in a colour of its own.
    assert axes.collections[0].get_colors()[0] != pytest.approx(axes.collections[1].get_colors()[0])


@pytest.mark.parametrize("levels", [[0.01, 0.03], [0.0, 0.1, 0.2, 0.3]])
def test_phase_diagram_of_few_levels_shows_them_all(rng, levels):
    cells = diagram(rng, levels, [0.5])
    (axes,) = panels_of(drawn(phase_diagram({"dropout": cells})))
    assert shown(axes).shape == (1, len(levels))


def test_the_ground_is_the_darker_the_lower_the_accuracy(rng):
    cells = diagram(rng, [0.0, 0.04, 0.08], [0.0, 1.0], seeds=1)
    cells["accuracy_test"] = 0.8 + 0.1 * cells.accuracy_test  # within 12 points of one another
    (axes,) = panels_of(phase_diagram({"dropout": cells}))
    (image,) = axes.images
    brightness = image.to_rgba(shown(axes))[..., 0].ravel()
    assert np.argsort(brightness).tolist() == np.argsort(shown(axes).ravel()).tolist()
    assert brightness.min() > 0.6
    assert brightness.max() == 1


def test_one_bad_cell_does_not_stretch_the_scale(rng):
    cells = diagram(rng, [0.0, 0.04], [0.0, 1.0], seeds=1)
    cells["accuracy_test"] = (cells.accuracy_test.dims, [[[0.93], [0.92]], [[0.9], [0.1]]])
    (axes,) = panels_of(drawn(phase_diagram({"dropout": cells})))
    assert axes.images[0].get_clim() == pytest.approx((81, 93))


def test_a_collapsed_cell_has_a_ground_and_no_curve(rng):
    cells = diagram(rng, [0.0, 0.04], [0.0, 1.0])
    cells.separation_train[0, 0] = np.nan
    (axes,) = panels_of(drawn(phase_diagram({"dropout": cells})))
    assert set(drawn_curves(axes.collections[0])) == {(0, 0), (1, 0), (1, 1)}
    assert np.isfinite(shown(axes)).all()


# Heat maps -----------------------------------------------------------------------------------


def test_shape_and_accuracy(rng):
    summaries = {name: cell_summary(whole(rng, name)) for name in NOISES}
    figure = drawn(shape_and_accuracy(summaries))
    panels = panels_of(figure)
    assert len(panels) == 8
    for place, (name, cells) in enumerate(summaries.items()):
        levels = sorted(cells.noise.values, reverse=name != "batch_size")
        left, right = panels[2 * place : 2 * place + 2]
        for axes, values in ((left, cells.convexity), (right, 100 * cells.accuracy)):
            expected = values.sel(noise=levels, slope=list(SLOPES)).transpose("slope", "noise")
            np.testing.assert_allclose(shown(axes), expected)
            assert axes.get_xlabel() == NOISES[name].label
        low, high = left.images[0].get_clim()
        assert low == -high  # white is zero
        best = cells.accuracy.argmax(["noise", "slope"])
        star = np.ravel(right.lines[0].get_data()).tolist()
        noise, slope = (cells[axis][int(best[axis])].item() for axis in ("noise", "slope"))
        assert star == [levels.index(noise), SLOPES.index(slope)]


def test_the_contour_is_where_the_convexity_vanishes(rng):
    cells = cell_summary(diagram(rng, [0.0, 0.1, 0.2, 0.3], [0.0, 0.2, 0.4]))
    # Columns run from p = 0.3: the convexity is zero half way between the second and the third.
    cells["convexity"] = 4 * (cells.noise - 0.15) + 0 * cells.slope
    panels = panels_of(drawn(shape_and_accuracy({"dropout": cells})))
    for axes in panels:
        lines = [c for c in axes.collections if len(c.get_paths())]
        positions = sorted(c.get_paths()[0].vertices[:, 0].mean() for c in lines)
        assert positions == pytest.approx([1.375, 1.5, 1.625])  # +0.05, 0, -0.05


@pytest.mark.parametrize("shift", [0.5, -0.5])
def test_a_diagram_of_one_regime_has_no_contour(rng, shift):
    cells = cell_summary(diagram(rng, [0.0, 0.1], [0.0, 0.2]))
    cells["convexity"] = 0.1 * cells.noise + 0 * cells.slope + shift
    for axes in panels_of(drawn(shape_and_accuracy({"dropout": cells}))):
        assert not axes.collections


def test_heat_maps_of_one_row_and_of_collapsed_cells(rng):
    drawn(shape_and_accuracy({"dropout": cell_summary(diagram(rng, [0.0, 0.1], [0.2]))}))
    cells = diagram(rng, [0.0, 0.1, 0.2], [0.0, 0.2, 0.4])
    cells.separation_train[1, 1] = np.nan
    drawn(shape_and_accuracy({"data_noise": cell_summary(cells)}))


# Numbers -------------------------------------------------------------------------------------


def test_cell_values():
    values = xr.DataArray(
        [[0.01, 0.02], [0.03, np.nan], [0.5, 0.04]], {"noise": [0.0, 0.1, 0.2], "slope": [0.0, 1.0]}
    )
    figure = drawn(cell_values({"dropout": values}, "deviation", {"dropout": 0.03}))
    axes = panels_of(figure)[0]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    rows = [[texts.pop((column, row)) for column in range(3)] for row in range(2)]
    assert rows == [[".500", ".030", ".010"], [".040", "–", ".020"]]
    assert not texts
    # Framed: the two above the limit.
    framed = sorted((round(p.get_x() + 0.46), round(p.get_y() + 0.44)) for p in axes.patches)
    assert framed == [(0, 0), (0, 1)]
    assert "deviation" in [axes.get_ylabel() for axes in figure.axes]


def test_values_of_several_sources_share_a_scale():
    low = xr.DataArray([[0.1]], {"noise": [0.1], "slope": [0.0]})
    figure = drawn(cell_values({"dropout": low, "learning_rate": 10 * low}, "share that failed"))
    first, second = panels_of(figure)
    assert first.images[0].get_clim() == second.images[0].get_clim() == (0, 1)
    assert not first.patches


def test_cells_that_are_all_zero():
    zero = xr.DataArray([[0.0]], {"noise": [0.1], "slope": [0.0]})
    drawn(cell_values({"dropout": zero}, "share that failed"))
