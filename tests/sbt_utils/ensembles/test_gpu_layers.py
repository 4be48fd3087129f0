"""The kernels for GPUs against PyTorch's layers, in Triton's interpreter where there is no GPU."""

import os

import numpy as np
import pytest
import torch
from torch import nn

import sbt_utils.ensembles.ensemble
from sbt_utils.ensembles.ensemble import Ensemble, initial_state
from sbt_utils.ensembles.noise import draw_keys, seed_words
from sbt_utils.training.networks import CNN, MLP

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # Triton reads it when it is imported
pytest.importorskip("triton", reason="needs Triton, which there is for Linux")

from sbt_utils.ensembles import gpu_layers  # noqa: E402

SLOPES, DROPOUTS = [0.0, 0.3, 1.0], [0.0, 0.1, 0.5]
DIGITS = {torch.float64: 1e-13, torch.float32: 3e-6}


@pytest.fixture
def layers(monkeypatch):
    def choose(fuse):
        monkeypatch.setattr(sbt_utils.ensembles.ensemble, "_fuser", lambda rows: fuse)

    return choose


def step(network, images, dropout, dtype, device):
    """Return logits, gradients and running statistics of three members, on the CPU, in float64."""
    count = len(SLOPES)
    state = initial_state(network.double(), range(count))
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
    ensemble = Ensemble(network.to(dtype), state, device)
    words = np.stack([seed_words(seed)[1] for seed in range(count)])
    keys = draw_keys(words, range(1), ensemble.draws)[:, 0].to(device)
    slopes = torch.tensor(SLOPES, dtype=dtype, device=device)
    dropouts = torch.tensor(DROPOUTS, dtype=dtype, device=device) if dropout else None
    images = images.to(device, dtype)
    images = images if len(images) == count else images.expand(count, *images.shape)
    logits = ensemble.forward(images, keys, slopes, dropouts).clone()
    towards = torch.linspace(-1, 1, logits.numel(), dtype=torch.float64).view(logits.shape)
    ensemble.backward(towards.to(device, dtype))
    after = {name: t.cpu().double() for name, t in ensemble.state().items()}
    return logits.cpu().double(), ensemble.gradients.cpu().double(), after, ensemble.layers


def assert_equal_steps(layers, network, images, dropout, dtype, expected):
    layers(list)
    logits, gradients, state, _ = step(network(), images, dropout, torch.float64, "cpu")
    layers(gpu_layers.fuse)
    ours = step(network(), images, dropout, dtype, DEVICE)
    assert {type(layer).__name__ for layer in ours[3]} >= expected
    # Norms: gradients of biases that a later batch norm takes out again are nothing but rounding.
    digits = DIGITS[dtype]
    assert (ours[0] - logits).norm() < digits * logits.norm()
    assert (ours[1] - gradients).norm() < digits * gradients.norm()
    for name, tensor in state.items():
        assert (ours[2][name] - tensor).norm() <= digits * tensor.norm(), name


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize(
    ("batch", "width"),
    # Sums in one program, in 8 and in up to 64; widths of one tile and of two.
    [((9,), 20), ((3, 12), 130), ((600,), 5), ((4200,), 3)],
)
def test_a_step_of_perceptrons(layers, batch, width, dropout, dtype):
    images = torch.rand(*batch, 6, generator=torch.Generator().manual_seed(0)) + 1

    def network():
        return MLP(inputs=6, width=width, hidden_layers=1)

    assert_equal_steps(layers, network, images, dropout, dtype, {"FusedLayer"})


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("batch", [(5,), (3, 5)])
@pytest.mark.parametrize("channels", [4, 5])
def test_a_step_of_convolutional_networks(layers, channels, batch, dtype):
    images = torch.rand(*batch, 3, 6, 6, generator=torch.Generator().manual_seed(0))

    def network():
        return CNN(size=6, channels=channels, hidden_layers=2)

    expected = {"FusedLayer", "PoolAndRepeat"}
    if dtype == torch.float32:
        expected |= {"Convolution"}
    assert_equal_steps(layers, network, images, True, dtype, expected)


def test_layers_in_other_surroundings(layers):
    # Convolutions with biases of their own, and first; pooling without dropout; ReLU; no norm.
    def network():
        return nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(3, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.Conv2d(4, 4, 5),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * 4, 10),
        )

    images = torch.rand(3, 4, 2, 6, 6, generator=torch.Generator().manual_seed(0)) - 0.5
    expected = {"FusedLayer", "PoolAndRepeat", "Convolution", "_Conv2d"}
    assert_equal_steps(layers, network, images, False, torch.float32, expected)


def test_maps_with_a_row_left_over(layers):
    def network():
        return nn.Sequential(
            nn.BatchNorm2d(2),
            nn.MaxPool2d(2),
            nn.Upsample(scale_factor=2),
            nn.Dropout(),
            nn.Flatten(),
            nn.Linear(2 * 4 * 4, 3),
        )

    images = torch.rand(3, 4, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    assert_equal_steps(layers, network, images, True, torch.float64, {"PoolAndRepeat"})


def test_of_equal_pixels_the_first_has_the_gradient(layers):
    def network():
        return nn.Sequential(
            nn.BatchNorm2d(1), nn.ReLU(), nn.MaxPool2d(2), nn.Upsample(scale_factor=2), nn.Flatten()
        )

    images = torch.tensor([[1.0, 1.0, 2.0, 1.0], [1.0, 1.0, 1.0, 2.0]]).view(1, 1, 2, 4)
    images = torch.cat([images, -images, images.flip(3)]).expand(3, 3, 1, 2, 4)
    assert_equal_steps(layers, network, images, False, torch.float64, {"PoolAndRepeat"})


@pytest.mark.gpu
def test_convolutions_have_the_digits_of_float32():
    # TF32 has three. Many terms are summed, in order by the tensor cores, which cut digits off.
    generator = torch.Generator("cuda").manual_seed(0)
    network = nn.Sequential(nn.Conv2d(20, 20, 3, padding=1, bias=False), nn.Flatten())
    state = initial_state(network, [0])
    ensemble = Ensemble(network, state, "cuda")
    images = torch.randn(1, 2560, 20, 10, 10, device="cuda", generator=generator)
    towards = torch.randn(1, 2560, 2000, device="cuda", generator=generator)
    none = torch.zeros(1, 0, dtype=torch.int32, device="cuda")
    maps = ensemble.forward(images, none, torch.zeros(1, device="cuda"), None).clone()
    ensemble.backward(towards)
    weight = state["0.weight"][0].cuda().double().requires_grad_()
    exact = nn.functional.conv2d(images[0].double(), weight, padding=1).flatten(1)
    exact.backward(towards[0].double())
    assert (maps[0] - exact).norm() < 1e-6 * exact.norm()
    ours = ensemble.gradients[0, : weight.numel()].view(weight.shape)
    assert (ours - weight.grad).norm() < 2e-6 * weight.grad.norm()
