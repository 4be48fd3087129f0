"""Compiled steps of perceptrons against those of the stacked layers, which autograd checks."""

import numpy as np
import pytest
import torch
from small_training import fit, problem
from torch import nn

import sbt_utils.ensembles.stages
import sbt_utils.training.descent
from sbt_utils.ensembles.ensemble import Ensemble, initial_state
from sbt_utils.ensembles.stages import stages_of
from sbt_utils.training.networks import CNN, MLP


def perceptron(*middle, first=8, last=4):
    return nn.Sequential(nn.Flatten(), *middle, nn.Linear(first, last))


PERCEPTRONS = {
    "published": MLP(inputs=8, width=19, hidden_layers=3, classes=4),
    "no batch norm": MLP(inputs=8, width=19, hidden_layers=2, classes=4, batch_norm=False),
    "ReLU": perceptron(nn.Linear(8, 5, bias=False), nn.BatchNorm1d(5), nn.ReLU(), first=5),
    "linear": perceptron(nn.Linear(8, 7), nn.Linear(7, 3), first=3),
    "read-out alone": perceptron(),
    "read-out without bias": nn.Sequential(nn.Flatten(), nn.Linear(8, 4, bias=False)),
    "other norm": perceptron(nn.BatchNorm1d(8, eps=0.1, momentum=0.5), nn.LeakyReLU()),
    "dropout of pixels": perceptron(nn.Dropout(0.3), nn.Linear(8, 9), nn.Dropout(0.3), first=9),
}
OTHERS = {
    "convolutions": CNN(channels=2, hidden_layers=1),
    "activation at the end": nn.Sequential(nn.Flatten(), nn.Linear(8, 4), nn.ReLU()),
    "activation before norm": perceptron(nn.Linear(8, 5), nn.ReLU(), nn.BatchNorm1d(5), first=5),
    "dropout before activation": perceptron(nn.Dropout(), nn.ReLU()),
}


def stages(network, *, flat=False):
    return stages_of(network, Ensemble(network, initial_state(network, [0])).parts, flat=flat)


def tensors(state):
    for name, value in state.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", tensor) for inner, tensor in tensors(value))
        elif isinstance(value, torch.Tensor):
            yield name, value


@pytest.mark.parametrize("batch_size", [61, 22])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "momentum"])
@pytest.mark.parametrize("kind", PERCEPTRONS)
def test_steps_equal_those_of_the_layers(kind, optimizer, batch_size, monkeypatch):
    monkeypatch.setattr(sbt_utils.ensembles.stages, "block_rows", lambda width: 16)
    images, labels = problem(images=61, dtype=torch.float64)
    drops = any(isinstance(layer, nn.Dropout) for layer in PERCEPTRONS[kind].modules())
    leaks = any(isinstance(layer, nn.LeakyReLU) for layer in PERCEPTRONS[kind].modules())
    settings = {"seeds": [3, 4], "epochs": 3, "optimizer": optimizer, "batch_size": batch_size}
    settings |= {"dropout": [0.0, 0.4]} if drops else {}
    settings |= {"negative_slope": [0.2, 1.0]} if leaks else {}
    network = PERCEPTRONS[kind].double()
    compiled = fit(network, images, labels, **settings)
    monkeypatch.setattr(sbt_utils.training.descent, "stages_of", lambda *_, **__: None)
    layered = fit(network, images, labels, **settings)
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(compiled.history[name], layered.history[name], atol=1e-9)
    others = dict(tensors(layered.state))
    for name, values in tensors(compiled.state):
        torch.testing.assert_close(values, others.pop(name), rtol=1e-7, atol=1e-9, msg=name)
    assert not others


@pytest.mark.parametrize("kind", PERCEPTRONS)
def test_perceptrons_have_stages(kind):
    linear = [layer for layer in PERCEPTRONS[kind].modules() if isinstance(layer, nn.Linear)]
    found = stages(PERCEPTRONS[kind])
    expected = [layer.in_features for layer in linear] + [linear[-1].out_features]
    assert found.widths.tolist() == expected


@pytest.mark.parametrize("kind", OTHERS)
def test_others_have_none(kind):
    assert stages(OTHERS[kind]) is None


def test_images_that_are_not_flattened_are_left_to_the_layers():
    network = nn.Sequential(nn.Linear(8, 4))
    assert stages(network) is None
    assert stages(network, flat=True).norms == (None,)
