"""Passes over features in compiled loops, against NumPy."""

import numpy as np
import pytest
import torch

from sbt_utils.measuring import scatter_passes
from sbt_utils.measuring.device_passes import fold
from sbt_utils.measuring.scatter_passes import (
    add_and_sketch,
    add_samples,
    fold_samples,
    projected_squares,
)
from sbt_utils.measuring.separation import data_separation
from sbt_utils.threads import in_threads

N, CLASSES = 23, 3
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64)


def problem(width, dtype):
    rng = np.random.default_rng(width)
    x = torch.from_numpy(5 * rng.normal(size=(N, width)) + 3).to(dtype)
    origin, means = (torch.from_numpy(rng.normal(size=s)) for s in (width, (CLASSES, width)))
    return x, origin, means, torch.from_numpy(rng.integers(CLASSES, size=N))


def added_in_parts(x, origin, rows, *, at):
    """Add samples in two parts; return counts, means, scatter within and all squares."""
    counts = torch.zeros(CLASSES, dtype=torch.float64)
    means = torch.zeros(CLASSES, x.shape[1], dtype=torch.float64)
    parts = [(x[:at], rows[:at]), (x[at:], rows[at:])]
    found = [add_samples(part, origin, own, counts, means) for part, own in parts]
    return counts, means, sum(within for within, _ in found), torch.cat([s for _, s in found])


@pytest.mark.parametrize("width", [1, 7, 40, 1001])
@pytest.mark.parametrize("dtype", DTYPES)
def test_counts_means_and_scatter_are_those_of_numpy(width, dtype):
    x, origin, _, rows = problem(width, dtype)
    counts, means, within, squares = added_in_parts(x, origin, rows, at=9)
    relative, classes = x.double().numpy() - origin.numpy(), rows.numpy()
    np.testing.assert_array_equal(counts, np.bincount(classes))
    expected = np.stack([relative[classes == row].mean(0) for row in range(CLASSES)])
    np.testing.assert_allclose(means, expected, atol=1e-12)
    away = relative - expected[classes]
    projection = np.random.default_rng(1).normal(size=(width, 2))
    projected = projected_squares(x, origin, means, rows, torch.from_numpy(projection))
    np.testing.assert_allclose(projected, ((away @ projection) ** 2).sum(), rtol=1e-12)
    np.testing.assert_allclose(within, (away**2).sum(), rtol=1e-13)
    np.testing.assert_allclose(squares[9:], (away[9:] ** 2).sum(1), rtol=1e-11)


def test_threads_share_large_features_and_change_no_bit(monkeypatch):
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.choice([0, 3, 7, 9], 1500, p=[0.6, 0.2, 0.15, 0.05]))
    features = torch.from_numpy(rng.normal(size=(1500, 1100))).float() + labels[:, None]
    monkeypatch.setattr(scatter_passes, "_SHARE", 1)
    shared, before, found = [], torch.get_num_threads(), []
    monkeypatch.setattr(
        scatter_passes,
        "in_threads",
        lambda work, items, most: shared.append(most) or in_threads(work, items, most),
    )
    try:
        for threads in (1, 2, 3, 16):
            torch.set_num_threads(threads)
            found.append(data_separation(features, labels))
    finally:
        torch.set_num_threads(before)
    assert shared == [2, 3, 4]  # no more than there are classes
    assert len(set(found)) == 1
    x, classes = features.double().numpy(), labels.numpy()
    parts = [x[classes == c] for c in np.unique(classes)]
    within = sum(((part - part.mean(0)) ** 2).sum() for part in parts)
    between = sum(len(part) * ((part.mean(0) - x.mean(0)) ** 2).sum() for part in parts)
    np.testing.assert_allclose(found[0], np.log(within / between), rtol=1e-13)


def test_a_class_may_be_missing_before_and_later():
    x, origin, _, _ = problem(5, torch.float32)
    rows = torch.tensor([0] * 9 + [2] * 14)
    counts, means, _, _ = added_in_parts(x, origin, rows, at=9)
    assert counts.tolist() == [9, 0, 14]
    assert not means[1].any()
    np.testing.assert_allclose(means[2], (x[9:].double() - origin).mean(0))


def sketched_in_parts(x, origin, rows, signs, length, *, at):
    """Add samples in two parts; return means, the mean of all, and what `add_and_sketch` gives."""
    counts, mean = torch.zeros(CLASSES, dtype=torch.float64), torch.zeros_like(origin)
    means = torch.zeros(CLASSES, x.shape[1], dtype=torch.float64)
    for part, own in ((x[:at], rows[:at]), (x[at:], rows[at:])):
        found = add_and_sketch(part, origin, own, counts, means, mean, signs, length)
    return means, mean, found


def folded(vectors, length):
    """Add up what lies a length apart, value by value."""
    result = np.zeros((len(vectors), min(vectors.shape[1], length)))
    for place in range(vectors.shape[1]):
        result[:, place % length] += vectors[:, place]
    return result


@pytest.mark.parametrize("length", [1, 7, 40, 64])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_sketches_and_what_they_lack(length, dtype):
    x, origin, _, rows = problem(40, dtype)
    signs = torch.tensor([1.0, -1.0]).repeat(20)
    means, mean, found = sketched_in_parts(x, origin, rows, signs, length, at=9)
    expected_means = added_in_parts(x, origin, rows, at=9)[1]
    torch.testing.assert_close(means, expected_means, rtol=0, atol=1e-12)
    relative = (x.double() - origin).numpy()
    np.testing.assert_allclose(mean, relative.mean(0), atol=1e-12)
    _, squares, (lacking, along), sketches, unit = found
    assert sketches.dtype == torch.float32
    assert unit == 1
    of_samples = folded(relative[9:] * signs.numpy(), length)
    np.testing.assert_allclose(sketches, of_samples, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(fold(torch.from_numpy(relative[9:]) * signs, length), of_samples)
    own = means.numpy()[rows[9:]]
    away, toward = relative[9:] - own, own - relative.mean(0)
    np.testing.assert_allclose(squares, (away**2).sum(1), rtol=1e-11)
    away_sketch, toward_sketch = (folded(v * signs.numpy(), length) for v in (away, toward))
    expected = (away**2).sum(1) - (away_sketch**2).sum(1)
    np.testing.assert_allclose(lacking, expected, rtol=1e-4, atol=2e-4)
    expected = (away * toward).sum(1) - (away_sketch * toward_sketch).sum(1)
    np.testing.assert_allclose(along, expected, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("width", [40, 3000])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_folded_samples_and_the_scatter_of_batches(width, dtype):
    x, origin, _, rows = problem(width, dtype)
    signs = torch.tensor([1.0, -1.0]).repeat(width // 2)
    mean, inside, apart, batches = torch.zeros_like(origin), 0.0, 0.0, [slice(0, 9), slice(9, N)]
    for batch in batches:
        sums, distances, *more = fold_samples(
            x[batch], origin, rows[batch], batch.start, mean, signs, 1255
        )
        inside, apart = inside + more[0], apart + more[1]
    relative, classes = (x.double() - origin).numpy(), rows.numpy()
    of_batches = np.empty_like(relative)  # of the class of each sample in its batch
    for batch in batches:
        for row in set(classes[batch]):
            members = np.arange(N)[batch][classes[batch] == row]
            of_batches[members] = relative[members].mean(0)
    np.testing.assert_allclose(mean, relative.mean(0), atol=1e-12)
    np.testing.assert_allclose(inside, ((relative - of_batches) ** 2).sum(), rtol=1e-12)
    np.testing.assert_allclose(apart, ((of_batches - relative.mean(0)) ** 2).sum(), rtol=1e-12)
    np.testing.assert_allclose(distances, ((relative[9:] - relative.mean(0)) ** 2).sum(1), 1e-12)
    expected = folded(relative[9:] * signs.numpy(), 1255)
    np.testing.assert_allclose(sums[:, : min(width, 1255)], expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_samples_that_do_not_lie_side_by_side(dtype):
    x, origin, _, rows = problem(40, dtype)
    apart = x.t().contiguous().t()
    assert not apart.is_contiguous()
    for found, expected in zip(
        added_in_parts(apart, origin, rows, at=9),
        added_in_parts(x, origin, rows, at=9),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_no_number_stays_none(value, dtype):
    x, origin, _, rows = problem(40, dtype)
    x[5, 3] = value
    _, means, within, _ = added_in_parts(x, origin, rows, at=9)
    assert not np.isfinite(within)
    assert not means[rows[5], 3].isfinite()
    assert means[:, :3].isfinite().all()


@pytest.mark.parametrize("offset", [1e6, 1e12])
def test_a_large_common_offset_costs_no_digits(offset):
    x, _, _, rows = problem(40, torch.float64)
    x += offset
    origin = x[0].clone()
    _, _, within, squares = added_in_parts(x, origin, rows, at=0)
    seen = (x - origin).numpy()  # exact
    away = seen - np.stack([seen[rows == row].mean(0) for row in range(CLASSES)])[rows]
    np.testing.assert_allclose(squares, (away**2).sum(1), rtol=1e-13)
    np.testing.assert_allclose(within, (away**2).sum(), rtol=1e-13)
    _, mean, (_, squares, *_) = sketched_in_parts(x, origin, rows, torch.ones(40), 40, at=9)
    np.testing.assert_allclose(squares, (away[9:] ** 2).sum(1), rtol=1e-13)
    np.testing.assert_allclose(mean, seen.mean(0), rtol=1e-12, atol=1e-12)
