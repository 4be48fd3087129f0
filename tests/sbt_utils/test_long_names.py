"""Whatever a name or an argument is, the message about it stays a few lines that steer nothing."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from sbt_utils.data.datasets import load_data
from sbt_utils.ensembles.ensemble import initial_state, stock_layers
from sbt_utils.ensembles.stacked_layers import check_flat
from sbt_utils.measuring.curves import curve_statistics
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import data_separation
from sbt_utils.measuring.skipping import removal
from sbt_utils.models.layer_choice import choose
from sbt_utils.reporting.model_files import load_model
from sbt_utils.reporting.stress_map import report
from sbt_utils.sweeping.experiments import Experiment
from sbt_utils.sweeping.sweeps import sweep
from sbt_utils.sweeping.workers import LocalProcesses
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")

LONG = "\x1b[2J" * 250_000
X, Y = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2
NETWORK = MLP(inputs=4, width=3, hidden_layers=2, classes=2)
AXES = {"dropout": [0.1], "learning_rate": [0.01]}


def named(network=NETWORK):
    """Return a network whose layers have long names."""
    return nn.Sequential(OrderedDict((LONG + str(i), layer) for i, layer in enumerate(network)))


def frozen():
    return named(MLP(inputs=4, width=3, hidden_layers=2, classes=2)).requires_grad_(False)


def with_a_layer(layer):
    """Return a network of stock layers and of this one, whose name is long."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    network.add_module(LONG, layer)
    return network


def with_a_buffer():
    network = with_a_layer(nn.Linear(3, 2))
    network[1].register_buffer(LONG, torch.ones(1))
    return network


def with_a_tensor_twice():
    network = with_a_layer(nn.Linear(4, 3))
    network[2].weight = network[1].weight
    return network


class Two(nn.Module):
    """Two rows of residual blocks, side by side."""

    def __init__(self):
        super().__init__()
        for side in "ab":
            blocks = (nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(3))
            self.add_module(side + LONG, nn.ModuleList(map(Block, blocks)))

    def forward(self, x):
        return sum(nn.Sequential(*row)(x) for row in self.children())


class Block(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


def trained(**settings):
    return train(NETWORK, X, Y, **{"epochs": 1, "learning_rate": 0.1} | settings)


CALLS = {
    "layers, a name": lambda: load_curve(NETWORK, (X, Y), layers=LONG),
    "layers, a list": lambda: choose(NETWORK, [1, LONG]),
    "layers, none of these": lambda: choose(NETWORK, [nn.Conv2d] * 10**5),
    "two rows of blocks": lambda: load_curve(Two(), (X, Y)),
    "batch_size": lambda: load_curve(NETWORK, (X, Y), batch_size=LONG),
    "data, a mapping": lambda: load_curve(NETWORK, {LONG: [[0.0], [0.0, 1.0]], "labels": [0, 1]}),
    "data, samples": lambda: load_curve(NETWORK, [{LONG: X[i, i:], "labels": 0} for i in (0, 1)]),
    "data, without labels": lambda: load_curve(NETWORK, {LONG: X}),
    "resamples": lambda: report(NETWORK, (X, Y), resamples=LONG),
    "seed": lambda: report(NETWORK, (X, Y), seed=-(10**5000)),
    "name of a statistic": lambda: curve_statistics([[2.0, 1.0, 0.0]], LONG),
    "levels": lambda: Experiment(AXES | {"dropout": [i / 1e4 for i in range(10**3)] * 2}),
    "dataset": lambda: Experiment(AXES, dataset=LONG),
    "shard_size": lambda: sweep(Experiment(AXES, seeds=1), shard_size=LONG, progress=False),
    "workers": lambda: LocalProcesses(-(10**5000)),
    "optimizer": lambda: trained(optimizer=LONG),
    "device": lambda: trained(device=LONG),
    "resume": lambda: trained(resume={**trained().state, "algorithm": LONG}),
    "seeds of an ensemble": lambda: initial_state(NETWORK, [-(10**5000)]),
    "a seed that is text": lambda: initial_state(NETWORK, [LONG]),
    "a layer of another kind": lambda: stock_layers(with_a_layer(type(LONG, (nn.Tanh,), {})())),
    "padding": lambda: stock_layers(with_a_layer(nn.Conv2d(1, 1, 1, padding="same"))),
    "mode": lambda: stock_layers(with_a_layer(nn.Upsample(scale_factor=2, mode=LONG))),
    "a buffer": lambda: stock_layers(with_a_buffer()),
    "a tensor twice": lambda: stock_layers(with_a_tensor_twice()),
    "a layer of vectors": lambda: check_flat(LONG, nn.BatchNorm1d(3), torch.ones(1, 2, 3, 4)),
    "measure": lambda: data_separation(X, Y, LONG),
    "loss": lambda: removal(NETWORK, (X, Y), loss=LONG),
    "train": lambda: load_data(train=10**5000),
    "target of a model": lambda: load_model("torch.nn:" + LONG, "none.pt"),
    "arguments of a model": lambda: load_model("torch.nn:Linear", "none.pt", {LONG: LONG}),
    "parameters that are fixed": lambda: train(frozen(), X, Y, epochs=1, learning_rate=0.1),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_megabyte_makes_a_short_message(case):
    with pytest.raises((ValueError, TypeError)) as caught:
        CALLS[case]()
    message = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert len(message) < 1000
    assert message.isprintable()
