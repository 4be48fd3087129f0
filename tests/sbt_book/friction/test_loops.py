"""Loops and what becomes of them; dropout that follows its timetable."""

import numpy as np
import pytest
import xarray as xr

import sbt_utils as sbt
from sbt_book.friction.cycling import cycled_networks, driven_networks, loop_area, swing
from sbt_book.friction.loops import areas, fade, growth, memory, verdict

COUNT = 40


def lagging(lag, size=1.0):
    """Return one and a half periods of a wave that comes late by a share of the period."""
    phase = np.arange(3 * COUNT // 2 + 1) / COUNT - lag
    return size * (1 - np.abs(1 - 2 * (phase % 1)))


def test_the_area_of_a_wave_that_lags_is_exact():
    # By hand: the loop of two triangular waves that differ by a share s of the period has an area
    # of 4 s (1 - 2 s), and is run through the other way round if the second comes late.
    for lag in (0.0, 0.05, 0.25):
        assert loop_area(lagging(lag)) == pytest.approx(-4 * lag * (1 - 2 * lag), abs=1e-12)


def test_a_steady_drift_makes_no_loop_and_no_swing():
    drift = np.linspace(0.0, 3.0, 3 * COUNT // 2 + 1)
    values = lagging(0.1)
    assert loop_area(values + drift) == pytest.approx(loop_area(values))
    assert swing(drift) == pytest.approx(0.0, abs=1e-12)
    # Half a period of a wave that goes down first, and up again a whole period later.
    assert swing(lagging(0.0, 0.3) + drift) == pytest.approx(0.3)


def test_a_loop_of_another_length_is_refused():
    with pytest.raises(ValueError, match="30 in a row"):
        loop_area(np.zeros(30))


def test_areas_are_those_of_each_member_and_period():
    values = np.array([[lagging(0.1), lagging(0.05)], [lagging(0.1), lagging(0.0)]])
    cycled = xr.DataArray(values, {"period": [1, 2]}, ("period", "seed", "reading"))
    expected = [[-0.32, -0.18], [-0.32, 0.0]]
    assert areas(cycled).values == pytest.approx(np.array(expected), abs=1e-12)


def test_exponents_are_those_of_the_means():
    periods = np.array([120, 480, 1920])
    area = np.array([[-1.2, -0.3, -0.075], [-0.8, -0.2, -0.05]])
    assert fade(area, periods) == pytest.approx(-1.0)
    assert fade(np.ones((3, 3)), periods) == pytest.approx(0.0)
    sizes = np.array([[0.1, 0.2, 0.4], [0.3, 0.6, 1.2]])
    values = np.array([[lagging(0.1, size) for size in row] for row in sizes])
    assert growth(values, periods) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("numbers", "word"),
    [
        ((0.02, (0.3, 1.2), (-1.0, 1.0)), "is slow"),
        ((0.2, (-1.1, -0.9), (-1.1, -0.9)), "loses it"),
        ((0.01, (-0.1, 0.2), (-1.0, 1.0)), "sticks"),
        ((0.1, (-0.1, 0.2), (-0.1, 0.1)), "keeps its loop"),
        ((0.1, (-0.1, 0.5), (-0.1, 0.1)), "keeps its loop"),
        ((0.01, (-0.1, 0.5), (-0.1, 0.1)), "undecided"),
        ((0.1, (-0.1, 0.2), (-0.1, 0.6)), "undecided"),
    ],
)
def test_verdicts_follow_the_criterion(numbers, word):
    assert verdict(*numbers) == word


def test_memory_is_what_is_left_of_the_difference():
    values = [[[0.1, 0.0], [0.3, 0.1]], [[-0.1, -0.1], [-0.1, 0.0]]]
    held = xr.DataArray(
        values, {"history": ["shaken", "never shaken"]}, ("history", "seed", "held_epoch")
    )
    # Differences of 0.2 and 0.4 at first, 0.1 each in the end; the mean of the first is 0.3.
    assert memory(held).values == pytest.approx(np.array([[2 / 3, 1 / 3], [4 / 3, 1 / 3]]))


@pytest.fixture(scope="module")
def small():
    digits = sbt.load_data("mnist", train=200)
    data, network = (digits.train_images, digits.train_labels), sbt.MLP(width=20, hidden_layers=2)
    settings = {"seeds": [0, 1], "progress": False, "negative_slope": 0.0}
    return data, network, settings


def test_networks_are_trained_by_the_timetable_and_read_in_time(small):
    data, network, settings = small
    state = sbt.train(network, *data, dropout=0.1, epochs=20, **settings).state
    values, end = cycled_networks(network, data, state, 4, (0.1, 0.5), 4, 0.0)
    # The same, an epoch at a time: by 0.2 an epoch from 0.5 down, and up again.
    expected = []
    for epoch in range(20, 29):
        if epoch >= 22:
            run = sbt.train(network, *data, dropout=0.1, epochs=epoch, resume=state, **settings)
            expected.append([sbt.load_curve(net, *data).convexity for net in run.networks])
        level = 0.1 + 0.2 * abs(2 - (epoch - 20) % 4)
        if epoch < 28:
            state = sbt.train(
                network, *data, dropout=level, epochs=epoch + 1, resume=state, **settings
            ).state
    assert values == pytest.approx(np.array(expected).T, abs=1e-6, nan_ok=True)
    assert np.isfinite(values).mean() > 0.9
    assert end["epochs"].tolist() == [28, 28]


def test_networks_train_on_below_the_loss_at_which_they_would_stop(small):
    data, network, settings = small
    data = data[0][:60], data[1][:60]
    alone = settings | {"seeds": [0], "dropout": 0.0, "negative_slope": 0.5}
    state = sbt.train(network, *data, epochs=3000, learning_rate=0.01, **alone).state
    last = int(state["epochs"][0])
    assert last < 3000
    plain = sbt.train(network, *data, epochs=last + 3, resume=state, **alone).state
    assert plain["epochs"].tolist() == [last]
    values, after = driven_networks(network, data, state, np.zeros(3), (0, 3), 0.5)
    assert values.shape == (1, 2)
    assert after["epochs"].tolist() == [last + 3]
    weight = "linear1.weight"
    assert not (after["networks"][weight] == plain["networks"][weight]).all()
