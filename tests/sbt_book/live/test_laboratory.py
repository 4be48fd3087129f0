"""The laboratory: its runs are those of the trainer; it can be stopped and exported."""

import time

import numpy as np
import pytest
import traitlets
from data_parts import parts
from node import run

from sbt_book.live.laboratory import Laboratory
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train


@pytest.fixture(scope="module")
def digits():
    return load_data("mnist", train=200, test=100)


def test_a_run_is_the_trainers(digits):
    laboratory = Laboratory(digits, epochs=7, networks=2, dropout=0.1, negative_slope=0.2)
    laboratory.train()
    training, _ = parts(digits)
    settings = {"negative_slope": 0.2, "dropout": 0.1, "epochs": 7, "progress": False}
    trained = train(MLP(), *training, seeds=range(2), **settings)
    expected = evaluate(trained.networks, *training)
    np.testing.assert_array_equal(laboratory.dataset.separation[0], expected.separation)
    np.testing.assert_array_equal(laboratory.load_curve.separation, expected.separation)
    assert laboratory.progress == 1
    assert not laboratory.training


def test_runs_are_overlaid_and_exported(digits):
    laboratory = Laboratory(digits, epochs=2, networks=1, batch_size=50)
    laboratory.train()
    laboratory.networks, laboratory.batch_size, laboratory.data_noise = 2, 0, 0.2
    laboratory.train()
    dataset = laboratory.dataset
    assert dataset.sizes == {"run": 2, "network": 2, "layer": 8}
    assert dataset.separation.isel(run=0, network=1).isnull().all()
    assert dataset.batch_size.values.tolist() == [50, 0]
    assert dataset.data_noise.values.tolist() == [0, 0.2]
    assert [each["name"] for each in laboratory.runs] == [
        "α = 0, p = 0, batches of 50",
        "α = 0, p = 0, data noise 20%",
    ]
    laboratory.clear()
    assert laboratory.load_curve is None


def test_buttons_train_and_stop(digits):
    laboratory = Laboratory(digits, epochs=10_000, networks=1)
    told = []
    laboratory.send = told.append
    laboratory._handle_custom_msg("hello", [])
    assert told == ["hello"]
    laboratory._handle_custom_msg("train", [])
    deadline = time.monotonic() + 60
    while not laboratory.training and time.monotonic() < deadline:
        time.sleep(0.01)
    laboratory._handle_custom_msg("stop", [])
    while laboratory.training and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not laboratory.training
    assert laboratory.message == ""
    assert 0 < laboratory.progress < 1 or laboratory.runs[-1]["loss"][-1] < 1e-3


def test_what_goes_wrong_is_said(digits):
    laboratory = Laboratory(digits, epochs=1, networks=1, batch_size=2000)
    laboratory._train_and_tell()
    assert "batch_size" in laboratory.message
    with pytest.raises(traitlets.TraitError, match="dropout"):
        laboratory.dropout = 1.0
    with pytest.raises(ValueError, match="device"):
        Laboratory(digits, device="tpu")


def test_the_page_shows_mean_and_spread():
    curves = np.random.default_rng(0).normal(size=(4, 8))
    shown = run("laboratory/laboratory.js", "spread(curves)", curves=curves)
    np.testing.assert_allclose(shown["values"], curves.mean(0), atol=1e-12)
    np.testing.assert_allclose(shown["high"], curves.mean(0) + curves.std(0), atol=1e-12)
    np.testing.assert_allclose(shown["low"], curves.mean(0) - curves.std(0), atol=1e-12)
