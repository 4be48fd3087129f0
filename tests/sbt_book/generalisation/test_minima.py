"""Sharpness against Hessians that are known, or formed in full by another route."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from sbt_book.generalisation.minima import sharpness, top_eigenvalue

pytestmark = pytest.mark.usefixtures("one_thread")


SIZES = (3, 2)  # width and hidden layers of the network
LABELS = torch.arange(30) % 3


def hessian_of(network, images, labels):
    """Form the Hessian in evaluation mode, differentiating twice backwards without torch.func."""
    named = {name: p.detach() for name, p in network.named_parameters() if p.requires_grad}
    sizes = [tensor.numel() for tensor in named.values()]
    mode = network.training
    network.eval()

    def loss(flat):
        pieces = zip(named.items(), flat.split(sizes), strict=True)
        parameters = {name: piece.view(tensor.shape) for (name, tensor), piece in pieces}
        return nn.functional.cross_entropy(functional_call(network, parameters, images), labels)

    flat = torch.cat([tensor.flatten() for tensor in named.values()])
    hessian = torch.autograd.functional.hessian(loss, flat)
    network.train(mode)
    return hessian


def test_a_quadratic_with_a_known_spectrum(rng):
    spectrum = np.concatenate([rng.uniform(-9, 2, size=38), [3.0, -20.0]])
    basis, _ = np.linalg.qr(rng.normal(size=(40, 40)))
    matrix = torch.from_numpy(basis * spectrum @ basis.T)

    def loss(parameters):
        flat = torch.cat([parameters["a"].flatten(), parameters["b"]])
        return flat @ matrix @ flat / 2

    at = {"a": torch.randn(5, 6).double(), "b": torch.randn(10).double()}
    assert top_eigenvalue(loss, at, tolerance=1e-9) == pytest.approx(3, rel=1e-8)
    assert top_eigenvalue(loss, at) == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_few_parameters(count):
    curvatures = torch.arange(count).double() - 1

    def loss(parameters):
        return (curvatures * parameters["x"] ** 2).sum() / 2

    top = top_eigenvalue(loss, {"x": torch.ones(count)}, tolerance=1e-9)
    assert top == pytest.approx(count - 2, abs=1e-6)


def test_a_network_against_its_whole_hessian(network, images):
    eigenvalues = torch.linalg.eigvalsh(hessian_of(network, images, LABELS))
    found = sharpness(network, images, LABELS, tolerance=1e-9)
    assert found == pytest.approx(eigenvalues[-1].item(), rel=1e-7)


def test_single_precision_is_enough(network, images):
    exact = torch.linalg.eigvalsh(hessian_of(network, images, LABELS))[-1].item()
    assert sharpness(network.float(), images.float(), LABELS) == pytest.approx(exact, rel=0.01)


def test_a_linear_classifier_in_closed_form(images):
    network = nn.Linear(4, 2).double()
    nn.init.zeros_(network.weight)
    nn.init.zeros_(network.bias)
    # At zero both classes have probability 1/2: H = [[1, -1], [-1, 1]] / 4 kron X^T X / N.
    inputs = torch.cat([images, torch.ones(30, 1)], dim=1)
    expected = torch.linalg.eigvalsh(inputs.T @ inputs / 30)[-1].item() / 2
    found = sharpness(network, images, LABELS % 2, tolerance=1e-9)
    assert found == pytest.approx(expected, rel=1e-8)


def test_frozen_parameters_do_not_count(network, images):
    whole = sharpness(network, images, LABELS)
    network.readout.requires_grad_(False)
    eigenvalues = torch.linalg.eigvalsh(hessian_of(network, images, LABELS))
    found = sharpness(network, images, LABELS, tolerance=1e-9)
    assert found == pytest.approx(eigenvalues[-1].item(), rel=1e-7)
    assert found < whole


def test_the_network_is_left_alone(network, images):
    network.norm1.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    first = sharpness(network, images, LABELS)
    assert sharpness(network, images, LABELS) == first  # neither dropout nor another start
    assert [module.training for module in network.modules()] == modes
    assert all(p.grad is None for p in network.parameters())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_weights_that_are_not_numbers(network, images):
    network.readout.weight.data[0, 0] = torch.nan
    assert np.isnan(sharpness(network, images, LABELS))
    assert network.training


@pytest.mark.parametrize("count", [0, 29])
def test_images_and_labels_must_match(network, images, count):
    with pytest.raises(ValueError, match=rf"labels of shape \(30,\) for {count} images"):
        sharpness(network, images[:count], LABELS)


def test_one_number_has_no_spectrum(images):
    with pytest.raises(ValueError, match="parameters hold 1 numbers: give at least 2"):
        top_eigenvalue(lambda p: p["x"].sum() ** 2, {"x": torch.ones(1)})
