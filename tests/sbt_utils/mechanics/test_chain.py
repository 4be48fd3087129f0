"""The chain: parameters, states of rest and means against closed forms derived anew, stability."""

import itertools
import math
import re
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from chains import LAST, run
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq

from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import stiffness
from sbt_utils.mechanics.trajectories import Trajectory, largest_step

QUIET = SpringBlockChain(noise=0.0)
checks = settings(max_examples=40, deadline=None, derandomize=True)


def springs(chain):
    """Return A and b of the springs' force b - A x on the blocks, summed spring by spring."""
    count, k = chain.blocks, chain.spring_constant
    matrix, pull = np.diag(np.full(count, chain.drive)), np.full(count, chain.drive * chain.end)
    for left, right in zip(range(-1, count - 1), range(count), strict=True):  # -1 is the wall
        matrix[right, right] += k
        if left >= 0:
            matrix[left, left] += k
            matrix[left, right] = matrix[right, left] = -k
    if chain.force is None:
        matrix[-1, -1] += k
        pull[-1] += k * chain.end
    else:
        pull[-1] = chain.force
    return matrix, pull


def extensions(chain, positions):
    """Return the extensions of the springs for positions (L,)."""
    end = chain.end if chain.force is None else positions[-1] + chain.force / chain.spring_constant
    return np.diff(positions, prepend=0.0, append=end)


def pulled_to_rest(chain):
    """Return where a slow pull leaves the blocks, by trying every set of blocks that moved.

    Blocks have moved to the right only, x >= 0; none is drawn by more than its friction, and those
    that have moved by just that. One set of blocks fits.
    """
    matrix, pull = springs(chain)
    friction = np.broadcast_to(chain.friction_right, chain.blocks)
    tiny = 1e-12 * (abs(pull).max() + friction.max())
    for choice in itertools.product([True, False], repeat=chain.blocks):
        moved = np.array(choice)
        x = np.zeros(chain.blocks)
        x[moved] = np.linalg.solve(matrix[np.ix_(moved, moved)], (pull - friction)[moved])
        held = (pull - matrix @ x <= friction + tiny).all()
        if held and (chain.spring_constant * x >= -tiny).all():
            return x
    raise AssertionError("no set of blocks fits")


def residual_force(force, right, left):
    """Soft threshold: what dry friction leaves of a force."""
    return force - right if force > right else force + left if force < -left else 0.0


# States of rest ------------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [0.003, 0.01, 0.05, 0.1, 0.2])
def test_published_chain_stops_at_loads_that_rise_by_friction_over_stiffness(dt):
    # Eight loads that rise by 0.003 / 0.1 and sum to 1: 0.125 + 0.03 (l - 4.5).
    expected = [0.02, 0.05, 0.08, 0.11, 0.14, 0.17, 0.20, 0.23]
    trajectory = QUIET.simulate(4000.0, dt, every=LAST)
    np.testing.assert_allclose(trajectory.loads, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(QUIET.static_loads(), expected, rtol=0, atol=1e-15)
    assert trajectory.load_curve.regime == "lazy"


STIFF = replace(QUIET, spring_constant=1.0)
SOFT = replace(QUIET, blocks=5, spring_constant=0.2)
UNEVEN = [0.01, 0.0, 0.03, 0.02, 0.005]
AT_REST = {
    "published": (QUIET, 4000.0),
    "inner blocks never move": (replace(STIFF, friction_right=0.12), 400.0),
    "only the last moves": (replace(STIFF, friction_right=0.7), 400.0),
    "none moves": (replace(STIFF, friction_right=2.0), 400.0),
    "one block": (replace(STIFF, blocks=1, friction_right=0.2), 400.0),
    "each its own": (replace(SOFT, friction_right=UNEVEN), 4000.0),
    "its own, some unmoved": (replace(SOFT, friction_right=np.multiply(5, UNEVEN)), 4000.0),
    "by a force": (replace(STIFF, blocks=4, force=0.3), 800.0),
    "by a force, some unmoved": (replace(STIFF, blocks=5, force=0.3, friction_right=0.12), 400.0),
    "driven": (replace(STIFF, drive=0.2, friction_right=0.1), 400.0),
    "driven, the first unmoved": (replace(STIFF, drive=0.1, friction_right=0.11), 400.0),
    "driven, two apart unmoved": (
        replace(SOFT, drive=0.1, friction_right=[0.0, 0.3, 0.02, 0.25, 0.0]),
        2000.0,
    ),
}


@pytest.mark.parametrize("name", AT_REST)
def test_a_pull_from_rest_ends_in_the_static_loads(name, overdamped):
    chain, duration = AT_REST[name]
    chain = replace(chain, damping=1.0 if overdamped else 5.0)  # no block overshoots
    x = pulled_to_rest(chain)
    expected = extensions(chain, x)
    np.testing.assert_allclose(chain.static_loads(), expected, rtol=0, atol=1e-12)
    duration *= 1 if overdamped else 5
    for dt in (0.02, 0.2):
        trajectory = run(chain, overdamped, duration, dt, every=LAST)
        np.testing.assert_allclose(trajectory.loads, expected, rtol=0, atol=1e-9)
        assert (trajectory.positions[-1, x < 1e-12] == 0.0).all()  # never moved


frictions = st.floats(0, 0.5)


@checks
@given(
    right=st.lists(frictions, min_size=1, max_size=6),
    spring=st.floats(0.05, 5),
    pull=st.floats(0, 3),
    drawn=st.booleans(),
    drive=st.one_of(st.just(0.0), st.floats(0, 1)),
)
def test_static_loads_equal_a_search_over_all_sets_of_moved_blocks(
    right, spring, pull, drawn, drive
):
    chain = replace(
        QUIET,
        blocks=len(right),
        spring_constant=spring,
        friction_right=right,
        **{"force": pull * spring} if drawn else {"end": pull, "drive": drive},
    )
    expected = extensions(chain, pulled_to_rest(chain))
    np.testing.assert_allclose(chain.static_loads(), expected, rtol=0, atol=1e-10)
    assert chain.static_loads().sum() == pytest.approx(expected.sum(), abs=1e-10)


def at_rest(chain, **settings):
    """Assert that the blocks end at rest, exactly, where friction holds the springs.

    Return the trajectory and the springs' final forces on the blocks.
    """
    trajectory = chain.simulate(every=50, **settings)
    assert (trajectory.velocities[..., -2:, :] == 0.0).all()
    np.testing.assert_array_equal(trajectory.positions[-1], trajectory.positions[-2])
    force = chain.spring_constant * np.diff(trajectory.loads)
    right, left = (
        np.broadcast_to(mu, chain.blocks) for mu in (chain.friction_right, chain.friction_left)
    )
    assert (force <= right + 1e-12).all()
    assert (force >= -left - 1e-12).all()
    return trajectory, force


def test_blocks_at_rest_have_exactly_no_velocity():
    stiff = SpringBlockChain(spring_constant=1.0, friction_right=0.03, friction_left=0.04)
    at_rest(replace(stiff, noise=0.0), duration=1000.0)
    at_rest(replace(stiff, noise=0.1, noise_decay=0.1), duration=1500.0)
    shaken = replace(stiff, noise=0.1, noise_decay=0.1, common_noise=False)
    at_rest(shaken, duration=1500.0, seed=1)


def test_blocks_stick_at_once_where_friction_beats_the_forces():
    # One block thrown at v = 1 stops in finite time, and stays where it is.
    chain = SpringBlockChain(1, 0.01, friction_right=0.5, friction_left=0.5, noise=0.0, end=0.0)
    thrown = Trajectory(np.zeros(1), np.zeros((1, 1)), np.zeros(1), np.ones((1, 1)))
    trajectory = chain.simulate(3.0, 0.001, start=thrown)
    # m v' = -γ v - μ but for the weak spring: stops at log(1 + γ / μ) = log 3 = 1.0986.
    stopped = (trajectory.velocities[:, 0] == 0.0).argmax()
    assert trajectory.times[stopped] == pytest.approx(math.log(3), rel=0.01)
    assert (trajectory.velocities[stopped:] == 0.0).all()
    assert trajectory.positions[-1, 0] == pytest.approx(1 - math.log(3) / 2, rel=0.01)


def test_a_chain_released_after_the_pull_comes_to_rest_under_friction_to_the_left():
    chain = replace(
        QUIET,
        spring_constant=1.0,
        damping=5.0,  # no block overshoots
        friction_right=0.01,
        friction_left=0.04,
        end=[(0, 1.0), (2000, 1.0), (2001, 0.5)],
    )
    pulled, force = at_rest(chain, duration=2000.0)
    np.testing.assert_allclose(force, 0.01, atol=1e-9)
    released, force = at_rest(chain, duration=4000.0)
    moved = pulled.positions[-1] != released.positions[-1]
    assert moved.any()
    np.testing.assert_allclose(force[moved], -0.04, atol=1e-9)
    assert released.loads.sum() == pytest.approx(0.5, abs=1e-12)


def test_without_friction_and_noise_all_loads_are_the_same(overdamped):
    free = SpringBlockChain(5, 1.0, friction_right=0.0, friction_left=0.0, noise=0.0, end=2.0)
    loads = run(free, overdamped, 400.0, every=LAST).loads
    np.testing.assert_allclose(loads, 2.0 / 6, rtol=0, atol=1e-12)
    np.testing.assert_allclose(free.static_loads(), 2.0 / 6, rtol=0, atol=1e-15)
    np.testing.assert_allclose(free.mean_field_loads(), 2.0 / 6, rtol=0, atol=1e-15)


@pytest.mark.parametrize("spring", [1e-3, 0.1, 10.0])
def test_without_friction_the_distance_in_a_driven_chain_is_a_hyperbolic_sine(spring, overdamped):
    free = SpringBlockChain(
        6, spring, friction_right=0.0, friction_left=0.0, noise=0.0, end=1.7, drive=0.3
    )
    # k (u_{l+1} - 2 u_l + u_{l-1}) = κ u with u_0 = y and u_{L+1} = 0: 2 k (cosh q - 1) = κ.
    q = math.acosh(1 + 0.3 / (2 * spring))
    distances = 1.7 * np.sinh(q * (7 - np.arange(8))) / math.sinh(7 * q)
    for loads in (free.static_loads(), free.mean_field_loads()):
        np.testing.assert_allclose(loads, -np.diff(distances), rtol=0, atol=1e-14)
    dt = 0.9 * largest_step(free, overdamped)
    loads = run(free, overdamped, 600.0, dt, every=LAST).loads
    np.testing.assert_allclose(loads, -np.diff(distances), rtol=0, atol=1e-9)


@pytest.mark.parametrize("pulls", [1, 4, 50])
def test_a_driven_chain_rests_in_one_place_however_its_end_got_there(pulls, overdamped):
    chain = replace(STIFF, blocks=5, damping=5.0, drive=0.1, friction_right=[0, 0.3, 0.02, 0.25, 0])
    path = [(30.0 * n, (n + 1) / pulls) for n in range(pulls)]
    steps = [(t - 1e-6, y - 1 / pulls) for t, y in path[1:]]  # pulled on at once, and held
    chain = replace(chain, end=sorted([*path, *steps]))
    positions = run(chain, overdamped, 30.0 * pulls + 2000, 0.1, every=10).positions
    assert (np.diff(positions, axis=0) >= 0).all()  # no block ever turns round
    expected = np.cumsum(replace(chain, end=1.0).static_loads())[:-1]
    np.testing.assert_allclose(positions[-1], expected, rtol=0, atol=1e-9)
    # Pulled too far and let back, it rests elsewhere.
    back = replace(chain, end=[(0, 3.0), (500, 3.0), (501, 1.0)])
    positions = run(back, overdamped, 3000.0, 0.1, every=LAST).positions
    assert abs(positions[-1] - expected).max() > 0.1


def test_a_long_driven_chain_is_solved_at_once():
    # Blocks far from the pull see none of it: κ (y - x) = μ, so loads of 0 but for the ends.
    chain = replace(STIFF, blocks=20_000, drive=0.1, friction_right=0.02, friction_left=0.06)
    x = np.cumsum(chain.static_loads())
    np.testing.assert_allclose(x[9_000:11_000], 1 - 0.02 / 0.1, rtol=0, atol=1e-12)
    x = np.cumsum(chain.mean_field_loads())
    np.testing.assert_allclose(x[9_000:11_000], 1 + 0.02 / 0.1, rtol=0, atol=1e-12)


# Mean loads under noise ----------------------------------------------------------------------


def mean_force(force, scale, right, left):
    """E[S(F + s z)] by quadrature, z standard normal; the kinks of S are break points."""

    def density(z):
        weight = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return weight * residual_force(force + scale * z, right, left)

    points = sorted(
        [-10.0, *np.clip([(right - force) / scale, (-left - force) / scale], -10, 10), 10.0]
    )
    return sum(
        quad(density, a, b, epsabs=1e-15, epsrel=1e-12)[0] for a, b in itertools.pairwise(points)
    )


@pytest.mark.parametrize("noise", [0.03, 0.1, 1.0])
@pytest.mark.parametrize(("right", "left"), [(0.05, 0.1), (0.1, 0.05), (0.1, 0.1), (0.0, 0.07)])
def test_mean_field_loads_balance_friction_on_average(right, left, noise):
    root = brentq(mean_force, -left - noise, right + noise, (noise, right, left), xtol=1e-14)
    chain = SpringBlockChain(5, 2.0, friction_right=right, friction_left=left, noise=noise)
    loads = chain.mean_field_loads()
    np.testing.assert_allclose(np.diff(loads) * 2.0, root, rtol=0, atol=1e-9)
    assert loads.sum() == pytest.approx(1.0, abs=1e-14)
    drawn = replace(chain, force=0.7).mean_field_loads()
    np.testing.assert_allclose(np.diff(drawn) * 2.0, root, rtol=0, atol=1e-9)
    assert drawn[-1] == pytest.approx(0.35, abs=1e-15)


@pytest.mark.parametrize("spring", [0.02, 1.0])
def test_mean_field_loads_of_a_driven_chain_balance_springs_and_drive(spring):
    chain = SpringBlockChain(
        5,
        spring,
        friction_right=[0.1, 0.3, 0.0, 0.05, 0.1],
        friction_left=[0.1, 0.0, 0.5, 0.1, 0.2],
        end=0.7,
        drive=0.4,
    )
    matrix, pull = springs(chain)
    x = np.cumsum(chain.mean_field_loads())
    np.testing.assert_allclose(pull - matrix @ x[:-1], [0, 0.15, -0.25, -0.025, -0.05], atol=1e-13)
    assert x[-1] == pytest.approx(0.7, abs=1e-14)


def test_mean_field_loads_of_the_example_and_of_blocks_that_differ():
    example = SpringBlockChain(7, 1.0, friction_right=0.05, friction_left=0.1, noise=0.1)
    np.testing.assert_allclose(np.diff(example.mean_field_loads()), -0.025, rtol=0, atol=1e-15)
    right, left = [0.1, 0.3, 0.0], [0.1, 0.0, 0.5]
    uneven = SpringBlockChain(3, 2.0, friction_right=right, friction_left=left)
    steps = np.diff(uneven.mean_field_loads())
    np.testing.assert_allclose(steps, [0.0, 0.075, -0.125], rtol=0, atol=1e-15)


# μ_right, μ_left, noise, common: from strong noise to weak, both ways of bending.
SHAKEN = [
    (0.05, 0.10, 0.10, False),
    (0.10, 0.05, 0.10, False),
    (0.05, 0.15, 0.05, False),
    (0.15, 0.05, 0.05, True),
    (0.05, 0.15, 0.04, True),
    (0.00, 0.10, 0.05, True),
]


@pytest.mark.parametrize(("right", "left", "noise", "common"), SHAKEN)
def test_mean_loads_of_a_shaken_chain_form_an_arithmetic_sequence(
    right, left, noise, common, overdamped
):
    sides = {"friction_right": right, "friction_left": left}
    shaking = {"noise": noise, "noise_decay": 0.0, "common_noise": common}
    chain = SpringBlockChain(4, 1.0, **sides, **shaking)
    trajectory = run(chain, overdamped, 8000.0, seeds=range(16), every=20)
    late = trajectory.separation[:, trajectory.times > 800.0].mean(axis=1)
    loads = -np.diff(late, append=0.0, axis=1)
    steps = np.arange(5) - 2.0
    slopes = loads @ steps / (steps @ steps)
    expected = (right - left) / 2
    error = slopes.std(ddof=1) / math.sqrt(16) / abs(expected)
    assert error < 0.01  # standard error of the mean over the seeds, so that 2 % can fail
    assert slopes.mean() / expected == pytest.approx(1.0, abs=0.02)
    np.testing.assert_allclose(
        loads.mean(axis=0), 0.2 + expected * steps, rtol=0, atol=0.02 * abs(expected) * 2
    )


# Stability -----------------------------------------------------------------------------------


def growth(chain, dt, overdamped):
    """Return the spectral radius of one step without friction, noise and pull."""
    matrix, _ = springs(chain)
    one = np.eye(chain.blocks)
    if overdamped:
        return abs(np.linalg.eigvals(one - dt * matrix)).max()
    r = 1 / (1 + chain.damping * dt / chain.mass)
    velocities = np.hstack([-r * dt / chain.mass * matrix, r * one])  # of (x, v)
    positions = np.hstack([one, 0 * one]) + dt * velocities
    return abs(np.linalg.eigvals(np.vstack([positions, velocities]))).max()


@pytest.mark.parametrize(("force", "drive"), [(None, 0.0), (0.1, 0.0), (None, 0.5)])
@pytest.mark.parametrize(("mass", "damping"), [(1.0, 1.0), (1.0, 0.0), (0.3, 5.0), (2.0, 0.1)])
@pytest.mark.parametrize("blocks", [1, 2, 7])
def test_the_largest_step_is_the_limit_of_stability(
    blocks, mass, damping, force, drive, overdamped
):
    free = {"friction_right": 0.0, "friction_left": 0.0, "noise": 0.0}
    chain = SpringBlockChain(blocks, 0.7, mass, damping, **free, force=force, drive=drive)
    largest = largest_step(chain, overdamped)
    assert growth(chain, 0.999 * largest, overdamped) <= 1 + 1e-9
    assert growth(chain, 1.001 * largest, overdamped) > 1 + 1e-5
    positions = run(chain, overdamped, 3000 * largest, 0.999 * largest).positions
    assert abs(positions).max() < 100
    message = f"dt=.*above 0 and below {re.escape(f'{largest:.6g}')}, the stable ones"
    with pytest.raises(ValueError, match=message):
        run(chain, overdamped, 100.0, 1.001 * largest)


# Properties ----------------------------------------------------------------------------------

pulls = st.one_of(
    st.fixed_dictionaries({"force": st.floats(-2, 2)}),
    st.fixed_dictionaries({"drive": st.one_of(st.just(0.0), st.floats(0, 2))}),
)
chains = st.builds(
    lambda pull, **settings: SpringBlockChain(**pull, **settings),
    pull=pulls,
    blocks=st.just(4),
    spring_constant=st.floats(0.1, 3),
    mass=st.floats(0.2, 3),
    damping=st.floats(0, 3),
    friction_right=st.one_of(frictions, st.lists(frictions, min_size=4, max_size=4)),
    friction_left=frictions,
    noise=st.floats(0, 0.5),
    noise_decay=st.floats(0, 0.1),
    common_noise=st.booleans(),
    end=st.one_of(st.floats(-2, 2), st.just([(0.0, 0.0), (3.0, 1.0), (4.0, 0.5)])),
    skewness=st.one_of(st.just(0.0), st.floats(-5, 5)),
)


@checks
@given(chain=chains, overdamped=st.booleans())
def test_loads_add_up_to_the_position_of_the_end(chain, overdamped):
    chain = replace(chain, damping=max(chain.damping, 0.01))  # skewness is measured in m / γ
    trajectory = run(chain, overdamped, 5.0, 0.05, seeds=[0, 1])
    if chain.force is not None:
        end = trajectory.positions[:, -1, -1] + chain.force / chain.spring_constant
    else:
        end = chain.end if np.isscalar(chain.end) else 0.5
    np.testing.assert_allclose(trajectory.loads.sum(axis=1), end, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        trajectory.loads[:, :-1].cumsum(axis=1), trajectory.positions[:, -1], rtol=0, atol=1e-12
    )


@checks
@given(chain=chains, power=st.integers(-8, 8), overdamped=st.booleans())
def test_all_lengths_and_forces_times_a_factor_is_all_positions_times_it(chain, power, overdamped):
    factor = 2.0**power  # whose products are exact
    chain = replace(chain, damping=max(chain.damping, 0.01))
    end = chain.end
    end = factor * end if np.isscalar(end) else [(t, factor * y) for t, y in end]
    larger = replace(
        chain,
        friction_right=tuple(factor * np.array(chain.frictions[0])),
        friction_left=factor * chain.friction_left,
        noise=factor * chain.noise,
        end=end,
        force=None if chain.force is None else factor * chain.force,
    )
    pair = [run(c, overdamped, 5.0, 0.05, seed=3) for c in (chain, larger)]
    np.testing.assert_array_equal(factor * pair[0].positions, pair[1].positions)
    np.testing.assert_array_equal(factor * pair[0].loads, pair[1].loads)


@checks
@given(chain=chains, factor=st.floats(0.1, 10))
def test_stiffness_mass_damping_and_forces_times_a_factor_change_nothing(chain, factor):
    chain = replace(chain, skewness=0.0)  # gamma numbers may jump with the last digit of a shape
    heavier = replace(
        chain,
        spring_constant=factor * chain.spring_constant,
        drive=factor * chain.drive,
        mass=factor * chain.mass,
        damping=factor * chain.damping,
        friction_right=tuple(factor * chain.frictions[0]),
        friction_left=factor * chain.friction_left,
        noise=factor * chain.noise,
        force=None if chain.force is None else factor * chain.force,
    )
    one, other = (c.simulate(5.0, 0.05, seed=3).positions for c in (chain, heavier))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)


# Parameters ----------------------------------------------------------------------------------


def test_parameters_are_the_published_ones_and_stay():
    chain = SpringBlockChain()
    assert chain.amplitude == pytest.approx(math.sqrt(7) * 0.003)
    assert replace(chain, common_noise=False).amplitude == 0.003
    assert (chain.pull, replace(chain, force=0.3).pull) == (pytest.approx(0.1), 0.3)
    for got, expected in zip(chain.frictions, (0.003, 0.004), strict=True):
        np.testing.assert_array_equal(got, np.full(7, expected))
    with pytest.raises(FrozenInstanceError):
        chain.blocks = 3
    lists = replace(chain, friction_left=[0.1] * 7, end=[(0, 1)])
    assert hash(lists) == hash(replace(chain, friction_left=np.full(7, 0.1), end=[[0.0, 1.0]]))


@pytest.mark.parametrize(("force", "drive"), [(None, 0.0), (0.2, 0.0), (None, 0.4)])
@pytest.mark.parametrize("blocks", [1, 2, 6])
def test_stiffness_adds_up_spring_by_spring(blocks, force, drive):
    chain = SpringBlockChain(blocks, 0.3, force=force, drive=drive)
    np.testing.assert_allclose(stiffness(chain), springs(chain)[0], rtol=0, atol=1e-15)


def test_the_end_follows_its_history():
    chain = SpringBlockChain(end=[(1, 0.0), (3, 1.0), (4, 0.5)])
    times = np.array([[0.0, 1.0, 2.0], [3.0, 3.5, 9.0]])
    np.testing.assert_allclose(chain.end_at(times), [[0, 0, 0.5], [1, 0.75, 0.5]], atol=1e-15)
    assert SpringBlockChain(end=0.3).end_at(times).tolist() == [[0.3] * 3] * 2


NUMBERS = ("spring_constant", "mass", "damping", "noise", "noise_decay", "drive")
SIDES = ("friction_right", "friction_left")


@pytest.mark.parametrize("name", [*NUMBERS, *SIDES])
@pytest.mark.parametrize("value", [-0.1, math.inf, -math.inf, math.nan, np.float32(-1)])
def test_numbers_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=rf"{name}={value}: give a finite number of at least 0"):
        SpringBlockChain(**{name: value})


@pytest.mark.parametrize("name", [*NUMBERS, *SIDES, "end", "force"])
@pytest.mark.parametrize("value", [1e101, 1e308, np.float32(1e38) ** np.float64(3)])
def test_what_would_overflow_is_named_itself(name, value):
    with pytest.raises(ValueError, match=rf"{name}={re.escape(str(value))}: give less, at most 1e"):
        SpringBlockChain(**{name: value})


def test_numbers_of_numpy_are_numbers():
    plain = SpringBlockChain(4, 0.5, 2.0, 1, 0.25, 0.5, 0.125, 0, True, 1, None)
    single = [np.float32(x) for x in (0.5, 2, 1, 0.25, 0.5, 0.125, 0)]
    same = SpringBlockChain(np.int64(4), *single, np.True_, np.int8(1), None)
    assert same == plain
    ends = [chain.simulate(5.0, 0.05).positions for chain in (plain, same)]
    np.testing.assert_array_equal(*ends)
    # Single precision ends with the parameters.
    third = np.float32(1 / 3)
    ends = [
        SpringBlockChain(spring_constant=k, end=3.7).mean_field_loads()
        for k in (third, float(third))
    ]
    np.testing.assert_array_equal(*ends)
    assert SpringBlockChain(spring_constant=third, end=np.float32(0.1)).pull == float(
        third
    ) * float(np.float32(0.1))


@pytest.mark.parametrize("name", [*NUMBERS, *SIDES, "end", "force", "skewness"])
@pytest.mark.parametrize("value", [True, "0.1", np.True_, 1j])
def test_what_is_no_number_is_named(name, value):
    with pytest.raises(TypeError, match=rf"{name}={re.escape(repr(value))}: give a number"):
        SpringBlockChain(**{name: value})


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"spring_constant": 0}, ValueError, "spring_constant=0: without springs there is no"),
        ({"blocks": 0}, ValueError, "blocks=0: give at least 1"),
        ({"blocks": -3}, ValueError, "blocks=-3: give at least 1"),
        ({"blocks": 7.0}, TypeError, r"blocks=7\.0: give an integer"),
        ({"blocks": True}, TypeError, "blocks=True: give an integer"),
        ({"blocks": "7"}, TypeError, "blocks='7': give an integer"),
        ({"friction_right": [0.1] * 6}, ValueError, r"friction_right: shape \(6,\) for 7 blocks"),
        ({"friction_left": [[0.1] * 7]}, ValueError, r"friction_left: shape \(1, 7\) for 7 blocks"),
        ({"friction_left": [0.1] * 6 + [-1]}, ValueError, "friction_left=-1: give a finite"),
        ({"friction_right": [math.nan] * 7}, ValueError, "friction_right=nan: give a finite"),
        ({"friction_right": [True] * 7}, TypeError, "friction_right=True: give a number"),
        ({"end": math.nan}, ValueError, "end=nan: give a finite number$"),
        ({"force": -math.inf}, ValueError, "force=-inf: give a finite number$"),
        ({"force": 0.3, "drive": 0.1}, ValueError, r"drive=0\.1: .*; give end in place of force=0"),
        ({"skewness": math.nan}, ValueError, "skewness=nan: give a finite number$"),
        ({"skewness": -10.5}, ValueError, r"skewness=-10\.5: give a number from -10 to 10"),
        ({"end": []}, ValueError, r"end: .* history of finite \(time, position\) pairs"),
        ({"end": [1.0, 2.0]}, ValueError, "end: .* history of finite"),
        ({"end": [(0, 1, 2)]}, ValueError, "end: .* history of finite"),
        ({"end": [(0, math.nan)]}, ValueError, "end: .* history of finite"),
        ({"end": [(math.inf, 1)]}, ValueError, "end: .* history of finite"),
        ({"end": [(1, 0), (0, 1)]}, ValueError, "end: the times .* do not increase; sort it"),
        ({"end": [(0, 0), (0, 1)]}, ValueError, "end: the times .* do not increase; sort it"),
        ({"end": [(0, 0), (1, 1e200)]}, ValueError, r"end: a history beyond 1e\+100; give less"),
        ({"end": [(0, 0), (1,)]}, ValueError, "end: .* history of finite"),
        ({"end": [(0, np.longdouble("1e4000"))]}, ValueError, "end: .* history of finite"),
        ({"blocks": "\x1b[2J" * 10**6}, TypeError, r"blocks='\\x1b.{30,60}': give an integer"),
        ({"end": None}, TypeError, "end=None: give a number"),
        ({"end": 10**400}, ValueError, "end=inf: give a finite number$"),
        ({"friction_left": [[0.1], []]}, ValueError, "friction_left: rows of different lengths"),
        ({"friction_left": np.array(0.1j)}, TypeError, "friction_left=.*: give a number"),
        ({"spring_constant": 1e-310}, ValueError, "spring_constant=1e-310: give at least 1e-100"),
        ({"mass": 1e-310}, ValueError, "mass=1e-310: give at least 1e-100"),
        ({"blocks": 10**12}, ValueError, "blocks=1000000000000: give at most 1,000,000"),
    ],
)
def test_bad_parameters_name_argument_value_and_remedy(settings, error, message):
    with pytest.raises(error, match=message):
        SpringBlockChain(**settings)


def test_closed_forms_refuse_what_they_do_not_cover():
    history = SpringBlockChain(end=[(0, 0.0), (1, 1.0)])
    driven = replace(history, drive=0.1)
    refused = [form for c in (history, driven) for form in (c.static_loads, c.mean_field_loads)]
    for closed_form in (*refused, lambda: history.pull):
        with pytest.raises(ValueError, match="end: a closed form needs one position, not a hist"):
            closed_form()
    for drive in (0.0, 0.1):
        with pytest.raises(ValueError, match=r"end=-1\.0: the chain is pulled to the right"):
            SpringBlockChain(end=-1.0, drive=drive).static_loads()
    with pytest.raises(ValueError, match=r"noise=0\.0: where noise of skewness=1 leads depends"):
        SpringBlockChain(noise=0.0, skewness=1).mean_field_loads()
    with pytest.raises(ValueError, match=r"force=-0\.3"):
        SpringBlockChain(force=-0.3).static_loads()
