"""The sources of noise over one another."""

import numpy as np
import pytest
import xarray as xr
from diagram_data import diagram, published_cells
from drawing import drawn, legend_of

from sbt_book.common.noise_axes import NOISES
from sbt_book.phase_diagram.noise_figures import (
    accuracy_against_convexity,
    convexity_against_noise,
    shape_family,
    with_fewer_images,
)
from sbt_book.phase_diagram.summaries import cell_summary

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")
LEVELS = {
    "dropout": (0.0, 0.1, 0.2),
    "learning_rate": (1e-4, 1e-2, 0.5, 0.1),
    "data_noise": (0.0, 0.8),
    "batch_size": (5, 40, 2560),
}


@pytest.fixture
def summaries(rng):
    return {
        name: cell_summary(diagram(rng, levels, (0.0, 0.4, 1.0), seeds=3))
        for name, levels in LEVELS.items()
    }


def test_convexity_against_noise(summaries):
    figure = drawn(convexity_against_noise(summaries))
    assert legend_of(figure) == ["α = 0", "α = 0.4", "α = 1"]
    for axes, (name, cells) in zip(figure.axes, summaries.items(), strict=True):
        assert axes.get_xlabel() == NOISES[name].label
        assert axes.xaxis.get_inverted() == (name != "batch_size")
        assert axes.get_xscale() == ("log" if name in ("learning_rate", "batch_size") else "linear")
        for bars, slope in zip(axes.containers, (0.0, 0.4, 1.0), strict=True):
            line, _, (stems,) = bars
            shown = dict(zip(*line.get_data(), strict=True))
            bounds = {stem[0, 0]: stem[:, 1] for stem in stems.get_segments()}
            for noise in cells.noise.values:
                cell = cells.sel(noise=noise, slope=slope)
                middle, spread = cell.convexity.item(), cell.convexity_spread.item()
                assert shown[noise] == pytest.approx(middle)
                assert bounds[noise] == pytest.approx((middle - spread, middle + spread))


def test_convexity_of_single_seeds_has_no_bars():
    cells = cell_summary(diagram(np.random.default_rng(0), seeds=1))
    drawn(convexity_against_noise({"dropout": cells}))


def test_with_fewer_images(rng):
    ours, fewer = (diagram(rng, seeds=3) for _ in range(2))
    theirs = published_cells(rng, ours.sel(noise=[0.1, 0.3]))
    theirs["accuracy"] = 90 + theirs.curve.mean("layer")
    summaries = {"all images": cell_summary(ours), "few": cell_summary(fewer)}
    figure = drawn(with_fewer_images(summaries, theirs, slopes=(0.6,)))
    assert legend_of(figure) == ["published", "all images", "few"]
    shape, accuracy = figure.axes
    assert all(axes.xaxis.get_inverted() for axes in figure.axes)
    cells = summaries["few"].sel(slope=0.6, noise=[0.1, 0.3])
    assert shape.containers[1][0].get_ydata() == pytest.approx(cells.convexity.values)
    line, _, (stems,) = accuracy.containers[1]
    assert line.get_ydata() == pytest.approx(100 * cells.accuracy.values)
    low, high = stems.get_segments()[0][:, 1]
    assert high - low == pytest.approx(200 * cells.accuracy_spread.values[0])
    (published,) = [line for line in accuracy.lines if line.get_label() == "published"]
    assert published.get_ydata() == pytest.approx(theirs.accuracy.sel(slope=0.6).values)


def test_shape_family(summaries):
    figure = drawn(shape_family(summaries, layers=(1, 6)))
    assert legend_of(figure) == [NOISES[name].label for name in summaries]
    for axes, layer in zip(figure.axes, (1, 6), strict=True):
        assert axes.get_ylabel() == f"scaled D at layer {layer}"
        for line, cells in zip(axes.lines, summaries.values(), strict=True):
            expected = {
                (cell.convexity.item(), cell.curve[layer].item())
                for _, row in cells.groupby("noise")
                for _, cell in row.squeeze().groupby("slope")
                for cell in [cell.squeeze()]
            }
            assert set(zip(*line.get_data(), strict=True)) == expected


def test_accuracy_against_convexity(summaries):
    figure = drawn(accuracy_against_convexity(summaries))
    assert [axes.get_title() for axes in figure.axes] == ["α = 0", "α = 0.4", "α = 1"]
    assert legend_of(figure) == [NOISES[name].label for name in summaries]
    for axes, slope in zip(figure.axes, (0.0, 0.4, 1.0), strict=True):
        for path, ring, cells in zip(
            axes.lines[::2], axes.lines[1::2], summaries.values(), strict=True
        ):
            row = cells.sel(slope=slope)
            accuracy = 100 * row.accuracy.values
            assert sorted(path.get_ydata()) == pytest.approx(sorted(accuracy))
            best = row.isel(noise=int(accuracy.argmax()))
            place = np.ravel(ring.get_data())
            assert place == pytest.approx([best.convexity.item(), accuracy.max()])


def test_a_path_runs_along_the_levels(summaries):
    (axes, *_) = accuracy_against_convexity({"learning_rate": summaries["learning_rate"]}).axes
    row = summaries["learning_rate"].sel(slope=0.0, noise=[0.5, 0.1, 1e-2, 1e-4])
    assert axes.lines[0].get_xdata() == pytest.approx(row.convexity.values)


def test_a_row_without_any_curve(summaries):
    cells = summaries["dropout"].where(summaries["dropout"].slope > 0)
    drawn(accuracy_against_convexity({"dropout": cells}))
    drawn(shape_family({"dropout": cells.where(False)}))
    drawn(convexity_against_noise({"dropout": cells}))


def test_the_summaries_are_left_alone(summaries):
    before = {name: cells.copy(deep=True) for name, cells in summaries.items()}
    for figure in (convexity_against_noise, shape_family, accuracy_against_convexity):
        figure(summaries)
    for name, cells in summaries.items():
        xr.testing.assert_identical(cells, before[name])
