"""Shapes without mechanics, fitted to diagrams of which the answer is known."""

import numpy as np
import pytest

from sbt_book.chain.null_models import (
    additive_convexities,
    additive_shapes,
    always_convex,
    exponential,
    parabola,
)
from sbt_utils.measuring.curves import curve_statistics
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.trajectories import curve_of

T = np.linspace(0.0, 1.0, 8)
ROWS, COLUMNS = np.array([-1.0, 0.2, 0.9]), np.array([0.5, -0.3, 1.2, 0.1])
EVERY = np.ones((3, 4), bool)
SOME = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 1]], bool)  # rows and columns hang together


def planted(shape):
    return shape(T, (ROWS[:, None] + COLUMNS)[..., None])


@pytest.mark.parametrize("shape", [parabola, exponential])
def test_planted_numbers_of_rows_and_columns_predict_the_cells_held_out(shape):
    targets = planted(shape)
    targets[~SOME] = np.nan  # never looked at
    curves, convexities = additive_shapes(targets, shape)(SOME)
    np.testing.assert_allclose(curves, planted(shape), rtol=0, atol=1e-6)
    expected = curve_statistics(planted(shape), "convexity")
    np.testing.assert_allclose(convexities, expected, rtol=0, atol=1e-6)


def cubic(t, bend):
    return 1 - t + bend * t * (1 - t) * (1 - 2 * t)


def test_a_second_shape_has_a_number_for_each_row():
    extra = np.array([0.3, -0.2, 0.5])[:, None, None] * T * (1 - T) * (1 - 2 * T)
    targets = planted(parabola) + extra
    curves, _ = additive_shapes(targets, parabola, cubic)(SOME)
    np.testing.assert_allclose(curves, targets, rtol=0, atol=1e-6)
    alone, _ = additive_shapes(targets, parabola)(SOME)
    assert abs(alone - targets).max() > 0.01


def test_parabolas_are_chains_at_rest_on_a_quiet_and_on_a_shaken_table():
    chain = SpringBlockChain(friction_right=0.002, friction_left=0.007)
    for loads in (chain.static_loads(), chain.mean_field_loads()):
        curve = curve_of(loads).scaled
        fitted, _ = additive_shapes(curve[None, None], parabola)(np.ones((1, 1), bool))
        np.testing.assert_allclose(fitted[0, 0], curve, rtol=0, atol=1e-9)


def test_exponentials_fall_by_one_factor_in_each_layer():
    for bend in (3.0, -2.0):
        loads = -np.diff(exponential(T, np.array([bend])))
        np.testing.assert_allclose(loads[1:] / loads[:-1], np.exp(-bend / 7), rtol=1e-12)
    for bend in (0.0, 1e-12):
        np.testing.assert_allclose(exponential(T, np.array([bend])), 1 - T, rtol=0, atol=1e-8)
    assert np.isfinite(exponential(T, np.array([[1e9], [-1e9]]))).all()


def test_fits_of_curves_and_of_convexities_are_least_squares():
    rng = np.random.default_rng(0)
    targets = planted(parabola) + rng.normal(0, 0.02, (3, 4, 8)) * (T > 0) * (T < 1)
    # The normal equations of two-way tables: residuals of each row and column are orthogonal.
    curves, _ = additive_shapes(targets, parabola)(EVERY)
    off = ((curves - targets) * T * (1 - T)).sum(-1)
    np.testing.assert_allclose([*off.sum(0), *off.sum(1)], 0.0, atol=1e-7)
    curves, convexities = additive_convexities(targets)(EVERY)
    assert np.isnan(curves).all()
    off = convexities - curve_statistics(targets, "convexity")
    np.testing.assert_allclose([*off.sum(0), *off.sum(1)], 0.0, atol=1e-12)


def test_always_convex_has_no_curves():
    curves, convexities = always_convex(planted(parabola))(SOME)
    assert np.isnan(curves).all()
    assert (convexities > 0).all()
