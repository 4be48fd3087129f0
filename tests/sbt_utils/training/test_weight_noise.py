"""Noise of the weights: how much, of which, and independent of everything else."""

import math

import numpy as np
import pytest
import torch
from small_training import assert_same_member, fit, network, problem

from sbt_utils.training.networks import CNN

# Steps of gradient descent so short that float64 keeps but a trace of them.
STILL = {"optimizer": "sgd", "learning_rate": 1e-300}


def moved(model, images, labels, **settings):
    """Return, by its name, how far each parameter has gone from the start of its training."""
    dtype = images.dtype
    trained = fit(model.to(dtype), images, labels, **STILL, **settings)
    still = fit(model, images, labels, **STILL, **settings | {"weight_noise": 0.0})
    names = dict(model.named_parameters())
    pairs = {n: (trained.state["networks"][n], still.state["networks"][n]) for n in names}
    return {name: (one - other).numpy() for name, (one, other) in pairs.items()}


def test_each_weight_makes_a_random_walk_of_the_stated_step():
    images, labels = problem(dtype=torch.float64)
    epochs, level = 9, 0.3
    walk = moved(
        network(width=64), images, labels, seeds=range(3), weight_noise=level, epochs=epochs
    )
    whole = []
    for name, steps in walk.items():
        if ".weight" not in name or "norm" in name:
            assert abs(steps).max() < 1e-290, name
            continue
        inputs = steps.shape[2]
        # A weight of PyTorch's linear layers starts between -+1 / sqrt(inputs).
        unit = level * math.sqrt(epochs) / math.sqrt(3 * inputs)
        scaled = steps.reshape(3, -1) / unit
        count = scaled[0].size
        assert (abs(scaled.mean(1)) < 5 / math.sqrt(count)).all(), name
        assert (abs(scaled.std(1) - 1) < 5 / math.sqrt(2 * count)).all(), name
        whole.append(scaled)
    # Independent of one another: from member to member, and from place to place.
    whole = np.concatenate(whole, axis=1)
    bound = 5 / math.sqrt(whole.shape[1])
    assert abs(np.corrcoef(whole)[~np.eye(3, dtype=bool)]).max() < bound
    for lag in (1, 16, 64):
        assert abs(np.corrcoef(whole[0, lag:], whole[0, :-lag])[0, 1]) < bound


def test_steps_are_independent_in_time():
    images, labels = problem(dtype=torch.float64)
    walks = [
        moved(network(width=64), images, labels, weight_noise=0.3, epochs=epochs)["linear2.weight"]
        for epochs in (1, 2)
    ]
    first, second = walks[0].ravel(), (walks[1] - walks[0]).ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / math.sqrt(first.size)
    assert abs(second.std() / first.std() - 1) < 5 / math.sqrt(first.size)


def test_the_inputs_of_a_convolution_are_its_channels_times_its_pixels():
    images = torch.rand(20, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 4
    walk = moved(CNN(1, 6, 32, 2, classes=4), images.double(), labels, weight_noise=0.5, epochs=1)
    scaled = walk["conv2.weight"] / (0.5 / math.sqrt(3 * 32 * 9))
    assert abs(scaled.std() - 1) < 5 / math.sqrt(2 * scaled.size)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_no_noise_is_training_without_it(optimizer):
    images, labels = problem()
    common = {"seeds": [0, 1], "dropout": 0.1, "epochs": 3, "optimizer": optimizer}
    plain = fit(network(), images, labels, **common)
    in_company = fit(network(), images, labels, **common, weight_noise=[0.0, 0.3])
    assert_same_member(plain, 0, in_company, 0)
    assert not np.array_equal(plain.history.loss[1], in_company.history.loss[1])


def test_dropout_is_the_same_with_noise_and_without():
    # Of the first step, whose weights are still without noise.
    images, labels = problem()
    common = {"seeds": [5, 5], "dropout": 0.4, "epochs": 1}
    result = fit(network(), images, labels, **common, weight_noise=[0.0, 0.3])
    assert result.history.loss[0].item() == result.history.loss[1].item()
