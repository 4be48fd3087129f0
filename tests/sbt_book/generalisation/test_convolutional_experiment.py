"""The convolutional experiment: interrupted against in one go, and against training by hand."""

import itertools
import os
import shutil

import numpy as np
import pytest
import torch
import xarray as xr
from data_parts import parts
from torch import nn

from sbt_book.generalisation import convolutional_experiment
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


def interrupted(digits, out, monkeypatch, name, after, **settings):
    """Call the experiment, and interrupt it before the next call of a function of its module."""
    original, calls = getattr(convolutional_experiment, name), []

    def once_more(*arguments, **named):
        if len(calls) == after:
            raise KeyboardInterrupt
        calls.append(None)
        return original(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(convolutional_experiment, name, once_more)
        with pytest.raises(KeyboardInterrupt):
            rounds(digits, out, **settings)


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    return rounds(digits, tmp_path_factory.mktemp("whole") / "cnn.nc", epochs=6)


def trained_epochs(monkeypatch):
    """Return a list that gathers, for each training, where it begins and how long it is."""
    trainings = []

    def noted(*arguments, epochs, resume, **settings):
        trainings.append((int(resume["epochs"].max()) if resume else 0, epochs))
        return train(*arguments, epochs=epochs, resume=resume, **settings)

    monkeypatch.setattr(convolutional_experiment, "train", noted)
    return trainings


@pytest.mark.parametrize("name", ["train", "_measure"])
def test_interrupted_and_called_again_it_is_the_same(digits, tmp_path, monkeypatch, name, whole):
    out = tmp_path / "cnn.nc"
    interrupted(digits, out, monkeypatch, name, after=2, epochs=6)
    assert not out.exists()
    trainings = trained_epochs(monkeypatch)
    again = rounds(digits, out, epochs=6)
    assert trainings == [(4, 6)]
    xr.testing.assert_identical(again.drop_attrs(), whole.drop_attrs())
    assert again.checkpoint.values.tolist() == [2, 4, 6]
    xr.testing.assert_identical(rounds(digits, out, epochs=6), again)
    assert trainings == [(4, 6)]


def test_partial_states_are_removed_once_the_result_is_there(digits, tmp_path, monkeypatch):
    out, parts = tmp_path / "cnn.nc", tmp_path / "cnn.parts"
    interrupted(digits, out, monkeypatch, "train", after=2, epochs=6)
    # The networks of the last round alone.
    assert sorted(os.listdir(parts)) == ["000004.01of01.pt", "rounds.nc"]
    rounds(digits, out, epochs=6)
    assert os.listdir(tmp_path) == ["cnn.nc"]
    # Also where the process was killed between the two.
    parts.mkdir()
    (parts / "000006.01of01.pt").write_bytes(b"")
    rounds(digits, out, epochs=6)
    assert os.listdir(tmp_path) == ["cnn.nc"]


def test_the_last_round_may_be_shorter_and_the_time_is_that_of_all(digits, tmp_path, monkeypatch):
    clock = itertools.count(step=100.0)
    monkeypatch.setattr(results.time, "perf_counter", lambda: next(clock))
    grown = rounds(digits, tmp_path / "cnn.nc", epochs=3)
    assert grown.checkpoint.values.tolist() == [2, 3]
    assert grown.attrs["wall_time_seconds"] == 200


def test_it_stops_where_asked_and_goes_on_from_there(digits, tmp_path, monkeypatch, whole):
    first, second = tmp_path / "one" / "cnn.nc", tmp_path / "two" / "cnn.nc"
    assert rounds(digits, first, epochs=6, until=1).checkpoint.values.tolist() == [2]
    assert rounds(digits, first, epochs=6, until=5).checkpoint.values.tolist() == [2, 4]
    assert not first.exists()
    # On another machine, to which the folder was copied.
    shutil.copytree(first.parent, second.parent)
    trainings = trained_epochs(monkeypatch)
    again = rounds(digits, second, epochs=6, until=6)
    assert trainings == [(4, 6)]
    xr.testing.assert_identical(again.drop_attrs(), whole.drop_attrs())
    assert os.listdir(second.parent) == ["cnn.nc"]


def test_networks_lie_in_pieces_of_which_none_may_be_missing(digits, tmp_path, monkeypatch, whole):
    monkeypatch.setattr(convolutional_experiment, "PIECE", 5000)
    out = tmp_path / "cnn.nc"
    rounds(digits, out, epochs=6, until=4)
    pieces = sorted((tmp_path / "cnn.parts").glob("*.pt"))
    assert len(pieces) > 2
    assert {piece.stat().st_size for piece in pieces[:-1]} == {5000}
    trainings = trained_epochs(monkeypatch)
    pieces[1].rename(tmp_path / "elsewhere")
    rounds(digits, tmp_path / "cnn.nc", epochs=6, until=6)
    assert trainings == [(0, 6)]
    rounds(digits, tmp_path / "again.nc", epochs=6, until=4)
    xr.testing.assert_identical(
        rounds(digits, tmp_path / "again.nc", epochs=6).drop_attrs(), whole.drop_attrs()
    )


def test_a_checkpoint_is_what_training_by_hand_gives(digits, tmp_path):
    grown = rounds(digits, tmp_path / "cnn.nc", epochs=4, learning_rate=1e-2)
    seed = network_seed(0, ["dropout", "CNN"], {"dropout": 0.3}, 1)
    images, _ = parts(digits)
    settings = {"seeds": seed, "dropout": 0.3, "learning_rate": 1e-2, "progress": False}
    for epochs in (2, 4):
        networks = [train(SMALL, *images, epochs=epochs, **settings).network(0)]
        cell = grown.sel(noise=0.3, seed=1, checkpoint=epochs)
        for part, data in zip(("train", "test"), parts(digits), strict=True):
            expected = evaluate(networks, *data, layers=nn.MaxPool2d).isel(member=0)
            np.testing.assert_array_equal(cell[f"separation_{part}"], expected.separation)
            assert cell[f"accuracy_{part}"] == expected.accuracy
            if part == "train":
                assert cell.loss_train == expected.loss


def test_results_of_other_settings_are_not_mixed(digits, tmp_path, monkeypatch):
    out = tmp_path / "cnn.nc"
    interrupted(digits, out, monkeypatch, "train", after=1, epochs=4)
    before = (tmp_path / "cnn.parts" / "rounds.nc").read_bytes()
    for other in ({"epochs": 4, "seeds": 3}, {"epochs": 6}):
        with pytest.raises(ValueError, match=r"rounds\.nc holds results with (seeds|epochs) = "):
            rounds(digits, out, **other)
    assert (tmp_path / "cnn.parts" / "rounds.nc").read_bytes() == before
    rounds(digits, out, epochs=4)
    before = out.read_bytes()
    with pytest.raises(ValueError, match=r"cnn\.nc holds results with learning_rate = 0\.0001"):
        rounds(digits, out, epochs=4, learning_rate=1e-3)
    assert out.read_bytes() == before


@pytest.mark.parametrize("lost", ["000004.01of01.pt", "rounds.nc"])
def test_what_was_lost_of_the_parts_is_made_again(digits, tmp_path, monkeypatch, lost, whole):
    out = tmp_path / "cnn.nc"
    interrupted(digits, out, monkeypatch, "train", after=2, epochs=6)
    (tmp_path / "cnn.parts" / lost).unlink()
    trainings = trained_epochs(monkeypatch)
    again = rounds(digits, out, epochs=6)
    anew = [(0, 2), (2, 4), (4, 6)]
    assert trainings == {"000004.01of01.pt": [(0, 6)], "rounds.nc": anew}[lost]
    xr.testing.assert_identical(again.drop_attrs(), whole.drop_attrs())


@pytest.mark.gpu
def test_rounds_on_a_gpu_are_those_on_the_cpu(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(convolutional_experiment, "PIECE", 5000)
    settings = {"epochs": 4, "learning_rate": 1e-3}
    rounds(digits, tmp_path / "gpu.nc", device="cuda", until=2, **settings)
    ours = rounds(digits, tmp_path / "gpu.nc", device="cuda", **settings)
    theirs = rounds(digits, tmp_path / "cpu.nc", **settings)
    assert ours.card == torch.cuda.get_device_name()
    np.testing.assert_allclose(ours.loss_train, theirs.loss_train, rtol=0.01)
    for part in ("train", "test"):
        pair = (results[f"separation_{part}"] for results in (ours, theirs))
        np.testing.assert_allclose(*pair, atol=0.05)
