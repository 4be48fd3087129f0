"""Readings of networks as they train."""

import numpy as np
import pytest
from small_training import assert_same_member, fit, network, of_member, plain_start, problem

from sbt_utils.measuring.probe import load_curve


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
