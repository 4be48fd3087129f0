"""Training: against plain PyTorch, against itself in other company, against the published curves.

Also the members' settings and the data, which are checked before anything is trained.
"""

import copy
import json
import math
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import sbt_utils.training.descent
import sbt_utils.training.trainer
from sbt_utils.data.datasets import load_data
from sbt_utils.ensembles.ensemble import Ensemble
from sbt_utils.ensembles.noise import seed_words
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.probe import load_curve
from sbt_utils.training.networks import MLP
from sbt_utils.training.ranges import check_range
from sbt_utils.training.settings import member_settings
from sbt_utils.training.trainer import train

REFERENCE = Path(__file__).parents[3] / "results/reference/published_phase_diagrams.json"


@pytest.fixture(autouse=True)
def threads():
    """One thread, or as many as a test sets; put back afterwards.

    More than one wait for one another on a busy machine, and nothing here is large.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def chunk_elements(monkeypatch):
    def set_elements(count):
        monkeypatch.setitem(sbt_utils.training.trainer._CHUNK_ELEMENTS, "cpu", count)

    return set_elements


@pytest.fixture(scope="module")
def digits():
    return load_data("mnist")


def problem(images=60, inputs=8, classes=4, seed=0, dtype=torch.float32):
    """Return overlapping Gaussian classes: images (N, 1, 2, inputs / 2) and labels (N,)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(images) % classes
    centres = torch.randn(classes, inputs, generator=generator, dtype=torch.float64)
    noise = torch.randn(images, inputs, generator=generator, dtype=torch.float64)
    return (centres[labels] + noise).to(dtype).view(images, 1, 2, -1), labels


def network(**settings):
    return MLP(**{"inputs": 8, "width": 16, "hidden_layers": 2, "classes": 4} | settings)


def fit(model, images, labels, **settings):
    return train(model, images, labels, progress=False, **settings)


def of_member(settings, place):
    return {name: values[place] for name, values in settings.items()}


def assert_same_member(one, i, other, j):
    """Assert that two trainings gave a member the same history and state, bit by bit."""
    for name in ("loss", "accuracy"):
        np.testing.assert_array_equal(one.history[name][i], other.history[name][j])
    assert_same_state(one.state, i, other.state, j)


def assert_same_state(one, i, other, j):
    assert set(one) == set(other)
    for name, value in one.items():
        if isinstance(value, dict):
            assert_same_state(value, i, other[name], j)
        elif isinstance(value, str):
            assert value == other[name]
        else:
            assert torch.equal(value[i], other[name][j]), name


# Bit by bit ----------------------------------------------------------------------------------

COMPANY = {
    "seeds": [0, 1, 2, 3, 4],
    "negative_slope": [0.0, 0.2, 0.5, 1.0, 0.1],
    "dropout": [0.0, 0.1, 0.3, 0.0, 0.5],
    "learning_rate": [1e-3, 3e-3, 1e-2, 1e-4, 1e-3],
    "data_noise": [0.0, 0.0, 0.1, 0.5, 0.0],
}
ARCHITECTURES = {
    "published": ({}, 100),
    "no batch norm": ({"batch_norm": False, "hidden_layers": 2}, 100),
    # Sizes that put the members at odd places in memory.
    "odd widths": ({"inputs": 98, "width": 19, "hidden_layers": 2, "classes": 7}, 98),
    "odd widths, no batch norm": (
        {"inputs": 98, "width": 83, "hidden_layers": 2, "classes": 7, "batch_norm": False},
        98,
    ),
    "width 1": ({"inputs": 3, "width": 1, "hidden_layers": 1, "classes": 2}, 3),
}
BATCH_SIZES = {
    "full": [103] * 5,
    "small": [10] * 5,
    "odd": [7] * 5,
    "mixed": [103, 20, 7, 20, 103],
}


def classes_of(settings):
    return settings.get("classes", 10)


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_member_is_the_same_alone_in_company_and_in_any_chunking(
    architecture, batch_size, threads, chunk_elements
):
    settings, inputs = ARCHITECTURES[architecture]
    images = torch.rand(103, inputs, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(103) % classes_of(settings)
    members = COMPANY | {"batch_size": BATCH_SIZES[batch_size]}
    model, epochs = MLP(**settings), 2
    threads(1)
    chunk_elements(2**30)
    together = fit(model, images, labels, epochs=epochs, **members)
    assert together.history.loss.notnull().all()
    # Each member by itself is also each member in a chunk of its own.
    for m in range(5):
        alone = fit(model, images, labels, epochs=epochs, **of_member(members, m))
        assert_same_member(alone, 0, together, m)
    # In another order, beside others, in chunks of at least one, on two threads.
    threads(2)
    chunk_elements(2 * 103 * 100)
    order = [4, 2, 0, 3, 1]
    shuffled = {name: [values[m] for m in order] for name, values in members.items()}
    mixed = fit(model, images, labels, epochs=epochs, **shuffled)
    for place, m in enumerate(order):
        assert_same_member(mixed, place, together, m)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "momentum"])
def test_optimizers_do_not_mix_the_members(optimizer, threads, chunk_elements):
    threads(1)
    chunk_elements(2**30)
    images, labels = problem()
    common = {"epochs": 4, "optimizer": optimizer, "batch_size": 13}
    together = fit(network(), images, labels, **COMPANY, **common)
    for m in range(5):
        alone = fit(network(), images, labels, **of_member(COMPANY, m), **common)
        assert_same_member(alone, 0, together, m)


def test_equal_settings_give_equal_members_and_other_seeds_others():
    images, labels = problem()
    result = fit(network(), images, labels, seeds=[3, 3, 4], dropout=0.2, epochs=3)
    assert_same_member(result, 0, result, 1)
    assert not np.array_equal(result.history.loss[0], result.history.loss[2])


def test_training_leaves_arguments_and_global_state_alone(threads):
    threads(2)
    images, labels = problem()
    model = network(dropout=0.3)
    kept = [images.clone(), labels.clone(), copy.deepcopy(model.state_dict())]
    generator, model_mode = torch.random.get_rng_state(), model.training
    fit(model, images, labels, seeds=range(3), data_noise=0.3, batch_size=7, epochs=2)
    assert torch.equal(images, kept[0])
    assert torch.equal(labels, kept[1])
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, kept[2][name])
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert model.training == model_mode
    assert torch.get_num_threads() == 2


# Resuming ------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "momentum"])
@pytest.mark.parametrize("saved", [False, True], ids=["in memory", "saved"])
def test_resuming_continues_bit_by_bit(optimizer, saved, tmp_path):
    images, labels = problem()
    members = COMPANY | {"batch_size": [60, 60, 7, 20, 13]}
    common = members | {"optimizer": optimizer}
    whole = fit(network(), images, labels, epochs=7, **common)
    state = fit(network(), images, labels, epochs=3, **common).state
    if saved:
        torch.save(state, tmp_path / "state.pt")
        state = torch.load(tmp_path / "state.pt", weights_only=True)
    before = copy.deepcopy(state)
    rest = fit(network(), images, labels, epochs=7, resume=state, **common)
    assert rest.history.epoch.values.tolist() == [4, 5, 6, 7]
    for m in range(5):
        assert_same_state(rest.state, m, whole.state, m)
        assert_same_state(state, m, before, m)  # the saved state is not written to
    for name in ("loss", "accuracy"):
        np.testing.assert_array_equal(rest.history[name], whole.history[name][:, 3:])
    assert rest.history.epochs.values.tolist() == [7] * 5


@pytest.mark.parametrize("epochs", [2, 3])
def test_resuming_where_nothing_is_left_to_do_changes_nothing(epochs):
    images, labels = problem()
    done = fit(network(), images, labels, seeds=range(2), epochs=3)
    again = fit(network(), images, labels, seeds=range(2), epochs=epochs, resume=done.state)
    for m in range(2):
        assert_same_state(again.state, m, done.state, m)
    assert again.history.epochs.values.tolist() == [3, 3]
    assert len(list(again.networks)) == 2


def test_resuming_with_stopped_members():
    images, labels = problem()
    members = {"seeds": [0, 1, 2], "learning_rate": [1e-3, 1e-30, 1e-2]}
    whole = fit(network(), images, labels, epochs=8, **members)
    begun = fit(network(), images, labels, epochs=4, **members)
    assert begun.state["stopped"].tolist() == [False, True, False]
    rest = fit(network(), images, labels, epochs=8, resume=begun.state, **members)
    for m in range(3):
        assert_same_state(rest.state, m, whole.state, m)
    np.testing.assert_array_equal(rest.history.loss, whole.history.loss[:, 4:])
    # All of them stopped.
    members = {"seeds": [0, 1], "learning_rate": 1e-30}
    begun = fit(network(), images, labels, epochs=4, **members)
    rest = fit(network(), images, labels, epochs=8, resume=begun.state, **members)
    assert rest.history.epochs.values.tolist() == [2, 2]


# Against plain PyTorch -----------------------------------------------------------------------

PLAIN = {
    "adam": lambda parameters, rate: torch.optim.Adam(parameters, lr=rate),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate),
    "momentum": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
}


def plain_start(seed, **settings):
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(int(seed_words(seed)[0]))
        return network(**settings)


@pytest.mark.parametrize("optimizer", PLAIN)
def test_full_batches_without_noise_equal_a_plain_loop(optimizer):
    images, labels = problem(dtype=torch.float64)
    slopes, rates = [0.0, 0.3, 1.0], [1e-3, 1e-2, 5e-3]
    result = train(
        network().double(),
        images,
        labels,
        seeds=[5, 6, 7],
        negative_slope=slopes,
        learning_rate=rates,
        epochs=15,
        optimizer=optimizer,
        progress=False,
    )
    for m, (slope, rate) in enumerate(zip(slopes, rates, strict=True)):
        # The start is drawn in double precision, as that of a network made in it.
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            plain = plain_start(5 + m, negative_slope=slope)
        finally:
            torch.set_default_dtype(before)
        descent = PLAIN[optimizer](plain.parameters(), rate)
        for epoch in range(15):
            descent.zero_grad()
            logits = plain(images)
            loss = cross_entropy(logits, labels)
            loss.backward()
            descent.step()
            assert result.history.loss[m, epoch].item() == pytest.approx(loss.item(), abs=1e-8)
            right = (logits.argmax(1) == labels).double().mean().item()
            assert result.history.accuracy[m, epoch].item() == pytest.approx(right, abs=1e-12)
        trained = result.network(m)
        assert not trained.training
        torch.testing.assert_close(trained(images), plain.eval()(images), rtol=1e-8, atol=1e-8)


def test_small_batches_equal_a_plain_loop_over_the_same_batches(monkeypatch):
    images, labels = problem(images=23, dtype=torch.float64)
    seen = captured(monkeypatch)
    result = fit(network().double(), images, labels, batch_size=5, epochs=3)
    torch.set_default_dtype(torch.float64)
    try:
        plain = plain_start(0)
    finally:
        torch.set_default_dtype(torch.float32)
    descent = PLAIN["adam"](plain.parameters(), 1e-3)
    batches = iter(seen)
    for epoch in range(3):
        total = 0.0
        for size in (5, 5, 5, 5, 3):
            chosen, targets = (t[0] for t in next(batches))
            assert len(chosen) == size
            descent.zero_grad()
            loss = cross_entropy(plain(chosen), targets)
            loss.backward()
            descent.step()
            total += loss.item() * size
        assert result.history.loss[0, epoch].item() == pytest.approx(total / 23, abs=1e-10)
    assert next(batches, None) is None


# What the members are shown ------------------------------------------------------------------


def captured(monkeypatch):
    """Record the images and labels (M, batch, ...) of every step, in order."""
    seen, images = [], []
    forward, loss = Ensemble.forward, sbt_utils.training.descent._cross_entropy

    def recording_forward(self, inputs, *others):
        images.append(inputs.clone())
        return forward(self, inputs, *others)

    def recording_loss(logits, labels):
        seen.append((images.pop(), labels.clone()))
        return loss(logits, labels)

    monkeypatch.setattr(Ensemble, "forward", recording_forward)
    monkeypatch.setattr(sbt_utils.training.descent, "_cross_entropy", recording_loss)
    return seen


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(
    monkeypatch, threads, chunk_elements
):
    threads(1)
    chunk_elements(2**30)
    images, labels = problem(images=23)
    seen = captured(monkeypatch)
    fit(network(), images, labels, seeds=range(3), batch_size=5, epochs=4)
    assert [step[1].shape[1] for step in seen] == [5, 5, 5, 5, 3] * 4
    orders = set()
    for epoch in range(4):
        steps = seen[5 * epoch : 5 * epoch + 5]
        shown, targets = (torch.cat(parts, dim=1) for parts in zip(*steps, strict=True))
        for m in range(3):
            same = (shown[m][:, None] == images[None]).flatten(2).all(2)
            order = same.int().argmax(1)
            assert sorted(order.tolist()) == list(range(23))
            assert torch.equal(targets[m], labels[order])
            orders.add(tuple(order.tolist()))
    assert len(orders) == 12


def test_full_batches_are_shown_as_they_are(monkeypatch):
    images, labels = problem()
    seen = captured(monkeypatch)
    fit(network(), images, labels, epochs=2)
    assert len(seen) == 2
    for shown, targets in seen:
        assert torch.equal(shown[0], images)
        assert torch.equal(targets[0], labels)


@pytest.mark.parametrize("batch_size", [4000, 1500], ids=["full", "small"])
def test_data_noise_is_what_it_says(monkeypatch, threads, chunk_elements, batch_size):
    threads(1)
    chunk_elements(2**30)
    count, classes = 4000, 5
    # Pixels of unequal means and spreads, to tell one standard deviation of all from many.
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(count, 8, generator=generator) + 1) * torch.arange(1, 9)
    labels = torch.zeros(count, dtype=torch.int64)
    labels[:10] = classes - 1
    seen = captured(monkeypatch)
    fit(
        network(classes=classes),
        images,
        labels,
        # Two pairs: members of one seed see the images in one order, the first without noise.
        seeds=[3, 3, 4, 4],
        data_noise=[0.0, 0.3, 0.0, 1.0],
        batch_size=batch_size,
        epochs=2,
    )
    steps = len(seen) // 2
    added, redrawn = [], []
    for epoch in (seen[:steps], seen[steps:]):
        shown, targets = (torch.cat(parts, dim=1) for parts in zip(*epoch, strict=True))
        for clean, noisy, level in ((0, 1, 0.3), (2, 3, 1.0)):
            assert torch.equal(shown[clean].sort(0).values, images.sort(0).values)
            assert torch.equal(targets[clean].bincount(), labels.bincount())
            noise = (shown[noisy] - shown[clean]).double()
            deviation = level * images.double().std()
            # Of each pixel: mean 0 and the standard deviation of all pixels together.
            assert (noise.mean(0).abs() < 5 * deviation / math.sqrt(count)).all()
            assert ((noise.std(0) / deviation - 1).abs() < 5 / math.sqrt(2 * count)).all()
            added.append(noise.flatten().numpy())
            # A redrawn label may be any class, the old one too.
            changed = targets[noisy] != targets[clean]
            assert set(targets[noisy].unique().tolist()) == set(range(classes))
            for other in (1, 2, 3, 4):
                share = (targets[noisy][targets[clean] == 0] == other).double().mean()
                expected = level / classes
                assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / 3990)
            redrawn.append(changed.double().numpy())
    # Anew at every step, for every member, and labels and images apart.
    correlations = np.corrcoef(added)[~np.eye(4, dtype=bool)]
    assert np.abs(correlations).max() < 5 / math.sqrt(8 * count)
    firsts = np.array(added).reshape(4, count, 8)[:, :, 0]
    correlations = np.corrcoef([*firsts, *np.abs(firsts), *redrawn])
    assert np.abs(correlations[~np.eye(12, dtype=bool)]).max() < 5 / math.sqrt(count)
    if batch_size < count:  # anew at every step of an epoch, too
        first, second = added[0].reshape(count, 8)[: 2 * 1500].reshape(2, -1)
        assert abs(np.corrcoef(first, second)[0, 1]) < 5 / math.sqrt(1500 * 8)


# Stopping ------------------------------------------------------------------------------------


def separable():
    images = torch.eye(4, 8).repeat(2, 1) * 5
    return images, torch.arange(8) % 4


def assert_frozen(result, place, model, images, labels, **settings):
    """Assert that a stopped member is what training to its last epoch alone gives."""
    last = int(result.history.epochs[place])
    alone = fit(model, images, labels, epochs=last, **settings)
    assert_same_state(alone.state, 0, result.state, place)
    losses = result.history.loss[place]
    assert losses[:last].notnull().all()
    assert losses[last:].isnull().all()
    assert result.history.accuracy[place][last:].isnull().all()
    np.testing.assert_array_equal(losses[:last], alone.history.loss[0])
    return losses[:last].values


def test_a_small_loss_stops_a_member_and_no_other(threads, chunk_elements):
    threads(1)
    chunk_elements(2**30)
    images, labels = separable()
    model = network(batch_norm=False)
    rates = [1e-3, 0.03, 0.1]
    result = fit(model, images, labels, seeds=range(3), learning_rate=rates, epochs=60)
    epochs = result.history.epochs.values
    assert epochs[0] == 60
    assert result.state["stopped"].tolist() == [False, True, True]
    assert len(set(epochs.tolist())) == 3
    for m in (1, 2):
        assert epochs[m] < 60
        losses = assert_frozen(result, m, model, images, labels, seeds=m, learning_rate=rates[m])
        assert losses[-1] < 1e-4 <= losses[:-1].min()
    alone = fit(model, images, labels, seeds=0, learning_rate=rates[0], epochs=60)
    assert_same_member(alone, 0, result, 0)


def test_a_small_change_stops_a_member_and_no_other(threads, chunk_elements):
    threads(1)
    chunk_elements(2**30)
    images, labels = problem(dtype=torch.float64)
    model = network().double()
    # A step of gradient descent changes the loss by about the rate times the squared gradient.
    rates = [1e-2, 1e-7, 1e-13]
    result = fit(
        model, images, labels, seeds=range(3), learning_rate=rates, epochs=5, optimizer="sgd"
    )
    assert result.history.epochs.values.tolist() == [5, 5, 2]
    assert result.state["stopped"].tolist() == [False, False, True]
    settings = {"seeds": 2, "learning_rate": 1e-13, "optimizer": "sgd"}
    losses = assert_frozen(result, 2, model, images, labels, **settings)
    assert abs(losses[1] - losses[0]) < 1e-10
    assert np.abs(np.diff(result.history.loss[1])).min() > 1e-10


def test_a_loss_that_is_not_a_number_stops_a_member_and_no_other(threads, chunk_elements):
    threads(1)
    chunk_elements(2**30)
    images, labels = problem()
    rates = [1e-3, 1e38]
    result = fit(network(), images, labels, seeds=[0, 0], learning_rate=rates, epochs=8)
    assert result.state["stopped"].tolist() == [False, True]
    last = int(result.history.epochs[1])
    assert last < 8
    losses = result.history.loss[1].values
    assert np.isfinite(losses[: last - 1]).all()
    assert not np.isfinite(losses[last - 1 :]).any()
    alone = fit(network(), images, labels, learning_rate=1e-3, epochs=8)
    assert_same_member(alone, 0, result, 0)


def test_an_infinite_loss_in_the_first_epoch_stops_without_a_warning():
    images, labels = problem(inputs=4)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fit(model, images / images.abs().max() * 3e38, labels, epochs=4)
    assert result.history.epochs.item() == 1
    assert result.state["stopped"].item()


# The load curve in training ------------------------------------------------------------------


def test_separation_every_measures_the_network_of_that_epoch():
    images, labels = problem()
    members = {"seeds": [3, 4], "negative_slope": [0.0, 0.5], "dropout": [0.2, 0.0]}
    result = fit(network(), images, labels, epochs=5, separation_every=2, **members)
    separation = result.history.separation
    assert separation.dims == ("member", "probe_epoch", "layer")
    assert separation.shape == (2, 3, 3)
    assert result.history.probe_epoch.values.tolist() == [0, 2, 4]
    for m in range(2):
        # Before training; float32 features and sums in another order agree to rounding.
        start = plain_start(members["seeds"][m], negative_slope=members["negative_slope"][m])
        expected = load_curve(start, images, labels).separation
        np.testing.assert_allclose(separation[m, 0], expected, rtol=1e-5)
        for place, epochs in ((1, 2), (2, 4)):
            trained = fit(network(), images, labels, epochs=epochs, **of_member(members, m))
            expected = load_curve(trained.network(0), images, labels).separation
            np.testing.assert_allclose(separation[m, place], expected, rtol=1e-5)
    # Measuring does not disturb the training.
    unmeasured = fit(network(), images, labels, epochs=5, **members)
    for m in range(2):
        assert_same_member(result, m, unmeasured, m)


def test_separation_is_nan_after_a_member_has_stopped(threads):
    threads(2)  # two chunks: one ends long before the other
    images, labels = problem()
    result = fit(
        network(),
        images,
        labels,
        seeds=[0, 1],
        learning_rate=[1e-30, 1e-3],
        batch_size=[60, 30],
        epochs=6,
        separation_every=1,
    )
    assert result.history.epochs.values.tolist() == [2, 6]
    assert result.history.probe_epoch.values.tolist() == list(range(7))
    measured = result.history.separation.notnull().all("layer")
    assert measured[0].values.tolist() == [True] * 3 + [False] * 4
    assert measured[1].all()


@pytest.mark.parametrize("number", [1, 2], ids=["alone", "beside a healthy one"])
def test_separation_of_a_collapsed_network_is_nan(number, threads):
    threads(2)
    images, labels = problem()
    rates = [1e38, 1e-3][:number]
    result = fit(
        network(),
        images,
        labels,
        seeds=range(number),
        learning_rate=rates,
        epochs=3,
        separation_every=1,
    )
    separation = result.history.separation
    assert separation.shape[2] == 3
    assert separation[0, 0].notnull().all()
    assert separation[0, -1].isnull().all()
    assert separation[1:].notnull().all()


def test_resuming_does_not_measure_twice():
    images, labels = problem()
    settings = {"seeds": range(2), "separation_every": 2}
    begun = fit(network(), images, labels, epochs=4, **settings)
    rest = fit(network(), images, labels, epochs=7, resume=begun.state, **settings)
    whole = fit(network(), images, labels, epochs=7, **settings)
    epochs = [h.history.probe_epoch.values.tolist() for h in (begun, rest, whole)]
    assert epochs == [[0, 2, 4], [6], [0, 2, 4, 6]]
    np.testing.assert_array_equal(rest.history.separation, whole.history.separation[:, 3:])


def test_labels_without_separation_are_an_error_not_a_row_of_nan():
    images, labels = problem()
    labels[:] = 1
    with pytest.raises(ValueError, match="class"):
        fit(network(), images, labels, epochs=2, separation_every=1)


# The result ----------------------------------------------------------------------------------


def test_history_names_the_members_by_their_settings():
    images, labels = problem()
    history = fit(
        network(negative_slope=0.3), images, labels, seeds=[4, 5], dropout=[0.0, 0.1], epochs=3
    ).history
    assert history.loss.dims == ("member", "epoch")
    assert history.epoch.values.tolist() == [1, 2, 3]
    for name, values in {
        "seed": [4, 5],
        "negative_slope": [0.3, 0.3],
        "dropout": [0.0, 0.1],
        "learning_rate": [1e-3, 1e-3],
        "data_noise": [0.0, 0.0],
        "batch_size": [60, 60],
    }.items():
        assert history[name].dims == ("member",)
        assert history[name].values.tolist() == values
    for name in ("loss", "accuracy", "epochs"):
        assert history[name].attrs["long_name"]


def test_networks_are_the_members_in_order():
    images, labels = problem()
    members = {"seeds": [0, 1, 2], "dropout": [0.0, 0.1, 0.2], "batch_size": [60, 20, 60]}
    result = fit(network(), images, labels, epochs=2, **members)
    networks = list(result.networks)
    assert [each.dropout1.p for each in networks] == members["dropout"]
    for m, each in enumerate(networks):
        assert not each.training
        for name, tensor in each.state_dict().items():
            assert torch.equal(tensor, result.state["networks"][name][m])


def test_a_network_without_activations_and_dropout():
    images, labels = problem()
    result = fit(nn.Sequential(nn.Flatten(), nn.Linear(8, 4)), images, labels, epochs=20)
    assert result.history.loss[0, -1] < result.history.loss[0, 0]
    assert np.isnan(result.history.dropout.item())
    assert result.network(0)(images).shape == (60, 4)


@pytest.mark.parametrize("measure", ["trace", "fuzziness"])
def test_evaluate(measure):
    images, labels = problem()
    trained = fit(network(), images, labels, seeds=range(2), epochs=5)
    result = evaluate(trained.networks, images, labels, measure)
    assert result.separation.dims == ("member", "layer")
    for m, each in enumerate(trained.networks):
        curve = load_curve(each, images, labels, measure=measure)
        np.testing.assert_allclose(result.separation[m], curve.separation, rtol=1e-6)
        right = sum(int(each(x[None]).argmax() == y) for x, y in zip(images, labels, strict=True))
        assert result.accuracy[m].item() == right / 60


@pytest.mark.parametrize("number", [1, 2], ids=["alone", "beside a healthy one"])
def test_evaluate_a_collapsed_network(number):
    images, labels = problem()
    collapsed, healthy = network(), network()
    with torch.no_grad():
        collapsed.linear1.weight.fill_(torch.nan)
    result = evaluate([collapsed, healthy][:number], images, labels)
    assert result.separation.dims == ("member", "layer")
    assert result.separation[0, 1:].isnull().all()
    assert result.separation[1:].notnull().all()


def test_progress(capsys):
    images, labels = problem()
    train(network(), images, labels, epochs=2, progress=False)
    assert capsys.readouterr() == ("", "")
    train(network(), images, labels, seeds=range(3), epochs=2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "6/6" in err


def test_the_bar_is_full_when_members_stop_early(capsys):
    images, labels = problem()
    train(network(), images, labels, seeds=range(2), learning_rate=[1e-30, 1e-3], epochs=9)
    assert "18/18" in capsys.readouterr().err


# Failing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [0, 1], ids=["first chunk", "last chunk"])
def test_a_failing_chunk_cancels_the_others(monkeypatch, threads, failing):
    threads(2)
    images, labels = problem()
    epochs, rates = 3000, [1e-3, 2e-3]
    started, done = threading.Event(), []
    train_epoch = sbt_utils.training.descent._train_epoch

    def failing_epoch(job, ensemble, optimizer, members, epoch):
        if members["learning_rate"][0] == rates[failing]:
            assert started.wait(30)
            raise RuntimeError("boom")
        done.append(epoch)
        started.set()
        return train_epoch(job, ensemble, optimizer, members, epoch)

    monkeypatch.setattr(sbt_utils.training.descent, "_train_epoch", failing_epoch)
    with pytest.raises(RuntimeError, match="boom"):
        fit(network(), images, labels, seeds=[0, 1], learning_rate=rates, epochs=epochs)
    assert len(done) < epochs / 2
    assert torch.get_num_threads() == 2


# The published numbers -----------------------------------------------------------------------


def test_the_published_dropout_diagram(digits, threads):
    threads(2)
    panel = json.loads(REFERENCE.read_text())["panels"]["dropout"]
    cells = [(0.2, 0.12), (1.0, 0.2), (0.0, 0.28)]
    slopes, rates = zip(*cells, strict=True)
    result = fit(
        MLP(),
        digits.train_images,
        digits.train_labels,
        seeds=range(3),
        negative_slope=slopes,
        dropout=rates,
    )
    curves = evaluate(result.networks, digits.train_images, digits.train_labels).separation
    accuracy = evaluate(result.networks, digits.test_images, digits.test_labels).accuracy
    for m, (slope, rate) in enumerate(cells):
        row, column = panel["slope"].index(slope), panel["noise"].index(rate)
        scaled = (curves[m] - curves[m].min()) / (curves[m].max() - curves[m].min())
        deviation = np.abs(scaled - panel["curve"][row][column]).mean()
        assert deviation < 0.03, (slope, rate)
        published = panel["accuracy"][row][column]
        assert 100 * accuracy[m].item() == pytest.approx(published, abs=1.2), (slope, rate)


# Arguments that do not fit -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"negative_slope": -0.1}, r"negative_slope=-0\.1: give a number in \[0, 1\]"),
        ({"negative_slope": [0.0, 1.1]}, r"negative_slope=1\.1: give a number in \[0, 1\]"),
        ({"dropout": 1.0}, r"dropout=1\.0: give a number in \[0, 1\)"),
        ({"dropout": [0.2, -0.5]}, r"dropout=-0\.5: give a number in \[0, 1\)"),
        ({"dropout": math.nan}, r"dropout=nan: give a number in \[0, 1\)"),
        ({"learning_rate": 0.0}, r"learning_rate=0\.0: give a number in \(0, inf\)"),
        ({"learning_rate": -1e-3}, r"learning_rate=-0\.001: give a number in \(0, inf\)"),
        ({"learning_rate": math.inf}, r"learning_rate=inf: give a number in \(0, inf\)"),
        ({"learning_rate": math.nan}, r"learning_rate=nan: give a number in \(0, inf\)"),
        ({"data_noise": 1.5}, r"data_noise=1\.5: give a number in \[0, 1\]"),
        ({"data_noise": -0.1}, r"data_noise=-0\.1: give a number in \[0, 1\]"),
        ({"seeds": -1}, "seed=-1: give integers of at least 0"),
        ({"seeds": 1.5}, r"seed=1\.5: give integers of at least 0"),
        ({"seeds": [0, -2]}, r"seed=\[0, -2\]: give integers of at least 0"),
        ({"batch_size": 0}, "batch_size=0: give integers of at least 1"),
        ({"batch_size": 4.0}, r"batch_size=4\.0: give integers of at least 1"),
        ({"batch_size": 61}, "batch_size=61: there are 60 images; give at most that"),
        ({"batch_size": 59}, "batch_size=59 leaves a batch of 1 of 60 images; batch norm"),
        ({"batch_size": [60, 1]}, "batch_size=1 leaves a batch of 1 of 60 images"),
        (
            {"seeds": range(3), "dropout": [0.0, 0.1]},
            r"seed \(3,\), .*dropout \(2,\), .*: give each one value, or one value for each member",
        ),
        ({"seeds": []}, r"seed.*: give"),
        ({"dropout": [[0.1], [0.2]]}, r"dropout \(2, 1\), .*: give each one value"),
        ({"optimizer": "newton"}, "optimizer='newton': choose one of adam, sgd, momentum"),
        ({"epochs": 0}, "epochs=0: give an integer"),
        ({"separation_every": 0}, "separation_every=0: give an integer"),
        ({"device": "abacus"}, "device='abacus'"),
    ],
)
def test_settings_out_of_range(settings, message):
    images, labels = problem()
    with pytest.raises(ValueError, match=message):
        fit(network(), images, labels, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 2.5}, r"epochs=2\.5"),
        ({"epochs": "2"}, "epochs='2'"),
        ({"separation_every": 1.5}, r"separation_every=1\.5"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"seeds": True}, "seed=True"),
    ],
)
def test_settings_of_wrong_types(settings, message):
    images, labels = problem()
    with pytest.raises((TypeError, ValueError), match=message):
        fit(network(), images, labels, **settings)


def test_settings_of_layers_that_the_network_does_not_have():
    images, labels = problem()
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 4))
    with pytest.raises(ValueError, match=r"dropout=0\.1: the network has no Dropout layer; omit"):
        fit(model, images, labels, dropout=0.1)
    with pytest.raises(ValueError, match=r"negative_slope=0\.1: the network has no LeakyReLU"):
        fit(model, images, labels, negative_slope=0.1)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(8, 4), nn.Dropout(0.1), nn.Linear(4, 4), nn.Dropout(0.2)
    )
    with pytest.raises(ValueError, match=r"dropout: the network's layers differ \(\[0\.1, 0\.2\]"):
        fit(model, images, labels)
    assert fit(model, images, labels, dropout=0.3, epochs=1).history.dropout.item() == 0.3


def test_member_settings_fill_in_what_is_one_for_all():
    model = network(negative_slope=0.3, dropout=0.1)
    members = member_settings(model, [7, 8, 9], None, None, [1e-3, 1e-2, 1e-1], 0.0, 20)
    assert {name: values.tolist() for name, values in members.items()} == {
        "seed": [7, 8, 9],
        "negative_slope": [0.3] * 3,
        "dropout": [0.1] * 3,
        "learning_rate": [1e-3, 1e-2, 1e-1],
        "data_noise": [0.0] * 3,
        "batch_size": [20] * 3,
    }


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("negative_slope", [0, 0.5, 1]),
        ("dropout", [0, 0.999]),
        ("learning_rate", [1e-300, 1e10]),
        ("data_noise", [0, 1]),
    ],
)
def test_ranges_include_what_they_say(name, inside):
    check_range(name, inside)
    for value in inside:
        check_range(name, value)


IMAGES, LABELS = problem()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES.log(), LABELS, "images hold NaN or infinite values: remove or mend them"),
        (IMAGES / 0, LABELS, "images hold NaN or infinite values"),
        (IMAGES, LABELS[:59], r"labels of shape \(59,\) .* for 60 images: give one integer for"),
        (IMAGES, LABELS[:, None], r"labels of shape \(60, 1\) .* for 60 images"),
        (IMAGES, LABELS.float(), r"labels of shape \(60,\) and torch\.float32 for 60 images"),
        (IMAGES, LABELS > 1, r"labels of shape \(60,\) and torch\.bool for 60 images"),
        (IMAGES, LABELS - 1, "labels from -1 to 2: the network has classes 0 to 3"),
        (IMAGES, LABELS + 1, "labels from 1 to 4: the network has classes 0 to 3"),
        (IMAGES[..., :3], LABELS, r"images of shape \(60, 1, 2, 3\) do not fit the network: "),
        (IMAGES.double(), LABELS, r"images of shape \(60, 1, 2, 4\) do not fit the network: "),
        (IMAGES[:0], LABELS[:0], "images"),
    ],
    ids=[
        "nan",
        "infinite",
        "too few",
        "two axes",
        "float",
        "bool",
        "negative",
        "too large",
        "other pixels",
        "other dtype",
        "none",
    ],
)
def test_data_that_do_not_fit(images, labels, message):
    with pytest.raises(ValueError, match=message):
        fit(network(), images, labels)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int16])
def test_labels_may_be_any_integers(dtype):
    images, labels = problem()
    expected = fit(network(), images, labels, data_noise=0.2, epochs=2)
    found = fit(network(), images, labels.to(dtype), data_noise=0.2, epochs=2)
    assert_same_member(found, 0, expected, 0)


def test_arrays_instead_of_tensors_are_named_in_the_error():
    images, labels = problem()
    with pytest.raises(TypeError, match=r"images.*Tensor"):
        fit(network(), images.numpy(), labels)
    with pytest.raises(TypeError, match=r"labels.*Tensor"):
        fit(network(), images, labels.numpy())


def test_a_batch_of_1_is_fine_without_batch_norm():
    images, labels = problem(images=5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 4))
    assert fit(model, images, labels, batch_size=2, epochs=1).history.loss.notnull().all()


@pytest.mark.parametrize("model", [nn.Linear(8, 4), nn.ModuleList([nn.Linear(8, 4)])])
def test_networks_that_are_not_sequential(model):
    images, labels = problem()
    with pytest.raises(TypeError, match=r"network is a .*: ensembles train torch\.nn\.Sequential"):
        fit(model, images, labels)


def test_networks_with_unknown_layers():
    images, labels = problem()
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 4), nn.Tanh())
    with pytest.raises(TypeError, match="layer '2' is a Tanh; ensembles know"):
        fit(model, images, labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": network(width=17)}, "resume holds networks of another architecture"),
        ({"network": network(hidden_layers=3)}, "resume holds networks of another architecture"),
        ({"seeds": range(3)}, "resume holds seeds \\[0, 1\\]"),
        ({"seeds": [0, 2]}, "resume.*seed"),
        ({"optimizer": "momentum"}, "resume holds .* trained with"),
        ({"optimizer": "sgd"}, "resume holds .* trained with"),
        ({"resume": {}}, "resume"),
        ({"resume": {"networks": 3}}, "resume"),
    ],
    ids=["width", "depth", "members", "seeds", "momentum", "sgd", "empty", "foreign"],
)
def test_resuming_from_a_foreign_state(change, message):
    images, labels = problem()
    given = {"network": network(), "seeds": range(2), "epochs": 3}
    state = fit(images=images, labels=labels, model=given.pop("network"), **given).state
    given |= {"resume": state, "epochs": 5} | change
    model = given.pop("network", network())
    with pytest.raises((TypeError, ValueError), match=message):
        fit(model, images, labels, **given)
