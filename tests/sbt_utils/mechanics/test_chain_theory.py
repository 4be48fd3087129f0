"""Mean velocities against quadrature, the mean field and covariances against other solvers."""

import itertools
import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from chains import LAST, run
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp
from scipy.linalg import solve_continuous_lyapunov, solve_discrete_lyapunov

from sbt_utils.mechanics import chain_theory
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import drift, relaxation, stationary_covariance, stiffness

FREE = {"friction_right": 0.0, "friction_left": 0.0, "noise_decay": 0.0}
checks = settings(max_examples=100, deadline=None, derandomize=True)


def integral(function, *points):
    """Integrate between break points to a relative accuracy of 1e-11."""
    pieces = itertools.pairwise(points)
    return sum(quad(function, a, b, epsabs=0.0, epsrel=1e-11, limit=200)[0] for a, b in pieces)


# The mean velocity ---------------------------------------------------------------------------


def mean_velocity_overdamped(force, noise, right, left):
    """E[S(F + s z)], the two sides of the threshold one after the other."""

    def exceeds(u):
        # z = u + t exceeds u by t, with density phi(u) exp(-u t - t²/2): no cancellation for u > 0.
        if u > 0:
            tail = integral(
                lambda t: t * math.exp(-u * t - t * t / 2), 0.0, 1 / (1 + u), 40 / (1 + u)
            )
            return math.exp(-u * u / 2) / math.sqrt(2 * math.pi) * tail
        peak = [0.0, max(-u - 12, 0.0), -u, -u + 12]
        density = integral(lambda t: t * math.exp(-((u + t) ** 2) / 2), *peak)
        return density / math.sqrt(2 * math.pi)

    return noise * (exceeds((right - force) / noise) - exceeds((left + force) / noise))


def mean_velocity(force, noise, right, left, mass, damping):
    """Mean of the stationary density of velocities, each side by its own quadrature.

    p(v) = exp(-2 m (c |v| + γ v²/2) / ε²), c = μ_right - F for v > 0, c = μ_left + F for v < 0.
    """
    beta = 2 * mass / noise**2
    width = 1 / math.sqrt(beta * damping)
    sides = (right - force, left + force)
    # Where a side slides, c < 0, it is a Gaussian about v = -c / γ, this high at its top.
    heights = [beta * c * c / (2 * damping) if c < 0 else 0.0 for c in sides]

    def side(c, height, power):
        if c < 0:
            peak, weight = -c / damping, math.exp(height - max(heights))

            def sliding(v):
                return v**power * weight * math.exp(-beta * damping * (v - peak) ** 2 / 2)

            return integral(sliding, max(peak - 12 * width, 0.0), peak, peak + 12 * width)

        def resting(v):
            exponent = -beta * (c * v + damping * v * v / 2) - max(heights)
            return v**power * math.exp(exponent)

        scale = min(width, 1 / (beta * c)) if c > 0 else width
        return integral(resting, 0.0, scale, 6 * scale, 45 * scale)

    (weight, other), (forth, back) = (
        [side(c, height, power) for c, height in zip(sides, heights, strict=True)]
        for power in (0, 1)
    )
    return (forth - back) / (weight + other)


# μ_right, μ_left, noise: from no friction to friction 1,000 times the noise.
CASES = [
    (0.0, 0.0, 0.3),
    (0.05, 0.1, 1.0),
    (0.05, 0.1, 0.1),
    (0.05, 0.1, 0.02),
    (0.05, 0.1, 0.003),
    (0.1, 0.0, 0.01),
    (1.0, 1.0, 0.001),
    (1.0, 1.2, 0.001),
]
FORCES = (-2.0, -1.201, -1.0, -0.1, -0.03, -0.001, 0.0, 0.02, 0.05, 0.3, 1.0, 1.003, 5.0)


def block(right, left, noise, **settings):
    return SpringBlockChain(
        1, friction_right=right, friction_left=left, noise=noise, noise_decay=0.0, **settings
    )


@pytest.mark.parametrize(("right", "left", "noise"), CASES)
def test_drift_in_first_order_is_the_mean_of_the_threshold(right, left, noise):
    for force in FORCES:
        expected = mean_velocity_overdamped(force, noise, right, left)
        got = drift(block(right, left, noise), force, overdamped=True)
        assert got == pytest.approx(expected, rel=1e-9, abs=1e-300), force


@pytest.mark.parametrize(("mass", "damping"), [(1.0, 1.0), (2.0, 0.3), (0.1, 4.0)])
@pytest.mark.parametrize(("right", "left", "noise"), CASES)
def test_drift_in_second_order_is_the_mean_of_the_stationary_density(
    right, left, noise, mass, damping
):
    chain = block(right, left, noise, mass=mass, damping=damping)
    unit = noise / math.sqrt(mass * damping)
    for force in FORCES:
        expected = mean_velocity(force, noise, right, left, mass, damping)
        # The asymptotic series, from arguments of 20 on, leaves out 945 / (2 · 20²)⁴ = 2.3e-9.
        assert drift(chain, force) == pytest.approx(expected, rel=3e-9, abs=1e-13 * unit), force


@pytest.mark.parametrize("noise", [1.0, 20.0, 40.0, 1e3, 1e8, 1e30, 1e90])
@pytest.mark.parametrize("force", [-1.201, -0.03, 0.0, 0.3, 5.0])
def test_drift_under_strong_noise_keeps_its_digits(force, noise, overdamped):
    # Both formulas of `drift` with so many digits that what cancels does no harm.
    right, left, mass, damping = 0.05, 1.2, 0.5, 0.3
    with mpmath.workdps(250):
        unit = mpmath.mpf(noise) * (1 if overdamped else mpmath.sqrt(mpmath.mpf(damping) / mass))
        a, b = (right - mpmath.mpf(force)) / unit, (left + mpmath.mpf(force)) / unit
        if overdamped:
            expected = unit * (mpmath.npdf(a) - a * mpmath.ncdf(-a))
            expected -= unit * (mpmath.npdf(b) - b * mpmath.ncdf(-b))
        else:
            first, second = (mpmath.exp(u * u) * mpmath.erfc(u) for u in (a, b))
            expected = unit / damping * (b * second - a * first) / (first + second)
    chain = block(right, left, noise, mass=mass, damping=damping)
    assert drift(chain, force, overdamped) == pytest.approx(float(expected), rel=2e-14, abs=0)


def test_drift_takes_the_amplitude_of_common_noise():
    common = SpringBlockChain(9, friction_right=0.05, friction_left=0.1, noise=0.02)
    for overdamped in (False, True):
        alone = replace(common, noise=0.06, common_noise=False)
        assert drift(common, 0.03, overdamped) == drift(alone, 0.03, overdamped) != 0


@checks
@given(
    right=st.floats(0, 1),
    left=st.floats(0, 1),
    noise=st.floats(0.01, 2),
    apart=st.floats(1e-3, 1),
    overdamped=st.booleans(),
)
def test_drift_vanishes_at_half_the_difference_of_the_frictions_and_rises(
    right, left, noise, apart, overdamped
):
    chain, balance = block(right, left, noise), (right - left) / 2
    assert drift(chain, balance, overdamped) == pytest.approx(0, abs=1e-13 * (1 + noise))
    before, after = (drift(chain, balance + d, overdamped) for d in (-apart, apart))
    assert before <= 0 <= after
    assert after == pytest.approx(-before, rel=1e-6, abs=1e-13)  # symmetric about the balance
    assert drift(chain, balance + 2 * apart, overdamped) >= after


def test_without_noise_friction_takes_its_share_of_the_force(overdamped):
    chain = block(0.2, 0.3, 0.0, damping=0.5)
    unit = 1.0 if overdamped else 2.0
    for force, left_over in ((-1.0, -0.7), (-0.3, 0.0), (0.0, 0.0), (0.2, 0.0), (0.5, 0.3)):
        assert drift(chain, force, overdamped) == pytest.approx(unit * left_over, abs=1e-15)
        for noise in (1e-6, 1e-12, 1e-300):  # the limit
            weak = drift(replace(chain, noise=noise), force, overdamped)
            assert weak == pytest.approx(unit * left_over, abs=2 * noise + 1e-15)


@pytest.mark.parametrize("noise", [1e-307, 1e-315, 5e-324])
def test_noise_below_all_normal_numbers_is_none(noise, overdamped):
    chain = block(0.2, 0.3, noise)
    for force, left_over in ((-1.0, -0.7), (-0.1, 0.0), (0.0, 0.0), (0.5, 0.3)):
        assert drift(chain, force, overdamped) == pytest.approx(left_over, abs=1e-15)


def test_a_simulated_block_has_the_mean_velocity(overdamped):
    # Drawn by a force, on a spring too weak to matter.
    chain = block(0.05, 0.1, 0.1, spring_constant=1e-9, force=0.02)
    trajectory = run(chain, overdamped, 1000.0, 0.02, seeds=range(64), every=LAST)
    ends = trajectory.positions[:, -1, 0] / 1000.0
    expected, error = drift(chain, 0.02, overdamped), ends.std(ddof=1) / math.sqrt(64)
    assert error < 0.03 * expected
    # In second order the implicit step is off by a share of dt γ / m as well.
    assert ends.mean() == pytest.approx(expected, abs=4 * error + 0.02 * expected)


@pytest.mark.parametrize("force", [math.nan, math.inf, -math.inf])
def test_a_force_that_is_not_finite_is_refused(force, overdamped):
    with pytest.raises(ValueError, match=f"force={force}"):
        drift(block(0.1, 0.1, 0.1), force, overdamped)


@pytest.mark.parametrize("name", ["mass", "damping"])
def test_second_order_needs_mass_and_damping(name):
    chain = SpringBlockChain(**{name: 0.0})
    for closed_form in (
        lambda: drift(chain, 0.1),
        lambda: relaxation(chain, np.ones(1)),
        lambda: stationary_covariance(chain),
    ):
        with pytest.raises(ValueError, match=f"{name}=0: the second order needs it"):
            closed_form()
    assert drift(chain, 0.1, overdamped=True) > 0
    assert relaxation(chain, np.ones(1), overdamped=True).shape == (1, 8)


# The mean field ------------------------------------------------------------------------------

MEAN_FIELDS = {
    "published": SpringBlockChain(),
    "strong noise that decays": SpringBlockChain(noise=0.05, noise_decay=0.1),
    "noise that decays at once": SpringBlockChain(noise=0.05, noise_decay=5.0),
    "heavily damped": SpringBlockChain(noise=0.01, damping=4.0, mass=2.0, common_noise=False),
    "frictions that differ": SpringBlockChain(
        3, 0.2, friction_right=[0.01, 0.03, 0.0], friction_left=[0.02, 0.0, 0.05], noise=0.02
    ),
    "drawn by a force": SpringBlockChain(4, 0.3, force=0.1, noise=0.02, noise_decay=0.01),
    "driven": SpringBlockChain(4, 0.3, drive=0.1, friction_right=0.02, noise=0.02),
    "driven hard": SpringBlockChain(4, 0.01, drive=2.0, friction_right=0.2, noise=0.02),
}


@pytest.mark.parametrize("name", MEAN_FIELDS)
def test_relaxation_solves_the_equation_of_the_mean_field(name, overdamped):
    chain = MEAN_FIELDS[name]
    k, count, times = chain.spring_constant, chain.blocks, np.array([0.0, 1.0, 7.0, 40.0])
    blocks = [
        replace(chain, blocks=1, friction_right=right, friction_left=left, common_noise=False)
        for right, left in zip(*chain.frictions, strict=True)
    ]

    def end(x):
        return 1.0 if chain.force is None else x[-1] + chain.force / k

    def velocities(t, x):
        noise = chain.amplitude * math.exp(-chain.noise_decay * t)
        y = end(x)
        forces = k * np.diff(np.diff(x, prepend=0.0, append=y)) + chain.drive * (y - x)
        return [
            drift(replace(one, noise=noise), force, overdamped)
            for one, force in zip(blocks, forces, strict=True)
        ]

    first = 1.0 / (1 + 20 * chain.noise_decay)  # not past what decays at once
    accuracy = {"rtol": 1e-8, "atol": 1e-10, "first_step": first / 10}
    path = solve_ivp(velocities, (0, 40), np.zeros(count), t_eval=times, **accuracy)
    expected = np.stack([np.diff(x, prepend=0.0, append=end(x)) for x in path.y.T])
    np.testing.assert_allclose(relaxation(chain, times, overdamped), expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"friction_right": 0.012},
        {"friction_right": 0.2},
        {"friction_right": [0.002, 0.01, 0.0, 0.02, 0.0, 0.003, 0.004]},
        {"force": 0.05},
        {"drive": 0.01, "friction_right": 0.012},
    ],
)
def test_without_noise_the_mean_field_ends_in_the_static_loads(settings, overdamped):
    chain = SpringBlockChain(noise=0.0, **settings)
    loads = relaxation(chain, np.array([9000.0]), overdamped)
    np.testing.assert_allclose(loads[0], chain.static_loads(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "settings", [{}, {"friction_right": [0.05, 0.1, 0.0, 0.02]}, {"force": 0.3}, {"drive": 0.2}]
)
def test_with_noise_the_mean_field_ends_in_the_mean_field_loads(settings, overdamped):
    chain = SpringBlockChain(
        4, 1.0, **{"friction_right": 0.05, "friction_left": 0.1, "noise": 0.1} | settings
    )
    loads = relaxation(replace(chain, noise_decay=0.0), np.array([0.0, 2e4]), overdamped)
    np.testing.assert_allclose(loads[1], chain.mean_field_loads(), rtol=0, atol=1e-12)
    start = [0.0] * 4 + [0.3 if chain.force else 1.0]
    np.testing.assert_array_equal(loads[0], start)


def test_the_first_order_chain_tends_to_the_mean_field_as_dt_falls(common):
    # Averaging principle: the spread falls as the root of dt, the error of the mean as dt.
    noise = 0.05 if common else 0.1
    sides = {"friction_right": 0.05, "friction_left": 0.1}
    shaking = {"noise": noise, "noise_decay": 0.0, "common_noise": common}
    chain = SpringBlockChain(4, 1.0, **sides, **shaking)
    expected = relaxation(chain, np.array([6.4]), overdamped=True)[0].cumsum()[:-1]
    steps, spreads, errors = np.array([0.2, 0.1, 0.05, 0.025]), [], []
    for dt in steps:
        trajectory = chain.simulate_overdamped(6.4, dt, seeds=range(2000), every=LAST)
        ends = trajectory.positions[:, -1]
        spreads.append(ends.std(axis=0, ddof=1).mean())
        errors.append(abs(ends.mean(axis=0) - expected).max())
    assert np.polyfit(np.log(steps), np.log(spreads), 1)[0] == pytest.approx(0.5, abs=0.06)
    # Standard errors of the means are 3 to 20 % of the errors, least to most.
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(1.0, abs=0.25)
    assert errors[-1] < 0.003


def test_the_mean_field_outlives_its_noise(overdamped):
    # The amplitude passes through the subnormal numbers at t = 708 to 745, and is 0 from then on.
    chain = SpringBlockChain(spring_constant=1.0, friction_right=0.03, noise_decay=1.0)
    loads = relaxation(chain, np.array([700.0, 720.0, 744.0, 800.0, 2000.0]), overdamped)
    np.testing.assert_allclose(loads.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    assert (np.diff(loads, axis=1) <= 0.03 + 1e-9).all()  # held by friction


@pytest.mark.parametrize(
    "times", [[-1.0], [0.0, 2.0, 1.0], [math.nan], [1.0, math.inf], [[1.0, 2.0]], 3.0]
)
def test_times_that_do_not_ascend_from_zero_are_refused(times):
    with pytest.raises(ValueError, match="times: give finite numbers in ascending order, from 0"):
        relaxation(SpringBlockChain(), np.array(times))


@pytest.mark.parametrize(
    "times", [None, "a", [[1.0], [1.0, 2.0]], [1j], [10**400], [np.longdouble("1e4000")]]
)
def test_times_that_are_no_row_of_numbers_are_refused(times):
    with pytest.raises(ValueError, match="times: give finite numbers in ascending order, from 0"):
        relaxation(SpringBlockChain(), times)


def test_steps_taken_a_few_at_a_time_are_the_same(overdamped, monkeypatch):
    chain, times = MEAN_FIELDS["strong noise that decays"], np.array([0.0, 1.0, 1.0, 7.0, 400.0])
    whole = relaxation(chain, times, overdamped)
    monkeypatch.setattr(chain_theory, "_MOVED_AT_ONCE", 1)
    np.testing.assert_array_equal(relaxation(chain, times, overdamped), whole)


@pytest.mark.parametrize(
    ("settings", "order", "message"),
    [
        (
            {"damping": 1e-9},
            False,
            "γ=1e-09 .*; give shorter times, softer springs or more damping",
        ),
        ({"damping": 1e-80}, False, "γ=1e-80 and"),
        (
            {"spring_constant": 1e100},
            False,
            r"spring_constant k=1e\+100; give shorter times, softer",
        ),
        ({"spring_constant": 1e100}, True, "0.4 / k and .* softer springs$"),
        (
            {"spring_constant": 1e100, "damping": 1e-100},
            False,
            "γ=1e-100 and",
        ),
    ],
)
def test_a_relaxation_of_too_many_steps_is_refused_with_a_remedy(settings, order, message):
    with pytest.raises(ValueError, match=f"times: 700 is more than 1,000,000 steps of .*{message}"):
        relaxation(SpringBlockChain(**settings), np.array([700.0]), order)


@pytest.mark.parametrize(
    "settings",
    [
        {"damping": 1e100, "spring_constant": 1e-100},
        {"noise": 1e100, "noise_decay": 1e100},
        {"noise_decay": 1e-300},
        {"friction_right": 1e100, "noise": 1e-100},
        {"mass": 1e100},
        {"end": -1e100},
    ],
)
def test_parameters_at_their_bounds_take_few_steps_and_stay_finite(settings, overdamped):
    loads = relaxation(SpringBlockChain(**settings), np.array([0.0, 700.0]), overdamped)
    assert np.isfinite(loads).all()


def test_forces_too_small_for_the_theory_are_named(overdamped):
    tiny = {"friction_right": 1e-121, "friction_left": 1e-121, "noise": 1e-120, "end": 1e-120}
    with pytest.raises(
        ValueError, match=r"chain: forces of at most .*e-120; give larger ones, in ot"
    ):
        relaxation(SpringBlockChain(**tiny), np.ones(1), overdamped)


def test_a_damping_too_small_for_the_second_order_is_named():
    with pytest.raises(ValueError, match=r"damping=.*e-324: the second order needs it"):
        drift(SpringBlockChain(damping=5e-324), 1.0)


def test_a_force_that_is_no_number_is_named():
    with pytest.raises(ValueError, match=r"force=1e\+101: give a finite number, at most 1e\+100"):
        drift(SpringBlockChain(), 1e101)
    with pytest.raises(TypeError, match="force='1': give a number"):
        drift(SpringBlockChain(), "1")


@pytest.mark.parametrize(("mass", "damping"), [(1e-90, 1.0), (1e62, 1e-70), (1e99, 1e99)])
def test_covariances_of_a_free_block_whatever_its_mass_beside_its_damping(mass, damping):
    chain = SpringBlockChain(1, 0.5, mass, damping, noise=0.3, common_noise=False, **FREE)
    positions, velocities = stationary_covariance(chain)
    assert positions.item() == pytest.approx(0.3**2 / 2 / damping, rel=1e-12)  # 2 k = 1
    assert velocities.item() == pytest.approx(0.3**2 / 2 / damping / mass, rel=1e-12)


def test_covariances_out_of_range_are_named():
    chain = SpringBlockChain(4, 1e-100, noise=1e100, **FREE)
    with pytest.raises(ValueError, match=r"noise=1e\+100: the covariances are out of range; give"):
        stationary_covariance(chain)


def test_the_covariance_of_too_many_blocks_is_refused():
    chain = SpringBlockChain(5000, 1.0, noise=0.3, **FREE)
    with pytest.raises(ValueError, match="blocks=5000: give at most 2,000"):
        stationary_covariance(chain)


def test_the_mean_velocity_is_of_normal_noise():
    chain = SpringBlockChain(skewness=0.5)
    for closed_form in (lambda: drift(chain, 0.1), lambda: relaxation(chain, np.ones(1))):
        with pytest.raises(ValueError, match=r"skewness=0\.5: the mean velocity is that of normal"):
            closed_form()


def test_relaxation_needs_a_constant_pull():
    with pytest.raises(ValueError, match="end: a closed form needs one position, not a history"):
        relaxation(SpringBlockChain(end=[(0, 0.0), (1, 1.0)]), np.ones(1))


# Covariances ---------------------------------------------------------------------------------

SHAKEN = {
    "independent": SpringBlockChain(4, 0.7, 1.3, 0.6, noise=0.3, common_noise=False, **FREE),
    "common": SpringBlockChain(4, 0.7, 1.3, 0.6, noise=0.3, common_noise=True, **FREE),
    "common, one block": SpringBlockChain(1, 0.7, 1.3, 0.6, noise=0.3, **FREE),
    "drawn by a force": SpringBlockChain(3, 0.7, 1.3, 2.0, noise=0.3, force=0.2, **FREE),
    "driven": SpringBlockChain(
        4, 0.7, 1.3, 0.6, noise=0.3, common_noise=False, drive=0.5, skewness=3, **FREE
    ),
    "hardly damped": SpringBlockChain(5, 2.0, 0.5, 0.01, noise=0.3, common_noise=False, **FREE),
}


def kicks(chain):
    """Return the matrix by which independent normals shake the blocks."""
    if chain.common_noise:
        return math.sqrt(chain.blocks) * chain.noise * np.ones((chain.blocks, 1))
    return chain.noise * np.eye(chain.blocks)


def halves(covariance):
    """Return the positions' and the velocities' own covariances."""
    half = len(covariance) // 2
    return covariance[:half, :half], covariance[half:, half:]


@pytest.mark.parametrize("name", SHAKEN)
def test_stationary_covariance_solves_the_lyapunov_equation(name):
    chain = SHAKEN[name]
    zero, one = np.zeros((chain.blocks,) * 2), np.eye(chain.blocks)
    drifts = np.block(
        [[zero, one], [-stiffness(chain) / chain.mass, -chain.damping / chain.mass * one]]
    )
    shaking = np.vstack([0 * kicks(chain), kicks(chain) / chain.mass])
    expected = halves(solve_continuous_lyapunov(drifts, -shaking @ shaking.T))
    for got, covariance in zip(stationary_covariance(chain), expected, strict=True):
        np.testing.assert_allclose(got, covariance, rtol=0, atol=1e-10 * abs(covariance).max())


@pytest.mark.parametrize("name", ["independent", "hardly damped"])
def test_independent_noise_shares_its_energy_out_evenly(name):
    chain = SHAKEN[name]
    temperature = chain.noise**2 / (2 * chain.damping)
    positions, velocities = stationary_covariance(chain)
    np.testing.assert_allclose(
        velocities, temperature / chain.mass * np.eye(chain.blocks), atol=1e-12 * temperature
    )
    # Half a temperature for each mode of the springs: <x x> = T / A.
    shares = stiffness(chain) @ positions
    np.testing.assert_allclose(shares, temperature * np.eye(chain.blocks), atol=1e-10 * temperature)


@pytest.mark.parametrize("name", ["independent", "common", "drawn by a force", "driven"])
def test_a_simulated_chain_has_the_stationary_covariance(name):
    chain, dt, seeds = SHAKEN[name], 0.01, 200
    trajectory = chain.simulate(260.0, dt, seeds=range(seeds), every=25)
    late = trajectory.times > 60.0  # ten times the slowest decay, 2 m / γ = 4.3
    size = chain.blocks
    covariances = stationary_covariance(chain)
    # What a step of finite length makes of them: z = M z + (kick), exactly.
    r = 1 / (1 + chain.damping * dt / chain.mass)
    lower = np.hstack([-r * dt / chain.mass * stiffness(chain), r * np.eye(size)])
    step = np.vstack([np.hstack([np.eye(size), np.zeros((size, size))]) + dt * lower, lower])
    pushed = r * math.sqrt(dt) / chain.mass * np.vstack([dt * kicks(chain), kicks(chain)])
    of_steps = halves(solve_discrete_lyapunov(step, pushed @ pushed.T))
    states = (trajectory.positions, trajectory.velocities)
    for state, stationary, discrete in zip(states, covariances, of_steps, strict=True):
        assert abs(discrete - stationary).max() < 2 * dt * abs(stationary).max()
        z = state[:, late]
        z = z - z.mean(axis=(0, 1))
        each = np.einsum("sti,stj->sij", z, z) / z.shape[1]
        error = each.std(axis=0, ddof=1) / math.sqrt(seeds)  # standard error over the seeds
        assert error.max() < 0.03 * abs(stationary).max()
        assert (abs(each.mean(axis=0) - discrete) < 4.5 * error).all()
        assert (
            abs(each.mean(axis=0) - stationary) < 4.5 * error + 2 * dt * abs(stationary).max()
        ).all()


@pytest.mark.parametrize("name", ["friction_right", "friction_left", "noise_decay"])
def test_the_covariance_is_of_a_chain_without_friction_and_decay(name):
    for value in (0.01, [0.0, 0.0, 0.0, 0.1]):
        if name == "noise_decay" and value != 0.01:
            continue
        chain = replace(SHAKEN["common"], **{name: value})
        with pytest.raises(
            ValueError, match="friction_right, friction_left, noise_decay: the clos"
        ):
            stationary_covariance(chain)
