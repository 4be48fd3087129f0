"""Experiments: the published grids, the networks' seeds, what is refused."""

import json
import pickle

import numpy as np
import pytest
from odd_values import within

from sbt_utils.sweeping.experiments import PHASE_DIAGRAMS, SLOPES, Experiment, published

AXES = {"dropout": [0.0, 0.1], "negative_slope": [0.0, 0.5, 1.0]}


def networks(experiment):
    return [experiment.network(number) for number in range(len(experiment))]


# The published grids -------------------------------------------------------------------------


def test_the_published_experiments_have_2820_networks():
    sizes = {noise: len(published(noise)) for noise, _ in PHASE_DIAGRAMS}
    assert sizes == {"dropout": 960, "learning_rate": 720, "data_noise": 540, "batch_size": 600}


def test_the_published_protocol():
    experiment = published("batch_size")
    assert experiment.axes["batch_size"] == (5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560)
    assert SLOPES == (0, 0.2, 0.4, 0.6, 0.8, 1)
    assert (experiment.train, experiment.hidden_layers, experiment.width) == (2560, 7, 100)
    training = experiment.epochs, experiment.optimizer, experiment.learning_rate
    assert training == (100, "adam", 1e-3)
    assert published("learning_rate").epochs == 200
    assert published("learning_rate", "quick").epochs == 200


@pytest.mark.parametrize("noise", [noise for noise, _ in PHASE_DIAGRAMS])
def test_quick_has_the_same_networks_as_paper(noise):
    paper = {tuple(network.items()) for network in networks(published(noise))}
    quick = {tuple(network.items()) for network in networks(published(noise, "quick"))}
    assert quick < paper


def test_settings_replace_the_published_ones():
    assert published("dropout", width=50, seeds=3).width == 50
    assert len(published("dropout", seeds=3)) == 288


# Networks ------------------------------------------------------------------------------------


def test_networks_follow_the_axes_with_the_seeds_fastest():
    experiment = Experiment(AXES, seeds=2, width=7)
    cells = [(n["dropout"], n["negative_slope"]) for n in networks(experiment)]
    assert cells[:4] == [(0, 0), (0, 0), (0, 0.5), (0, 0.5)]
    assert cells[-1] == (0.1, 1)
    assert {network["width"] for network in networks(experiment)} == {7}
    assert {network["batch_size"] for network in networks(experiment)} == {2560}


def test_every_network_has_a_seed_of_its_own():
    seeds = [n["seed"] for noise, _ in PHASE_DIAGRAMS for n in networks(published(noise))]
    assert len(set(seeds)) == 2820
    assert 0 <= min(seeds) < max(seeds) < 2**63


def test_a_cell_is_the_same_in_every_grid_however_its_levels_are_written():
    one = Experiment(AXES, seeds=3)
    levels = np.array([1, 0], np.float32)
    other = Experiment({"dropout": [0], "negative_slope": levels}, seeds=2)
    assert one.network(0) == other.network(2)
    assert one.network(7) == other.network(1)
    assert type(other.network(0)["dropout"]) is float


def test_root_axes_and_seed_change_the_random_numbers():
    base = Experiment(AXES)
    assert base.network(0)["seed"] != base.network(1)["seed"]
    assert base.network(0)["seed"] != Experiment(AXES, root=1).network(0)["seed"]
    swapped = Experiment(dict(reversed(AXES.items())))
    assert base.network(0)["seed"] != swapped.network(0)["seed"]


def test_an_experiment_travels_and_can_be_written_down():
    experiment = Experiment({"optimizer": ["adam", "sgd"], "width": np.array([4, 8])})
    assert pickle.loads(pickle.dumps(experiment)) == experiment  # noqa: S301
    written = json.loads(json.dumps(experiment.configuration))
    assert Experiment(**written) == experiment


def test_dimensions_of_a_phase_diagram_and_of_other_grids():
    assert Experiment(AXES).dimensions == ("noise", "slope")
    assert Experiment(dict(reversed(AXES.items()))).dimensions == ("negative_slope", "dropout")


# What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"dropout": [0]}, r"axes=\['dropout'\]: give two different ones of negative_slope, "),
        ({"dropout": [0], "seeds": [1]}, "axes=.*'seeds'.*: give two"),
        ({"dropout": [], "width": [4]}, "axis 'dropout': give a sequence of one value or more"),
        ({"dropout": 0.1, "width": [4]}, "axis 'dropout': give a sequence of one value or more"),
        ({"dropout": [[0.1]], "width": [4]}, "axis 'dropout': give a sequence of one value or"),
        ({"dropout": ["0.1"], "width": [4]}, r"dropout='0.1': give one number in \[0, 1\)"),
        ({"dropout": [0], "width": [10**400]}, "width=10.*: give an integer of at most 2147483647"),
        ({"dropout": [0], "optimizer": [None]}, "optimizer=None: choose one of adam, sgd"),
        (None, "axes=None: give a mapping of two names to levels"),
        ([("dropout", [0]), ("width", [4])], "axes=.*: give a mapping of two names to levels"),
        ({"dropout": [0, 0.1, 0.0], "width": [4]}, r"axis 'dropout' repeats \[0.0\]"),
        ({"dropout": [0], "width": [4, 8, 4]}, r"axis 'width' repeats \[4\]"),
        ({"dropout": [1.0], "width": [4]}, r"dropout=1.0: give a number in \[0, 1\)"),
        ({"dropout": [0], "width": [0]}, "width=0: give an integer of at least 1"),
        ({"dropout": [0], "width": [4.0]}, "width=4.0: give an integer"),
        ({"dropout": [0], "batch_size": [None]}, "batch_size=None: give an integer"),
        ({"dropout": [0], "optimizer": ["rms"]}, "optimizer='rms': choose one of adam, sgd"),
    ],
)
def test_axes(axes, message):
    with pytest.raises(ValueError, match=message):
        Experiment(axes)


def test_repeats_among_many_levels_are_soon_found():
    levels = (np.arange(100_000) / 200_000).tolist()
    with within(30):
        assert len(Experiment({"dropout": levels, "width": [4]}, seeds=1)) == 100_000
        with pytest.raises(ValueError, match=r"axis 'dropout' repeats \[0\.25\]: give each"):
            Experiment({"dropout": [*levels, 0.25], "width": [4]}, seeds=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": 0}, "seeds=0: give an integer of at least 1"),
        ({"epochs": 1.5}, "epochs=1.5: give an integer"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rate": -1.0}, r"learning_rate=-1.0: give a number in \(0, inf\)"),
        ({"optimizer": "rms"}, "optimizer='rms'"),
        ({"optimizer": np.ones(7)}, "optimizer=array.*: choose one of adam"),
        ({"dropout": np.array(0.1)}, "dropout=array.*: give one number in"),
        ({"dataset": "mnits"}, "dataset='mnits': choose one of mnist, mnist_full"),
        ({"test": 0}, "test=0: give an integer of at least 1"),
        ({"root": -1}, "root=-1: give an integer of at least 0"),
        ({"root": None}, "root=None: give an integer of at least 0"),
    ],
)
def test_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        Experiment(AXES, **settings)


def test_numpy_settings_are_pythons_own():
    given = {"seeds": np.int64(2), "width": np.uint8(4), "learning_rate": np.float64(0.1)}
    one = Experiment(AXES, **given)
    assert one == Experiment(AXES, seeds=2, width=4, learning_rate=0.1)
    assert Experiment(**json.loads(json.dumps(one.configuration))) == one


def test_names_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"experiment=\[\]: choose one of dropout"):
        published([])
    with pytest.raises(ValueError, match=r"profile=\{\}: choose one of smoke"):
        published("dropout", {})


def test_names():
    with pytest.raises(ValueError, match="experiment='droput': choose one of dropout, learning"):
        published("droput")
    with pytest.raises(ValueError, match="profile='fast': choose one of smoke, quick, paper"):
        published("dropout", "fast")
