"""The convolutional experiment: rounds against one go, and against training by hand."""

import json

import numpy as np
import pytest
import xarray as xr
from torch import nn

from sbt_book.generalisation.convolutional_experiment import DROPOUTS, dropout_in_rounds
from sbt_utils import results
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.sweeping.experiments import network_seed
from sbt_utils.training.networks import CNN
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = CNN(1, channels=3, hidden_layers=2)


@pytest.fixture(scope="module")
def digits():
    return load_data("mnist", train=60, test=40)


def rounds(digits, out, **settings):
    settings = {"dropouts": [0.0, 0.3], "seeds": 2, "every": 2} | settings
    return dropout_in_rounds(digits, out, network=SMALL, progress=False, **settings)


def test_the_published_levels():
    assert DROPOUTS == (0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)


def test_stopped_and_called_again_it_is_the_same(digits, tmp_path):
    whole = rounds(digits, tmp_path / "whole.nc", epochs=6)
    rounds(digits, tmp_path / "parts.nc", epochs=2)
    parts = rounds(digits, tmp_path / "parts.nc", epochs=6)
    xr.testing.assert_identical(parts.drop_attrs(), whole.drop_attrs())
    assert parts.checkpoint.values.tolist() == [2, 4, 6]
    again = rounds(digits, tmp_path / "parts.nc", epochs=6)
    xr.testing.assert_identical(again, parts)


def test_a_checkpoint_is_what_training_by_hand_gives(digits, tmp_path):
    grown = rounds(digits, tmp_path / "cnn.nc", epochs=4, learning_rate=1e-2)
    seed = network_seed(0, ["dropout", "CNN"], {"dropout": 0.3}, 1)
    images = digits.train_images, digits.train_labels
    settings = {"seeds": seed, "dropout": 0.3, "learning_rate": 1e-2, "progress": False}
    for epochs in (2, 4):
        networks = [train(SMALL, *images, epochs=epochs, **settings).network(0)]
        cell = grown.sel(noise=0.3, seed=1, checkpoint=epochs)
        for part, data in {
            "train": images,
            "test": (digits.test_images, digits.test_labels),
        }.items():
            expected = evaluate(networks, *data, layers=nn.MaxPool2d).isel(member=0)
            np.testing.assert_array_equal(cell[f"separation_{part}"], expected.separation)
            assert cell[f"accuracy_{part}"] == expected.accuracy
            if part == "train":
                assert cell.loss_train == expected.loss


def test_results_of_other_settings_are_not_mixed(digits, tmp_path):
    out = tmp_path / "cnn.nc"
    rounds(digits, out, epochs=2)
    before = out.read_bytes()
    with pytest.raises(ValueError, match=r"cnn\.nc was made with other settings: give another na"):
        rounds(digits, out, epochs=4, seeds=3)
    assert out.read_bytes() == before


def test_without_its_networks_it_cannot_go_on(digits, tmp_path):
    out = tmp_path / "cnn.nc"
    rounds(digits, out, epochs=2)
    (tmp_path / "cnn.pt").unlink()
    with pytest.raises(ValueError, match=r"ends at epoch 2 and its networks, .*cnn\.pt, are not"):
        rounds(digits, out, epochs=4)
    assert results.load(out).checkpoint.values.tolist() == [2]


def test_results_behind_their_networks_are_measured_again(digits, tmp_path):
    out = tmp_path / "cnn.nc"
    whole = rounds(digits, out, epochs=4)
    configuration = json.loads(whole.attrs["configuration"])
    results.save(whole.sel(checkpoint=[2]), out, configuration, wall_time=1.0)
    again = rounds(digits, out, epochs=4)
    xr.testing.assert_equal(again, whole)
