"""Chains one after the other: against the closed form at rest, and against simulating by hand."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from chains import LAST

from sbt_book.in_time.switching import course, drawn_on, in_turn
from sbt_utils.data.datasets import load_data
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

SHAKEN = SpringBlockChain(blocks=4, friction_left=0.015, noise=0.006, noise_decay=0.0)
QUIET = replace(SHAKEN, noise=0.0)


def test_chains_take_over_from_one_another():
    states = in_turn([SHAKEN, QUIET, SHAKEN], 50.0, seeds=[1, 2, 3], states=5)
    assert states.dims == ("member", "time", "layer")
    assert states.shape == (3, 16, 5)
    np.testing.assert_allclose(states.time, 10.0 * np.arange(16))
    start, expected = None, []
    for chain in (SHAKEN, QUIET, SHAKEN):
        start = chain.simulate(50.0, 0.05, seeds=[1, 2, 3], every=LAST, start=start)
        expected.append(start.separation[:, -1])
    np.testing.assert_array_equal(
        states.sel(time=[50.0, 100.0, 150.0]).transpose("time", ...), expected
    )


def test_a_chain_sticks_where_the_shaking_stops():
    states = in_turn([SHAKEN, QUIET], 400.0, seeds=range(3))
    late = states.sel(time=slice(600.0, None))
    np.testing.assert_array_equal(late, late.isel(time=[0] * late.sizes["time"]))
    # Not with the loads of a pull without noise: friction keeps what the shaking has done.
    unshaken = np.cumsum(QUIET.static_loads()[::-1])[::-1]
    assert (abs(late.isel(time=-1) - unshaken).max("layer") > 0.02).all()


def test_a_chain_drawn_on_without_shaking_forgets_it():
    # So far that every block moves on: then the loads are those of a quiet pull.
    further = replace(QUIET, end=[(2000.0, 1.0), (4000.0, 6.0)])
    states = in_turn([SHAKEN, further, further], 2000.0, seeds=[0], states=4)
    loads = -np.diff(states.isel(member=0, time=-1), append=0.0)
    np.testing.assert_allclose(loads, replace(QUIET, end=6.0).static_loads(), atol=1e-9)


def test_one_chain_is_a_simulation():
    states = in_turn([QUIET], 10.0, seeds=[0], states=2)
    run = QUIET.simulate(10.0, 0.05, seeds=[0], every=100)
    np.testing.assert_array_equal(states, run.separation)
    np.testing.assert_array_equal(states.time, run.times)


def test_trainings_that_went_on_from_one_another(one_thread):
    digits = load_data(train=100, test=10)
    data = MLP(width=6, hidden_layers=3), digits.train_images, digits.train_labels
    options = {"seeds": [3, 4], "separation_every": 2, "progress": False}
    first = train(*data, dropout=0.2, epochs=4, **options)
    then = train(*data, dropout=0.0, epochs=6, resume=first.state, **options)
    whole = course([first.history, then.history])
    assert whole.dims == ("member", "time", "layer")
    assert whole.time.values.tolist() == [0, 2, 4, 6]
    np.testing.assert_array_equal(whole[:, :3], first.history.separation)
    np.testing.assert_array_equal(whole[:, 3:], then.history.separation)


def network(fall, times):
    curves = np.zeros((2, len(times), 3))
    curves[:, :, 0], curves[1, :, 0] = 5.0, 7.0
    curves[:, :, 2] = curves[:, :, 0] - fall
    return xr.DataArray(curves, {"time": times}, ("member", "time", "layer"))


def test_the_end_is_drawn_on_as_the_network_falls():
    way = drawn_on(network([1.0, 2.0, 3.0, 2.5], [0, 100, 150, 300]), since=100, pace=7.0)
    assert way == [(700.0, 1.0), (1050.0, 1.5), (2100.0, 1.25)]
    assert SpringBlockChain(end=way).end == tuple(way)


@pytest.mark.parametrize("fall", [[1.0, 0.0, 1.0], [1.0, -1.0, 1.0], [1.0, np.nan, 1.0]])
def test_a_network_that_does_not_fall_draws_nothing(fall):
    with pytest.raises(ValueError, match="since=100: give an epoch at which"):
        drawn_on(network(fall, [0, 100, 200]), since=100, pace=7.0)


@pytest.mark.parametrize("since", [50, 300])
def test_an_epoch_without_a_measurement(since):
    with pytest.raises(ValueError, match=f"since={since}: give an epoch"):
        drawn_on(network([1.0, 2.0, 3.0], [0, 100, 200]), since=since, pace=7.0)
