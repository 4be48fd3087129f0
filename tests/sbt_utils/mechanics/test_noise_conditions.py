"""Where noise leads a chain, and on which conditions: symmetric, strong enough, given time."""

import math
from dataclasses import replace

import numpy as np
import pytest
from chains import LAST, run
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import gamma, norm, skew

from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import drift, relaxation

BLOCKS = 4
SIDES = {"friction_right": 0.05, "friction_left": 0.1}
EVEN = {"friction_right": 0.1, "friction_left": 0.1}


def slope(draw, right, left, duration, dt, chains=64, late=0.5):
    """Return F* of first-order chains with k = 1 and its error, in a plain loop over the steps.

    `draw` gives the random forces of a step for a shape. The slope of the mean loads over the
    later part of the time is measured over the chain.
    """
    rng, steps = np.random.default_rng(5), round(duration / dt)
    ends = np.zeros((chains, BLOCKS + 2))
    ends[:, -1] = 1.0
    total = np.zeros_like(ends)
    for step in range(steps):
        force = np.diff(ends, 2, axis=1) + draw(rng, (chains, BLOCKS))
        ends[:, 1:-1] += dt * (np.maximum(force - right, 0) + np.minimum(force + left, 0))
        if step >= late * steps:
            total += ends
    loads = np.diff(total / round((1 - late) * steps), axis=1)
    layers = np.arange(BLOCKS + 1) - BLOCKS / 2
    slopes = loads @ layers / (layers @ layers)
    return slopes.mean(), slopes.std(ddof=1) / math.sqrt(chains)


def exponential(strength):
    return lambda rng, shape: strength * (rng.exponential(size=shape) - 1)


def net_force(law, low, strength, right, left):
    """Return the root of E[S(F + s z)], for a law from `low` on, by quadrature of its density."""

    def mean(force):
        over, under = (right - force) / strength, (-left - force) / strength
        pieces = quad(lambda z: (z - over) * law.pdf(z), max(over, low), np.inf, epsabs=1e-14)[0]
        if under > low:
            pieces += quad(lambda z: (z - under) * law.pdf(z), low, under, epsabs=1e-14)[0]
        return pieces

    return brentq(mean, -left, right, xtol=1e-14)


# Symmetric ------------------------------------------------------------------------------------


@pytest.mark.parametrize("skewness", [0.5, 2.0])
@pytest.mark.parametrize("noise", [0.04, 0.5])
@pytest.mark.parametrize("sides", [SIDES, EVEN])
def test_skewed_noise_balances_friction_where_quadrature_says(sides, noise, skewness):
    shape = 4 / skewness**2
    law = gamma(shape, loc=-math.sqrt(shape), scale=1 / math.sqrt(shape))
    assert law.stats("mvs") == pytest.approx((0, 1, skewness), abs=1e-12)
    right, left = sides.values()
    expected = net_force(law, -math.sqrt(shape), noise, right, left)
    chain = SpringBlockChain(3, 2.0, **sides, noise=noise, common_noise=False, skewness=skewness)
    np.testing.assert_allclose(np.diff(chain.mean_field_loads()), expected / 2, rtol=0, atol=1e-9)
    assert expected < (right - left) / 2  # further to the active side
    mirrored = replace(chain, friction_right=left, friction_left=right, skewness=-skewness)
    np.testing.assert_allclose(np.diff(mirrored.mean_field_loads()), -expected / 2, atol=1e-9)
    # Blocks with frictions of their own have their own balance; noise is that of each block.
    uneven = replace(
        chain,
        common_noise=True,
        noise=noise / math.sqrt(3),
        friction_right=[right, 0.2, right],
        friction_left=[left, 0.2, left],
    )
    steps = 2 * np.diff(uneven.mean_field_loads())
    np.testing.assert_allclose(steps[[0, 2]], expected, rtol=0, atol=1e-9)
    balance = net_force(law, -math.sqrt(shape), noise, 0.2, 0.2)
    assert steps[1] == pytest.approx(balance, abs=1e-9)


def test_as_skewness_goes_to_zero_so_does_what_it_adds():
    chain = SpringBlockChain(3, 1.0, **SIDES, noise=0.1, common_noise=False)
    sizes = [0.1, 1e-2, 1e-3, 1e-4, 2e-6, 5e-7, 0.0]
    added = np.array([replace(chain, skewness=s).net_forces[0] for s in sizes]) + 0.025
    np.testing.assert_allclose(added[:5] / sizes[:5], added[1] / sizes[1], rtol=1e-3)
    np.testing.assert_allclose(added[5:], 0.0, rtol=0, atol=1e-16)


@pytest.mark.parametrize("skewness", [2.0, -2.0])
def test_weak_skewed_noise_moves_a_block_one_way_alone(skewness):
    # Bounded to one side, where it must help out to balance the other, ever rarer side.
    noises = np.array([1e-2, 1e-3, 1e-8])
    chain = SpringBlockChain(1, 1.0, **SIDES, common_noise=False, skewness=skewness)
    forces = np.array([replace(chain, noise=noise).net_forces[0] for noise in noises])
    expected = noises - 0.1 if skewness > 0 else 0.05 - noises
    np.testing.assert_allclose((forces - expected) / noises, 0, rtol=0, atol=0.02)


@pytest.mark.parametrize(("sides", "noise"), [(SIDES, 0.1), (SIDES, 0.3), (EVEN, 0.1), (EVEN, 0.3)])
def test_chains_under_exponential_noise_end_where_the_closed_form_says(sides, noise):
    found, error = slope(exponential(noise), *sides.values(), duration=300.0, dt=0.02)
    chain = SpringBlockChain(BLOCKS, 1.0, **sides, noise=noise, common_noise=False, skewness=2.0)
    chain = replace(chain, noise_decay=0.0)
    expected = chain.mean_field_loads()
    assert error < 0.01 * noise
    assert found == pytest.approx(np.diff(expected)[0], abs=4 * error + 0.01 * noise)
    trajectory = chain.simulate_overdamped(300.0, 0.02, seeds=range(16), every=50)
    late = trajectory.separation[:, trajectory.times > 150.0].mean(axis=(0, 1))
    np.testing.assert_allclose(-np.diff(late, append=0.0), expected, rtol=0, atol=0.02 * noise)


@pytest.mark.parametrize(("sides", "expected"), [(SIDES, -0.025), (EVEN, 0.0)])
@pytest.mark.parametrize("law", ["uniform", "two-valued", "laplace"])
def test_any_symmetric_noise_that_exceeds_the_mean_friction_leaves_half_the_difference(
    law, sides, expected
):
    draw = {
        "uniform": lambda rng, shape: rng.uniform(-0.3, 0.3, shape),
        "two-valued": lambda rng, shape: 0.2 * rng.choice([-1, 1], shape),
        "laplace": lambda rng, shape: rng.laplace(0, 0.1, shape),
    }[law]
    found, error = slope(draw, *sides.values(), duration=150.0, dt=0.02, chains=32)
    assert error < 1e-3
    assert found == pytest.approx(expected, abs=4 * error + 1e-4)


# Strong enough --------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [0.02, 0.05])
def test_bounded_noise_only_takes_its_bound_from_friction(bound):
    # Within ± B < w = 0.075: the pull ends at loads that rise by μ_right - B, not at -0.025.
    def draw(rng, shape):
        return bound * rng.choice([-1, 1], shape)

    found, _ = slope(draw, *SIDES.values(), duration=300.0, dt=0.04, chains=4, late=0.9)
    assert found == pytest.approx(0.05 - bound, abs=1e-3)
    less = SpringBlockChain(BLOCKS, 1.0, friction_right=0.05 - bound)
    assert found == pytest.approx(np.diff(less.static_loads())[-1], abs=1e-3)


# Time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.03, 0.2])
def test_the_pace_is_the_slope_of_the_mean_velocity(noise):
    chain = SpringBlockChain(7, 1.0, **SIDES, noise=noise, noise_decay=0.0, common_noise=False)
    ahead = drift(chain, -0.025 + 1e-5, overdamped=True)
    pace = 2 * norm.cdf(-0.075 / noise)
    assert ahead / 1e-5 == pytest.approx(pace, rel=1e-4)
    # Once near, what is missing falls as exp(-t pace 4 k sin²(π / 2 (L + 1))), about π² k / (L+1)².
    slowest = 4 * math.sin(math.pi / 16) ** 2
    assert slowest == pytest.approx(math.pi**2 / 64, rel=0.02)
    times = np.array([5.0, 6.0]) / pace / slowest
    missing = relaxation(chain, times, overdamped=True) - chain.mean_field_loads()
    ratio = abs(missing[1]).max() / abs(missing[0]).max()
    assert ratio == pytest.approx(math.exp(-1), rel=0.02)


def test_weak_noise_is_far_from_its_end_after_four_thousand_units_of_time():
    def draw(rng, shape):
        return 0.02 * rng.standard_normal(shape)

    found, error = slope(draw, *SIDES.values(), duration=4000.0, dt=0.1, chains=4, late=0.98)
    chain = SpringBlockChain(BLOCKS, 1.0, **SIDES, noise=0.02, noise_decay=0, common_noise=False)
    (theory,) = relaxation(chain, np.array([3960.0]), overdamped=True)
    layers = np.arange(5) - 2.0
    assert found == pytest.approx(theory @ layers / 10, abs=4 * error + 0.001)
    assert -0.016 < found < -0.010  # on its way to -0.025
    assert np.diff(chain.mean_field_loads())[0] == pytest.approx(-0.025)


# The random numbers ---------------------------------------------------------------------------


def forces_on(chain, dt, steps):
    """Return the random force in each step on a free block, from its positions in first order."""
    x = chain.simulate_overdamped(steps * dt, dt, seed=3).positions[:, 0]
    return np.diff(x) / dt - (1.0 - 2 * x[:-1])


@pytest.mark.parametrize("skewness", [-3.0, 0.4, 2.0])
def test_forces_in_first_order_have_the_skewness_in_each_step(skewness):
    free = SpringBlockChain(1, 1.0, friction_right=0, friction_left=0, noise=0.1, noise_decay=0)
    z = forces_on(replace(free, skewness=skewness), 0.01, 100_000) / 0.1
    assert z.mean() == pytest.approx(0, abs=0.015)
    assert z.var() == pytest.approx(1, rel=0.05)
    assert skew(z) == pytest.approx(skewness, rel=0.1)
    normal = forces_on(replace(free, skewness=5e-7), 0.01, 1000)
    np.testing.assert_array_equal(normal, forces_on(free, 0.01, 1000))


@pytest.mark.parametrize("dt", [0.5, 0.05])
def test_velocities_in_second_order_are_skewed_alike_for_all_steps(dt):
    # Without springs to speak of and friction: m v' = -γ v + noise, the cumulants of whose steady
    # state are those of the noise in a time τ = m / γ over n: variance ε² τ / 2, third moment
    # (skewness (ε² τ)^1.5) / 3.
    block = SpringBlockChain(1, 1e-9, 2.0, 0.5, 0, 0, noise=0.1, noise_decay=0, end=0, skewness=1.5)
    v = block.simulate(400.0, dt, seeds=range(500), every=round(20 / dt)).velocities[:, 2:, 0]
    r = 1 / (1 + dt / 4)  # what of a velocity is left after a step
    impulse = r * 0.1 * math.sqrt(dt) / 2
    variance, third = impulse**2 / (1 - r**2), impulse**3 / (1 - r**3) * 1.5 * math.sqrt(4 / dt)
    assert v.var() == pytest.approx(variance, rel=0.05)
    assert skew(v, axis=None) == pytest.approx(third / variance**1.5, abs=0.12)
    if dt < 0.1:
        assert skew(v, axis=None) == pytest.approx(1.5 * 2**1.5 / 3, abs=0.12)


def test_skewed_noise_in_second_order_needs_a_damping_to_be_measured_in():
    for damping in (0.0, 1e-12):
        chain = SpringBlockChain(damping=damping, skewness=1)
        with pytest.raises(ValueError, match=rf"damping={damping}: skewness=1 is that of the noi"):
            chain.simulate(1.0)
        assert run(chain, True, 1.0, 0.05, every=LAST).positions.shape == (2, 7)


def test_skewed_noise_makes_a_chain_with_even_friction_active_in_second_order():
    chain = SpringBlockChain(friction_right=0.003, friction_left=0.003, noise_decay=0.0)
    runs = {
        skewness: replace(chain, skewness=skewness).simulate(1400.0, seeds=range(40), every=100)
        for skewness in (-4.0, 0.0, 4.0)
    }
    found = {s: run.average_load_curve(700.0).convexity for s, run in runs.items()}
    assert found[-4.0] < -0.05 < found[0.0] < 0.05 < found[4.0]
    assert abs(found[0.0]) < 0.02
