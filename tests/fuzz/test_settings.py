"""Settings of any kind: of networks, of training, of experiments, of data, and names of files."""

import json
import os
from dataclasses import asdict
from math import isfinite
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from fuzzing import REFUSED, answer, tried
from hypothesis import given
from hypothesis import strategies as st
from odd_values import arguments, odd, within
from small_training import assert_same_member, problem

from sbt_utils import results
from sbt_utils.data.datasets import load_data
from sbt_utils.outputs import check_outputs, whole_file
from sbt_utils.sweeping.experiments import PARAMETERS, PHASE_DIAGRAMS, Experiment, published
from sbt_utils.sweeping.sweeps import sweep
from sbt_utils.training.controllers import DropoutController, Schedule, set_dropout
from sbt_utils.training.networks import CNN, MLP
from sbt_utils.training.steering import steer
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")

SECONDS = 60
IMAGES, LABELS = problem(images=24, inputs=4, classes=3)
SHAPE = {"inputs": 4, "width": 5, "hidden_layers": 2, "classes": 3}
parts = st.one_of(st.just(0.0), st.floats(0.0, 0.9))

# Networks -----------------------------------------------------------------------------------

NETWORK = {
    "inputs": st.integers(1, 9),
    "hidden_layers": st.integers(1, 3),
    "classes": st.integers(2, 5),
    "negative_slope": st.floats(0.0, 1.0),
    "dropout": parts,
}


@tried(3)
@given(arguments(NETWORK | {"width": st.integers(1, 9), "batch_norm": st.booleans()}))
def test_perceptrons(settings):
    network = answer(lambda: MLP(**settings), *settings)
    if network is REFUSED:
        return
    inputs, width, layers = (settings[name] for name in ("inputs", "width", "hidden_layers"))
    weights = inputs * width + (layers - 1) * width**2 + width * settings["classes"]
    others = 2 * inputs + layers * width * (3 if settings["batch_norm"] else 1)
    counted = sum(tensor.numel() for tensor in network.parameters())
    assert counted == weights + others + settings["classes"]
    logits = network.eval()(torch.zeros(3, 1, 1, int(inputs)))
    assert logits.shape == (3, settings["classes"])


@tried(2)
@given(arguments(NETWORK | {"channels": st.integers(1, 4), "size": st.sampled_from([2, 4, 6])}))
def test_convolutional_networks(settings):
    network = answer(lambda: CNN(**settings), *settings)
    if network is not REFUSED:
        size, inputs = int(settings["size"]), int(settings["inputs"])
        logits = network.eval()(torch.zeros(2, inputs, size, size))
        assert logits.shape == (2, settings["classes"])
        levels = {m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)}
        assert levels == {settings["dropout"]}


# Training -----------------------------------------------------------------------------------

MEMBER = {
    "seeds": st.integers(0, 2**63 - 1),
    "negative_slope": st.floats(0.0, 1.0),
    "dropout": parts,
    "learning_rate": st.floats(1e-5, 1.0),
    "data_noise": parts,
    "weight_noise": parts,
    "batch_size": st.integers(2, 24).filter(lambda size: 24 % size != 1),
}
COMMON = {
    "epochs": st.integers(1, 2),
    "optimizer": st.sampled_from(["adam", "sgd", "momentum"]),
    "separation_every": st.one_of(st.none(), st.just(1)),
    "device": st.just("cpu"),
}
TRAIN = MEMBER | COMMON
NAMES = (*TRAIN, "seed", "settings", "images", "labels")


def few(odd):
    """Return values of which none is a number of epochs that would be trained."""
    return odd.filter(lambda value: not (isinstance(value, int) and 2 < value < 2**31))


@tried(3)
@given(
    arguments(TRAIN, dict.fromkeys(TRAIN, few(odd)), most=1),
    st.fixed_dictionaries(MEMBER),
)
def test_training(settings, company):
    network = MLP(**SHAPE)

    def fit(**settings):
        return train(network, IMAGES, LABELS, progress=False, **settings)

    with within(SECONDS):
        alone = answer(lambda: fit(**settings), *NAMES)
        if alone is REFUSED:
            return
        history, member = alone.history, alone.history.sizes["member"] - 1
        assert history.loss.shape == (member + 1, settings["epochs"])
        assert np.isfinite(history.loss[member, 0]) or settings["learning_rate"] != 1e-3
        assert ((history.accuracy >= 0) & (history.accuracy <= 1) | history.loss.isnull()).all()
        if any(np.ndim(settings[name]) or settings[name] is None for name in MEMBER):
            return
        if settings["learning_rate"] > 1:  # the first rounding decides where such a network ends
            return
        both = {name: [company[name], settings[name]] for name in MEMBER}
        together = fit(**settings | both)
    assert_same_member(together, 1, alone, 0)


# Controllers --------------------------------------------------------------------------------

CONTROLLER = {
    "memory": st.floats(0.0, 0.4),
    "highest": st.floats(0.4, 0.9),
    "gain": st.floats(0.0, 1e3),
    "integral_gain": st.floats(0.0, 1e3),
    "target": st.floats(-1.0, 1.0),
    "limit": st.floats(0.0, 1e3),
    "error": st.floats(-1.0, 1.0),
}
CONTROLLER_NAMES = (*CONTROLLER, "dropout")


@tried(4)
@given(arguments(CONTROLLER), st.lists(st.one_of(st.floats(-2, 2), odd), min_size=1, max_size=3))
def test_controllers(settings, convexities):
    controller = answer(lambda: DropoutController(**settings), *CONTROLLER_NAMES)
    if controller is REFUSED:
        return
    assert DropoutController(**asdict(controller)) == controller
    for convexity in convexities:
        following = answer(lambda c=controller, x=convexity: c.step(x), "convexity")
        if following is REFUSED:
            continue
        assert 0 <= following.dropout <= controller.highest
        if convexity != convexity:  # nan
            assert following is controller
        lazier = controller.step(-np.inf)
        assert lazier.dropout >= controller.step(np.inf).dropout
        controller = following


@tried(2)
@given(st.one_of(st.lists(st.one_of(parts, odd), max_size=3), odd))
def test_schedules(levels):
    schedule = answer(lambda: Schedule(levels), "levels", "dropout")
    if schedule is REFUSED:
        return
    followed = []
    for _ in levels:
        followed.append(schedule.dropout)
        schedule = schedule.step(0.0)
    assert followed == [float(level) for level in levels]
    assert schedule.dropout == followed[-1]


@tried(1)
@given(st.one_of(parts, odd))
def test_dropout_set_by_hand(dropout):
    model = MLP(**SHAPE)
    if answer(lambda: set_dropout(model, dropout), "dropout") is not REFUSED:
        assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {float(dropout)}


STEER = {
    "controllers": st.one_of(
        st.builds(Schedule, st.lists(parts, min_size=1, max_size=3)),
        st.just(DropoutController(memory=0.1)),
    ),
    "seeds": st.integers(0, 2**63 - 1),
    "epochs": st.integers(1, 3),
    "every": st.integers(1, 3),
    "probe_images": st.integers(20, 24),
    "learning_rate": st.floats(1e-4, 0.1),
    "batch_size": st.sampled_from([6, 24]),
}
ODD_STEER = dict.fromkeys(STEER, few(odd))
ODD_STEER["controllers"] |= st.sampled_from([[], (), [Schedule((0.1,))] * 2])


@tried(3)
@given(arguments(STEER, ODD_STEER, most=1))
def test_steering(settings):
    network = MLP(**SHAPE)

    def guide(**settings):
        return steer(network, IMAGES, LABELS, progress=False, **settings)

    with within(SECONDS):
        alone = answer(lambda: guide(**settings), *STEER, "seed", "settings", "controller")
        if alone is REFUSED or np.ndim(settings["seeds"]) or settings["batch_size"] is None:
            return
        controller = settings["controllers"]
        if isinstance(controller, list | tuple):
            assert alone.history.sizes["member"] == len(controller)
            return
        if np.ndim(settings["learning_rate"]):
            return
        if isinstance(controller, Schedule):
            readings = alone.history.reading.values
            trained = 1 + np.searchsorted(readings, alone.history.epochs[0])  # it may stop early
            wanted = [*controller.levels, *[controller.levels[-1]] * len(readings)][:trained]
            wanted += wanted[-1:] * (len(readings) - trained)
            np.testing.assert_array_equal(alone.history.dropout[0], wanted)
        if settings["learning_rate"] > 1:  # the first rounding decides where such a network ends
            return
        both = {"seeds": [7, settings["seeds"]], "controllers": [Schedule((0.3,)), controller]}
        together = guide(**settings | both)
    assert_same_member(together.training, 1, alone.training, 0)
    for name in ("dropout", "convexity"):
        np.testing.assert_array_equal(together.history[name][1], alone.history[name][0])


# Experiments --------------------------------------------------------------------------------

LEVELS = {
    "negative_slope": st.floats(0.0, 1.0),
    "dropout": parts,
    "learning_rate": st.floats(1e-5, 1.0),
    "data_noise": parts,
    "weight_noise": parts,
    "hidden_layers": st.integers(1, 9),
    "width": st.integers(1, 500),
    "batch_size": st.integers(1, 2560),
    "epochs": st.integers(1, 500),
    "optimizer": st.sampled_from(["adam", "sgd", "momentum"]),
}
assert set(LEVELS) == set(PARAMETERS)
EXPERIMENT = LEVELS | {
    "seeds": st.integers(1, 9),
    "dataset": st.sampled_from(["mnist", "gaussian_mixture"]),
    "train": st.integers(1, 5000),
    "test": st.one_of(st.none(), st.integers(1, 5000)),
    "size": st.just(10),
    "root": st.integers(0, 2**70),
}


@st.composite
def axes(draw):
    names = draw(st.lists(st.sampled_from(PARAMETERS), min_size=2, max_size=2, unique=True))
    grid = {
        name: draw(st.lists(LEVELS[name], min_size=1, max_size=3, unique=True)) for name in names
    }
    if draw(st.integers(0, 3)) == 0:
        grid[names[0]] = draw(st.one_of(odd, st.lists(odd, max_size=2)))
    return draw(odd) if draw(st.integers(0, 9)) == 0 else grid


@tried(4)
@given(axes(), arguments(EXPERIMENT), st.integers(0, 10**6))
def test_experiments(grid, settings, place):
    names = (*EXPERIMENT, "axes", "axis")
    experiment = answer(lambda: Experiment(grid, **settings), *names)
    if experiment is REFUSED:
        return
    written = json.dumps(experiment.configuration, allow_nan=False)
    again = Experiment(**json.loads(written))
    assert again == experiment
    assert json.dumps(again.configuration) == written
    number = place % len(experiment)
    network = experiment.network(number)
    assert again.network(number) == network
    assert 0 <= network["seed"] < 2**63
    first, second, seed = np.unravel_index(number, experiment.shape)
    assert len(experiment) == len(grid[next(iter(grid))]) * experiment.shape[1] * experiment.seeds
    # A cell has the same networks in every grid that contains it.
    one, other = experiment.axes
    cell = {one: [experiment.axes[one][first]], other: [experiment.axes[other][second]]}
    assert Experiment(cell, **settings).network(int(seed)) == network


@tried(2)
@given(
    st.one_of(st.sampled_from([noise for noise, _ in PHASE_DIAGRAMS]), odd),
    st.one_of(st.sampled_from(["smoke", "quick", "paper"]), odd),
    arguments(EXPERIMENT),
)
def test_published_experiments(noise, profile, settings):
    names = ("experiment", "profile", *EXPERIMENT)
    experiment = answer(lambda: published(noise, profile, **settings), *names)
    if experiment is not REFUSED:
        assert experiment.configuration == asdict(experiment) | {
            "axes": {name: list(levels) for name, levels in experiment.axes.items()}
        }
        assert experiment.dimensions == ("noise", "slope")


# Data ---------------------------------------------------------------------------------------

DATA = {
    "name": st.sampled_from(["mnist", "gaussian_mixture"]),
    "train": st.integers(1, 300),
    "test": st.one_of(st.none(), st.integers(1, 300)),
    "size": st.just(10),
    "seed": st.integers(0, 2**70),
}


@tried(3)
@given(arguments(DATA))
def test_data(settings):
    data = answer(lambda: load_data(**settings), *DATA)
    if data is REFUSED:
        return
    for images, labels in (
        (data.train_images, data.train_labels),
        (data.test_images, data.test_labels),
    ):
        assert images.shape == (len(labels), 1, settings["size"], settings["size"])
        assert 0 <= images.min() <= images.max() <= 1
        assert 0 <= labels.min() <= labels.max() < data.classes
    assert len(data.train_labels) == settings["train"]
    fewer = load_data(**settings | {"train": 1})
    assert torch.equal(fewer.train_images[0], data.train_images[0])
    assert torch.equal(fewer.test_images, data.test_images)


# Files --------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), odd),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(), st.integers()), inner, max_size=3),
    ),
    max_leaves=5,
)


@tried(3)
@given(st.dictionaries(st.text(), VALUES, max_size=3), st.floats(0, 1e9))
def test_configurations_are_read_as_they_were_written(tmp_path_factory, configuration, seconds):
    path = tmp_path_factory.mktemp("results") / "chain.nc"
    made = xr.Dataset({"D": ("layer", [1.0, 0.0])}, attrs={"wall_time_seconds": seconds})
    found = answer(lambda: results.kept(path, configuration, lambda: made), "configuration", "path")
    assert os.listdir(path.parent) == ([] if found is REFUSED else ["chain.nc"])
    if found is not REFUSED:
        assert found.D.values.tolist() == [1.0, 0.0]
        assert found.attrs["wall_time_seconds"] == pytest.approx(seconds, abs=0.06)
        again = results.kept(path, configuration, lambda: 1 / 0)
        assert again.identical(found)


WORDS = ["a", "α", "..", ".", " ", "b.", "c ", "-o", "~", "d\ne", "\x1b[2J", "x" * 251, "y" * 300]
WORDS += ["é", "e\u0301", "\u202e", "%s", "{0}", "$HOME", "*", "'", '"', "\\", ":", "CON", "\0"]
WORDS += ["\ud800", "\udc80", "here", "link", "loop", "file", "pipe", "sealed"]
path_words = st.one_of(st.sampled_from(WORDS), st.text(min_size=1, max_size=9))
paths = st.lists(path_words, min_size=1, max_size=3).map("/".join)


def folder_with_all_sorts(folder):
    """Make a folder, links, a pipe and a file of somebody's; return what they hold."""
    (folder / "here").mkdir()
    (folder / "file").write_text("somebody's")
    (folder / "thesis.nc").write_text("somebody's")
    (folder / "link").symlink_to("here/led.to")
    (folder / "loop").symlink_to("loop")
    (folder / "sealed").mkdir(mode=0o500)
    os.mkfifo(folder / "pipe")
    return folder


@tried(3)
@given(paths, st.sampled_from(["", ".json", ".nc", ".svg"]))
def test_names_of_outputs(tmp_path_factory, name, suffix):
    folder = folder_with_all_sorts(tmp_path_factory.mktemp("folder"))
    path = f"{folder}/{name}{suffix}"
    if _leads_out(folder, path) or "pipe" in name:
        return  # a reader is waited for
    before = _below(folder)
    if answer(lambda: check_outputs({"json": path}), "json") is REFUSED:
        assert _below(folder) == before
        return
    with whole_file(path) as temporary:
        temporary.write_text("ours")
    written = os.path.realpath(path)
    assert Path(path).read_text() == "ours"
    assert _below(folder) == before | {os.path.relpath(written, folder): b"ours"}
    bystander = folder / "thesis.nc"
    assert written == os.path.realpath(bystander) or bystander.read_text() == "somebody's"


TINY = Experiment(
    {"width": [2], "dropout": [0.0]},
    seeds=1,
    train=30,
    test=100,
    epochs=1,
    hidden_layers=1,
    dataset="gaussian_mixture",
    size=2,
)


@tried(1)
@given(paths, st.sampled_from([".nc", ".nc", ".nc", "", ".shards"]), st.booleans())
def test_names_of_sweeps(tmp_path_factory, name, suffix, resume):
    folder = folder_with_all_sorts(tmp_path_factory.mktemp("folder"))
    path = f"{folder}/{name}{suffix}"
    if _leads_out(folder, path):
        return
    before = _below(folder)
    with within(SECONDS):
        done = answer(lambda: sweep(TINY, out=path, resume=resume, progress=False), "out")
        after = _below(folder)
        assert before.items() <= after.items()
        if done is REFUSED:
            assert after == before
            return
        assert set(after) - set(before) == {os.path.relpath(os.path.realpath(path), folder)}
        assert sweep(TINY, out=path, progress=False).identical(done)
    assert isfinite(done.loss_train.item())


def _leads_out(folder, path):
    """Say whether a path is one outside of the folder, where tests write nothing."""
    try:
        where = os.path.realpath(path)
    except (ValueError, OSError):
        return False
    return os.path.commonpath([folder, where]) != str(folder) or where == str(folder)


def _below(folder):
    """Return all files below a folder, with their content."""
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, folder)] = file.read()
    return found
