"""The prediction residual: against NumPy's least squares, closed forms, and without memory."""

import numpy as np
import pytest
import torch
from scipy import stats

from sbt_utils.language.residual import LeastSquares, prediction_residual

pytestmark = pytest.mark.usefixtures("one_thread")


def textbook(features, targets, held_out=None):
    """Return 1 - R^2 by numpy.linalg.lstsq of all rows at once."""
    design = np.column_stack([np.ones(len(features)), features])
    solution = np.linalg.lstsq(design, targets, rcond=None)[0]
    if held_out is not None:
        design, targets = np.column_stack([np.ones(len(held_out[0])), held_out[0]]), held_out[1]
    left = targets - design @ solution
    return (left**2).sum(0) / ((targets - targets.mean(0)) ** 2).sum(0)


def scales(rng, n, d):
    x = rng.normal(size=(n, d))
    kinds = {
        "plain": x,
        "far from zero": x + 1e4,
        "of scales 1e-4 to 1e4": x * np.logspace(-4, 4, d),
    }
    twice = x.copy()
    twice[:, 1] = twice[:, 0]
    kinds["a feature twice"] = twice
    kinds["sum zero, as LayerNorm leaves it"] = x - x.mean(1, keepdims=True)
    kinds["a constant feature"] = np.where(np.arange(d) == 2, 3.0, x)
    near = x.copy()
    near[:, 1] = near[:, 0] + 1e-8 * near[:, 1]
    kinds["almost a feature twice"] = near
    return kinds


KINDS = list(scales(np.random.default_rng(0), 9, 4))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 17, 1000])
def test_it_is_that_of_numpy_however_rows_come(rng, kind, size):
    x = scales(rng, 500, 30)[kind]
    y = np.column_stack([x[:, :3].sum(1) + rng.normal(size=500), rng.integers(50_000, size=500)])
    squares = LeastSquares()
    for start in range(0, len(x), size):
        squares.update(torch.tensor(x[start : start + size]), torch.tensor(y[start : start + size]))
    np.testing.assert_allclose(squares.residual(), textbook(x, y), rtol=0, atol=1e-9)
    np.testing.assert_allclose(prediction_residual(x, y), textbook(x, y), rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_held_out_is_judged_by_the_fit_of_the_rest(rng, kind):
    x = scales(rng, 600, 30)[kind]
    y = x[:, 0] + rng.normal(size=600)
    fit, other = (x[:400], y[:400]), (x[400:], y[400:])
    expected = textbook(*fit, other)
    np.testing.assert_allclose(prediction_residual(*fit, other), expected, rtol=1e-7)


def test_of_one_feature_it_is_what_a_correlation_leaves(rng):
    x = rng.normal(size=(300, 1))
    y = 3 * x[:, 0] + rng.normal(size=300)
    assert float(prediction_residual(x, y)) == pytest.approx(1 - stats.pearsonr(x[:, 0], y)[0] ** 2)
    assert float(prediction_residual(x, 2 - x[:, 0])) == pytest.approx(0, abs=1e-20)


def test_features_that_know_nothing_leave_what_degrees_of_freedom_do():
    # PR of noise is beta distributed: ((n - 1 - d) / 2, d / 2).
    rng = np.random.default_rng(5)
    found = [
        float(prediction_residual(rng.normal(size=(60, 20)), rng.normal(size=60)))
        for _ in range(200)
    ]
    assert stats.kstest(found, stats.beta((60 - 1 - 20) / 2, 20 / 2).cdf).pvalue > 0.01


def test_parts_joined_are_the_whole(rng):
    x, y = torch.tensor(rng.normal(size=(300, 8))), torch.tensor(rng.normal(size=(300, 2)))
    splits = zip(x.split([5, 195, 100]), y.split([5, 195, 100]), strict=True)
    parts = []
    for one, target in splits:
        part = LeastSquares()
        part.update(one, target)
        parts.append(part)
    whole = LeastSquares.joined(parts)
    assert whole.rows == 300
    np.testing.assert_allclose(whole.residual(), textbook(x.numpy(), y.numpy()), atol=1e-12)


def test_a_million_tokens_take_bounded_memory():
    torch.manual_seed(0)
    squares, waiting, kept = LeastSquares(), [], []
    for _ in range(250):
        x = torch.randn(4000, 4)
        squares.update(x, x[:, :1] + torch.randn(4000, 1))
        waiting.append(sum(map(len, squares._waiting)))
        kept.append(squares._factor.untyped_storage().size())
    assert squares.rows == 10**6
    assert max(waiting) < 6
    assert max(kept) <= 8 * 6**2  # bytes
    assert squares.residual()[0] == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize(
    ("features", "targets", "message"),
    [
        (np.ones((5, 4)), np.arange(5), r"features: 5 tokens for 4 features; a fit needs 6"),
        (np.ones((5, 4, 2)), np.arange(5), r"features: \(5, 4, 2\).*give \(n, d\)"),
        (np.eye(9, 2), np.arange(8), r"targets: shape \(8,\) given for 9 tokens"),
        (np.eye(9, 2), np.full(9, 49_000), r"targets: the same for all tokens"),
        (np.full((9, 2), np.nan), np.arange(9), r"features: NaN or infinite"),
        (np.eye(9, 2), np.full(9, np.inf), r"targets: NaN or infinite"),
    ],
)
def test_what_means_nothing_is_refused(features, targets, message):
    with pytest.raises(ValueError, match=message):
        prediction_residual(features, targets)


def test_held_out_tokens_have_to_fit(rng):
    x, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    with pytest.raises(ValueError, match=r"held_out: 2 features and 1 targets; give as many"):
        prediction_residual(x, y, (x[:, :2], y))
    with pytest.raises(TypeError, match=r"held_out: ndarray given; give a pair"):
        prediction_residual(x, y, x)
