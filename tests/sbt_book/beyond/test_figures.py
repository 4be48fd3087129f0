"""Pictures of what lies beyond the diagram: every number stands where it is said to."""

import numpy as np
import pytest
import xarray as xr
from diagram_data import diagram
from drawing import drawn, legend_of

from sbt_book.beyond.directions import diagrams_of, measures_of
from sbt_book.beyond.figures import (
    depth_of,
    panel_of_weight_noise,
    room_to_fall,
    two_measures,
    votes_by_measure,
    width_and_start,
)
from sbt_book.beyond.scaling import shape_convexities
from sbt_book.beyond.voting import vote_table
from sbt_book.common.committed import load_committed
from sbt_utils.measuring.curves import curve_statistics

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")


@pytest.fixture(scope="module")
def kinds():
    return measures_of(load_committed("directions"))


def test_both_measures_are_drawn_and_cells_without_a_curve_crossed_out(rng):
    cells = diagram(rng, noises=(0.0, 0.1, 0.2), slopes=(0.0, 1.0), seeds=2)
    cells["fuzziness_train"] = cells.separation_train.copy()
    cells.fuzziness_train.loc[{"noise": 0.1, "slope": 1.0}] = np.nan
    figure = drawn(two_measures({"dropout": cells}))
    left, right, _ = figure.axes
    assert [axes.get_title() for axes in (left, right)] == ["ratio of traces", "fuzziness"]
    assert left.lines[0].get_xydata().size == 0
    assert right.lines[0].get_xydata().tolist() == [[1, 1]]


def test_votes_stand_at_their_share(kinds):
    chosen = {
        name: curves
        for name, curves in diagrams_of(kinds).items()
        if name[0] in ("trace", "fuzziness") and name[1] != "dropout"
    }
    table = vote_table(chosen, draws=20)
    table = table[table.index.get_level_values(1) == "more nonlinear, less convex"]
    figure = drawn(votes_by_measure(table))
    assert [axes.get_title() for axes in figure.axes] == [
        "data noise",
        "learning rate",
        "batch size",
    ]
    words = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert words == ["trace", "fuzziness"]
    points = figure.axes[1].containers[0][0].get_xydata().astype(float)
    names = [((kind, "learning_rate"), "more nonlinear, less convex") for kind in words]
    np.testing.assert_allclose(points[:, 0], table.votes.loc[names].astype(float))


def test_curves_of_every_slope_and_the_bound(kinds):
    chosen = (kinds.source.values == "data_noise") & (kinds.noise.values == 0.1)
    means = kinds.isel(network=chosen).drop_vars("source").groupby("slope").mean()
    figure = drawn(room_to_fall(means))
    assert legend_of(figure) == [f"α = {slope:g}" for slope in means.slope.values]
    left, right = figure.axes
    np.testing.assert_allclose(left.lines[2].get_ydata(), means.trace.sel(slope=0.4))
    np.testing.assert_allclose(right.lines[5].get_ydata(), means.fuzziness.sel(slope=1.0))
    assert right.lines[-1].get_ydata()[0] == pytest.approx(
        means["least fuzziness"].sel(layer=0).mean().item()
    )


def test_the_panel_of_weight_noise_has_its_strongest_level_on_the_left(rng):
    curves = rng.normal(size=(3, 2, 4, 6)).cumsum(-1)[..., ::-1]
    curves += np.linspace(20, 0, 6)
    coordinates = {"noise": [0.0, 0.1, 0.4], "slope": [0.0, 1.0]}
    cells = xr.DataArray(curves, coordinates, ("noise", "slope", "seed", "layer"))
    figure = drawn(panel_of_weight_noise(cells))
    left, right = figure.axes
    words = [text.get_text() for text in right.get_xticklabels()]
    assert dict(zip(words, right.get_xticks(), strict=True)) == {"0": 2, "0.1": 1, "0.4": 0}
    points = right.containers[1][0].get_ydata().astype(float)
    expected = curve_statistics(curves.mean(2)[:, 1], "convexity")
    np.testing.assert_allclose(points, expected)
    assert len(left.lines) == 2 * 6


@pytest.fixture(scope="module")
def shapes():
    found = load_committed("shapes")
    return found.assign(convexity=shape_convexities(found))


def test_depths_are_drawn_from_input_to_end(shapes):
    chain = {4: -0.1, 7: -0.2, 12: -0.3, 20: -0.4, 32: -0.5}
    figure = drawn(depth_of(shapes, chain, {"depth": "none", "depth, dropout": "some"}))
    first, _, last = figure.axes
    for line, depth in zip(first.lines, (4, 7, 12, 20, 32), strict=False):
        assert line.get_label() == f"L = {depth}"
        np.testing.assert_allclose(line.get_xdata(), np.arange(depth + 1) / depth)
        assert (min(line.get_ydata()), max(line.get_ydata())) == (0, 1)
    depths = shapes.isel(shape=shapes.series.values == "depth")
    points = last.containers[0][0].get_xydata().astype(float)
    np.testing.assert_allclose(points[:, 0], depths.hidden_layers)
    np.testing.assert_allclose(points[:, 1], depths.convexity.mean("seed"))
    dashed = next(line for line in last.lines if line.get_label() == "chain")
    assert dict(dashed.get_xydata().tolist()) == chain


def test_widths_and_scales_stand_where_they_are(shapes):
    widths = shapes.width.values[shapes.series.values == "width"]
    laws = {"1 / width": 1 / widths, "log width": np.log(widths)}
    left, right = drawn(width_and_start(shapes, laws)).axes
    np.testing.assert_allclose(left.containers[0][0].get_xdata().astype(float), widths)
    rates = shapes.isel(shape=shapes.series.values == "rate")
    points = right.containers[1][0].get_xydata().astype(float)
    np.testing.assert_allclose(points[:, 0], 1e-3 / rates.learning_rate * 1.02)
    np.testing.assert_allclose(points[:, 1], rates.convexity.mean("seed"))
