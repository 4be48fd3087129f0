"""The convolutional experiment: interrupted against in one go, and against training by hand."""

import itertools
import json
import os
import shutil

import numpy as np
import pytest
import torch
import xarray as xr
from data_parts import parts
from torch import nn

from sbt_book.generalisation import convolutional_experiment
from sbt_book.generalisation.convolutional_experiment import (
    DROPOUTS,
    dropout_experiment,
    join_seeds,
)
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


def experiment(digits, out, **settings):
    settings = {"dropouts": [0.0, 0.3], "seeds": range(3), "epochs": 3, "every": 2} | settings
    return dropout_experiment(digits, out, network=SMALL, progress=False, **settings)


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    """All six networks at once."""
    return experiment(digits, tmp_path_factory.mktemp("whole") / "cnn.nc", shard=6)


def trained_seeds(monkeypatch, most=np.inf):
    """Return a list that gathers the networks of each training; interrupt one too many."""
    names = {
        network_seed(0, ["dropout", "CNN"], {"dropout": p}, seed): (p, seed)
        for p in (0.0, 0.3)
        for seed in range(4)
    }
    trainings = []

    def noted(*arguments, seeds, **settings):
        if len(trainings) == most:
            raise KeyboardInterrupt
        trainings.append([names[seed] for seed in seeds])
        return train(*arguments, seeds=seeds, **settings)

    monkeypatch.setattr(convolutional_experiment, "train", noted)
    return trainings


def interrupted(digits, out, monkeypatch, after, **settings):
    with monkeypatch.context() as patch:
        trained_seeds(patch, most=after)
        with pytest.raises(KeyboardInterrupt):
            experiment(digits, out, **settings)


def test_the_published_levels():
    assert DROPOUTS == (0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)


def test_shard_by_shard_is_all_at_once(digits, tmp_path, monkeypatch, whole):
    trainings = trained_seeds(monkeypatch)
    grown = experiment(digits, tmp_path / "cnn.nc", shard=4)
    assert trainings == [[(0.0, 0), (0.3, 0), (0.0, 1), (0.3, 1)], [(0.0, 2), (0.3, 2)]]
    xr.testing.assert_identical(grown.drop_attrs(), whole.drop_attrs())
    assert dict(grown.sizes) == {"noise": 2, "seed": 3, "checkpoint": 2, "layer": 3}
    # As many networks as PyTorch has threads: one, here.
    experiment(digits, tmp_path / "alone.nc", seeds=[3])
    assert trainings[2:] == [[(0.0, 3)], [(0.3, 3)]]


def test_interrupted_and_called_again_it_is_the_same(digits, tmp_path, monkeypatch, whole):
    first, out = tmp_path / "one" / "cnn.nc", tmp_path / "two" / "cnn.nc"
    interrupted(digits, first, monkeypatch, after=3, shard=1)
    assert os.listdir(first.parent) == ["cnn.parts"]
    # On another machine, to which the folder was copied and where more are trained at once.
    shutil.copytree(first.parent, out.parent)
    trainings = trained_seeds(monkeypatch)
    again = experiment(digits, out, shard=2)
    assert trainings == [[(0.3, 1), (0.0, 2)], [(0.3, 2)]]
    xr.testing.assert_identical(again.drop_attrs(), whole.drop_attrs())
    assert os.listdir(out.parent) == ["cnn.nc"]
    xr.testing.assert_identical(experiment(digits, out, shard=2), again)
    assert len(trainings) == 2
    # Parts that were left because the process was killed before their removal.
    shutil.copytree(first.with_suffix(".parts"), out.with_suffix(".parts"))
    experiment(digits, out)
    assert os.listdir(out.parent) == ["cnn.nc"]


def test_files_of_somebody_else_stay_where_they_are(digits, whole, tmp_path):
    out = tmp_path / "cnn.nc"
    notes = out.with_suffix(".parts") / "seed_notes.nc"
    notes.parent.mkdir()
    notes.write_text("hi")
    xr.testing.assert_equal(experiment(digits, out, shard=6), whole)
    assert list(notes.parent.iterdir()) == [notes]
    assert notes.read_text() == "hi"


def test_parts_serve_other_seeds_too(digits, tmp_path, monkeypatch, whole):
    out = tmp_path / "cnn.nc"
    interrupted(digits, out, monkeypatch, after=1, seeds=[1, 0], shard=3)
    trainings = trained_seeds(monkeypatch)
    again = experiment(digits, out, seeds=[1], shard=3)
    assert trainings == []
    xr.testing.assert_identical(again.drop_attrs(), whole.sel(seed=[1]).drop_attrs())


def test_the_time_is_that_of_all_shards(digits, tmp_path, monkeypatch):
    clock = itertools.count(step=100.0)
    monkeypatch.setattr(results.time, "perf_counter", lambda: next(clock))
    interrupted(digits, tmp_path / "cnn.nc", monkeypatch, after=1, shard=4)
    grown = experiment(digits, tmp_path / "cnn.nc", shard=4)
    assert grown.attrs["wall_time_seconds"] == 200
    assert grown.card == ""


def check_by_hand(digits, grown, p, seed, epochs, learning_rate):
    """Compare a checkpoint with networks trained to it by hand; return how long they trained."""
    images, _ = parts(digits)
    trained = train(
        SMALL,
        *images,
        seeds=network_seed(0, ["dropout", "CNN"], {"dropout": p}, seed),
        dropout=p,
        learning_rate=learning_rate,
        epochs=epochs,
        progress=False,
    )
    cell = grown.sel(noise=p, seed=seed, checkpoint=epochs)
    for part, data in zip(("train", "test"), parts(digits), strict=True):
        expected = evaluate([trained.network(0)], *data, layers=nn.MaxPool2d).isel(member=0)
        np.testing.assert_array_equal(cell[f"separation_{part}"], expected.separation)
        assert cell[f"accuracy_{part}"] == expected.accuracy
        if part == "train":
            assert cell.loss_train == expected.loss
    return trained.history.epochs.item()


def test_a_checkpoint_is_what_training_by_hand_gives(digits, tmp_path):
    grown = experiment(digits, tmp_path / "cnn.nc", learning_rate=1e-2, shard=4)
    for epochs in (2, 3):
        assert check_by_hand(digits, grown, 0.3, 1, epochs, 1e-2) == epochs


def test_a_network_that_stops_early_stays_as_it_is(digits, tmp_path):
    settings = {"dropouts": [0.3, 0.64], "seeds": [0], "learning_rate": 0.1, "shard": 2}
    grown = experiment(digits, tmp_path / "cnn.nc", epochs=120, every=20, **settings)
    lengths = {
        (p, stop): check_by_hand(digits, grown, p, 0, stop, 0.1)
        for p in (0.3, 0.64)
        for stop in (80, 100, 120)
    }
    assert 80 < lengths[0.3, 100] == lengths[0.3, 120] < 100
    assert lengths[0.64, 120] == 120
    before, *after = (grown.sel(noise=0.3, checkpoint=stop, drop=True) for stop in (80, 100, 120))
    xr.testing.assert_identical(*after)
    assert (before.loss_train != after[0].loss_train).all()


def test_results_of_other_settings_are_not_mixed(digits, tmp_path, monkeypatch):
    out = tmp_path / "cnn.nc"
    interrupted(digits, out, monkeypatch, after=1, shard=4)
    with pytest.raises(ValueError, match=r"seed000_dropout0\.nc holds results with epochs = 3"):
        experiment(digits, out, epochs=4)
    experiment(digits, out)
    before = out.read_bytes()
    for other in ({"learning_rate": 1e-3}, {"seeds": range(2)}):
        with pytest.raises(ValueError, match=r"cnn\.nc holds results with (learning_rate|seeds) ="):
            experiment(digits, out, **other)
    assert out.read_bytes() == before
    with pytest.raises(ValueError, match="every=0"):
        experiment(digits, out, every=0)


def test_files_of_some_seeds_become_one_of_all(digits, tmp_path, monkeypatch, whole):
    clock = itertools.count(step=100.0)
    monkeypatch.setattr(results.time, "perf_counter", lambda: next(clock))
    out, files = tmp_path / "cnn.nc", [tmp_path / "cnn_2.nc", tmp_path / "cnn_0_1.nc"]
    experiment(digits, files[0], seeds=[2], shard=4)
    part = join_seeds(files[:1], out)
    xr.testing.assert_identical(part.drop_attrs(), whole.sel(seed=[2]).drop_attrs())
    experiment(digits, files[1], seeds=[0, 1], shard=4)
    joined = join_seeds(files, out)
    xr.testing.assert_identical(joined.drop_attrs(), whole.drop_attrs())
    assert json.loads(joined.configuration) == json.loads(whole.configuration)
    assert joined.wall_time_seconds == 200
    # It is the experiment's own result.
    trainings = trained_seeds(monkeypatch)
    xr.testing.assert_identical(experiment(digits, out), joined)
    assert trainings == []


def test_files_of_other_settings_are_not_joined(digits, tmp_path):
    out, files = tmp_path / "cnn.nc", [tmp_path / f"{seed}.nc" for seed in range(2)]
    experiment(digits, files[0], seeds=[0])
    experiment(digits, files[1], seeds=[1], learning_rate=1e-3)
    with pytest.raises(
        ValueError, match=r"1\.nc holds results with learning_rate = 0\.001, .*0\.n"
    ):
        join_seeds(files, out)
    with pytest.raises(ValueError, match=r"files hold the seeds \[0, 0\]"):
        join_seeds([files[0], files[0]], out)
    with pytest.raises(ValueError, match="none given"):
        join_seeds([], out)
    assert not out.exists()


@pytest.mark.gpu
def test_shards_on_a_gpu_are_those_on_the_cpu(digits, tmp_path):
    settings = {"epochs": 4, "learning_rate": 1e-3}
    ours = experiment(digits, tmp_path / "gpu.nc", device="cuda", shard=4, **settings)
    theirs = experiment(digits, tmp_path / "cpu.nc", **settings)
    assert ours.card == torch.cuda.get_device_name()
    np.testing.assert_allclose(ours.loss_train, theirs.loss_train, rtol=0.01)
    for part in ("train", "test"):
        pair = (results[f"separation_{part}"] for results in (ours, theirs))
        np.testing.assert_allclose(*pair, atol=0.05)
