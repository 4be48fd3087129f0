"""Thresholds and exponents of responses that are known."""

import numpy as np
import pytest

from sbt_book.common.statistics import bootstrap_interval
from sbt_book.friction.response import (
    exponents,
    fit_thresholds,
    held_out_errors,
    judged,
)

FORCES = np.array([-0.1, -0.03, -0.01, -0.003, 0.003, 0.01, 0.03, 0.1])


def soft(forces, right, left):
    return np.maximum(forces - right, 0) + np.minimum(forces + left, 0)


def members(response, noise=0.02):
    factors = 1 + noise * np.random.default_rng(0).standard_normal((10, len(response)))
    return response * factors


@pytest.mark.parametrize(("right", "left"), [(0.0, 0.0), (0.002, 0.005), (0.0, 0.08), (0.05, 0.02)])
def test_thresholds_are_found(right, left):
    fit = fit_thresholds(FORCES, 3 * soft(FORCES, right, left))
    assert (fit.right, fit.left, fit.mobility) == pytest.approx((right, left, 3.0), abs=1e-9)
    assert fit.compliance(FORCES) * FORCES == pytest.approx(3 * soft(FORCES, right, left))


def test_no_response_at_all_is_no_mobility():
    fit = fit_thresholds(FORCES, np.zeros((2, len(FORCES))))
    assert fit.mobility == pytest.approx([0, 0])


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_exponents_are_found(power):
    response = np.sign(FORCES) * np.abs(FORCES) ** power
    assert exponents(FORCES, response) == pytest.approx(power)
    response[3] = 0.0
    assert exponents(FORCES, response) == np.inf


def test_verdicts_are_those_of_the_criterion():
    stuck, creeping = members(soft(FORCES, 0.0, 0.05)), members(2 * FORCES)
    assert judged(FORCES, stuck)["verdict"] == "sticks"
    assert judged(FORCES, creeping)["verdict"] == "creeps"
    assert judged(FORCES, members(FORCES**3))["verdict"] != "creeps"
    uneven = creeping.copy()
    uneven[:5] = soft(FORCES, 0.0, 0.02)  # half of them stick a little
    assert judged(FORCES, uneven)["verdict"] == "undecided"


def test_members_left_out_are_foretold_by_what_they_follow():
    with_, without = held_out_errors(FORCES, members(soft(FORCES, 0.0, 0.05)))
    assert with_ < 0.1 < without
    with_, without = held_out_errors(FORCES, members(2 * FORCES))
    assert with_ == pytest.approx(without, rel=0.1)


def test_the_interval_is_that_of_a_mean():
    values = np.random.default_rng(1).standard_normal(200)
    low, high = bootstrap_interval(values)
    error = values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.15 * error
    )
