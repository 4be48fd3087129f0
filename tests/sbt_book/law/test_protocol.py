"""He & Su's protocol: against plain loops of PyTorch, and against their formula in SciPy."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
import xarray as xr
from torch import nn

from sbt_book.law import protocol
from sbt_book.law.protocol import (
    Run,
    Stage,
    balanced,
    feedforward,
    law_protocol,
    protocol_runs,
    separations,
    trained,
)
from sbt_utils.data.datasets import load_data
from sbt_utils.ensembles.ensemble import initial_state
from sbt_utils.ensembles.noise import seed_words

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def digits():
    return load_data("mnist", train=200, test=30)


@pytest.fixture(scope="module")
def few(digits):
    return balanced(digits, 6)


def untrained(network, seed):
    """Return a network as its seed starts it."""
    network = deepcopy(network)
    state = initial_state(network, [seed_words(seed)[0]])
    network.load_state_dict({name: tensor[0] for name, tensor in state.items()})
    return network


def test_the_settings_are_the_published_ones():
    # The commands of their README; their layer_num leaves out the first and the last layer.
    published = {
        (2, "sgd"): 0.3,
        (6, "sgd"): 0.03,
        (18, "sgd"): 0.01,
        (2, "momentum"): 0.3,
        (6, "momentum"): 0.01,
        (18, "momentum"): 0.001,
        (2, "adam"): 3e-3,
        (6, "adam"): 1e-3,
        (18, "adam"): 3e-4,
    }
    *runs, frozen = protocol_runs()
    assert {(run.depth - 2, run.optimizer): run.rate for run in runs} == published
    assert all(run.stages == (Stage(1, run.depth, 600),) for run in runs)
    assert frozen == replace(runs[-1], stages=(Stage(1, 10, 900, False), Stage(11, 20, 600)))
    layers = [type(layer) for layer in feedforward(4)]
    hidden = [nn.Linear, nn.BatchNorm1d, nn.LeakyReLU]
    assert layers == [nn.Flatten, *3 * hidden, nn.Linear]
    assert all(m.negative_slope == 0 for m in feedforward(4) if isinstance(m, nn.LeakyReLU))


def test_balanced(digits, few):
    assert torch.bincount(few.train_labels).tolist() == [6] * 10
    for label in range(10):
        first = digits.train_images[digits.train_labels == label][:6]
        torch.testing.assert_close(few.train_images[few.train_labels == label], 2 * first - 1)
    assert len(set(few.train_labels[:20].tolist())) > 4  # in the order of the data set
    torch.testing.assert_close(few.test_images, 2 * digits.test_images - 1)
    with pytest.raises(ValueError, match=r"data: \d+ images of class \d; give 100 or more of each"):
        balanced(digits, 100)


@pytest.mark.parametrize(
    ("optimizer", "tolerance"), [("sgd", 1e-5), ("momentum", 1e-5), ("adam", 1e-3)]
)
def test_training_equals_a_plain_loop(few, optimizer, tolerance):
    rate = 0.01
    run = Run(4, optimizer, rate, (Stage(1, 4, 7),))
    (found, other) = trained(feedforward(4), few, run, [5, 6])
    plain = untrained(feedforward(4), 5).train()
    kind = torch.optim.Adam if optimizer == "adam" else torch.optim.SGD
    options = {"momentum": 0.9} if optimizer == "momentum" else {}
    stepper = kind(plain.parameters(), lr=rate, weight_decay=5e-4, **options)
    for decades in (0, 0, 1, 1, 2, 2, 2):  # full batch: all images fit into one
        for group in stepper.param_groups:
            group["lr"] = rate / 10**decades
        stepper.zero_grad()
        nn.functional.cross_entropy(plain(few.train_images), few.train_labels).backward()
        stepper.step()
    for name, tensor in plain.state_dict().items():
        # Adam makes steps of rounding: biases before a batch normalisation have no gradient.
        torch.testing.assert_close(found.state_dict()[name], tensor, atol=tolerance, rtol=1e-4)
    assert not torch.equal(found[1].weight, other[1].weight)


def test_frozen_layers_stay_as_they_are(few):
    first = Stage(1, 2, 3, False)
    start = untrained(feedforward(5), 1).state_dict()
    (half,) = trained(feedforward(5), few, Run(5, "adam", 0.01, (first,)), [1])
    (whole,) = trained(feedforward(5), few, Run(5, "adam", 0.01, (first, Stage(3, 5, 3))), [1])
    for name, _ in half.named_parameters():
        low = name[:-7] in ("linear1", "norm1", "linear2", "norm2") or name[-6] in "12"
        before, between, after = (
            state[name] for state in (start, half.state_dict(), whole.state_dict())
        )
        assert torch.equal(before, between) != low, name
        assert torch.equal(between, after) == low, name


def published_fuzziness(features, labels):
    """Their formula, for classes of one size."""
    means = np.stack([features[labels == label].mean(0) for label in range(10)])
    between = (means - features.mean(0)).T @ (means - features.mean(0)) / 10
    within = (features - means[labels]).T @ (features - means[labels]) / len(labels)
    return np.log(np.trace(within @ scipy.linalg.pinv(between)))


def test_separations_equal_the_published_formula_in_training_mode(digits):
    data = balanced(digits, 12)
    (network,) = trained(feedforward(4), data, Run(4, "sgd", 0.1, (Stage(1, 4, 6),)), [0])
    images, labels = data.train_images, data.train_labels
    found = separations(network, images, labels)
    for statistics in ("batch", "running"):
        one = deepcopy(network).train(statistics == "batch")
        features = [[] for _ in range(4)]
        for h in images.split(100):
            features[0].append(h.flatten(1))
            depth = 0
            for layer in one:
                h = layer(h)
                if isinstance(layer, nn.LeakyReLU):
                    depth += 1
                    features[depth].append(h)
        curve = [
            published_fuzziness(torch.cat(h).detach().double().numpy(), labels.numpy())
            for h in features
        ]
        assert found.sel(statistics=statistics, measure="fuzziness").values == pytest.approx(
            curve, abs=1e-4
        )


def test_an_interrupted_experiment_goes_on(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "PER_CLASS", 6)
    monkeypatch.setattr(protocol, "FROZEN_SEEDS", 1)
    runs = protocol_runs(3, 3, depths=(4,))
    whole = law_protocol(digits, tmp_path / "whole.nc", runs, [0, 1])
    assert whole.separation.shape == (4, 2, 2, 2, 4)
    assert whole.optimizer.values.tolist() == ["sgd", "momentum", "adam", "adam"]
    assert whole.frozen.values.tolist() == [0, 0, 0, 1]
    curves = whole.separation.notnull().all(["statistics", "measure", "layer"])
    assert curves.values.tolist() == [[True, True]] * 3 + [[True, False]]
    calls = []

    def stopped(network, data, run, seeds):
        calls.append(run)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return trained(network, data, run, seeds)

    monkeypatch.setattr(protocol, "trained", stopped)
    with pytest.raises(KeyboardInterrupt):
        law_protocol(digits, tmp_path / "again.nc", runs, [0, 1])
    again = law_protocol(digits, tmp_path / "again.nc", runs, [0, 1])
    assert calls == [*runs[:3], *runs[2:]]
    xr.testing.assert_equal(again, whole)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    with pytest.raises(ValueError, match="holds results with seeds"):
        law_protocol(digits, tmp_path / "again.nc", runs, [0])
