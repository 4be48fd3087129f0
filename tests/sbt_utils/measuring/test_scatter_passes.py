"""Passes over features in compiled loops, against NumPy."""

import numpy as np
import pytest
import torch

from sbt_utils.measuring.device_passes import fold
from sbt_utils.measuring.scatter_passes import (
    add_samples,
    projected_squares,
    sketched_residuals,
)

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


def test_a_class_may_be_missing_before_and_later():
    x, origin, _, _ = problem(5, torch.float32)
    rows = torch.tensor([0] * 9 + [2] * 14)
    counts, means, _, _ = added_in_parts(x, origin, rows, at=9)
    assert counts.tolist() == [9, 0, 14]
    assert not means[1].any()
    np.testing.assert_allclose(means[2], (x[9:].double() - origin).mean(0))


@pytest.mark.parametrize("length", [1, 7, 40, 64])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_sketches_add_up_what_lies_a_length_apart(length, dtype):
    x, origin, means, rows = problem(40, dtype)
    directions = torch.from_numpy(np.random.default_rng(0).normal(size=(CLASSES, 40)))
    signs = torch.tensor([1.0, -1.0]).repeat(20)
    along, sketches = sketched_residuals(x, origin, means, rows, directions, signs, length)
    away = x.double().numpy() - origin.numpy() - means.numpy()[rows]
    np.testing.assert_allclose(along, (away * directions.numpy()[rows]).sum(1), atol=1e-12)
    expected = np.zeros((N, min(40, length)))
    for place in range(40):
        expected[:, place % length] += away[:, place] * float(signs[place])
    assert sketches.dtype == torch.float32
    np.testing.assert_allclose(sketches, expected, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(fold(torch.from_numpy(away).float() * signs, length), sketches, 1e-4)


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
    _, means, within, squares = added_in_parts(x, origin, rows, at=0)
    seen = (x - origin).numpy()  # exact
    away = seen - np.stack([seen[rows == row].mean(0) for row in range(CLASSES)])[rows]
    np.testing.assert_allclose(squares, (away**2).sum(1), rtol=1e-13)
    np.testing.assert_allclose(within, (away**2).sum(), rtol=1e-13)
    along, _ = sketched_residuals(x, origin, means, rows, means, torch.ones(40), 40)
    np.testing.assert_allclose(along, (away * means.numpy()[rows]).sum(1), atol=1e-11)
