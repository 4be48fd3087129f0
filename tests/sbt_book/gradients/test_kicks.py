"""Gradients of layers against closed forms and differences; kicks against autograd."""

import copy

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from sbt_book.common.differentiable import differentiable_separation
from sbt_book.gradients.kicks import (
    adam_directions,
    drawn_kicks,
    layer_gradients,
    row_sizes,
    successive_kicks,
)
from sbt_utils.measuring.separation import data_separation
from sbt_utils.training.networks import MLP
from sbt_utils.training.steps import TrainingData
from sbt_utils.training.trainer import train


@pytest.fixture
def data(rng):
    labels = np.arange(40) % 3
    images = rng.normal(size=(40, 6)) + labels[:, None]
    return torch.from_numpy(images), torch.from_numpy(labels)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MLP(inputs=6, width=5, hidden_layers=3, classes=3, negative_slope=0.3).double()


def separation_at(network, layer, data):
    """Return D of the features behind a hidden layer."""
    features, labels = data
    for name, module in network.named_children():
        features = module(features)
        if name == f"activation{layer}":
            return data_separation(features, labels)


def settings(count, **changed):
    defaults = {"seed": range(count), "negative_slope": 0.3, "dropout": 0.0}
    defaults |= {"learning_rate": 1e-2, "data_noise": 0.0, "batch_size": 40}
    return {name: np.resize(value, count) for name, value in (defaults | changed).items()}


def trained(network, data, settings, epochs=5):
    names = {"seeds" if name == "seed" else name: v.tolist() for name, v in settings.items()}
    return train(network, *data, epochs=epochs, progress=False, **names)


def as_training_data(images, labels):
    return TrainingData(images, labels, float(images.std()), 3)


def test_separation_is_the_measure(data):
    separation = differentiable_separation(*data).item()
    assert separation == pytest.approx(data_separation(*data), rel=1e-12)


def test_what_reaches_a_layer_of_a_linear_network_has_a_closed_form(data):
    images, labels = data
    network = MLP(
        inputs=6, width=5, hidden_layers=2, classes=3, negative_slope=1.0, batch_norm=False
    ).double()
    found, _ = layer_gradients(network, *data)
    tensors = {name: value.detach().numpy() for name, value in network.named_parameters()}
    x = images.numpy()
    h = [(x - x.mean(0)) / np.sqrt(x.var(0) + network.input_norm.eps)]
    for name in ("linear1", "linear2", "readout"):
        h.append(h[-1] @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"])
    error = np.exp(h[3]) / np.exp(h[3]).sum(1, keepdims=True) - np.eye(3)[labels]
    last = error @ tensors["readout.weight"]
    for layer, gradient in enumerate((last @ tensors["linear2.weight"], last), 1):
        size = np.sqrt((gradient**2).sum(1).mean())
        spread = np.sqrt(h[layer].var(0).sum())
        assert found[layer - 1] == pytest.approx(size * spread, rel=1e-9)


def test_units_of_features_do_not_matter(data, network):
    before, _ = layer_gradients(network, *data)
    with torch.no_grad():  # leaky ReLU keeps factors, and the next batch norm removes them
        network.norm2.weight *= 10
        network.norm2.bias *= 10
        network.linear3.weight /= 10
    np.testing.assert_allclose(layer_gradients(network, *data)[0], before, rtol=1e-9)


def test_directions_are_where_d_of_a_layer_rises(data, network):
    _, directions = layer_gradients(network, *data)

    def separation_of(layer, shift):
        moved = copy.deepcopy(network).train()
        with torch.no_grad():
            getattr(moved, f"linear{layer}").weight.add_(directions[layer - 1], alpha=shift)
            return separation_at(moved, layer, data)

    for layer in (1, 2, 3):
        rise = (separation_of(layer, 1e-4) - separation_of(layer, -1e-4)) / 2e-4
        assert rise == pytest.approx(directions[layer - 1].square().sum().item(), rel=1e-4)


def kicks_by_autograd(network, training, data):
    """Return the kicks of a noiseless step of each network."""
    found = []
    for member in range(len(training.state["seed"])):
        model = training.network(member).train()
        _, directions = layer_gradients(model, *data)
        cross_entropy(model(data[0]), data[1]).backward()
        second = training.state["optimizer"]["exp_avg_sq"][member] / (1 - 0.999**5)
        starts = np.cumsum([0, *row_sizes(network).values()])
        kicks = []
        for layer, direction in enumerate(directions, 1):
            weight = getattr(model, f"linear{layer}").weight
            place = starts[list(row_sizes(network)).index(f"linear{layer}.weight")]
            scale = second[place : place + weight.numel()].view_as(weight).sqrt() + 1e-8
            kicks.append((direction * weight.grad / scale).sum().item())
        found.append(kicks)
    return np.array(found)


def prepared(network, data, chosen):
    training = trained(network, data, chosen)
    directions = [layer_gradients(member, *data)[1] for member in training.networks]
    return training, adam_directions(training.state, directions, row_sizes(network))


def test_kicks_are_gradients_along_the_direction_scaled_as_adam_scales_them(data, network):
    chosen = settings(3, negative_slope=[0.3, 0.0, 1.0])
    training, rows = prepared(network, data, chosen)
    expected = kicks_by_autograd(network, training, data)
    drawn = drawn_kicks(network, training.state, as_training_data(*data), rows, chosen, 2)
    # Steps are counted in float32, and 1 - 0.999^5 has few digits there.
    np.testing.assert_allclose(drawn, [expected] * 2, rtol=2e-5)
    successive = successive_kicks(network, training.state, data, rows, chosen, 2)
    np.testing.assert_allclose(successive[0], expected, rtol=2e-5)
    assert abs(successive[1] / expected - 1).min() > 1e-4  # the networks have moved


def test_drawn_kicks_meet_batches_and_leave_networks_alone(data, network):
    chosen = settings(2, batch_size=[10, 20])
    training, rows = prepared(network, data, chosen)
    before = {name: tensor.clone() for name, tensor in training.state["networks"].items()}
    kicks = drawn_kicks(network, training.state, as_training_data(*data), rows, chosen, 4)
    assert kicks.shape == (4, 2, 3)
    assert kicks.std(0).min() > 0
    for name, tensor in before.items():
        assert torch.equal(training.state["networks"][name], tensor)


def test_a_kick_lowers_d_at_its_rate(data, network):
    chosen = settings(1)
    training = trained(network, data, chosen)
    (kicks,) = kicks_by_autograd(network, training, data)
    model = training.network(0).train()
    cross_entropy(model(data[0]), data[1]).backward()
    second = training.state["optimizer"]["exp_avg_sq"][0] / (1 - 0.999**5)
    place = np.cumsum([0, *row_sizes(network).values()])[2]  # behind the norm of the input
    weight = model.linear1.weight
    scale = second[place : place + weight.numel()].view_as(weight).sqrt() + 1e-8

    def separation_after(rate):
        with torch.no_grad():
            moved = copy.deepcopy(model)
            moved.linear1.weight -= rate * weight.grad / scale
            return separation_at(moved, 1, data)

    fall = (separation_after(-1e-5) - separation_after(1e-5)) / 2e-5
    assert fall == pytest.approx(kicks[0], rel=1e-4)
