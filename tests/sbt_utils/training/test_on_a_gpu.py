"""Training on a GPU against training on the CPU.

The two draw the same random numbers and differ by rounding, which training amplifies. What may
differ was measured on a CPU: two trainings whose first weights differ by one part in a million
have losses that agree to 2e-4 in the first of three epochs and to 5e-3 in the last, load curves to
0.02, and weights to 2 % of how far they have moved.
"""

import warnings

import numpy as np
import pytest
import torch
from small_training import fit
from torch import nn

from sbt_utils.data.datasets import load_data
from sbt_utils.ensembles.ensemble import initial_state
from sbt_utils.ensembles.noise import seed_words
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.training.controllers import DropoutController, Schedule
from sbt_utils.training.networks import CNN, MLP
from sbt_utils.training.steering import steer
from sbt_utils.training.steps import Steps

pytestmark = pytest.mark.gpu

GPU = "cuda"
FIRST, LATER = 5e-4, 1e-2
"""Of the losses of the first epoch, and of those that follow, relatively."""
SEPARATION, MOVED = 0.05, 0.05
MEMBERS = {
    "seeds": [0, 1, 2, 3, 4],
    "negative_slope": [0.0, 0.2, 0.5, 1.0, 0.1],
    "dropout": [0.0, 0.1, 0.3, 0.0, 0.5],
    "learning_rate": [1e-3, 3e-3, 2e-3, 1e-4, 1e-3],
    "data_noise": [0.0, 0.0, 0.1, 0.5, 0.0],
    "weight_noise": [0.0, 0.02, 0.0, 0.0, 0.1],
}
CNN_MEMBERS = {"seeds": [0, 1, 2], "negative_slope": [0.0, 0.2, 0.0], "dropout": [0.0, 0.1, 0.3]}


@pytest.fixture(scope="module")
def digits():
    data = load_data("mnist", train=300)
    return data.train_images, data.train_labels


@pytest.fixture(scope="module")
def photographs():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 10
    classes = torch.rand(10, 3, 10, 10, generator=generator)
    return torch.rand(60, 3, 10, 10, generator=generator) + classes[labels], labels


def assert_same_losses(ours, theirs):
    np.testing.assert_allclose(ours[:, 0], theirs[:, 0], rtol=FIRST)
    np.testing.assert_allclose(ours, theirs, rtol=LATER)


def assert_alike(one, other, data, layers=None):
    """Compare histories, and what the networks are like."""
    assert one.history.epochs.values.tolist() == other.history.epochs.values.tolist()
    assert_same_losses(one.history.loss, other.history.loss)
    # Some images lie between two classes.
    images = len(data[1])
    np.testing.assert_allclose(one.history.accuracy, other.history.accuracy, atol=3 / images)
    curves = [evaluate(list(run.networks), *data, layers=layers) for run in (one, other)]
    np.testing.assert_allclose(*(curve.separation for curve in curves), atol=SEPARATION)


@pytest.mark.parametrize("batch_size", [300, 100, [300, 100, 300, 70, 100]])
@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 1), ("sgd", 10), ("momentum", 3)])
def test_a_perceptron_trains_as_on_the_cpu(digits, optimizer, rate, batch_size):
    settings = MEMBERS | {"epochs": 3, "optimizer": optimizer, "batch_size": batch_size}
    settings["learning_rate"] = [rate * x for x in MEMBERS["learning_rate"]]
    runs = [fit(MLP(), *digits, device=device, **settings) for device in (GPU, "cpu")]
    assert_alike(*runs, digits)
    if batch_size != 300:
        return  # a unit that is on here and off there tells after some steps
    start = initial_state(MLP(), [seed_words(seed)[0] for seed in MEMBERS["seeds"]])
    for name in ("linear1.weight", "linear4.weight", "readout.weight"):
        ours, theirs = (run.state["networks"][name].flatten(1) for run in runs)
        moved = (theirs - start[name].flatten(1)).norm(dim=1)
        assert ((ours - theirs).norm(dim=1) < MOVED * moved).all(), name


def test_the_first_steps_are_those_of_the_cpu(digits):
    """Before rounding is amplified: every mask, label and noise of an image counts."""
    ours, theirs = (
        fit(MLP(), *digits, device=d, epochs=2, **MEMBERS).history for d in (GPU, "cpu")
    )
    np.testing.assert_allclose(ours.loss[:, 0], theirs.loss[:, 0], rtol=1e-5)
    np.testing.assert_allclose(ours.loss[:, 1], theirs.loss[:, 1], rtol=1e-4)


@pytest.mark.parametrize(
    "network",
    [
        MLP(batch_norm=False, hidden_layers=3),
        MLP(width=19, hidden_layers=2),
        MLP(width=130, hidden_layers=2),
        nn.Sequential(nn.Flatten(), nn.Linear(100, 30), nn.ReLU(), nn.Linear(30, 10)),
    ],
    ids=["no batch norm", "narrow", "wide", "stock"],
)
def test_other_networks_train_as_on_the_cpu(digits, network):
    settings = {"seeds": range(3), "learning_rate": [1e-3, 3e-3, 2e-3], "epochs": 4}
    runs = [fit(network, *digits, device=device, **settings) for device in (GPU, "cpu")]
    assert_alike(*runs, digits)


@pytest.mark.parametrize("batch_size", [60, 30])
def test_convolutions_train_as_on_the_cpu(photographs, batch_size):
    settings = CNN_MEMBERS | {"epochs": 3, "batch_size": batch_size}
    runs = [fit(CNN(), *photographs, device=device, **settings) for device in (GPU, "cpu")]
    assert_alike(*runs, photographs, nn.MaxPool2d)


@pytest.mark.parametrize("batch_size", [300, 100])
def test_a_member_is_like_itself_in_company_and_alone(digits, batch_size):
    settings = {"epochs": 3, "batch_size": batch_size, "device": GPU}
    together = fit(MLP(), *digits, **MEMBERS, **settings)
    for member in range(5):
        alone = {name: values[member] for name, values in MEMBERS.items()}
        single = fit(MLP(), *digits, **alone, **settings)
        assert_same_losses(single.history.loss, together.history.loss[[member]])


def test_equal_members_of_one_training_are_equal(digits):
    settings = {"seeds": [3, 3, 4], "dropout": 0.2, "batch_size": 100, "epochs": 3}
    run = fit(MLP(), *digits, device=GPU, **settings)
    assert_same_losses(run.history.loss[[0]], run.history.loss[[1]])
    first = run.history.loss[:, 0]
    assert abs(first[2] / first[0] - 1) > 10 * FIRST


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_a_state_goes_from_the_cpu_to_the_gpu_and_back(digits, optimizer, tmp_path):
    settings = MEMBERS | {"optimizer": optimizer, "batch_size": 100}
    whole = fit(MLP(), *digits, epochs=4, **settings)
    state, losses = None, []
    for epochs, device in ((1, "cpu"), (2, GPU), (3, "cpu"), (4, GPU)):
        run = fit(MLP(), *digits, epochs=epochs, device=device, resume=state, **settings)
        torch.save(run.state, tmp_path / "state.pt")
        state = torch.load(tmp_path / "state.pt", weights_only=True)
        assert {tensor.device.type for tensor in tensors(state)} == {"cpu"}
        losses.append(run.history.loss.values)
    assert_same_losses(np.concatenate(losses, 1), whole.history.loss)


def tensors(tree):
    for value in tree.values():
        if isinstance(value, dict):
            yield from tensors(value)
        elif isinstance(value, torch.Tensor):
            yield value


def test_members_stop_where_they_stop_on_the_cpu(digits):
    settings = {"seeds": range(3), "learning_rate": [1e-30, 1e-3, 1e-30], "epochs": 4}
    runs = [fit(MLP(), *digits, device=device, **settings) for device in (GPU, "cpu")]
    assert runs[0].history.epochs.values.tolist() == [2, 4, 2]
    assert_alike(*runs, digits)


def test_readings_are_those_of_the_cpu(digits):
    settings = MEMBERS | {"epochs": 4, "separation_every": 2}
    ours, theirs = (fit(MLP(), *digits, device=d, **settings).history for d in (GPU, "cpu"))
    assert ours.probe_epoch.values.tolist() == [0, 2, 4]
    np.testing.assert_allclose(ours.separation, theirs.separation, atol=SEPARATION)
    # Before training nothing has been amplified.
    np.testing.assert_allclose(ours.separation[:, 0], theirs.separation[:, 0], atol=1e-5)


def test_steering_is_that_of_the_cpu(digits):
    controllers = [DropoutController(0.1), DropoutController(0.2, gain=0.5), Schedule((0.1, 0.4))]
    settings = {"controllers": controllers, "seeds": range(3), "epochs": 4, "every": 2}
    settings |= {"probe_images": 200, "unseen": digits, "progress": False}
    ours, theirs = (steer(MLP(), *digits, device=d, **settings).history for d in (GPU, "cpu"))
    assert_same_losses(ours.loss, theirs.loss)
    for name in ("dropout", "convexity", "accuracy_unseen"):
        np.testing.assert_allclose(ours[name], theirs[name], atol=0.01)
    assert np.ptp(ours.dropout.values[:, -1]) > 0.1


def test_nothing_is_drawn_from_the_generators_of_pytorch(digits):
    network = MLP()  # whose own weights are drawn, and not used
    before = torch.random.get_rng_state(), torch.cuda.get_rng_state()
    fit(network, *digits, device=GPU, seeds=range(2), dropout=0.2, data_noise=0.3, epochs=2)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert torch.equal(torch.cuda.get_rng_state(), before[1])


def test_a_card_that_is_not_there_is_an_error(digits):
    with pytest.raises(ValueError, match=r"device='cuda:9': this machine has no such GPU"):
        fit(MLP(), *digits, device="cuda:9")
    run = fit(MLP(), *digits, device="cuda:0", epochs=1)
    assert run.history.loss.notnull().all()


def test_more_members_than_a_chunk_holds(digits):
    few, settings = [part[:100] for part in digits], {"epochs": 1, "batch_size": 50}
    small = MLP(width=10, hidden_layers=1)
    run = fit(small, *few, device=GPU, seeds=range(1500), **settings)
    last = fit(small, *few, seeds=range(1495, 1500), **settings)
    assert_same_losses(run.history.loss[-5:], last.history.loss)


def test_no_step_waits_for_the_card(digits, monkeypatch):
    take = Steps.take

    def watched(steps, size):
        torch.cuda.set_sync_debug_mode("error")
        try:
            take(steps, size)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    # Recorded, a step could not wait; but of the first ones nobody would know.
    monkeypatch.setattr(Steps, "take", watched)
    fit(MLP(), *digits, **MEMBERS, device=GPU, batch_size=70, epochs=1)
    fit(CNN(1), *digits, seeds=0, device=GPU, epochs=1)


def test_a_card_with_little_memory_trains_fewer_at_once(digits):
    settings = {"seeds": range(64), "epochs": 2, "dropout": 0.1}
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    usual = fit(MLP(), *digits, **settings, device=GPU)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(140 * 2**20 / total)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            few = fit(MLP(), *digits, **settings, device=GPU)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "does not hold 64 networks" in str(said[0].message)
    assert_same_losses(few.history.loss, usual.history.loss)
