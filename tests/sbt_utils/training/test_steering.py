"""Steering: against plain training, and against what is read of the trained networks by hand."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.probe import load_curve
from sbt_utils.training import trainer
from sbt_utils.training.chunks import in_turn
from sbt_utils.training.controllers import DropoutController, Schedule
from sbt_utils.training.networks import CNN, MLP
from sbt_utils.training.steering import steer
from sbt_utils.training.steps import Steps
from sbt_utils.training.trainer import train

NETWORK = MLP(width=16, hidden_layers=3)


@pytest.fixture(scope="module")
def digits():
    return load_data("mnist", train=300, test=50)


@pytest.fixture(scope="module")
def images(digits):
    return digits.train_images, digits.train_labels


def steered(images, controllers, **settings):
    settings = {"seeds": [0, 1], "epochs": 7, "every": 3, "learning_rate": 0.01} | settings
    return steer(NETWORK, *images, controllers=controllers, progress=False, **settings)


def same_networks(first, second):
    first, second = first.state["networks"], second.state["networks"]
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("settings", [{}, {"batch_size": 64, "optimizer": "momentum"}])
def test_without_gain_it_is_plain_training_bit_by_bit(images, settings):
    constant = [DropoutController(p, gain=0, integral_gain=0) for p in (0.0, 0.2)]
    run = steered(images, constant, **settings)
    settings = {"learning_rate": 0.01, "epochs": 7, "progress": False} | settings
    plain = train(NETWORK, *images, seeds=[0, 1], dropout=[0.0, 0.2], **settings)
    assert same_networks(run.training, plain)
    for name in ("loss", "accuracy", "epochs"):
        np.testing.assert_array_equal(run.history[name], plain.history[name])
    assert run.history.epoch.equals(plain.history.epoch)


def test_the_readings_are_those_of_the_networks_and_move_the_controllers(images, digits):
    unseen = digits.test_images, digits.test_labels
    start = [DropoutController(0.2, gain=0.2), DropoutController(0.3, gain=0.1)]
    run = steered(images, start, probe_images=100, unseen=unseen)
    history = run.history
    assert history.reading.values.tolist() == [3, 6, 7]
    for member, controller in enumerate(start):
        for place in range(3):
            assert history.dropout[member, place] == controller.dropout
            controller = controller.step(float(history.convexity[member, place]))
    assert all(len(np.unique(each)) > 1 for each in history.dropout)
    for member, network in enumerate(run.training.networks):
        curve = load_curve(network, images[0][:100], images[1][:100])
        assert history.convexity[member, -1] == curve.convexity
    right = evaluate(run.training.networks, *unseen).accuracy
    np.testing.assert_array_equal(history.accuracy_unseen[:, -1], right)


def test_a_schedule_is_training_resumed_with_other_dropouts(images):
    run = steered(images, Schedule((0.3, 0.0, 0.1)))
    by_hand, state = None, None
    for dropout, epochs in ((0.3, 3), (0.0, 6), (0.1, 7)):
        settings = {"learning_rate": 0.01, "epochs": epochs, "progress": False}
        by_hand = train(NETWORK, *images, seeds=[0, 1], dropout=dropout, resume=state, **settings)
        state = by_hand.state
    assert same_networks(run.training, by_hand)


def test_a_member_does_not_depend_on_its_company(images):
    controllers = [DropoutController(0.1), DropoutController(0.2, gain=3.0)]
    both = steered(images, controllers)
    alone = steered(images, controllers[1:], seeds=[1])
    for name, tensor in alone.training.state["networks"].items():
        assert torch.equal(tensor[0], both.training.state["networks"][name][1])
    for name in ("dropout", "convexity"):
        np.testing.assert_array_equal(alone.history[name][0], both.history[name][1])


def test_one_controller_serves_all_and_one_seed_many_controllers(images):
    controllers = [DropoutController(0.1), DropoutController(0.1, target=0.3)]
    run = steered(images, controllers, seeds=4)
    shared = steered(images, controllers[0], seeds=[4, 5])
    np.testing.assert_array_equal(run.history.loss[0], shared.history.loss[0])
    assert run.history.seed.values.tolist() == [4, 4]


def test_more_is_asked_of_a_lazy_network_and_makes_it_less_lazy(digits):
    data = load_data("mnist", train=512)
    images, seeds = (data.train_images, data.train_labels), [0, 1]
    settings = {"seeds": seeds, "epochs": 40, "every": 4, "learning_rate": 3e-3}
    network, ends = MLP(width=40), []
    for controller in (Schedule((0.0,)), DropoutController()):
        run = steer(network, *images, controllers=controller, progress=False, **settings)
        ends.append(run.history.convexity[:, -1].values)
    assert ends[0].mean() < -0.1
    assert (abs(ends[1]) < abs(ends[0])).all()


@dataclass(frozen=True)
class Counting:
    """A controller that asks for a little more at every reading."""

    dropout: float = 0.0

    def step(self, convexity):
        return Counting(self.dropout + 1e-4)


class Remembering:
    """A controller that keeps what it has read in itself."""

    def __init__(self, dropout):
        self.dropout, self.read = dropout, []

    def step(self, convexity):
        self.read.append(convexity)
        self.dropout += 0.01 * len(self.read) * abs(np.nan_to_num(convexity))
        return self


@pytest.mark.parametrize("as_list", [False, True])
def test_each_member_has_a_mutable_controller_of_its_own(images, as_list):
    given = Remembering(0.1)
    both = steered(images, [given] * 2 if as_list else given)
    assert (given.dropout, given.read) == (0.1, [])
    for member in range(2):
        alone = steered(images, Remembering(0.1), seeds=[member])
        for name in ("dropout", "convexity", "loss"):
            np.testing.assert_array_equal(alone.history[name][0], both.history[name][member])
    assert (both.history.dropout[:, 1] > 0.1).all()


def test_data_and_unseen_images_may_come_from_loaders(images, digits):
    def loader(*arrays):
        return DataLoader(TensorDataset(*arrays), batch_size=64)

    unseen = digits.test_images, digits.test_labels
    settings = {"controllers": Schedule((0.1, 0.2)), "epochs": 2, "every": 1, "progress": False}
    state = torch.random.get_rng_state()
    expected = steer(NETWORK, *images, unseen=unseen, **settings).history
    assert torch.equal(torch.random.get_rng_state(), state)
    for data, others in ((images, unseen), (loader(*images), loader(*unseen))):
        assert steer(NETWORK, data, unseen=others, **settings).history.identical(expected)


def test_a_network_that_stops_keeps_its_dropout():
    noise = torch.rand(40, 100, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(40) % 2
    images, seeds = labels[:, None] + 0.01 * noise, [0, 1]
    settings = {"learning_rate": [0.1, 1e-3], "epochs": 80, "every": 10, "probe_images": 40}
    network, control = MLP(width=20, hidden_layers=3), {"controllers": Counting(), "seeds": seeds}
    history = steer(network, images, labels, progress=False, **control, **settings).history
    stop = int(history.epochs[0])
    assert stop < 60 < history.epochs[1]
    np.testing.assert_allclose(history.dropout[1], 1e-4 * np.arange(8))
    going = history.reading.values < stop
    kept = history.dropout[0].values[~going]
    np.testing.assert_allclose(kept[0], 1e-4 * going.sum())
    assert (kept == kept[0]).all()


def test_convolutional_features_are_read_after_the_pooling(digits):
    images = digits.train_images[:80], digits.train_labels[:80]
    run = steer(
        CNN(1, channels=3, hidden_layers=2),
        *images,
        controllers=DropoutController(0.1),
        epochs=2,
        every=1,
        probe_images=80,
        layers=nn.MaxPool2d,
        progress=False,
    )
    curve = load_curve(run.training.network(0), *images, layers=nn.MaxPool2d)
    assert len(curve.mean) == 3
    np.testing.assert_equal(run.history.convexity[0, -1].item(), curve.convexity)


def test_a_controller_may_not_ask_for_what_no_dropout_layer_can_do(images):
    with pytest.raises(ValueError, match=r"dropout=.*1\.0.*: give a number in \[0, 1\)"):
        steered(images, Counting(1 - 1.5e-4))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "every=0: give an integer of at least 1"),
        ({"epochs": 1.5}, "epochs=1.5: give an integer of at least 1"),
        ({"probe_images": 301}, "probe_images=301: there are 300 images; give"),
        ({"probe_images": 1}, "probe_images=1: among the first 1 images no two classes have 2"),
        ({"controllers": [DropoutController()] * 3}, "controllers: 3 for 2 seeds; give one"),
        ({"controllers": None}, "controllers: None given; give what has a step"),
        ({"controllers": [0.1, 0.2]}, r"controllers: 0\.1 given; give what has a step"),
        ({"controllers": []}, "controllers: 0 for 2 seeds; give one"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"separation_every": 2}, "separation_every, readings: give one"),
    ],
)
def test_bad_input_is_named(images, settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        steered(images, **({"controllers": DropoutController()} | settings))


def test_images_to_probe_of_one_class_or_of_one_each_are_refused(images):
    order = images[1].sort(stable=True).indices
    of_one = images[0][order], images[1][order]
    with pytest.raises(ValueError, match=r"^probe_images=20: among .* give more, or shuffle imag"):
        steered(of_one, DropoutController(), probe_images=20)
    _, first = np.unique(images[1], return_index=True)
    one_each = images[0][first], images[1][first]
    with pytest.raises(ValueError, match=r"^probe_images=10: among the first 10 images no two cl"):
        steered(one_each, DropoutController(), probe_images=10)


@pytest.mark.parametrize(
    ("settings", "message", "notes"),
    [
        ({"layers": nn.Tanh}, "layers", []),
        ({"unseen": (torch.full((4, 100), torch.nan), np.zeros(4, int))}, "data", ["unseen"]),
        ({"unseen": (torch.zeros(4, 1, 10, 10), torch.zeros(4))}, "labels", ["unseen"]),
        ({"unseen": (torch.zeros(4, 1, 10, 10), torch.zeros(3))}, "labels", ["unseen"]),
    ],
)
def test_what_cannot_be_read_is_refused_before_any_step(
    images, monkeypatch, settings, message, notes
):
    monkeypatch.setattr(Steps, "epoch", lambda *_: pytest.fail("it has begun to train"))
    with pytest.raises((ValueError, TypeError), match=message) as error:
        steered(images, DropoutController(), **settings)
    said = getattr(error.value, "__notes__", [])
    assert [note for note in notes if not any(note in line for line in said)] == []


def test_a_network_without_dropout_cannot_be_steered(images):
    network = nn.Sequential(nn.Flatten(), nn.Linear(100, 10))
    with pytest.raises(ValueError, match="the network has no Dropout layer"):
        steer(network, *images, controllers=DropoutController(), epochs=1, progress=False)


def test_a_chunk_that_is_begun_again_is_steered_from_the_start(images, monkeypatch):
    train_chunk, tried = trainer.train_chunk, []

    def short_of_memory(job, members, state, advance):
        tried.append(len(members["word"]))
        trained = train_chunk(job, members, state, advance)
        if len(tried) == 1:  # read and steered three times by now
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return trained

    def as_on_a_gpu(train_members, chunks):
        sizes, here = np.full(2, len(images[0])), torch.device("cpu")
        divided, outcomes = in_turn(train_members, [np.arange(2)], sizes, here)
        assert [chunk.tolist() for chunk in divided] == [[0], [1]]
        return outcomes

    expected = steered(images, [DropoutController(0.2), DropoutController(0.3)])
    monkeypatch.setattr(trainer, "train_chunk", short_of_memory)
    monkeypatch.setattr(trainer, "divided", lambda *_: [np.array([0]), np.array([1])])
    monkeypatch.setattr(trainer, "in_single_threads", as_on_a_gpu)
    with pytest.warns(UserWarning, match="trained 1 at a time"):
        run = steered(images, [DropoutController(0.2), DropoutController(0.3)])
    assert tried == [2, 1, 1]
    assert same_networks(run.training, expected.training)
    np.testing.assert_array_equal(run.history.dropout, expected.history.dropout)


def test_each_member_of_a_setting_has_a_controller_of_its_own(images):
    rates = [0.001, 0.002]
    together = steered(images, seeds=0, learning_rate=rates, controllers=DropoutController())
    for member, rate in enumerate(rates):
        alone = steered(images, seeds=0, learning_rate=rate, controllers=DropoutController())
        assert (
            together.history.dropout[member].values.tolist()
            == alone.history.dropout[0].values.tolist()
        )
