"""Pushing a layer: the differentiable D, and training that goes on where it was."""

from functools import partial

import numpy as np
import pytest
import torch

import sbt_utils as sbt
from sbt_book.common.differentiable import differentiable_separation
from sbt_book.friction.pushing import continued_adam, pushed_network

SETTINGS = {"seeds": [3], "progress": False}


@pytest.fixture(scope="module")
def data():
    digits = sbt.load_data("mnist", train=200)
    return digits.train_images, digits.train_labels


@pytest.fixture(scope="module")
def trained(data):
    network = sbt.MLP(width=20, hidden_layers=3)
    return network, sbt.train(network, *data, dropout=0.0, epochs=20, **SETTINGS)


@pytest.fixture(scope="module")
def adam(trained):
    return continued_adam({k: v[0] for k, v in trained[1].state["optimizer"].items()})


def features_of(generator, labels, spread):
    noise = torch.randn(len(labels), 5, generator=generator, dtype=torch.float64)
    return noise * spread + labels[:, None]


@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_it_is_the_separation_that_the_library_measures(spread):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (60,), generator=generator)
    features = features_of(generator, labels, spread)
    expected = sbt.data_separation(features, labels)
    assert differentiable_separation(features, labels).item() == pytest.approx(expected, abs=1e-12)


def test_its_gradient_is_that_of_finite_differences():
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2])
    features = features_of(torch.Generator().manual_seed(1), labels, 1.0).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: differentiable_separation(x, labels), features)


def test_without_a_force_training_goes_on_as_the_trainer_would(data, trained, adam):
    network, first = trained
    pushed = pushed_network(first.network(0), adam, data, layer=2, steps=4, seed=0, force=0.0)
    further = sbt.train(network, *data, dropout=0.0, epochs=24, resume=first.state, **SETTINGS)
    expected = sbt.load_curve(further.network(0), *data).separation
    assert pushed == pytest.approx(expected, abs=1e-3)
    before = sbt.load_curve(first.network(0), *data).separation
    assert abs(before - expected).max() > 1e-2  # there was something to go on with


def test_a_force_to_the_right_lowers_the_separation_and_leaves_the_network(data, trained, adam):
    network = trained[1].network(0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    push = partial(pushed_network, network, adam, data, 2, 3, 0)
    free, right, left = (push(force) for force in (0.0, 0.1, -0.1))
    assert right[2] < free[2] < left[2]
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_the_same_seed_gives_the_same_dropout_and_leaves_the_generator(data, trained, adam):
    network = trained[1].network(0)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.5
    state = torch.random.get_rng_state()
    one, same, other = (
        pushed_network(network, adam, data, 2, 2, seed, 0.0) for seed in (5, 5, 6)
    )  # fmt: skip
    assert torch.equal(state, torch.random.get_rng_state())
    assert np.array_equal(one, same)
    assert abs(one - other).max() > 1e-4
