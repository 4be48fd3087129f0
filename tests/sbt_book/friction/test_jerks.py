"""Tails of known laws, and jerks and slips counted by hand."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import pareto

from sbt_book.friction.jerks import Tail, advantage, changes, exponent_of, fit_tail, slips

RNG = np.random.default_rng(0)
POWER = RNG.pareto(1.5, (10, 1000)) + 1  # p(s) ~ s^-2.5
EXPONENTIAL = RNG.exponential(size=(10, 1000))


def test_the_exponent_is_the_most_likely_one():
    exponent, distance = exponent_of(POWER.ravel(), 1.0)
    shape, _, _ = pareto.fit(POWER.ravel(), floc=0, fscale=1)
    assert exponent == pytest.approx(1 + shape, abs=1e-4)
    assert distance < 0.02


def test_a_power_law_is_found_and_an_exponential_is_none():
    tail = fit_tail(POWER.ravel())
    assert tail.exponent == pytest.approx(2.5, abs=0.1)
    gains = advantage(tail, POWER)
    assert gains["exponential"].min() > 0.1
    assert abs(gains["lognormal"].mean()) < 0.02  # a wide lognormal is as good
    tail = fit_tail(EXPONENTIAL.ravel())
    assert all(gain.mean() < 0 for gain in advantage(tail, EXPONENTIAL).values())


def test_densities_are_normed():
    tail = Tail(threshold=0.5, exponent=2.5, distance=0.0, rate=2.0, mu=-0.2, sigma=0.7)
    for law in ("power law", "exponential", "lognormal"):
        total, _ = quad(
            lambda s, law=law: np.exp(tail.log_densities(np.array(s))[law]), 0.5, np.inf
        )
        assert total == pytest.approx(1.0, abs=1e-6)


def test_too_few_sizes_are_refused():
    with pytest.raises(ValueError, match="at least 400 positive"):
        fit_tail(np.ones(399))


def test_changes_are_relative_to_their_mean_in_a_layer():
    separation = np.array([[[9.0, 1.0, 5.0], [8.0, 3.0, 5.0], [7.0, 2.0, 1.0]]])
    assert changes(separation)[0] == pytest.approx([4 / 3, np.nan, 2 / 3, 2.0], nan_ok=True)


def test_slips_are_rows_of_steps_in_one_direction():
    block = np.array([0, 1, 1, 3, 4, 4, 3, 5, 5, 5, 6])
    # What is under way at the first and at the last step is left out.
    assert sorted(slips(block[:, None])) == [1, 2, 3]
    assert len(slips(np.zeros((5, 2)))) == 0
