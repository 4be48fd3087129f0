"""What features have by chance, what random labels do to D, and layers without a D."""

from itertools import permutations

import numpy as np
import pytest
import torch

from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.scatter import ScatterStatistics
from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting.advice import BY_CHANCE, advise
from sbt_utils.reporting.generalisation import DEVIATIONS, random_labels
from sbt_utils.reporting.states import by_chance, floor, undefined_state


def scatter_of(features, labels):
    scatter = ScatterStatistics()
    scatter.update(torch.as_tensor(features), labels)
    return scatter


# The floor -----------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1]])
def test_the_floor_is_the_mean_over_all_ways_to_deal_the_labels(labels):
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 3)) + 5)
    dealt = set(permutations(labels))
    within, between = np.mean([scatter_of(features, deal).scatter() for deal in dealt], axis=0)
    assert np.log(within / between) == pytest.approx(floor(6, len(set(labels))), abs=1e-12)


def test_the_floor_is_where_shuffled_labels_leave_the_separation_of_images():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(2000, 50)) * np.geomspace(1, 0.1, 50)
    for labels in (np.arange(2000) % 10, np.repeat(np.arange(1000), 2), np.arange(2000) < 1000):
        labels = labels.astype(int)
        shuffled = [data_separation(features, rng.permutation(labels)) for _ in range(5)]
        expected = floor(2000, len(set(labels)))
        error = np.std(shuffled) + 0.01
        assert np.mean(shuffled) == pytest.approx(expected, abs=4 * error)


def test_what_is_there_by_chance():
    features = np.random.default_rng(2).normal(size=(40, 3))
    labels = np.arange(40) % 4
    within, between = scatter_of(features, labels).scatter()
    part = by_chance(np.log(within / between), 40, 4)
    assert part == pytest.approx(min(1, within * 3 / 36 / between))
    assert by_chance(np.array([floor(40, 4), floor(40, 4) + 1]), 40, 4).tolist() == [1, 1]


def flat(start, *loads):
    separation = start - np.r_[0, np.cumsum(loads)]
    return LoadCurve(np.array([separation, separation]))


def test_few_samples_from_so_much_chance_on():
    lowest = floor(60, 10) + np.log(BY_CHANCE)
    sizes = [(60, 10)]
    enough, few = (advise(flat(lowest + d, 1, 1), sizes=sizes) for d in (-1e-6, 1e-6))
    assert enough == ()
    (advice,) = few
    assert (advice.finding, advice.kind) == ("few samples", "observation")
    assert "D of the input is near" in advice.text
    assert "60 inputs of 10 classes: 50% and 7% of the scatter" in advice.evidence
    (advice,) = advise(flat(lowest + 0.1, 0.04, 0.04), sizes=sizes)
    assert "D of all layers is near" in advice.text
    assert advice.kind == "advice"


# Random labels -------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.3, 0.5])
def test_the_fraction_of_random_labels_is_found(fraction):
    rng = np.random.default_rng(3)
    means = rng.normal(size=(10, 30))
    found = []
    for count in (1000, 200):
        labels = np.arange(count) % 10
        features = means[labels] + rng.normal(size=(count, 30)) * 1.5
        drawn = np.where(rng.random(count) < fraction, rng.integers(10, size=count), labels)
        unseen_labels = np.arange(1500) % 10
        unseen = means[unseen_labels] + rng.normal(size=(1500, 30)) * 1.5
        separation = data_separation(features, drawn), data_separation(unseen, unseen_labels)
        found.append(random_labels(*map(np.array, separation), [(count, 10), (1500, 10)]))
    np.testing.assert_allclose(found, fraction, atol=0.07)
    assert found[0] == pytest.approx(fraction, abs=0.03)


def test_of_samples_that_chance_accounts_for_nothing_is_known():
    assert np.isnan(random_labels(np.array(5.0), np.array(1.0), [(100, 10), (100, 10)]))


def noisy(part, start=1.0, samples=10_000):
    """Return D of inputs some of whose labels are random, if it is `start` with right ones."""
    chance = np.exp(-floor(samples, 10))
    ratio = (np.exp(-start) - chance) * (samples - 10) / samples
    between = (1 - part) ** 2 * ratio / (1 + ratio)
    return -np.log(between / (1 - between) * samples / (samples - 10) + chance)


@pytest.mark.parametrize(("factor", "found"), [(0.98, False), (1.02, True)])
def test_noisy_labels_from_so_many_deviations_on(factor, found):
    sizes = [(10_000, 10)] * 2
    part, deviation = 0.1, 0.1 / DEVIATIONS / factor
    separation = [noisy(part + sign * deviation) for sign in (-1, 1)]
    train = LoadCurve(np.array([[d, 0.1, 0.05] for d in separation]))
    unseen = LoadCurve(np.array([[1.0, 0.1, 0.05]] * 2))
    findings = [each.finding for each in advise(train, unseen, sizes=sizes)]
    assert findings == ["noisy labels"] * found + ["overloaded"]


def test_any_layer_may_show_noisy_labels():
    separation = noisy(0.2)
    unseen = LoadCurve(np.array([[1, 1, 0.05]] * 2))
    train = LoadCurve(np.array([[1, separation, 0.1]] * 2), layers=("images", "one", "two"))
    (advice,) = (
        each for each in advise(train, unseen, sizes=[(10_000, 10)] * 2)
        if each.finding == "noisy labels"
    )  # fmt: skip
    assert advice.evidence.startswith("after one D is 1.")
    assert "as if 20% (20% to 20%) of the training labels were random" in advice.evidence


def test_overfitted_if_random_labels_are_separated_better_than_right_ones():
    sizes = [(10_000, 10)] * 2
    separation = noisy(0.1)
    train = flat(separation, *[(separation + 1.01) / 2] * 2)
    (advice,) = advise(train, flat(1, 1, 1), sizes=sizes)
    assert advice.finding == "overfitted"
    assert "Part of their labels look random" in advice.text
    assert "as if 10% (10% to 10%)" in advice.evidence


# Layers without a D --------------------------------------------------------------------------

LABELS = [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("features", "state"),
    [
        (np.ones((6, 3)), "dead"),
        (np.zeros((6, 3)), "dead"),
        (1e4 * np.ones((6, 3)) + 1e-12 * np.arange(18).reshape(6, 3), "dead"),
        (np.array([1, -1, 1, -1, 1, -1.0])[:, None], "mixed"),
        (np.eye(3)[LABELS], "collapsed"),
        (np.array([1, 2, 3, 4, 5, 7.0])[:, None], ""),
        (1e6 + np.array([1, 2, 3, 4, 5, 7.0])[:, None], ""),
    ],
)
def test_states_of_features(features, state):
    assert undefined_state(scatter_of(features, LABELS)) == state


def test_the_last_digit_of_float32_is_no_scatter():
    features = torch.ones(6, 40)
    features[::2] += 2.0**-23
    features[1, 3] -= 2.0**-23
    assert data_separation(features, LABELS) > 0
    assert undefined_state(scatter_of(features, LABELS)) == "dead"
    assert undefined_state(scatter_of(features.double(), LABELS)) == ""


def test_features_that_are_not_finite_have_no_state():
    with pytest.raises(ValueError, match="NaN or infinite"):
        undefined_state(scatter_of(np.array([1, np.nan, 1, 2, 3, 4.0])[:, None], LABELS))
