"""A report of a model on a GPU against that of its copy on the CPU."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from sbt_utils.data.datasets import load_data
from sbt_utils.reporting.stress_map import report
from sbt_utils.training.networks import CNN, MLP

pytestmark = pytest.mark.gpu

GPU = "cuda"


def transformer():
    layers = [nn.TransformerEncoderLayer(10, 2, 20, batch_first=True) for _ in range(3)]
    return nn.Sequential(nn.Flatten(1, 2), *layers, nn.Flatten(), nn.Linear(100, 10))


@pytest.fixture(scope="module")
def parts():
    data = load_data("mnist", train=500, test=300)
    return (data.train_images, data.train_labels), (data.test_images, data.test_labels)


@pytest.fixture
def without_tf32(monkeypatch):
    """On a GPU convolutions round to 10 bits otherwise."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.usefixtures("without_tf32")
@pytest.mark.parametrize("make", [MLP, lambda: CNN(1, channels=5), transformer])
def test_a_report_is_that_of_the_cpu(parts, make):
    torch.manual_seed(0)
    model = make().eval()
    layers = nn.MaxPool2d if isinstance(model, CNN) else None
    there = copy.deepcopy(model).to(GPU)
    ours, theirs = (report(m, *parts, layers=layers, batch_size=128) for m in (there, model))
    assert ours.images == theirs.images == (500, 300)
    for part in ("train", "test"):
        curves = [getattr(stress, part) for stress in (ours, theirs)]
        assert curves[0].layers == curves[1].layers
        # The draws of the bootstrap are the same, too.
        np.testing.assert_allclose(*(curve.separation for curve in curves), rtol=1e-3, atol=1e-3)
    assert ours.table.state.tolist() == theirs.table.state.tolist()
    assert ours.regime == theirs.regime


def test_images_may_be_on_either_device(parts):
    torch.manual_seed(0)
    model = MLP().eval().to(GPU)
    training, unseen = parts
    moved = tuple(tensor.to(GPU) for tensor in training)
    one, other = report(model, training, unseen), report(model, moved, unseen)
    np.testing.assert_allclose(one.train.separation, other.train.separation, rtol=1e-6)
    assert next(model.parameters()).is_cuda
