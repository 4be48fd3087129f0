"""When members stop."""

import warnings

import numpy as np
import torch
from small_training import assert_same_member, assert_same_state, fit, network, problem
from torch import nn


def separable():
    images = torch.eye(4, 8).repeat(2, 1) * 5
    return images, torch.arange(8) % 4


def assert_frozen(result, place, model, images, labels, **settings):
    """Assert that a stopped member is what training to its last epoch alone gives."""
    last = int(result.history.epochs[place])
    alone = fit(model, images, labels, epochs=last, **settings)
    assert_same_state(alone.state, 0, result.state, place)
    losses = result.history.loss[place]
    assert losses[:last].notnull().all()
    assert losses[last:].isnull().all()
    assert result.history.accuracy[place][last:].isnull().all()
    np.testing.assert_array_equal(losses[:last], alone.history.loss[0])
    return losses[:last].values


def test_a_small_loss_stops_a_member_and_no_other(threads, chunk_elements):
    threads(1)
    chunk_elements(2**30)
    images, labels = separable()
    model = network(batch_norm=False)
    rates = [1e-3, 0.03, 0.1]
    result = fit(model, images, labels, seeds=range(3), learning_rate=rates, epochs=60)
    epochs = result.history.epochs.values
    assert epochs[0] == 60
    assert result.state["stopped"].tolist() == [False, True, True]
    assert len(set(epochs.tolist())) == 3
    for m in (1, 2):
        assert epochs[m] < 60
        losses = assert_frozen(result, m, model, images, labels, seeds=m, learning_rate=rates[m])
        assert losses[-1] < 1e-4 <= losses[:-1].min()
    alone = fit(model, images, labels, seeds=0, learning_rate=rates[0], epochs=60)
    assert_same_member(alone, 0, result, 0)


def test_a_small_change_stops_a_member_and_no_other(threads, chunk_elements):
    threads(1)
    chunk_elements(2**30)
    images, labels = problem(dtype=torch.float64)
    model = network().double()
    # A step of gradient descent changes the loss by about the rate times the squared gradient.
    rates = [1e-2, 1e-7, 1e-13]
    result = fit(
        model, images, labels, seeds=range(3), learning_rate=rates, epochs=5, optimizer="sgd"
    )
    assert result.history.epochs.values.tolist() == [5, 5, 2]
    assert result.state["stopped"].tolist() == [False, False, True]
    settings = {"seeds": 2, "learning_rate": 1e-13, "optimizer": "sgd"}
    losses = assert_frozen(result, 2, model, images, labels, **settings)
    assert abs(losses[1] - losses[0]) < 1e-10
    assert np.abs(np.diff(result.history.loss[1])).min() > 1e-10


def test_a_loss_that_is_not_a_number_stops_a_member_and_no_other(threads, chunk_elements):
    threads(1)
    chunk_elements(2**30)
    images, labels = problem()
    rates = [1e-3, 1e38]
    result = fit(network(), images, labels, seeds=[0, 0], learning_rate=rates, epochs=8)
    assert result.state["stopped"].tolist() == [False, True]
    last = int(result.history.epochs[1])
    assert last < 8
    losses = result.history.loss[1].values
    assert np.isfinite(losses[: last - 1]).all()
    assert not np.isfinite(losses[last - 1 :]).any()
    alone = fit(network(), images, labels, learning_rate=1e-3, epochs=8)
    assert_same_member(alone, 0, result, 0)


def test_an_infinite_loss_in_the_first_epoch_stops_without_a_warning():
    images, labels = torch.full((60, 1), 3.4e38), torch.arange(60) % 4
    model = nn.Sequential(nn.Linear(1, 4))  # its logits lie further apart than float32 reaches
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fit(model, images, labels, epochs=4)
    assert result.history.loss[0, 0] == np.inf
    assert result.history.epochs.item() == 1
    assert result.state["stopped"].item()
