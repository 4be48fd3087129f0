"""Loops and what becomes of them; dropout that follows its timetable."""

import numpy as np
import pytest
import xarray as xr

import sbt_utils as sbt
from sbt_book.friction.cycling import cycled_networks, loop_area
from sbt_book.friction.loops import areas, fade

COUNT = 40


def lagging(lag, starts_low=True):
    """Return one and a half periods of a wave that comes late by a share of the period."""
    phase = np.arange(3 * COUNT // 2 + 1) / COUNT + (0 if starts_low else 0.5) - lag
    return 1 - np.abs(1 - 2 * (phase % 1))


@pytest.mark.parametrize("starts_low", [True, False])
def test_the_area_of_a_wave_that_lags_is_exact(starts_low):
    # By hand: the loop of two triangular waves that differ by a share s of the period has an area
    # of 4 s (1 - 2 s), and is run through the other way round if the second comes late.
    for lag in (0.0, 0.05, 0.25):
        area = loop_area(lagging(lag, starts_low), starts_low)
        assert area == pytest.approx(-4 * lag * (1 - 2 * lag), abs=1e-12)


@pytest.mark.parametrize("starts_low", [True, False])
def test_a_steady_drift_makes_no_loop(starts_low):
    drift = np.linspace(0.0, 3.0, 3 * COUNT // 2 + 1)
    values = lagging(0.1, starts_low)
    assert loop_area(values + drift, starts_low) == pytest.approx(loop_area(values, starts_low))


def test_a_loop_of_another_length_is_refused():
    with pytest.raises(ValueError, match="30 in a row"):
        loop_area(np.zeros(30))


def test_areas_take_each_period_at_its_own_phase():
    values = np.array([[lagging(0.1)], [lagging(0.1, starts_low=False)]])
    drive = np.array([lagging(0.0), lagging(0.0, starts_low=False)])
    cycled = xr.DataArray(values, {"period": [1, 2]}, ("period", "seed", "reading"))
    found = areas(cycled.assign_coords(drive=(("period", "reading"), drive)))
    assert found.values.ravel() == pytest.approx([-0.32, -0.32])


def test_the_exponent_is_that_of_the_mean():
    area = np.array([[-1.2, -0.6, -0.3, -0.15], [-0.8, -0.4, -0.2, -0.1]])
    assert fade(area) == pytest.approx(-1.0)
    assert fade(np.ones((3, 4))) == pytest.approx(0.0)


def test_networks_are_trained_by_the_timetable_and_read_in_time():
    digits = sbt.load_data("mnist", train=200)
    data, network = (digits.train_images, digits.train_labels), sbt.MLP(width=20, hidden_layers=2)
    settings = {"seeds": [0, 1], "progress": False}
    state = sbt.train(network, *data, dropout=0.1, epochs=30, **settings).state
    values = cycled_networks(
        network, data, state, 8, (0.1, 0.5), (30, 42), readings=4, seeds=[0, 1]
    )
    # The same, an epoch at a time: by 0.1 an epoch up to 0.5, and down again.
    expected = []
    for epoch in range(30, 43):
        if epoch % 2 == 0:
            run = sbt.train(network, *data, dropout=0.1, epochs=epoch, resume=state, **settings)
            expected.append([sbt.load_curve(net, *data).convexity for net in run.networks])
        level = 0.1 + 0.1 * (4 - abs(4 - (epoch - 30) % 8))
        state = sbt.train(
            network, *data, dropout=level, epochs=epoch + 1, resume=state, **settings
        ).state
    assert values == pytest.approx(np.array(expected).T, abs=1e-6, nan_ok=True)
    assert np.isfinite(values).mean() > 0.9
