"""Scatter from folded class means, against that from whole ones."""

import numpy as np
import pytest
import torch
from torch import nn

from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting import folding, measured
from sbt_utils.reporting.bootstrap import SampledScatter, bootstrap
from sbt_utils.reporting.folding import SKETCH, Room
from sbt_utils.reporting.states import undefined_state
from sbt_utils.reporting.stress_map import report

pytestmark = pytest.mark.usefixtures("one_thread")
CLASSES = 40


def problem(seed=0, width=6000, samples=400, spread=1.0, rank=12):
    """Return features with a few common directions, which is the harder case, in mixed order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(samples) % CLASSES)
    directions = rng.normal(size=(rank, width))
    means = rng.normal(size=(CLASSES, rank)) @ directions
    noise = rng.normal(size=(samples, rank)) @ directions + rng.normal(size=(samples, width))
    return means[labels] + spread * noise, labels


def fed(features, labels, batch=32, length=None):
    """Feed samples in batches; means may be no longer than a length."""
    room = Room(10**9 if length is None else length * (CLASSES + 1))
    scatter = SampledScatter(room)
    for start in range(0, len(labels), batch):
        scatter.update(features[start : start + batch], labels[start : start + batch])
    assert scatter.means.shape[1] == (length or features.shape[1])
    return scatter


def in_order(features, labels):
    order = np.argsort(labels, kind="stable")
    return features[order], labels[order]


@pytest.mark.parametrize("batch", [1, 7, 32, 400])
def test_separation_is_exact_where_each_class_comes_in_one_go(batch):
    features, labels = in_order(*problem())
    scatter = fed(features, labels, batch, 4 * SKETCH)
    assert scatter.separation == pytest.approx(data_separation(features, labels), abs=1e-9)
    assert scatter.error < 1e-6


def test_separation_is_exact_in_one_batch_of_any_order():
    features, labels = problem()
    scatter = fed(features, labels, 400, 4 * SKETCH)
    assert scatter.separation == pytest.approx(data_separation(features, labels), abs=1e-12)


@pytest.mark.parametrize("spread", [0.01, 1.0, 30.0])
def test_errors_are_as_large_as_they_are_said_to_be(spread):
    """Over problems of their own; their signs are the same, since these depend on the width."""
    ratios = []
    for seed in range(12):
        features, labels = problem(seed, 2000 + 7 * seed, spread=spread)
        scatter = fed(features, labels, length=2 * SKETCH)
        exact = data_separation(features, labels)
        ratios.append((scatter.separation - exact) / scatter.error)
        assert 1e-3 < scatter.error < 0.2
    # The square of a standard error is known to 1 / sqrt(6) from twelve.
    assert 0.3 < np.mean(np.square(ratios)) < 2.5


def test_longer_means_have_smaller_errors():
    features, labels = problem()
    errors = [fed(features, labels, length=SKETCH << power).error for power in range(5)]
    np.testing.assert_allclose(np.divide(errors[1:], errors[:-1]), 2**-0.5, rtol=0.2)


def test_draws_vary_by_the_error_as_well():
    features, labels = problem()
    exact, folded = (fed(features, labels, length=length) for length in (None, SKETCH))
    expected = np.hypot(bootstrap([exact], 2000).std(), folded.error)
    draws = bootstrap([folded], 2000)
    assert draws.std() == pytest.approx(expected, rel=0.1)
    assert draws.mean() == pytest.approx(folded.separation, abs=1e-9)


def test_influences_are_close_to_those_of_whole_means():
    features, labels = problem()
    exact = fed(features, labels).influence()
    found = fed(features, labels, length=8 * SKETCH).influence()
    assert np.corrcoef(exact, found)[0, 1] > 0.95


def test_equal_features_have_equal_draws():
    features, labels = problem()
    room = Room(120_000)
    scatters = [SampledScatter(room) for _ in range(2)]
    for part in np.split(np.arange(400), [8, 40, 100, 300]):  # room enough for the first classes
        for scatter in scatters:
            scatter.update(features[part], labels[part])
    draws = bootstrap(scatters, 50)
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])
    assert scatters[0].error > 1e-3


@pytest.mark.parametrize("power", [-300, -40, 100, 300])
def test_no_scale_matters_nor_does_an_offset(power):
    features, labels = problem(width=1000, samples=120)
    features = np.round(features * 2**16) / 2**16
    expected = fed(features, labels, length=2 * SKETCH)
    found = fed(features * 2.0**power, labels, length=2 * SKETCH)
    assert found.separation == expected.separation
    np.testing.assert_array_equal(found.influence(), expected.influence())
    shifted = fed((features + 1e8) * 2.0**power, labels, length=2 * SKETCH)
    assert shifted.separation == pytest.approx(expected.separation, abs=1e-9)


def test_batches_that_grow_in_scale():
    features, labels = in_order(*problem(width=1000, samples=120))
    features = features * 10.0 ** np.repeat([-200, 0, 100], 40)[:, None]
    scatter = fed(features, labels, 20, 2 * SKETCH)
    assert scatter.separation == pytest.approx(data_separation(features, labels), abs=1e-9)


def test_classes_of_one_sample_are_left_out():
    features, labels = problem(width=1000, samples=120)
    labels = np.append(labels[:-1], 999)
    scatter = fed(features, labels, length=SKETCH * 2)
    with pytest.warns(UserWarning, match="class 999 has 1 sample"):
        exact = data_separation(features, labels)
    with pytest.warns(UserWarning, match="class 999 has 1 sample"):
        assert scatter.separation == pytest.approx(exact, abs=4 * scatter.error)


def test_layers_share_the_room_and_short_ones_stay_whole():
    features, labels = problem(width=3000)
    room = Room(CLASSES * (100 + 2 * 4 * SKETCH))
    widths = (100, 3000, 2000)
    scatters = [SampledScatter(room) for _ in widths]
    for start in range(0, 400, 50):
        part = slice(start, start + 50)
        for scatter, width in zip(scatters, widths, strict=True):
            scatter.update(features[part, :width], labels[part])
    assert [scatter.means.shape[1] for scatter in scatters] == [100, 4 * SKETCH, 4 * SKETCH]
    exact = data_separation(features[:, :100], labels)
    assert scatters[0].separation == pytest.approx(exact, abs=1e-12)
    assert scatters[0].error == 0


def test_dead_layers_and_collapsed_ones_are_still_known(monkeypatch):
    monkeypatch.setattr(measured, "Room", lambda: folding.Room(CLASSES * SKETCH))
    features, labels = problem(width=600, samples=160)
    inputs = torch.from_numpy(features).float()
    model = nn.Sequential(nn.Linear(600, 700), nn.ReLU(), nn.Linear(700, 700), nn.ReLU())
    with torch.no_grad():
        model[2].weight.mul_(0)
        model[2].bias.fill_(1.0).add_(torch.linspace(0, 1, 700))
    found = report(model, inputs, labels, resamples=40, batch_size=16, layers=["1", "3"])
    assert dict(found.undefined) == {"3": "dead"}
    one_hot = np.eye(CLASSES)[labels].repeat(20, axis=1)
    scatter = fed(one_hot, labels, length=SKETCH)
    assert undefined_state(scatter) == "collapsed"


def test_a_map_says_that_its_separation_is_an_estimate(monkeypatch):
    features, labels = problem(width=600, samples=160)
    inputs = torch.from_numpy(features).float()
    model = nn.Sequential(nn.Linear(600, 700), nn.ReLU())
    exact = report(model, inputs, labels, batch_size=16)
    assert exact.notes == ()
    monkeypatch.setattr(measured, "Room", lambda: folding.Room(CLASSES * SKETCH * 2))
    found = report(model, inputs, labels, batch_size=16)
    (note,) = found.notes
    assert "estimated" in note
    assert "sort the inputs by class" in note
    np.testing.assert_allclose(found.train.mean, exact.train.mean, atol=0.2)
    order = np.argsort(labels, kind="stable")
    found = report(model, inputs[order], labels[order], batch_size=16)
    assert found.notes == ()
    np.testing.assert_allclose(found.train.mean, exact.train.mean, atol=1e-6)
