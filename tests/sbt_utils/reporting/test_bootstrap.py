"""The bootstrap over images against one that keeps all features, and against fresh images."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting import bootstrap as bootstrap_file
from sbt_utils.reporting.bootstrap import SKETCH, SampledScatter, bootstrap

pytestmark = pytest.mark.usefixtures("one_thread")


def mixture(rng, samples, width=40, classes=5, spread=0.7):
    """Draw samples around fixed means, in turn one of each class."""
    means = spread * np.random.default_rng(99).normal(size=(classes, width))
    labels = np.arange(samples) % classes
    return means[labels] + rng.normal(size=(samples, width)), labels


def network(features, widths=(40, 300, 270)):
    """Return the features of random layers, wider than a sketch."""
    rng = np.random.default_rng(5)
    layers = [features]
    for inputs, outputs in itertools.pairwise(widths):
        weights = rng.normal(size=(inputs, outputs)) / inputs**0.5
        layers.append(np.maximum(layers[-1] @ weights, 0))
    return layers


def fed(features, labels, batch=64):
    scatter = SampledScatter()
    for start in range(0, len(labels), batch):
        scatter.update(features[start : start + batch], labels[start : start + batch])
    return scatter


def spreads(draws):
    """Return the standard deviations of D and of the loads."""
    return np.r_[draws.std(axis=0), np.diff(draws).std(axis=0)]


def brute_force(layers, labels, resamples):
    """Draw images anew within each class, and compute D from their features."""
    rng = np.random.default_rng(1)
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    draws = []
    for _ in range(resamples):
        chosen = np.concatenate([rng.choice(members, len(members)) for members in classes])
        draws.append([data_separation(layer[chosen], labels[chosen]) for layer in layers])
    return np.array(draws)


def test_spreads_equal_those_of_a_bootstrap_with_all_features():
    features, labels = mixture(np.random.default_rng(0), 300)
    layers = network(features)
    assert max(layer.shape[1] for layer in layers) > SKETCH
    expected = spreads(brute_force(layers, labels, 300))
    found = spreads(bootstrap([fed(layer, labels) for layer in layers], 2000))
    # 300 draws know a standard deviation to 4 %; the sketch and the linear order add a little.
    np.testing.assert_allclose(found, expected, rtol=0.15)


def test_a_layer_too_short_for_a_sketch_has_the_exact_influence():
    """Against the change of D when one image weighs a little more in its class."""
    features, labels = mixture(np.random.default_rng(3), 30, width=7, classes=3)

    def separation(weights):
        within = between = 0
        means = np.array(
            [np.average(features[labels == c], 0, weights[labels == c]) for c in range(3)]
        )
        for c in range(3):
            members = labels == c
            squares = ((features[members] - means[c]) ** 2).sum(1)
            within += np.average(squares, weights=weights[members]) / 3
            between += ((means[c] - means.mean(0)) ** 2).sum() / 3
        return np.log(within / between)

    influence = fed(features, labels, batch=8).influence()
    step = 1e-5
    for image in range(30):
        weights = np.ones(30)
        weights[image] += step
        more = separation(weights)
        weights[image] -= 2 * step
        # A weight of 1 + step in a class of 10 moves its mean by step / 10 of the image.
        slope = 30 * (more - separation(weights)) / (2 * step)
        assert influence[image] == pytest.approx(slope, rel=1e-4, abs=1e-4)


def test_influences_by_hand():
    # tr Σw = 1 and tr Σb = 4: 1 - 2 (±1) (±2) / 4, less the mean of the class, 1.
    assert fed(np.array([[0.0], [2.0], [4.0], [6.0]]), [0, 0, 1, 1]).influence() == pytest.approx(
        [-1, 1, 1, -1]
    )


@pytest.mark.parametrize("order", ["mixed", "sorted by class"])
@pytest.mark.parametrize("batch", [1, 16, 160])
def test_a_sketch_is_close_to_all_features(monkeypatch, order, batch):
    features, labels = mixture(np.random.default_rng(4), 160)
    if order != "mixed":
        chosen = np.argsort(labels, kind="stable")
        features, labels = features[chosen], labels[chosen]
    layers = network(features)
    sketched = spreads(bootstrap([fed(layer, labels, batch) for layer in layers], 500))
    monkeypatch.setattr(bootstrap_file, "SKETCH", 10**6)
    whole = spreads(bootstrap([fed(layer, labels, batch) for layer in layers], 500))
    # Mostly too wide, never much too narrow.
    assert (sketched < 1.35 * whole).all()
    assert (sketched > 0.85 * whole).all()


def test_intervals_cover_the_loads_of_fresh_images():
    """95 % intervals hold what other images give on average, about as often as they say."""
    rng = np.random.default_rng(6)

    def loads(layers, labels):
        return -np.diff([data_separation(layer, labels) for layer in layers])

    def fresh(samples=100):
        features, labels = mixture(rng, samples, spread=1.0)
        return network(features, (40, 260)), labels

    others = np.array([loads(*fresh()) for _ in range(150)])
    truth, held, widths, tries = others.mean(), 0, [], 100
    for _ in range(tries):
        layers, labels = fresh()
        draws = -np.diff(bootstrap([fed(layer, labels, 50) for layer in layers], 100))
        low, high = np.percentile(draws, [2.5, 97.5])
        held += low < truth < high
        widths.append(high - low)
    assert held / tries >= 0.95 - 3 * (0.95 * 0.05 / tries) ** 0.5
    assert np.mean(widths) == pytest.approx(2 * 1.96 * others.std(), rel=0.25)


def test_draws_are_around_the_exact_separation():
    features, labels = mixture(np.random.default_rng(0), 200)
    layers = network(features)
    draws = bootstrap([fed(layer, labels) for layer in layers], 60, seed=3)
    exact = [data_separation(layer, labels) for layer in layers]
    np.testing.assert_allclose(draws.mean(axis=0), exact, rtol=1e-10)
    again = bootstrap([fed(layer, labels) for layer in layers], 60, seed=3)
    np.testing.assert_array_equal(draws, again)
    assert not np.allclose(draws, bootstrap([fed(layer, labels) for layer in layers], 60, seed=4))


def test_equal_features_have_equal_draws():
    """So an identity layer has a load of zero in every draw."""
    features, labels = mixture(np.random.default_rng(0), 200)
    wide = network(features)[1]
    draws = bootstrap([fed(wide, labels), fed(wide.copy(), labels)], 50)
    assert np.ptp(draws[:, 0]) > 0
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])


def test_invariant_under_shift_and_scale():
    features, labels = mixture(np.random.default_rng(0), 200)
    wide = network(features)[1]
    expected = fed(wide, labels).influence()
    np.testing.assert_allclose(fed(1e3 * (wide - 7), labels).influence(), expected, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_features_of_any_dtype(dtype):
    features, labels = mixture(np.random.default_rng(0), 100)
    tensor = torch.from_numpy(features).to(dtype)
    expected = fed(tensor.double(), torch.from_numpy(labels))
    found = fed(tensor, torch.from_numpy(labels))
    # Not to the last digit: halves are summed by PyTorch, the others in loops.
    np.testing.assert_allclose(found.separation, expected.separation, rtol=1e-13)
    np.testing.assert_allclose(found.influence(), expected.influence(), rtol=1e-9, atol=1e-12)


def test_a_layer_of_100_000_features_keeps_little():
    labels = np.arange(40) % 4
    model = nn.Linear(10, 100_000)
    with torch.no_grad():
        features = model(torch.randn(40, 10, generator=torch.Generator().manual_seed(0)))
    scatter = fed(features, labels, batch=8)
    kept = sum(t.numel() for t in scatter.sketches) + sum(t.numel() for t in scatter.corrections)
    assert kept == 40 * (SKETCH + 2)
    assert scatter.separation == pytest.approx(data_separation(features, labels), rel=1e-12)
    assert np.isfinite(bootstrap([scatter], 50)).all()
