"""The experiment on gradients, in little."""

import numpy as np
import pytest

from sbt_book.common.noise_axes import NOISES
from sbt_book.gradients import experiment
from sbt_book.gradients.experiment import LEVELS, trained_and_measured
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.sweeping.experiments import network_seed
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train


def test_levels_are_published_ones_from_the_least_noise_on():
    for source, levels in LEVELS.items():
        assert set(levels) <= {*NOISES[source].shown}
        assert list(levels) == sorted(levels, reverse=NOISES[source].falls)


@pytest.fixture(scope="module", autouse=True)
def few_draws():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "DRAWS", 8)
        yield


@pytest.fixture(scope="module")
def small():
    axes = {"dropout": (0.16,), "negative_slope": (0.0, 1.0)}
    return trained_and_measured("dropout", 0.16, axes=axes, train=80, epochs=10)


def test_networks_are_those_of_the_phase_diagram(small):
    cell = {"dropout": 0.16, "negative_slope": 1.0}
    seed = network_seed(0, ["dropout", "negative_slope"], cell, 1)
    digits = load_data("mnist", train=80)
    data = digits.train_images, digits.train_labels
    again = train(
        MLP(), data, seeds=seed, dropout=0.16, negative_slope=1.0, epochs=5, progress=False
    )
    curve = evaluate(again.networks, data).separation.values[0]
    chord = np.linspace(curve[0], curve[-1], len(curve))
    convexity = ((chord - curve)[1:-1]).mean() / (curve[0] - curve[-1])
    found = small.convexity.sel(slope=1.0, seed=1, stage=0.5).item()
    assert found == pytest.approx(convexity, rel=1e-6)


def test_what_is_measured_of_a_cell(small):
    assert dict(small.sizes) == {"slope": 2, "seed": 2, "stage": 3, "layer": 7}
    assert (small.gradient > 0).all()
    assert (small.kick > 0).all()
    assert (abs(small.force) < 1).all()
    assert (small.skewness_chance > 0).all()


def test_without_noise_there_is_no_skewness():
    axes = {"data_noise": (0.0,), "negative_slope": (0.0,)}
    still = trained_and_measured("data_noise", 0.0, axes=axes, seeds=1, train=80, epochs=10)
    assert (still.kick == 0).all()
    assert still.skewness.isnull().all()
    assert still.force.isnull().all()
    assert (still.pull != 0).all()


def test_steps_in_succession_kick_where_nothing_is_drawn():
    axes = {"learning_rate": (0.01,), "negative_slope": (0.4,)}
    kicked = trained_and_measured("learning_rate", 0.01, axes=axes, seeds=1, train=80, epochs=10)
    assert (kicked.kick > 0).all()
    assert kicked.skewness.notnull().all()
