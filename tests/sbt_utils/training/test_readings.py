"""Readings of networks as they train: what they measure, and what they may change."""

import numpy as np
import pytest
from small_training import (
    assert_same_member,
    assert_same_state,
    fit,
    network,
    of_member,
    plain_start,
    problem,
)

from sbt_utils.measuring.probe import load_curve
from sbt_utils.training.readings import Readings


def test_separation_every_measures_the_network_of_that_epoch():
    images, labels = problem()
    members = {"seeds": [3, 4], "negative_slope": [0.0, 0.5], "dropout": [0.2, 0.0]}
    result = fit(network(), images, labels, epochs=5, separation_every=2, **members)
    separation = result.history.separation
    assert separation.dims == ("member", "probe_epoch", "layer")
    assert separation.shape == (2, 3, 3)
    assert result.history.probe_epoch.values.tolist() == [0, 2, 4]
    for m in range(2):
        # Before training; float32 features and sums in another order agree to rounding.
        start = plain_start(members["seeds"][m], negative_slope=members["negative_slope"][m])
        expected = load_curve(start, images, labels).separation
        np.testing.assert_allclose(separation[m, 0], expected, rtol=1e-5)
        for place, epochs in ((1, 2), (2, 4)):
            trained = fit(network(), images, labels, epochs=epochs, **of_member(members, m))
            expected = load_curve(trained.network(0), images, labels).separation
            np.testing.assert_allclose(separation[m, place], expected, rtol=1e-5)
    # Measuring does not disturb the training.
    unmeasured = fit(network(), images, labels, epochs=5, **members)
    for m in range(2):
        assert_same_member(result, m, unmeasured, m)


def test_separation_is_nan_after_a_member_has_stopped(threads):
    threads(2)  # two chunks: one ends long before the other
    images, labels = problem()
    result = fit(
        network(),
        images,
        labels,
        seeds=[0, 1],
        learning_rate=[1e-30, 1e-3],
        batch_size=[60, 30],
        epochs=6,
        separation_every=1,
    )
    assert result.history.epochs.values.tolist() == [2, 6]
    assert result.history.probe_epoch.values.tolist() == list(range(7))
    measured = result.history.separation.notnull().all("layer")
    assert measured[0].values.tolist() == [True] * 3 + [False] * 4
    assert measured[1].all()


@pytest.mark.parametrize("number", [1, 2], ids=["alone", "beside a healthy one"])
def test_separation_of_a_collapsed_network_is_nan(number, threads):
    threads(2)
    images, labels = problem()
    rates = [1e38, 1e-3][:number]
    result = fit(
        network(),
        images,
        labels,
        seeds=range(number),
        learning_rate=rates,
        epochs=3,
        separation_every=1,
    )
    separation = result.history.separation
    assert separation.shape[2] == 3
    assert separation[0, 0].notnull().all()
    assert separation[0, -1].isnull().all()
    assert separation[1:].notnull().all()


def test_resuming_does_not_measure_twice():
    images, labels = problem()
    settings = {"seeds": range(2), "separation_every": 2}
    begun = fit(network(), images, labels, epochs=4, **settings)
    rest = fit(network(), images, labels, epochs=7, resume=begun.state, **settings)
    whole = fit(network(), images, labels, epochs=7, **settings)
    epochs = [h.history.probe_epoch.values.tolist() for h in (begun, rest, whole)]
    assert epochs == [[0, 2, 4], [6], [0, 2, 4, 6]]
    np.testing.assert_array_equal(rest.history.separation, whole.history.separation[:, 3:])


def test_labels_without_separation_are_an_error_not_a_row_of_nan():
    images, labels = problem()
    labels[:] = 1
    with pytest.raises(ValueError, match="class"):
        fit(network(), images, labels, epochs=2, separation_every=1)


# What a reading changes ----------------------------------------------------------------------

CHANGES = {
    "negative_slope": (0.0, 0.5),
    "dropout": (0.1, 0.3),
    "learning_rate": (1e-3, 1e-2),
    "data_noise": (0.0, 0.2),
    "weight_noise": (0.0, 0.2),
}


def changing(epoch, **values):
    """Return readings after this epoch that give every member these settings."""

    def take(_, state, members):
        return members | {name: np.full_like(members[name], v) for name, v in values.items()}

    return Readings((epoch,), take)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "momentum"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_training_resumed_with_the_new_setting(name, optimizer):
    images, labels = problem()
    before, after = CHANGES[name]
    common = {"seeds": [0, 1], "batch_size": 20, "optimizer": optimizer}
    common |= {other: values[0] for other, values in CHANGES.items() if other != name}
    begun = fit(network(), images, labels, epochs=3, **{name: before}, **common)
    expected = fit(
        network(), images, labels, epochs=5, resume=begun.state, **{name: after}, **common
    )
    readings = changing(3, **{name: after})
    found = fit(network(), images, labels, epochs=5, readings=readings, **{name: before}, **common)
    np.testing.assert_array_equal(found.history.loss[:, :3], begun.history.loss)
    np.testing.assert_array_equal(found.history.loss[:, 3:], expected.history.loss)
    for m in range(2):
        assert_same_state(found.state, m, expected.state, m)
    assert found.history[name].values.tolist() == [after, after]
    layer = found.network(0).activation1
    assert layer.negative_slope == (after if name == "negative_slope" else 0.0)


def test_a_learning_rate_near_zero_stops_the_loss_at_once_whoever_leaves_the_chunk():
    # The second member stops after two epochs, which puts the others together anew.
    images, labels = problem()
    settings = {"seeds": [0, 1, 2], "learning_rate": [1e-2, 1e-30, 1e-3]}
    still = changing(4, learning_rate=1e-12)
    together = fit(network(), images, labels, epochs=8, readings=still, **settings)
    assert together.history.epochs.values.tolist() == [6, 2, 6]
    steps = np.abs(np.diff(together.history.loss))
    assert (steps[[0, 2], :4] > 1e-3).all()
    assert (steps[[0, 2], 4] < 1e-10).all()
    for m in (0, 2):
        alone = fit(network(), images, labels, epochs=8, readings=still, **of_member(settings, m))
        assert_same_member(alone, 0, together, m)


def test_a_reading_that_writes_into_the_settings_changes_only_what_follows():
    images, labels = problem()

    def take(_, state, members):
        members["dropout"][:] = 0.3
        return members

    settings = {"seeds": [0, 1], "dropout": 0.0, "learning_rate": [1e-30, 1e-3], "epochs": 4}
    found = fit(network(), images, labels, readings=Readings((2,), take), **settings)
    expected = fit(network(), images, labels, readings=changing(2, dropout=0.3), **settings)
    # The first member stopped as it was read: it never trained with another dropout.
    assert found.history.epochs.values.tolist() == [2, 4]
    assert found.history.dropout.values.tolist() == [0.0, 0.3]
    for m in range(2):
        assert_same_member(found, m, expected, m)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dropout": 1.0}, r"dropout=1\.0: give a number in \[0, 1\)"),
        ({"learning_rate": -1.0}, r"learning_rate=-1\.0: give a number in \(0, inf\)"),
        ({"negative_slope": np.nan}, "negative_slope=nan: give a number"),
        ({"batch_size": 30}, "batch_size: changed by a reading; change negative_slope, dropout, "),
        ({"member": 3}, "member: changed by a reading; change"),
    ],
)
def test_what_a_reading_may_not_change(change, message):
    images, labels = problem()
    with pytest.raises(ValueError, match=message):
        fit(network(), images, labels, epochs=3, readings=changing(1, **change))


@pytest.mark.parametrize(
    "take",
    [
        lambda epoch, state, members: None,
        lambda epoch, state, members: {"dropout": members["dropout"]},
        lambda epoch, state, members: members | {"dropout": 0.1},
        lambda epoch, state, members: members | {"dropout": members["dropout"][:1]},
    ],
)
def test_what_a_reading_must_return(take):
    message = "^readings: take returns other than the settings that it is given; return them all"
    with pytest.raises(TypeError, match=message):
        fit(network(), *problem(), seeds=range(2), epochs=2, readings=Readings((1,), take))
