"""Driven chains fitted to single load curves, held against the chain that rests there."""

import numpy as np
import pytest

from sbt_book.chain.driven_experiment import within_rows
from sbt_book.chain.driven_matching import (
    driven_table,
    fitted_cells,
    net_force,
    one_number,
    two_numbers,
)
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.trajectories import curve_of

T = np.linspace(0.0, 1.0, 8)


@pytest.mark.parametrize(("drive", "force"), [(0.5, 0.1), (0.05, 0.03), (2.0, 0.2), (0.3, -0.02)])
def test_the_drive_and_the_force_of_a_chain_at_rest_are_found(drive, force):
    # Shaken for long, a chain rests at F* = (μ_right - μ_left) / 2; here k = 0.1 and y = 1.
    friction = {"friction_right": 0.2 * max(force, 0), "friction_left": 0.2 * max(-force, 0)}
    chain = SpringBlockChain(drive=0.1 * drive, **friction)
    target = curve_of(chain.mean_field_loads()).scaled
    found, f, curve = fitted_cells(target, driven_table(8))
    assert found == pytest.approx(drive, rel=0.05)  # steps of the table
    assert net_force(found, f, curve) == pytest.approx(force, abs=0.01)
    np.testing.assert_allclose(curve, target, rtol=0, atol=2e-3)


def test_without_a_drive_it_is_the_chain_that_friction_holds():
    quiet = SpringBlockChain(friction_right=0.002, noise=0.0)
    target = curve_of(quiet.static_loads()).scaled
    found, f, curve = fitted_cells(target, driven_table(8))
    assert found == 0.0
    assert net_force(found, f, curve) == pytest.approx(0.02, rel=1e-9)  # 0.002 / (k y)
    np.testing.assert_allclose(curve, target, rtol=0, atol=1e-12)


def test_the_second_number_is_the_best_for_the_first():
    rng = np.random.default_rng(0)
    targets = 1 - T + 0.3 * rng.normal(size=(5, 8)) * T * (1 - T)
    for numbers, curves, added in two_numbers(8).values():
        first, second, nearest = fitted_cells(targets, (numbers, curves, added))
        best = ((nearest - targets) ** 2).sum(-1)
        for change in (-1e-3, 1e-3):
            row = np.searchsorted(numbers, first)
            moved = curves[row] + (second + change)[:, None] * added[row]
            assert (((moved - targets) ** 2).sum(-1) > best).all()
        for row in range(
            0, len(numbers), 40
        ):  # no other first number, with its own second, beats it
            matrix, aim = added[row][:, None], (targets - curves[row]).T
            _, squares, _, _ = np.linalg.lstsq(matrix, aim, rcond=None)
            assert (squares >= best - 1e-12).all()


def test_with_one_number_the_second_is_zero():
    targets = np.stack([1 - T - 0.4 * T * (1 - T), 1 - T])
    for table in one_number(8).values():
        _, second, curves = fitted_cells(targets, table)
        assert (second == 0).all()
        assert abs(curves - targets).max() < 0.05
    first, _, _ = fitted_cells(targets, one_number(8)["chain"])
    np.testing.assert_allclose(first, [0.42, 0.0], atol=1e-9)  # the step of the table is 0.06


def test_correlations_within_rows_leave_short_and_even_rows_out():
    levels = np.arange(5)
    rows = np.array(
        [
            [1.0, 2.0, 3.0, 4.0, 5.0],
            [5.0, 4.0, np.nan, 2.0, 1.0],
            [1.0, 2.0, 3.0, np.nan, np.nan],  # three values
            [7.0, 7.0, 7.0, 7.0, 7.0],
            [1.0, 3.0, 2.0, 5.0, 4.0],  # 1 - 6 x 4 / (5 x 24)
        ]
    )
    assert within_rows(rows, levels) == pytest.approx((1 - 1 + 0.8) / 3)
