"""The force that skewed kicks leave, against quadrature, and chance against closed forms."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq

from sbt_book.gradients.skewness import by_chance, force_left


def quantiles(distribution, count=200_001):
    return distribution.ppf((np.arange(count) + 0.5) / count)


@pytest.mark.parametrize("friction", [0.3, 1.0, 2.0])
def test_the_force_of_exponential_kicks_is_where_blocks_do_not_drift(friction):
    # E S(F + ξ) = 0 with the two branches of the soft threshold, for ξ = t - 1.
    def drift(force):
        up, down = friction + 1 - force, 1 - force - friction
        rise = quad(lambda t: (t - up) * np.exp(-t), max(up, 0), np.inf)[0]
        fall = quad(lambda t: (t - down) * np.exp(-t), 0, down)[0] if down > 0 else 0.0
        return rise + fall

    exact = brentq(drift, -friction, friction) / friction
    assert force_left(quantiles(stats.expon()), friction) == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("friction", [0.2, 1.0])
def test_weakly_skewed_kicks_follow_the_gram_charlier_series(friction):
    kicks = quantiles(stats.gamma(4 / 0.05**2))  # of skewness 0.05
    expected = -0.05 / 6 * stats.norm.pdf(friction) / stats.norm.sf(friction)
    assert force_left(kicks, friction) == pytest.approx(expected, rel=0.02)


def test_the_force_turns_with_the_kicks_and_ignores_their_unit_and_mean(rng):
    kicks = rng.exponential(size=(300, 2, 3))
    force = force_left(kicks, 1.0)
    assert force.shape == (2, 3)
    np.testing.assert_allclose(force_left(5 - 40 * kicks, 1.0), -force, atol=1e-9)


def test_a_chain_under_skewed_kicks_has_loads_of_the_slope_of_the_force(rng):
    blocks, friction, chains = 3, 0.1, 400
    position = np.linspace(0, 1, blocks + 2) + np.zeros((chains, 1))
    slopes = []
    for step in range(4000):
        pull = position[:, 2:] - 2 * position[:, 1:-1] + position[:, :-2]
        force = pull + friction * (rng.exponential(size=pull.shape) - 1)
        # In small steps: else the pull fluctuates nearly as much as the kicks do.
        position[:, 1:-1] += 0.01 * (force - np.clip(force, -friction, friction))
        if step >= 2000:
            slopes.append(np.diff(position, 2, axis=1).mean())
    force = friction * force_left(quantiles(stats.expon()), 1.0)
    assert np.mean(slopes) == pytest.approx(force, rel=0.05)


def test_kicks_that_are_all_alike_leave_no_force_that_could_be_named():
    assert np.isnan(force_left(np.ones((5, 1)), 1.0)).all()


def test_chance_is_that_of_normal_kicks(rng):
    found = np.mean([by_chance(rng.normal(size=(100, 4)), 1.0, rng)[0] for _ in range(8)])
    assert found == pytest.approx(np.sqrt(6 / 100 / 4), rel=0.1)


def test_kicks_that_keep_their_sign_for_a_while_scatter_more(rng):
    kicks = np.repeat(rng.normal(size=(40, 3)), 8, axis=0)
    alone, together = (by_chance(kicks, 1.0, np.random.default_rng(0), run)[1] for run in (1, 8))
    assert together > 1.5 * alone
