"""The compiled steps against a plain loop over the formulas; seeds, kept states, orders in dt."""

import itertools
import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from chains import LAST, run
from scipy.linalg import expm

from sbt_utils.mechanics import trajectories
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_steps import langevin_steps
from sbt_utils.mechanics.trajectories import Trajectory, curve_of

STIFF = SpringBlockChain(
    5, 1.0, friction_right=0.05, friction_left=0.08, noise=0.1, noise_decay=0.02
)
RAMP = [(0.0, 0.0), (3.0, 1.0), (5.0, 0.2)]
UNEVEN = {"friction_right": [0.1, 0.0, 0.05, 0.2, 0.02], "friction_left": [0.0, 0.3, 0.02, 0.1, 0]}
CHAINS = {
    "published": SpringBlockChain(),
    "common noise": STIFF,
    "independent noise": replace(STIFF, common_noise=False),
    "constant noise": replace(STIFF, noise_decay=0.0),
    "fast decay": replace(STIFF, noise=1.0, noise_decay=0.5, common_noise=False),
    "no noise": replace(STIFF, noise=0.0),
    "history of the end": replace(STIFF, end=RAMP, common_noise=False),
    "drawn by a force": replace(STIFF, force=0.4),
    "driven": replace(STIFF, drive=0.3, common_noise=False, **UNEVEN),
    "driven, by a history": replace(STIFF, drive=0.3, end=RAMP),
    "driven, one block": replace(STIFF, drive=0.3, blocks=1),
    "pushed by a force": replace(STIFF, force=-0.4, common_noise=False),
    "heavy, hardly damped": replace(STIFF, mass=3.0, damping=0.1),
    "frictions that differ": replace(STIFF, common_noise=False, **UNEVEN),
    "one block": replace(STIFF, blocks=1),
    "two blocks": replace(STIFF, blocks=2, common_noise=False),
}


def plain(chain, normals, dt, overdamped, positions=0.0, velocities=0.0):
    """Loop over steps and blocks, as the formulas read; return all positions and velocities."""
    count, k, m, gamma = chain.blocks, chain.spring_constant, chain.mass, chain.damping
    right, left = (np.broadcast_to(mu, count) for mu in (chain.friction_right, chain.friction_left))
    scale = chain.noise * math.sqrt(count) if chain.common_noise else chain.noise
    x, v = np.zeros(count) + positions, np.zeros(count) + velocities
    states = [(x, v)]
    for n, row in enumerate(normals):
        t = n * dt
        history = np.interp(t, *np.transpose(chain.end)) if np.ndim(chain.end) else chain.end
        y = history if chain.force is None else x[-1] + chain.force / k
        ends = np.concatenate([[0.0], x, [y]])
        x, v = x.copy(), v.copy()
        for i in range(count):
            force = k * (ends[i + 2] - 2 * ends[i + 1] + ends[i]) + chain.drive * (y - ends[i + 1])
            noise = scale * math.exp(-chain.noise_decay * t) * row[i % len(row)]
            if overdamped:
                z = force + noise
                s = z - right[i] if z > right[i] else z + left[i] if z < -left[i] else 0.0
                x[i] += dt * s
                continue
            free = (v[i] + dt * force / m + noise * math.sqrt(dt) / m) / (1 + gamma * dt / m)
            h = dt / (m * (1 + gamma * dt / m))
            v[i] = max(free - h * right[i], 0.0) + min(free + h * left[i], 0.0)
            x[i] += dt * v[i]
        states.append((x, v))
    return np.swapaxes(states, 0, 1)


def normals_of(chain, seed, steps):
    columns = 1 if chain.common_noise else chain.blocks
    return np.random.default_rng(seed).standard_normal((steps, columns))


# Against the formulas ------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHAINS)
def test_equals_a_plain_loop_over_the_formulas(name, overdamped):
    chain, steps, dt = CHAINS[name], 600, 0.05
    trajectory = run(chain, overdamped, steps * dt, dt, seed=[4, 2])
    x, v = plain(chain, normals_of(chain, [4, 2], steps), dt, overdamped)
    np.testing.assert_allclose(trajectory.positions, x, rtol=0, atol=1e-12)
    assert np.ptp(x) > 0.01
    if overdamped:
        assert trajectory.velocities is None
    else:
        np.testing.assert_allclose(trajectory.velocities, v, rtol=0, atol=1e-12)
        # They stick at the same steps, but for blocks that rounding alone still moves.
        assert (trajectory.velocities[np.abs(v) == 0.0] == 0.0).all()


def test_noise_drawn_a_few_steps_at_a_time_is_the_same(overdamped, common, monkeypatch):
    chain = replace(STIFF, common_noise=common, end=RAMP)
    whole = run(chain, overdamped, 50.0, 0.05, every=7)
    monkeypatch.setattr(trajectories, "_DRAWN_AT_ONCE", 64)
    parts = run(chain, overdamped, 50.0, 0.05, every=7)
    np.testing.assert_array_equal(whole.positions, parts.positions)


def test_swapping_the_sides_of_friction_mirrors_the_chain(overdamped):
    # Seen from the other side: x -> y - x, blocks from last to first, friction and noise reversed.
    chain = replace(STIFF, common_noise=False, end=0.7, **UNEVEN)
    mirrored = replace(
        chain,
        friction_right=UNEVEN["friction_left"][::-1],
        friction_left=UNEVEN["friction_right"][::-1],
    )
    rng = np.random.default_rng(0)
    x, v = rng.uniform(0, 0.7, 5), rng.normal(size=5)

    def start(positions, velocities):
        return Trajectory(np.zeros(1), positions[None], np.zeros(1), velocities[None])

    shaken = run(chain, overdamped, 30.0, 0.05, seed=7, start=start(x, v))
    normals = normals_of(chain, [7, 0], 600)
    other, _ = plain(mirrored, -normals[:, ::-1], 0.05, overdamped, 0.7 - x[::-1], -v[::-1])
    np.testing.assert_allclose(shaken.positions, 0.7 - other[:, ::-1], rtol=0, atol=1e-12)

    quiet, reflected = replace(chain, noise=0.0), replace(mirrored, noise=0.0)
    one = run(quiet, overdamped, 30.0, 0.05, start=start(x, v))
    other = run(reflected, overdamped, 30.0, 0.05, start=start(0.7 - x[::-1], -v[::-1]))
    np.testing.assert_allclose(one.positions, 0.7 - other.positions[:, ::-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(one.loads, other.loads[::-1], rtol=0, atol=1e-12)


# Orders of convergence -----------------------------------------------------------------------


def order(steps, errors):
    return np.polyfit(np.log(steps), np.log(errors), 1)[0]


def test_without_friction_and_noise_the_error_falls_as_dt():
    chain = SpringBlockChain(5, 1.0, friction_right=0.0, friction_left=0.0, noise=0.0)
    # d/dt (x, v) = G (x, v) + pull: the exact solution, about the rest at x_l = l / 6.
    springs = 2 * np.eye(5) - np.eye(5, k=1) - np.eye(5, k=-1)
    generator = np.block([[np.zeros((5, 5)), np.eye(5)], [-springs, -np.eye(5)]])
    rest = np.arange(1, 6) / 6
    exact = rest + (expm(4.0 * generator) @ np.concatenate([-rest, np.zeros(5)]))[:5]
    steps = 4.0 / 2.0 ** np.arange(6, 13)
    errors = [abs(chain.simulate(4.0, dt).positions[-1] - exact).max() for dt in steps]
    assert order(steps, errors) == pytest.approx(1.0, abs=0.03)


def test_with_friction_and_no_noise_the_error_falls_as_dt():
    chain = SpringBlockChain(5, 1.0, friction_right=0.05, friction_left=0.08, noise=0.0)
    steps = 4.0 / 2.0 ** np.arange(6, 13)
    ends = np.array(
        [chain.simulate(4.0, dt, every=LAST).positions[-1] for dt in (*steps, steps[-1] / 2)]
    )
    assert order(steps, abs(np.diff(ends, axis=0)).max(axis=1)) == pytest.approx(1.0, abs=0.05)


def path_differences(chain, paths=3000, duration=4.0, finest=2**11, levels=6):
    """Return steps, and by how much the states at the end differ at half the step.

    The differences have the shape (levels, paths, 2, L). All levels of a path see one Brownian
    path: the normals of a coarse step are sums of fine ones.
    """
    rng = np.random.default_rng(0)
    ends = np.empty((levels + 1, paths, 2, chain.blocks))
    for path in range(paths):
        normals = rng.standard_normal((finest, chain.blocks))
        for level in range(levels + 1):
            count = len(normals)
            dt, state = duration / count, np.zeros((2, chain.blocks))
            kicks = chain.noise * math.sqrt(dt) * normals
            pulls = chain.pulls_at(np.arange(count))
            kept = np.empty((2, 1, chain.blocks))
            langevin_steps(state, chain.acting, pulls, kicks, dt, 0, LAST, kept)
            ends[level, path] = state
            normals = (normals[::2] + normals[1::2]) / math.sqrt(2)
    steps = duration / finest * 2.0 ** np.arange(1, levels + 1)
    return steps, np.diff(ends, axis=0)


@pytest.mark.parametrize(("friction", "expected"), [(0.0, 1.0), (0.25, 0.75)])
def test_order_along_a_path_is_one_without_friction_and_three_quarters_with_it(friction, expected):
    # Friction is a drift that jumps where a velocity changes its sign, which costs a quarter
    # (Neuenkirch & Szölgyenyi, arXiv:1904.07784; Dareiotis, Gerencsér & Lê, arXiv:2101.12185).
    sides = {"friction_right": 0.8 * friction, "friction_left": 1.2 * friction}
    chain = SpringBlockChain(5, 1.0, **sides, noise=0.3, noise_decay=0.0, common_noise=False)
    steps, differences = path_differences(chain)
    for kind in (0, 1):  # positions, velocities
        along = order(steps, np.sqrt((differences[:, :, kind] ** 2).mean(axis=(1, 2))))
        assert along == pytest.approx(expected, abs=0.06)
    means = differences[:, :, 0].mean(axis=1)
    assert order(steps, abs(means).max(axis=1)) == pytest.approx(1.0, abs=0.1)


# Seeds, kept states, going on ----------------------------------------------------------------


def test_a_trajectory_depends_on_its_own_seed_alone(overdamped, common):
    chain = replace(STIFF, common_noise=common)
    seeds = [3, [1, 2], 0, (2**70, 5), 11]
    together = run(chain, overdamped, 20.0, 0.05, seeds=seeds, every=3)
    backwards = run(chain, overdamped, 20.0, 0.05, seeds=reversed(seeds), every=3)
    np.testing.assert_array_equal(together.positions, backwards.positions[::-1])
    for member, seed in enumerate(seeds):
        alone = run(chain, overdamped, 20.0, 0.05, seed=seed, every=3)
        np.testing.assert_array_equal(alone.positions, together.positions[member])
        np.testing.assert_array_equal(alone.loads, together.loads[member])
        if not overdamped:
            np.testing.assert_array_equal(alone.velocities, together.velocities[member])
    ends = together.positions[:, -1]
    assert len(np.unique(ends, axis=0)) == len(seeds)


@pytest.mark.parametrize("name", [*CHAINS, "skewed noise"])
def test_trajectories_side_by_side_are_those_of_one_seed_each_to_the_last_bit(name, overdamped):
    chain = (CHAINS | {"skewed noise": replace(STIFF, skewness=-1.5, common_noise=False)})[name]
    first = run(chain, overdamped, 10.0, 0.05, seeds=range(19))
    on = run(chain, overdamped, 10.0, 0.05, seeds=range(19), every=7, start=first)
    for seed in range(19):
        alone = run(chain, overdamped, 10.0, 0.05, seed=seed)
        rest = run(chain, overdamped, 10.0, 0.05, seed=seed, every=7, start=alone)
        for one, together in ((alone, first), (rest, on)):
            np.testing.assert_array_equal(one.positions, together.positions[seed])
            if not overdamped:
                np.testing.assert_array_equal(one.velocities, together.velocities[seed])
    if not overdamped and chain.noise < 0.05:
        assert (first.velocities[:, -1] == 0.0).any()  # blocks stick in lanes too


@pytest.mark.parametrize("seeds", [range(1), range(8)])
def test_a_velocity_that_moves_no_block_is_rounding(seeds):
    free = replace(STIFF, friction_right=0.0, friction_left=0.0, noise=0.0)
    assert (free.simulate(300.0, 0.05, seeds=seeds, every=LAST).velocities[:, -1] == 0.0).all()


@pytest.mark.parametrize("processors", [1, 2, 16])
@pytest.mark.parametrize("blocks", [1, 7, 128, 129, 10**6])
def test_each_trajectory_is_in_one_group_and_no_group_is_too_large(blocks, processors, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: processors)
    for count in (1, 7, 8, 9, 31, 33, 50, 1000):
        groups = [range(count)[group] for group in trajectories._groups(count, blocks)]
        assert [n for group in groups for n in group] == list(range(count))
        assert max(map(len, groups)) <= max(1, min(32, 1024 // blocks))
        if blocks <= 128 and count >= 8:  # vector registers are full, but for those of the last
            assert all(len(group) % 8 == 0 for group in groups[:-1])
        assert len(groups) >= min(processors, count // 8)


@pytest.mark.parametrize("every", [2, 7, 400, 401, LAST])
def test_every_only_thins_out(overdamped, every):
    full = run(STIFF, overdamped, 20.0, 0.05, seeds=[0, 1])
    thin = run(STIFF, overdamped, 20.0, 0.05, seeds=[0, 1], every=every)
    indices = [*range(0, 400, every), 400]
    assert full.positions.shape == (2, 401, 5)
    assert thin.positions.shape == (2, len(indices), 5)
    np.testing.assert_array_equal(thin.times, full.times[indices])
    np.testing.assert_array_equal(thin.positions, full.positions[:, indices])
    np.testing.assert_array_equal(thin.loads, full.loads)
    if not overdamped:
        np.testing.assert_array_equal(thin.velocities, full.velocities[:, indices])


def test_times_and_durations_are_whole_steps():
    trajectory = STIFF.simulate(1.03, 0.05)
    np.testing.assert_allclose(trajectory.times, np.arange(22) * 0.05, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(trajectory.positions[0], 0.0)


@pytest.mark.parametrize("chain", [STIFF, replace(STIFF, end=RAMP)], ids=["held", "history"])
def test_going_on_without_noise_equals_one_long_run(overdamped, chain):
    chain = replace(chain, noise=0.0)
    whole = run(chain, overdamped, 12.0, 0.05)
    first = run(chain, overdamped, 4.0, 0.05)
    rest = run(chain, overdamped, 8.0, 0.05, start=first)
    np.testing.assert_allclose(rest.times, whole.times[80:], rtol=0, atol=1e-12)
    np.testing.assert_allclose(rest.positions, whole.positions[80:], rtol=0, atol=1e-12)


def noise_of(trajectory, dt):
    """Return the noise in each step of first order without friction: velocity less springs."""
    x = trajectory.positions[:, 0]
    return np.diff(x) / dt - (trajectory.ends[:-1] - 2 * x[:-1])


def test_going_on_draws_fresh_noise_that_decays_on():
    free = SpringBlockChain(1, 1.0, friction_right=0, friction_left=0, noise=0.1, noise_decay=0.05)
    parts = [free.simulate_overdamped(20.0, 0.01, seed=5)]
    for _ in range(2):
        parts.append(free.simulate_overdamped(20.0, 0.01, seed=5, start=parts[-1]))
    amplitudes = 0.1 * np.exp(-0.05 * 0.01 * np.arange(6000)).reshape(3, 2000)
    normals = np.stack([noise_of(part, 0.01) for part in parts]) / amplitudes
    correlations = np.corrcoef(normals)[np.triu_indices(3, 1)]
    assert abs(correlations).max() < 4 / math.sqrt(2000)  # four standard errors
    np.testing.assert_allclose(normals.std(axis=1), 1.0, atol=4 / math.sqrt(4000))


def test_going_on_from_one_state_with_many_seeds_or_from_each_of_many():
    one = STIFF.simulate(5.0, 0.05)
    many = STIFF.simulate(5.0, 0.05, seeds=range(3), start=one)
    assert (many.positions[:, 0] == one.positions[-1]).all()
    assert (many.velocities[:, 0] == one.velocities[-1]).all()
    assert many.times[0] == one.times[-1]
    assert not (many.positions[0, -1] == many.positions[1, -1]).any()
    on = replace(STIFF, end=0.2).simulate(5.0, 0.05, seeds=range(3), start=many)
    np.testing.assert_array_equal(on.positions[:, 0], many.positions[:, -1])
    # From first order to second the blocks start at rest.
    slow = STIFF.simulate_overdamped(5.0, 0.05)
    np.testing.assert_array_equal(STIFF.simulate(5.0, 0.05, start=slow).velocities[0], 0.0)


def test_memory_is_set_by_the_states_kept_not_by_the_steps():
    chain = SpringBlockChain(common_noise=False)

    def peak(steps):
        tracemalloc.start()
        trajectory = chain.simulate(steps * 0.05, every=steps // 100)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert trajectory.positions.shape == (101, 7)
        return used

    peak(20_000)
    assert peak(400_000) < 1.1 * peak(40_000)


# Load curves ---------------------------------------------------------------------------------


def test_load_curves_are_distances_to_the_pulled_end():
    trajectory = replace(STIFF, end=RAMP).simulate(4.0, 0.05, seeds=[0, 1], every=8)
    assert trajectory.separation.shape == (2, 11, 6)
    for member in range(2):
        for n, t in enumerate(trajectory.times):
            y = np.interp(t, [0, 3, 5], [0, 1, 0.2])
            found, x = trajectory.separation[member, n], trajectory.positions[member, n]
            np.testing.assert_allclose(found, [y, *(y - x)], rtol=0, atol=1e-15)
    curve = trajectory.load_curve
    np.testing.assert_array_equal(curve.separation, trajectory.separation[:, -1])
    np.testing.assert_allclose(curve.loads, trajectory.loads.mean(axis=0)[:-1], atol=1e-15)
    assert curve.measure == "distance"
    single = STIFF.simulate(4.0, 0.05)
    assert single.load_curve.separation.shape == (6,)
    np.testing.assert_allclose(single.load_curve.loads, single.loads[:-1], atol=1e-15)
    assert single.loads.sum() == pytest.approx(1.0, abs=1e-14)


def test_a_force_draws_the_end_beyond_the_last_block():
    drawn = replace(STIFF, force=0.4).simulate(4.0, 0.05)
    np.testing.assert_allclose(drawn.separation[:, -1], 0.4, rtol=0, atol=1e-14)
    np.testing.assert_allclose(drawn.separation[:, 0] - drawn.positions[:, -1], 0.4, atol=1e-14)


@pytest.mark.parametrize("seeds", [None, [0, 1, 2]])
def test_average_load_curve_is_the_mean_over_the_kept_times_from_then_on(seeds):
    trajectory = STIFF.simulate(20.0, 0.05, every=40, seeds=seeds)
    for after, first in ((0.0, 0), (3.0, 2), (10.0, 5), (20.0, 10)):
        distances = 1.0 - trajectory.positions[..., first:, :].mean(axis=-2)
        curve = trajectory.average_load_curve(after)
        np.testing.assert_allclose(curve.separation[..., 1:], distances, rtol=0, atol=1e-14)
        np.testing.assert_allclose(curve.separation[..., 0], 1.0, rtol=0, atol=1e-14)
    for after in (20.1, math.nan):
        with pytest.raises(ValueError, match=rf"after={after}: give a number up to 20, the last k"):
            trajectory.average_load_curve(after)


# Errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dt": 0.0}, r"dt=0\.0: give a step above 0 and below"),
        ({"dt": -0.1}, r"dt=-0\.1: give a step above 0"),
        ({"dt": math.nan}, "dt=nan: give a step above 0"),
        ({"dt": math.inf}, "dt=inf: give a step above 0"),
        ({"dt": 50.0}, r"dt=50\.0: give a step above 0"),
        ({"duration": 0.0}, r"duration=0\.0: give at least one step, dt=0\.05"),
        ({"duration": 0.02}, r"duration=0\.02: give at least one step"),
        ({"duration": -1.0}, r"duration=-1\.0: give at least one step"),
        ({"duration": math.nan}, "duration=nan: give at least one step"),
        ({"duration": math.inf}, "duration=inf: give at least one step"),
        ({"every": 0}, "every=0: give an integer of at least 1"),
        ({"every": -2}, "every=-2: give an integer"),
        ({"every": 2.0}, r"every=2\.0: give an integer"),
        ({"every": True}, "every=True: give an integer"),
        ({"seeds": []}, "seeds: there are none; give at least one"),
        ({"seeds": itertools.count()}, "seeds: more than 1,000,000; give fewer at a time"),
        ({"seeds": 5}, "seeds=5: give several, one for each trajectory"),
        ({"seeds": [0, -1]}, "seeds=-1: give an integer of at least 0, or several of them"),
        ({"seeds": [0, [1, -2]]}, r"seeds=\[1, -2\]: give an integer of at least 0, or several"),
        ({"seed": -1}, "seed=-1: give an integer of at least 0, or several of them"),
        ({"seed": np.int64(-1)}, r"seed=.*-1.*: give an integer of at least 0"),
        ({"seed": None}, "seed=None: give an integer of at least 0"),
        ({"seed": 1.5}, r"seed=1\.5: give an integer"),
        ({"seed": "7"}, "seed='7': give an integer"),
        ({"duration": 10**400}, "duration=inf: give at least one step"),
        ({"duration": 4e13}, "every=1: 800,000,000,000,001 states of 5 blocks do not fit"),
    ],
)
def test_bad_arguments_name_argument_value_and_remedy(settings, message, overdamped):
    settings = {"duration": 1.0, "dt": 0.05} | settings
    with pytest.raises(ValueError, match=message):
        run(STIFF, overdamped, **settings)


def test_seeds_of_numpy_are_seeds(overdamped):
    plain = run(STIFF, overdamped, 1.0, 0.05, seeds=[3, [1, 2], 2**64 - 1])
    words = [np.uint8(3), np.array([1, 2]), np.uint64(2**64 - 1)]
    same = run(STIFF, overdamped, 1.0, 0.05, seeds=words)
    np.testing.assert_array_equal(plain.positions, same.positions)
    on = [run(STIFF, overdamped, 1.0, 0.05, seed=7, start=run(STIFF, overdamped, 1.0, 0.05))]
    on.append(
        run(STIFF, overdamped, 1.0, 0.05, seed=np.int64(7), start=run(STIFF, overdamped, 1.0, 0.05))
    )
    np.testing.assert_array_equal(on[0].positions, on[1].positions)


def test_compiled_steps_taken_a_few_at_a_time_are_the_same(overdamped, common, monkeypatch):
    chain = replace(STIFF, common_noise=common, end=RAMP)
    whole = run(chain, overdamped, 50.0, 0.05, every=7)
    monkeypatch.setattr(trajectories, "_MOVED_AT_ONCE", 64)
    parts = run(chain, overdamped, 50.0, 0.05, every=7)
    np.testing.assert_array_equal(whole.positions, parts.positions)


def test_more_steps_than_an_integer_of_numpy_counts_between_kept_states(overdamped):
    thin = run(STIFF, overdamped, 20.0, 0.05, every=10**30)
    np.testing.assert_array_equal(thin.loads, run(STIFF, overdamped, 20.0, 0.05).loads)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e200])
def test_a_start_out_of_bounds_is_named_not_the_noise(value, overdamped):
    start = STIFF.simulate(1.0, 0.05)
    broken = Trajectory(start.times, start.positions + value, start.ends, start.velocities)
    with pytest.raises(ValueError, match="start: its last state or time is NaN, or beyond 1e"):
        run(STIFF, overdamped, 1.0, 0.05, start=broken)
    broken = Trajectory(start.times + value, start.positions, start.ends, start.velocities)
    with pytest.raises(ValueError, match="start: its last state or time is NaN, or beyond 1e"):
        run(STIFF, overdamped, 1.0, 0.05, start=broken)


def test_a_mass_lost_beside_the_damping_is_named():
    with pytest.raises(ValueError, match=r"mass=1e-100: too light .*; take simulate_overdamped"):
        SpringBlockChain(spring_constant=1e-100, mass=1e-100, damping=1e100).simulate(1e200, 1e199)


def test_starts_that_do_not_fit_are_refused(overdamped):
    other = replace(STIFF, blocks=3).simulate(1.0, 0.05)
    with pytest.raises(ValueError, match="start: 3 blocks for a chain of 5"):
        run(STIFF, overdamped, 1.0, 0.05, start=other)
    two = STIFF.simulate(1.0, 0.05, seeds=[0, 1])
    with pytest.raises(ValueError, match="start: 2 trajectories for 3 seeds; give as many seeds"):
        run(STIFF, overdamped, 1.0, 0.05, seeds=range(3), start=two)
    with pytest.raises(ValueError, match="start: 2 trajectories for 1 seeds"):
        run(STIFF, overdamped, 1.0, 0.05, start=two)


@pytest.mark.parametrize("factor", [1j, np.longdouble("1e4000"), "a"])
def test_starts_that_are_no_numbers_are_refused(overdamped, factor):
    first = STIFF.simulate(1.0, 0.05)
    odd = np.full_like(first.positions, factor, np.asarray(factor).dtype)
    start = Trajectory(first.times, odd, first.ends, first.velocities)
    with pytest.raises(ValueError, match=r"start: its .*; give"):
        run(STIFF, overdamped, 1.0, 0.05, start=start)


@pytest.mark.parametrize("seed", ["", b"a", [], np.array(1), np.array(0.5), [[1]], None])
def test_seeds_that_are_none_are_refused_by_name(overdamped, seed):
    with pytest.raises(ValueError, match=r"seed=.*: give an integer of at least 0, or several"):
        run(STIFF, overdamped, 1.0, 0.05, seed=seed)
    with pytest.raises(ValueError, match=r"seeds=.*: give an integer of at least 0, or several"):
        run(STIFF, overdamped, 1.0, 0.05, seeds=[0, seed])


def test_second_order_needs_a_mass_and_first_order_does_not():
    massless = replace(STIFF, mass=0.0)
    with pytest.raises(ValueError, match="mass=0: the second order needs a mass; take simulate_o"):
        massless.simulate(1.0, 0.05)
    light = massless.simulate_overdamped(1.0, 0.05).positions
    np.testing.assert_array_equal(light, STIFF.simulate_overdamped(1.0, 0.05).positions)


def test_noise_beyond_all_bounds_is_an_error_not_a_nan(common, overdamped):
    for noise in (1e308, 1.7e308):
        with pytest.raises(ValueError, match=r"noise=1.*e\+308: .*give less"):
            run(replace(STIFF, noise=noise, common_noise=common), overdamped, 50.0, 0.05)


@pytest.mark.parametrize("force", [None, 0.07])
def test_a_curve_of_loads_is_that_of_the_positions(force):
    trajectory = SpringBlockChain(force=force).simulate(200.0, seeds=range(3), every=1000)
    np.testing.assert_allclose(
        curve_of(trajectory.loads).separation, trajectory.load_curve.separation, atol=1e-15
    )


@pytest.mark.parametrize("loads", [[], 3.0, "loads", [[1.0], [1.0, 2.0]], None, [1j, 2.0]])
def test_what_is_no_row_of_loads_is_named(loads):
    with pytest.raises(ValueError, match=r"loads: give numbers, shape \(L \+ 1,\) or \(repeats, L"):
        curve_of(loads)
    assert curve_of([1, 2]).separation.tolist() == [3.0, 2.0]


@pytest.mark.parametrize("loads", [[1.0, math.nan], [1e308, 1e308], [-math.inf, math.inf]])
def test_loads_that_add_up_to_no_number_are_named(loads):
    with pytest.raises(
        ValueError, match="loads: NaN, infinite, or too large to add up; leave such"
    ):
        curve_of(loads)


def test_a_force_given_as_a_large_integer_is_a_force(overdamped):
    forces = [replace(STIFF, force=force, noise=0.0) for force in (10**19, 1e19)]
    ends = [run(chain, overdamped, 1.0, 0.05).positions for chain in forces]
    np.testing.assert_array_equal(*ends)


def test_what_is_no_trajectory_is_named_as_a_start(overdamped):
    with pytest.raises(TypeError, match="start: a ndarray; give a Trajectory"):
        run(STIFF, overdamped, 1.0, 0.05, start=np.zeros(5))
    with pytest.raises(TypeError, match="after='1': give a number"):
        STIFF.simulate(1.0, 0.05).average_load_curve("1")
