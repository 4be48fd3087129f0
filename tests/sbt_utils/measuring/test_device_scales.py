"""On the path of a GPU, run on the CPU: data separation knows no unit there either.

The reference is the path of the CPU, in float64, for the same features.
"""

from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from sbt_utils.measuring import device_passes, scatter_passes
from sbt_utils.measuring.curves import MEASURES
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.scatter import ProjectedScatter, ScatterStatistics, UndefinedSeparation
from sbt_utils.measuring.separation import data_separation
from sbt_utils.measuring.stacked import measured, stacked
from sbt_utils.reporting.bootstrap import SampledScatter, bootstrap

pytestmark = pytest.mark.usefixtures("one_thread")
checks = settings(max_examples=25, deadline=None, derandomize=True)
# Decades over which the classes of `problem` stay apart and finite, be it as subnormal numbers.
DECADES = {torch.float32: (-42, 37), torch.bfloat16: (-38, 37), torch.float16: (-5, 3.9)}


def problem(seed, width=6, count=40):
    """Return features about as large as 1, in steps of 2^-12, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    features = rng.normal(size=(4, width))[labels] + rng.normal(size=(count, width))
    return torch.from_numpy(np.round(features * 2**12) / 2**12), torch.from_numpy(labels)


def on_device(features, labels, measure="trace", size=None):
    """Return D by the path of a GPU, with batches of a size."""
    size = size or len(labels)
    batches = list(zip(features.split(size), labels.split(size), strict=True))
    with mock.patch.object(scatter_passes, "in_loops", return_value=False):
        scatter = ScatterStatistics()
        for batch in batches:
            scatter.update(*batch)
        if measure == "fuzziness":
            scatter = ProjectedScatter(scatter)
            for batch in batches:
                scatter.update(*batch)
        return scatter.separation


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("dtype", DECADES)
@checks
@given(seed=st.integers(0, 999), share=st.floats(0, 1))
@example(seed=0, share=0.0)
@example(seed=0, share=1.0)
def test_no_scale_changes_the_separation(measure, dtype, seed, share):
    features, labels = problem(seed)
    low, high = DECADES[dtype]
    features = (features * 10.0 ** (low + (high - low) * share)).to(dtype)
    expected = data_separation(features.double(), labels, measure)
    assert on_device(features, labels, measure) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("measure", MEASURES)
@checks
@given(seed=st.integers(0, 999), power=st.integers(-110, 120))
def test_powers_of_two_change_no_digit(measure, seed, power):
    features, labels = problem(seed)
    expected = on_device(features.float(), labels, measure, 10)
    assert on_device((features * 2.0**power).float(), labels, measure, 10) == expected


@pytest.mark.parametrize("measure", MEASURES)
@checks
@given(
    seed=st.integers(0, 999),
    decade=st.floats(-33, 37),
    first=st.sampled_from([0.0, 1e-30, 1e-9, 1.0]),
    size=st.sampled_from([5, 10, 40]),
)
def test_a_scale_that_the_first_batch_did_not_show(measure, seed, decade, first, size):
    features, labels = problem(seed)
    features[:20] *= first
    features = (features * 10.0**decade).float()
    expected = data_separation(features.double(), labels, measure)
    assert on_device(features, labels, measure, size) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_constant_feature_of_another_scale_is_no_matter(measure):
    features, labels = problem(0)
    expected = data_separation(features, labels, measure)
    beside = torch.column_stack([features * 2.0**-66, torch.full((40, 1), 1e20)]).float()
    assert on_device(beside, labels, measure) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("dtype", DECADES)
def test_the_whole_range_of_each_type(dtype):
    line, labels = torch.tensor([[-0.75], [-1.0], [1.0], [0.75]]), torch.tensor([0, 0, 1, 1])
    limits = torch.finfo(dtype)
    for scale in (limits.max, 4 * limits.smallest_normal * limits.eps):
        features = (line.double() * scale).to(dtype)
        assert on_device(features, labels) == pytest.approx(np.log(1 / 49), abs=0.05)
        expected = data_separation(features.double(), labels)
        assert on_device(features, labels) == pytest.approx(expected, abs=1e-6)


def test_a_sample_that_is_not_looked_at_may_be_far_larger():
    features, labels = problem(0, width=300, count=512)
    for scale in (1e-30, 1.0):
        spoilt = features.float() * scale
        spoilt[5] *= 1e20
        expected = data_separation(spoilt.double(), labels)
        assert on_device(spoilt, labels) == pytest.approx(expected, abs=1e-5)
    spoilt[5] *= 1e10
    with pytest.raises(UndefinedSeparation, match=r"overflow float32, .* leave that sample out"):
        on_device(spoilt, labels)


def test_differences_beyond_float32_are_an_error_that_names_them():
    features, labels = torch.tensor([[-3e38], [-2e38], [2e38], [3e38]]), torch.arange(4) // 2
    assert on_device(features, labels) == pytest.approx(np.log(1 / 25), abs=1e-6)
    with pytest.raises(UndefinedSeparation, match=r"differences overflow float32, .* on a CPU"):
        on_device(features, labels, "fuzziness")


def test_other_samples_in_the_second_pass_are_an_error():
    features, labels = problem(0)
    scatter = ScatterStatistics()
    scatter.update(features, labels)
    second = ProjectedScatter(scatter)
    second.update(features * np.nan, labels)
    with pytest.raises(
        UndefinedSeparation, match=r"differences .* are not those of the first pass"
    ):
        _ = second.separation


@pytest.mark.parametrize("measure", MEASURES)
@checks
@given(seed=st.integers(0, 999), decade=st.floats(-307, 306), offset=st.sampled_from([0.0, 3.0]))
@example(seed=0, decade=-161.0, offset=0.0)
@example(seed=0, decade=-200.0, offset=0.0)
@example(seed=0, decade=-300.0, offset=3.0)
@example(seed=0, decade=154.0, offset=0.0)
@example(seed=0, decade=300.0, offset=3.0)
def test_float64_is_right_or_says_that_its_range_is_left(measure, seed, decade, offset):
    features, labels = problem(seed)
    features = (features + offset) * 10.0**decade
    expected = data_separation(features, labels, measure)
    try:
        found = on_device(features, labels, measure, 10)
    except UndefinedSeparation as error:
        assert not -133 < decade < 152
        assert "leave the range of float64; multiply all" in str(error)  # noqa: PT017
    else:
        assert found == pytest.approx(expected, abs=1e-11)


def test_samples_that_are_equal_are_named_at_any_scale():
    for value in (0.0, 1e-300, 1.0, 1e300):
        features, labels = torch.full((8, 3), value, dtype=torch.float64), torch.arange(8) % 2
        with pytest.raises(UndefinedSeparation, match="all class means coincide"):
            on_device(features, labels)


def drawn(features, labels, size, loops=False):
    """Return what the bootstrap draws, by the path of a GPU or by loops."""
    with mock.patch.object(scatter_passes, "in_loops", return_value=loops):
        scatter = SampledScatter()
        for batch in zip(features.split(size), labels.split(size), strict=True):
            scatter.update(*batch)
        return bootstrap([scatter], 20)


@pytest.mark.parametrize("width", [6, 300, 3000])
@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(torch.float32, -38, 37.5), (torch.bfloat16, -36, 37.5), (torch.float64, -133, 150)],
)
def test_draws_are_those_of_loops_at_any_scale(width, dtype, low, high):
    features, labels = problem(0, width)
    for decade in np.linspace(low, high, 9):
        scaled = (features * 10.0**decade).to(dtype)
        # Of the same blocks, for sketches are relative to the means so far.
        expected = drawn(scaled, labels, 13, loops=True)
        np.testing.assert_allclose(drawn(scaled, labels, 13), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("width", [6, 300])
@checks
@given(seed=st.integers(0, 999), power=st.integers(-110, 120))
def test_powers_of_two_change_no_draw(width, seed, power):
    features, labels = problem(seed, width)
    scaled = (features * 2.0**power).float()
    expected = drawn(features.float(), labels, 13)
    np.testing.assert_array_equal(drawn(scaled, labels, 13), expected)


@pytest.mark.parametrize("first", [0.0, 1e-30, 1e-9])
@pytest.mark.parametrize("decade", [-30, 0, 37])
@pytest.mark.parametrize("size", [1, 10])
def test_draws_of_a_scale_that_the_first_batch_did_not_show(first, decade, size):
    features, labels = problem(0, 300)
    features[:20] *= first
    features = (features * 10.0**decade).float()
    expected = drawn(features, labels, size, loops=True)
    np.testing.assert_allclose(drawn(features, labels, size), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e25])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("place", [0, 7])
def test_a_spoilt_sample_is_named_at_any_scale(scale, value, dtype, place):
    features, labels = problem(0)
    features = (features * scale).to(dtype)
    features[20 + place, 3] = value
    with pytest.raises(UndefinedSeparation, match=f"sample {place} of batch 2 holds NaN or inf"):
        on_device(features, labels, size=10)


def test_each_network_of_a_block_has_a_scale_of_its_own():
    features, labels = problem(0)
    scales = torch.tensor([1.0, 2.0**-110, 2.0**110, torch.nan]).double()
    x = (features * scales[:, None, None]).float()
    counts, means = torch.zeros(4).double(), torch.zeros(4, 4, 6).double()
    within, squares, *_ = device_passes.add_block(x, x[:, 0].double(), labels, counts, means)
    for values, power in ((within, 2), (squares, 2), (means, 1)):
        for member in (1, 2):
            expected = values[0] * scales[member] ** power
            torch.testing.assert_close(values[member], expected, rtol=0, atol=0)
        assert values[3].isnan().any()


def deep(scales, dtype):
    """Return networks whose activations have these scales, and which are alike but for that."""
    made = []
    for scale in scales:
        torch.manual_seed(0)
        sizes = zip((5, 30, 20), (30, 20, 4), strict=True)
        layers = [layer for size in sizes for layer in (nn.Linear(*size, bias=False), nn.ReLU())]
        with torch.no_grad():
            layers[0].weight *= scale
        made.append(nn.Sequential(*layers[:-1]).to(dtype))
    return made


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_networks_in_company_may_have_any_scale(measure, dtype):
    torch.manual_seed(1)
    inputs, labels = torch.randn(600, 5).to(dtype), torch.arange(600) % 4
    members = deep([1.0, 2.0**-100, 1e-30, 1e20, 1e30, 2.0**100], dtype)
    curves, accuracies, _ = measured(stacked(members), inputs, labels, measure)
    expected = evaluate(members, inputs, labels, measure)
    np.testing.assert_allclose(curves, expected.separation, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(accuracies, expected.accuracy)
    np.testing.assert_array_equal(curves[1], curves[0])
    np.testing.assert_array_equal(curves[5], curves[0])


def test_one_that_overflows_is_nan_alone(measure):
    torch.manual_seed(1)
    inputs, labels = torch.randn(600, 5), torch.arange(600) % 4
    members = deep([1.0, 1e38, 2.0**100], torch.float32)
    with torch.no_grad():
        members[1][0].weight.mul_(1e3)
    curves, *_ = measured(stacked(members), inputs, labels, measure)
    assert np.isnan(curves[1]).all()
    assert np.isfinite(curves[[0, 2]]).all()
