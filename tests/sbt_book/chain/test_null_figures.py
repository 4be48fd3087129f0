"""Figures of models and their rivals: what is drawn is what the files hold."""

import numpy as np
import pytest
import xarray as xr

from sbt_book.chain.figures import skewed_noise
from sbt_book.chain.null_experiment import null_verdict
from sbt_book.chain.null_figures import fitted_drives_by_slope, scores_of_models
from sbt_utils.mechanics.chain import SpringBlockChain

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")

SCORES = {"networks": ["ours", "published"], "source": ["dropout", "batch_size"]}
SCORES |= {"model": ["chain", "parabola", "sign only"], "score": ["within", "median", "sign"]}


@pytest.fixture
def file():
    rng = np.random.default_rng(0)
    held_out = xr.DataArray(rng.random((2, 2, 3, 3, 40)), SCORES, (*SCORES, "half"))
    held_out.loc[{"model": "sign only", "score": ["within", "median"]}] = np.nan
    return xr.Dataset({"held_out": held_out, "in_sample": held_out.mean("half")})


def test_points_are_means_over_the_halves_and_open_where_they_are_published(file):
    within, sign = scores_of_models(file, ["chain", "sign only"]).axes
    points = [
        line for line in within.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"
    ]
    assert len(points) == 2
    for line, networks in zip(points, SCORES["networks"], strict=True):
        expected = file.held_out.sel(networks=networks, model="chain", score="within").mean("half")
        np.testing.assert_allclose(line.get_ydata(), 100 * expected)
        assert (line.get_markerfacecolor() == "white") == (networks == "published")
    assert within.get_legend() is not None
    assert "sign" in sign.get_ylabel()


def test_a_model_adds_something_if_it_is_ahead_of_every_rival_in_95_of_100_halves(file):
    held = file.held_out
    cell = {"networks": "ours", "source": "dropout", "score": "sign"}
    judge = (file, "ours", "dropout", "chain", ["parabola", "sign only"], "sign")
    halves = np.arange(40)
    held.loc[cell | {"model": "chain"}] = 0.5
    held.loc[cell | {"model": "sign only"}] = 0.4
    for ahead, expected in ((38, "adds"), (37, "undecided"), (3, "undecided"), (2, "beaten")):
        held.loc[cell | {"model": "parabola"}] = np.where(halves < ahead, 0.4, 0.6)
        assert null_verdict(*judge) == expected
    held.loc[cell | {"model": "parabola"}] = 0.5  # equal is not ahead
    assert null_verdict(*judge) == "undecided"


def test_drives_are_drawn_by_slope_but_for_cells_that_do_not_fit():
    drive = xr.DataArray([[[0.0, 0.1], [0.2, 0.4]]], dims=("source", "level", "slope"))
    residual = xr.full_like(drive, 0.01)
    residual[0, 1, 0] = 0.05
    names = {"drive": drive, "drive_low": drive * 0.9, "drive_high": drive * 1.2}
    coordinates = {
        "slope": [0.0, 1.0],
        "source": ["dropout"],
        "noise": (("source", "level"), [[0, 1]]),
    }
    file = xr.Dataset(names | {"residual": residual}, coordinates)
    axes = fitted_drives_by_slope(file).axes[0]
    first, second = (box.lines[0].get_ydata() for box in axes.containers)
    np.testing.assert_array_equal(first, [0.0, 0.1])
    np.testing.assert_array_equal(second, [np.nan, 0.4])
    (bars,) = axes.containers[0].lines[2]
    np.testing.assert_allclose(bars.get_segments()[1][:, 1], [0.09, 0.12])


def test_skewed_noise_draws_force_and_load_curve_of_each_skewness():
    chain = SpringBlockChain(
        blocks=3, spring_constant=1, friction_right=0.1, friction_left=0.1, common_noise=False
    )
    figure = skewed_noise(chain, [0, 2], [0.2, 0.5, 1.0], {(0, 0.5): 0.0, (2, 0.5): -0.58})
    left, right = figure.axes
    flat, points, skewed, _ = left.lines[:4]
    np.testing.assert_allclose(flat.get_ydata(), 0.0, atol=1e-12)
    assert (points.get_xdata(), points.get_ydata()) == ([0.5], [0.0])
    assert skewed.get_ydata()[1] == pytest.approx(-0.59, abs=0.01)  # as simulated elsewhere: -0.059
    straight, bent = (line.get_ydata() for line in right.lines[:2])
    np.testing.assert_allclose(straight, [1, 2 / 3, 1 / 3, 0], atol=1e-12)
    assert (bent[1:3] < straight[1:3]).all()
