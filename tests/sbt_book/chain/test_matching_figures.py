"""The figures of matches show the numbers that they are given."""

import numpy as np
import pytest
import xarray as xr
from drawing import drawn, legend_of
from matplotlib.patches import Rectangle

from sbt_book.chain.matching_figures import in_time, matched_forces, side_by_side

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")

SLOPES, DROPOUTS = [0.0, 0.6, 1.0], [0.0, 0.04, 0.12, 0.3]


@pytest.fixture
def cells(rng):
    dims, coords = ("slope", "noise"), {"slope": SLOPES, "noise": DROPOUTS}
    curve = np.linspace(1, 0, 6) ** rng.uniform(0.5, 2, size=(3, 4, 1))
    residual = np.full((3, 4), 0.01)
    residual[2, 1] = 0.05
    noise = rng.uniform(0.01, 0.1, size=(3, 4))
    return xr.Dataset(
        {
            "curve": ((*dims, "layer"), curve),
            "target": ((*dims, "layer"), curve**1.1),
            "residual": (dims, residual),
            "chain_friction": ("slope", [0.05, 0.02, 0.0]),
            "chain_noise": (dims, noise),
            "chain_noise_low": (dims, 0.8 * noise),
            "chain_noise_high": (dims, 1.3 * noise),
        },
        coords,
    )


def test_both_diagrams_are_drawn_and_the_misfits_hatched(cells):
    figure = drawn(side_by_side(cells))
    networks, chains = figure.axes[:2]
    assert [networks.get_title(), chains.get_title()] == ["networks", "chains"]
    shown = 3  # of the dropouts, those of the published panel
    for axes in (networks, chains):
        assert axes.images[0].get_array().shape == (3, shown)
        assert len(axes.collections[0].get_paths()) == 3 * shown
    assert not networks.patches
    (hatched,) = (patch for patch in chains.patches if isinstance(patch, Rectangle))
    column = [tick.get_text() for tick in chains.get_xticklabels()].index("0.04")
    assert hatched.get_xy() == (column - 0.5, 1.5)


def test_forces_leave_out_what_no_chain_fits(cells):
    figure = drawn(matched_forces(cells))
    left, right = figure.axes
    assert np.allclose(left.lines[0].get_xdata(), [1.0, 0.4, 0.0])
    assert np.allclose(left.lines[0].get_ydata(), cells.chain_friction)
    linear = right.lines[2].get_ydata()
    assert np.isnan(linear[1])
    assert np.allclose(linear[[0, 2, 3]], cells.chain_noise.values[2, [0, 2, 3]])
    assert legend_of(right) == ["α = 0", "α = 0.6", "α = 1"]


def test_curves_after_the_switch_are_dashed():
    values = np.linspace(1, 0, 4) * np.array([[0.0], [1.0], [2.0]])
    course = xr.DataArray(values, {"time": [0, 50, 100]}, ("time", "layer"))
    figure = drawn(in_time({"network": course}, {"chain": course}, switched=0.5))
    for axes in figure.axes:
        assert [line.get_linestyle() for line in axes.lines] == ["-", "-", "--"]
        for line, curve in zip(axes.lines, values, strict=True):
            assert np.allclose(line.get_ydata(), curve)
    assert legend_of(figure.axes[1]) == ["t = 0", "t = 50", "t = 100"]


def test_nothing_is_dashed_without_a_switch():
    course = xr.DataArray([[1.0, 0.0], [2.0, 0.0]], {"time": [0, 9]}, ("time", "layer"))
    figure = drawn(in_time({"network": course}, {"chain": course}))
    assert {line.get_linestyle() for axes in figure.axes for line in axes.lines} == {"-"}
