"""The published networks: their layers, sizes and start, and the refusal of anything else."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from sbt_utils.training.networks import CNN, MLP


def test_the_published_architecture():
    expected = [nn.Flatten, nn.BatchNorm1d]
    for _ in range(7):
        expected += [nn.Linear, nn.BatchNorm1d, nn.LeakyReLU, nn.Dropout]
    expected.append(nn.Linear)
    network = MLP()
    assert isinstance(network, nn.Sequential)
    assert [type(layer) for layer in network] == expected
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [
        *[(100, 100)] * 7,
        (100, 10),
    ]
    assert all(layer.bias is not None for layer in linear)
    for layer in network:
        if isinstance(layer, nn.BatchNorm1d):
            assert (layer.num_features, layer.eps, layer.momentum) == (100, 1e-5, 0.1)
            assert layer.affine
            assert layer.track_running_stats
        if isinstance(layer, nn.LeakyReLU):
            assert layer.negative_slope == 0
        if isinstance(layer, nn.Dropout):
            assert layer.p == 0


def test_the_number_of_parameters():
    # input norm 2 * 100; hidden layers 7 * (100 * 100 + 100 + 2 * 100); read-out 100 * 10 + 10
    assert sum(p.numel() for p in MLP().parameters()) == 200 + 7 * 10_300 + 1_010
    # without batch normalisation but that of the input
    network = MLP(batch_norm=False)
    assert sum(p.numel() for p in network.parameters()) == 200 + 7 * 10_100 + 1_010
    network = MLP(inputs=6, width=5, hidden_layers=2, classes=3)
    assert sum(p.numel() for p in network.parameters()) == 12 + (35 + 10) + (30 + 10) + 18


def test_the_default_start_of_pytorch():
    torch.manual_seed(0)
    network = MLP(inputs=40, width=100, hidden_layers=3)
    for layer in network:
        if isinstance(layer, nn.Linear):
            bound = 1 / math.sqrt(layer.in_features)
            for values in (layer.weight, layer.bias):
                assert values.abs().max() <= bound
            # The largest of 1,000 or more numbers uniform up to the bound is close to it, and
            # their standard deviation is bound / sqrt(3).
            assert layer.weight.abs().max() > 0.98 * bound
            assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.06)
        if isinstance(layer, nn.BatchNorm1d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()


def test_settings_reach_every_layer():
    network = MLP(inputs=12, width=7, hidden_layers=3, classes=4, negative_slope=0.4, dropout=0.25)
    slopes = [layer.negative_slope for layer in network if isinstance(layer, nn.LeakyReLU)]
    rates = [layer.p for layer in network if isinstance(layer, nn.Dropout)]
    assert slopes == [0.4] * 3
    assert rates == [0.25] * 3
    assert [tuple(m.weight.shape) for m in network if isinstance(m, nn.Linear)] == [
        (7, 12),
        (7, 7),
        (7, 7),
        (4, 7),
    ]
    assert network(torch.rand(5, 3, 2, 2)).shape == (5, 4)


def test_without_batch_norm_only_that_of_the_input_is_left():
    network = MLP(hidden_layers=2, batch_norm=False)
    norms = [name for name, m in network.named_modules() if isinstance(m, nn.BatchNorm1d)]
    assert norms == ["input_norm"]


def test_slope_1_is_a_linear_network():
    torch.manual_seed(0)
    network = MLP(inputs=4, width=6, hidden_layers=3, negative_slope=1.0).double().eval()
    x, y = torch.randn(2, 3, 4, dtype=torch.float64)
    difference = network(x) - network(y)
    torch.testing.assert_close(network(x - y) - network(torch.zeros_like(x)), difference)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("inputs", 0, "inputs=0: give an integer of at least 1"),
        ("width", 0, "width=0: give an integer of at least 1"),
        ("width", 2.5, r"width=2\.5: give an integer of at least 1"),
        ("width", -3, "width=-3: give an integer of at least 1"),
        ("hidden_layers", 0, "hidden_layers=0: give an integer of at least 1"),
        ("classes", 1, "classes=1: give an integer of at least 2"),
        ("negative_slope", -0.1, r"negative_slope=-0\.1: give a number in \[0, 1\]"),
        ("negative_slope", 1.5, r"negative_slope=1\.5: give a number in \[0, 1\]"),
        ("negative_slope", math.nan, r"negative_slope=nan: give a number in \[0, 1\]"),
        ("dropout", -0.2, r"dropout=-0\.2: give a number in \[0, 1\)"),
        ("dropout", 1.0, r"dropout=1\.0: give a number in \[0, 1\)"),
        ("dropout", math.nan, r"dropout=nan: give a number in \[0, 1\)"),
        ("batch_norm", "no", "batch_norm='no': give True or False"),
        ("batch_norm", np.ones(2), r"batch_norm=array\(\[1\., 1\.\]\): give True or False"),
    ],
)
def test_out_of_range(argument, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        MLP(**{argument: value})


def test_the_published_convolutional_network():
    expected = [nn.BatchNorm2d]
    for _ in range(7):
        expected += [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU, nn.MaxPool2d, nn.Upsample, nn.Dropout]
    network = CNN(dropout=0.3)
    assert [type(layer) for layer in network] == [*expected, nn.Flatten, nn.Linear]
    # input norm 2 * 3; convolutions of 3 x 3; read-out of 20 channels of 10 x 10
    hidden = (9 * 3 * 20 + 20 + 40) + 6 * (9 * 20 * 20 + 20 + 40)
    assert sum(p.numel() for p in network.parameters()) == 6 + hidden + 2000 * 10 + 10
    shapes = {}
    for name, layer in network.named_modules():
        layer.register_forward_hook(lambda _, args, out, name=name: shapes.update({name: out}))
    network.eval()(torch.rand(2, 3, 10, 10))
    for number in range(1, 8):
        assert shapes[f"conv{number}"].shape == (2, 20, 10, 10)
        assert shapes[f"pool{number}"].shape == (2, 20, 5, 5)
        up = shapes[f"upsample{number}"]
        assert up.shape == (2, 20, 10, 10)
        for rows in (up[:, :, ::2], up[:, :, 1::2]):
            for pixels in (rows[..., ::2], rows[..., 1::2]):
                assert torch.equal(pixels, shapes[f"pool{number}"])
    assert all(layer.p == 0.3 for layer in network if isinstance(layer, nn.Dropout))


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("inputs", 0, "inputs=0: give an integer of at least 1"),
        ("channels", 0, "channels=0: give an integer of at least 1"),
        ("size", 9, "size=9: give an even number, so that pooling halves it"),
        ("size", 0, "size=0: give an integer of at least 2"),
        ("size", 4.0, r"size=4\.0: give an integer of at least 2"),
        ("size", None, "size=None: give an integer of at least 2"),
        ("classes", 1, "classes=1: give an integer of at least 2"),
        ("dropout", 1.0, r"dropout=1\.0: give a number in \[0, 1\)"),
        ("dropout", [0.1, 0.2], r"dropout=\[0\.1, 0\.2\]: give one number in \[0, 1\)"),
        ("dropout", True, r"dropout=True: give one number in \[0, 1\)"),
        ("dropout", "0.3", r"dropout='0.3': give one number in \[0, 1\)"),
        ("dropout", 10**400, r"dropout=10{20,}\.\.\.0+: give a number in \[0, 1\)"),
        ("dropout", np.longdouble("1e4000"), r"dropout=inf: give a number in \[0, 1\)"),
        ("channels", 10**400, r"channels=10{20,}\.\.\.0+: give an integer of at most 2147483647"),
        ("channels", 10**6, "channels=1000000: give at most 100000; more fit into no memory"),
        ("hidden_layers", 10**9, "hidden_layers=1000000000: give at most 10000"),
    ],
)
def test_convolutions_out_of_range(argument, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        CNN(**{argument: value})
