"""Convolutional networks in ensembles: against plain PyTorch, and bit for bit in any company.

`test_ensemble` compares each of their layers with automatic differentiation.
"""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sbt_utils.ensembles.noise import seed_words
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.probe import load_curve
from sbt_utils.training.networks import CNN
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")


def problem(dtype=torch.float32):
    """Return 24 images (2, 6, 6) of 3 overlapping classes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(24) % 3
    centres = torch.randn(3, 2, 6, 6, generator=generator, dtype=torch.float64)
    noise = torch.randn(24, 2, 6, 6, generator=generator, dtype=torch.float64)
    return (centres[labels] + noise).to(dtype), labels


def network():
    return CNN(inputs=2, size=6, channels=5, hidden_layers=3, classes=3)


def fit(model, images, labels, **settings):
    return train(model, images, labels, progress=False, **settings)


def test_training_equals_a_plain_loop():
    images, labels = problem(torch.float64)
    trained = fit(
        network().double(), images, labels, seeds=[4], learning_rate=1e-2, epochs=8, dropout=0.0
    )
    plain = network().double()
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(int(seed_words(4)[0]))
        for layer in plain:
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    descent = torch.optim.Adam(plain.parameters(), 1e-2)
    for epoch in range(8):
        descent.zero_grad()
        loss = cross_entropy(plain(images), labels)
        loss.backward()
        descent.step()
        assert trained.history.loss[0, epoch].item() == pytest.approx(loss.item(), abs=1e-8)
    after = trained.network(0)
    torch.testing.assert_close(after(images), plain.eval()(images), rtol=1e-8, atol=1e-8)


def odd_network():
    """Return a network whose flattened maps do not end at multiples of 64 bytes."""
    return nn.Sequential(
        nn.Conv2d(2, 3, 2), nn.LeakyReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(75, 3)
    )


@pytest.mark.parametrize("batch_size", [24, 7])
@pytest.mark.parametrize("network", [network, odd_network])
def test_a_member_is_the_same_alone_and_in_company(network, batch_size):
    images, labels = problem()
    members = {"seeds": [0, 1, 2], "dropout": [0.0, 0.2, 0.5], "learning_rate": [1e-3, 1e-2, 1e-3]}
    members["batch_size"] = [batch_size] * 3
    together = fit(network(), images, labels, epochs=3, **members)
    torch.set_num_threads(2)
    for m in range(3):
        own = {name: values[m] for name, values in members.items()}
        alone = fit(network(), images, labels, epochs=3, **own)
        np.testing.assert_array_equal(alone.history.loss[0], together.history.loss[m])
        for name, tensor in alone.state["networks"].items():
            assert torch.equal(tensor[0], together.state["networks"][name][m]), name


def test_features_are_measured_where_they_are_asked_for():
    images, labels = problem()
    options = {"epochs": 2, "separation_every": 2, "layers": nn.MaxPool2d}
    trained = fit(network(), images, labels, seeds=[0, 1], **options)
    found = evaluate(trained.networks, images, labels, layers=nn.MaxPool2d).separation
    for m, each in enumerate(trained.networks):
        pools = ["pool1", "pool2", "pool3"]
        curve = load_curve(each, images, labels, layers=pools)
        assert curve.layers == ("input_norm", *pools)
        np.testing.assert_allclose(found[m], curve.separation, rtol=1e-12)
        np.testing.assert_allclose(trained.history.separation[m, -1], curve.separation, rtol=1e-6)
    assert not np.allclose(found, evaluate(trained.networks, images, labels).separation)
    collapsed = copy.deepcopy(trained.network(0))
    collapsed.conv2.weight.data.fill_(torch.nan)
    assert evaluate([collapsed], images, labels, layers=nn.MaxPool2d).separation.shape == (1, 4)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Conv2d(2, 3, 3, padding="same"), "padding 'same' of zeros; give a number, of zeros"),
        (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), "of circular; give a number"),
        (nn.MaxPool2d(2, return_indices=True), "that returns indices; leave them out"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), "of mode 'bilinear' by 2"),
        (nn.Upsample(scale_factor=1.5), r"of mode 'nearest' by 1\.5; let it repeat pixels"),
        (nn.Upsample(size=(7, 7)), "of mode 'nearest' by None"),
        (nn.BatchNorm2d(2, affine=False), "without affine, running statistics or momentum"),
    ],
)
def test_layers_that_an_ensemble_cannot_have(layer, message):
    images, labels = problem()
    model = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(3))
    with pytest.raises(TypeError, match=message):
        fit(model, images, labels)
