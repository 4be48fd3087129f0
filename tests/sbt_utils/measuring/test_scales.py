"""Data separation and its bootstrap know no unit: any scale and any common offset, alone and mixed.

The reference is the same problem at the scale of 1, which `test_separation` checks exactly.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from sbt_utils.measuring.curves import MEASURES
from sbt_utils.measuring.scatter import ProjectedScatter, ScatterStatistics
from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting.bootstrap import SampledScatter, bootstrap
from sbt_utils.reporting.stress_map import report

pytestmark = pytest.mark.usefixtures("one_thread")
checks = settings(max_examples=25, deadline=None, derandomize=True)
decades = st.floats(-300, 300)


def problem(seed, width=6):
    """Return features about as large as 1, in steps of 2^-16, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(40) % 4
    features = rng.normal(size=(4, width))[labels] + rng.normal(size=(40, width))
    return np.round(features * 2**16) / 2**16, labels


def streamed(statistics, batches):
    for batch in batches:
        statistics.update(*batch)
    return statistics


def draws(features, labels, cuts=(13, 20)):
    batches = zip(np.split(features, cuts), np.split(labels, cuts), strict=True)
    return bootstrap([streamed(SampledScatter(), batches)], 20)


@pytest.mark.parametrize("measure", MEASURES)
@checks
@given(seed=st.integers(0, 999), decade=decades)
@example(seed=0, decade=-161.0)
@example(seed=0, decade=-300.0)
@example(seed=0, decade=300.0)
def test_no_scale_changes_the_separation(measure, seed, decade):
    features, labels = problem(seed)
    expected = data_separation(features, labels, measure)
    found = data_separation(features * 10.0**decade, labels, measure)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
@checks
@given(seed=st.integers(0, 999), power=st.integers(-990, 990))
def test_powers_of_two_change_no_digit(measure, seed, power):
    features, labels = problem(seed)
    expected = data_separation(features, labels, measure)
    assert data_separation(features * 2.0**power, labels, measure) == expected


@checks
@given(seed=st.integers(0, 999), power=st.integers(-990, 990), width=st.sampled_from([6, 300]))
def test_nor_does_a_draw_of_the_bootstrap_change(seed, power, width):
    features, labels = problem(seed, width)
    expected = draws(features, labels)
    np.testing.assert_array_equal(draws(features * 2.0**power, labels), expected)


@pytest.mark.parametrize("measure", MEASURES)
@checks
@given(seed=st.integers(0, 999), decade=st.floats(-8, 8), power=st.integers(-900, 900))
def test_nor_does_an_offset_of_a_hundred_million_standard_deviations(measure, seed, decade, power):
    features, labels = problem(seed)
    # Offsets and features are multiples of 2^-16, so that their sums are exact.
    offset = np.round(10.0**decade * np.random.default_rng(seed).normal(size=6) * 2**16) / 2**16
    moved = (features + offset) * 2.0**power
    expected = data_separation(features, labels, measure)
    assert data_separation(moved, labels, measure) == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(draws(moved, labels), draws(features, labels), atol=1e-5)


@pytest.mark.parametrize("measure", MEASURES)
@checks
@given(seed=st.integers(0, 999), decade=decades, first=st.sampled_from([0.0, 1e-250, 1e-9, 1.0]))
def test_a_scale_that_the_first_batch_did_not_show(measure, seed, decade, first):
    """Against all samples in one batch."""
    features, labels = problem(seed)
    features *= 10.0**decade
    features[:20] *= first
    batches = list(zip(np.split(features, 4), np.split(labels, 4), strict=True))
    scatter = streamed(ScatterStatistics(), batches)
    if measure == "fuzziness":
        scatter = streamed(ProjectedScatter(scatter), batches)
    expected = data_separation(features, labels, measure)
    assert scatter.separation == pytest.approx(expected, abs=1e-12)
    cuts = range(5, 40, 5)
    np.testing.assert_allclose(draws(features, labels, cuts), draws(features, labels), atol=1e-5)


@pytest.mark.parametrize("small", [1e-8, 1e-30, 1e-130, 1e-200])
@pytest.mark.parametrize("kind", [ScatterStatistics, SampledScatter])
def test_a_batch_that_differs_little_from_the_first_sample(kind, small):
    """By hand: tr Σw is small^2 / 8, tr Σb 1/4 but for what rounding leaves."""
    samples = [([[0.0]], [0]), ([[1.0]], [1]), ([[small]], [0]), ([[1.0]], [1])]
    features, labels = (np.concatenate(part) for part in zip(*samples, strict=True))
    scatter = streamed(kind(), [(np.array(x), y) for x, y in samples])
    if small < 2.0**-44:
        for found in (lambda: scatter.separation, lambda: data_separation(features, labels)):
            with pytest.raises(ValueError, match=r"^features: zero variance within"):
                found()
        return
    expected = 2 * math.log(small) - math.log(2)
    assert scatter.separation == pytest.approx(expected, abs=1e-6)
    assert data_separation(features, labels) == pytest.approx(expected, abs=1e-6)


def test_a_constant_feature_of_another_scale_is_no_matter():
    features, labels = problem(0)
    beside = np.column_stack([features * 1e-100, np.full(40, 1e200)])
    assert data_separation(beside, labels) == pytest.approx(data_separation(features, labels))


def test_the_whole_range_of_float64():
    line, labels = np.array([-0.8, -1.0, 1.0, 0.8]), [0, 0, 1, 1]
    assert data_separation(line * 1.7e308, labels) == pytest.approx(math.log(0.01 / 0.81))
    assert data_separation(line * 1e-320, labels) == pytest.approx(math.log(0.01 / 0.81), abs=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-30, 1e20, 1e30])
def test_a_report_on_activations_of_any_scale(scale, dtype):
    torch.manual_seed(0)
    inputs, labels = torch.randn(60, 5, dtype=dtype), torch.arange(60) % 3
    model = nn.Sequential(nn.Linear(5, 300), nn.ReLU(), nn.Linear(300, 300), nn.ReLU()).to(dtype)
    model[0].bias.requires_grad_(False).zero_()
    model[2].bias.requires_grad_(False).zero_()
    expected = report(model, inputs, labels)
    with torch.no_grad():
        model[0].weight *= scale
    found = report(model, inputs, labels)
    assert found.train.separation == pytest.approx(expected.train.separation, abs=1e-4)
