"""Networks and images that the measures of chapter 6 are tried on."""

import pytest
import torch

from sbt_utils.training.networks import MLP


@pytest.fixture
def network(request):
    """Return a network with running statistics of its own, in training mode."""
    torch.manual_seed(0)
    width, hidden_layers = request.module.SIZES
    network = MLP(
        inputs=4,
        width=width,
        hidden_layers=hidden_layers,
        classes=3,
        negative_slope=0.2,
        dropout=0.5,
    ).double()
    for _ in range(5):
        network(3 * torch.randn(20, 4).double() + 1)
    return network


@pytest.fixture
def images():
    return torch.randn(30, 4, generator=torch.Generator().manual_seed(1)).double()
