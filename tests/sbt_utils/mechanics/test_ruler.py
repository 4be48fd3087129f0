"""The folding ruler against closed forms, conservation laws and a brute-force convex solver."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from sbt_utils.mechanics import pulls, ruler
from sbt_utils.mechanics.hand import Hand
from sbt_utils.mechanics.linkage import step
from sbt_utils.mechanics.pulls import quick_and_jerky, slow_and_steady
from sbt_utils.mechanics.ruler import GRAVITY, LONGEST, FoldingRuler, ImpossiblePull

RULER = FoldingRuler()
# The unit of friction torque: as much as table friction exerts at the end of a section.
TORQUE = 0.3 * RULER.mass * GRAVITY * RULER.section_length


def along(ruler, distances, times, sideways=0.0):
    """Lead the hand over some distances from where the ruler ends."""
    offsets = np.stack([np.asarray(distances, float), np.full(len(times), sideways)], axis=1)
    offsets[0] = 0.0
    return Hand(times, ruler.end + offsets)


def turns(motion):
    """Return the angle of each hinge: 0 straight, pi shut, shape (kept, N - 1)."""
    return np.diff(motion.angles, axis=1) * (-1.0) ** np.arange(1, motion.ruler.sections)


def hard_pulls():
    """Yield motions under hard jerks and all kinds of friction, every step kept."""
    for mu, torque, sections in itertools.product((0.0, 0.05, 1.0), (0.0, 0.1, 3.0), (3, 10)):
        ruler = FoldingRuler(sections, table_friction=mu, hinge_friction=torque * TORQUE)
        for speed, amplitude, seed in ((0.2, 0.006, 0), (2.0, 0.01, 1)):
            hand = quick_and_jerky(ruler, 0.7, speed, amplitude * sections / 10, seed)
            yield ruler.pull(hand, every=1)


@pytest.fixture(scope="module")
def hard():
    return list(hard_pulls())


@pytest.fixture(scope="module")
def slow():
    return RULER.pull(slow_and_steady(RULER), every=1)


@pytest.fixture(scope="module")
def jerky():
    return RULER.pull(quick_and_jerky(RULER), every=1)


# The experiment


def test_a_slow_pull_opens_the_outer_sections_only(slow):
    assert slow.load_curve.regime == "lazy"
    assert slow.load_curve.convexity < -0.2
    assert slow.extensions[-1, -3:].min() > 0.9


def test_a_pull_slow_enough_does_not_move_the_inner_sections_at_all():
    motion = RULER.pull(slow_and_steady(RULER, speed=5e-3), dt=2e-3)
    moved = np.ptp(motion.angles, axis=0)
    assert not moved[:4].any()
    assert moved[4:].min() > 0.1


def test_a_quick_pull_opens_the_inner_sections_too():
    seeds = range(5)
    curves = [RULER.pull(quick_and_jerky(RULER, seed=s)).load_curve.convexity for s in seeds]
    assert min(curves) > -0.05
    assert np.mean(curves) > 0.05


@pytest.mark.parametrize("mu", [0.1, 0.3, 1.0])
def test_the_speed_at_which_the_curve_straightens_goes_with_the_root_of_friction(mu):
    ruler = FoldingRuler(table_friction=mu, hinge_friction=0.2 * TORQUE * mu / 0.3)
    unit = math.sqrt(mu * GRAVITY * ruler.section_length)
    slower, faster = (
        ruler.pull(slow_and_steady(ruler, speed=factor * unit)).load_curve.convexity
        for factor in (2.0, 3.3)
    )
    assert slower < -0.1
    assert faster > 0.1


# Exactness


def test_sections_keep_their_length(hard):
    for motion in hard:
        lengths = np.linalg.norm(np.diff(motion.points, axis=1), axis=-1)
        np.testing.assert_allclose(lengths, motion.ruler.section_length, rtol=1e-12)


def test_the_end_follows_the_hand(hard):
    for motion in hard:
        target = np.stack(
            [np.interp(motion.times, motion.hand.times, x) for x in motion.hand.positions.T], axis=1
        )
        # Within a step the points move straight, the sections on arcs.
        error = np.abs(motion.points[:, -1] - target).max(axis=1)
        bow = motion.ruler.section_length * ((1e-3 * motion.rates) ** 2).sum(axis=1)
        assert (error <= bow + 1e-12).all()


def test_energy_never_appears(hard):
    for motion in hard:
        account = motion.energy + motion.table_heat + motion.hinge_heat - motion.work
        scale = motion.energy.max() + np.abs(np.diff(motion.work)).max()
        assert np.diff(account).max() < 1e-9 * scale
        assert (np.diff(motion.table_heat) >= 0).all()
        assert (np.diff(motion.hinge_heat) >= 0).all()


def test_hinges_stay_within_their_stops(hard):
    reached = 0
    for motion in hard:
        angle = turns(motion)
        assert angle.min() > -1e-9
        assert angle.max() < math.pi + 1e-9
        reached += (angle > math.pi - 1e-9).any() + (angle < 1e-9).any()
    assert reached > 10  # the test would be empty without


def test_a_resting_hand_brings_everything_to_rest_and_keeps_it_there(jerky):
    moving = np.flatnonzero(jerky.velocities.any(axis=(1, 2)))
    assert len(jerky.times) - moving[-1] > 200
    rest = moving[-1] + 1
    assert not jerky.velocities[rest:].any()
    assert not jerky.rates[rest:].any()
    assert not np.ptp(jerky.angles[rest:], axis=0).any()
    assert jerky.energy[rest] == 0.0


def test_stuck_hinges_turn_at_exactly_equal_rates(jerky):
    rates = np.diff(jerky.rates, axis=1)
    moving = jerky.rates.any(axis=1)
    stuck = rates[moving] == 0.0
    assert 0.05 < stuck.mean() < 0.95
    # No hinge creeps: the slowest that turns is well away from rounding.
    assert np.percentile(np.abs(rates[moving][~stuck]), 1) > 1e-9


def test_stuck_points_rest_exactly(slow):
    speeds = np.linalg.norm(slow.velocities[10:-1200, 1:], axis=-1)
    assert (speeds == 0.0).mean() > 0.3
    assert np.percentile(speeds[speeds > 0], 0.5) > 1e-9


# Closed forms and limits


def test_two_sections_have_one_hinge_where_geometry_says():
    ruler = FoldingRuler(sections=2)
    motion = ruler.pull(slow_and_steady(ruler, reach=0.9, speed=0.2), every=1)
    x = motion.points[:, -1, 0]
    half = x / 2
    expected = np.stack([half, np.sqrt(ruler.section_length**2 - half**2)], axis=-1)
    np.testing.assert_allclose(motion.points[:, 1], expected, atol=1e-6)


def test_two_sections_cost_the_work_of_friction():
    ruler = FoldingRuler(sections=2)
    motion = ruler.pull(slow_and_steady(ruler, reach=0.9, speed=0.01), dt=1e-3)
    way = ruler.section_length * (motion.angles[0, 0] - motion.angles[-1, 0])
    table = ruler.table_friction * ruler.mass * GRAVITY * way
    hinge = ruler.hinge_friction * 2 * way / ruler.section_length
    assert motion.table_heat[-1] == pytest.approx(table, rel=1e-5)
    assert motion.hinge_heat[-1] == pytest.approx(hinge, rel=1e-5)
    assert motion.work[-1] == pytest.approx(table + hinge, rel=1e-3)


def test_slow_pulls_do_not_depend_on_the_speed():
    ruler = FoldingRuler(sections=6)
    fast, slow = (ruler.pull(slow_and_steady(ruler, speed=v), dt=1e-4 / v) for v in (5e-3, 5e-4))
    np.testing.assert_allclose(fast.points[-1], slow.points[-1], atol=2e-4)
    assert fast.load_curve.convexity == pytest.approx(slow.load_curve.convexity, abs=2e-3)


def test_mass_and_friction_scale_out():
    # Twice all masses, torques and, in time, nothing: the same motion.
    light, heavy = (
        FoldingRuler(mass=m, hinge_friction=0.06 * m).pull(quick_and_jerky(RULER), every=50)
        for m in (0.004, 0.008)
    )
    np.testing.assert_allclose(light.angles, heavy.angles, atol=1e-6)
    assert heavy.work[-1] == pytest.approx(2 * light.work[-1])


def test_mirror_symmetry():
    # The mirror image of an odd-numbered hinge's stops is an even one's: mirror the step itself.
    for seed in range(10):
        problem = one_step(seed)
        mirrored = dict(problem)
        for name in ("angles", "omega"):
            mirrored[name] = -problem[name]
        for name in ("v", "hand"):
            mirrored[name] = problem[name] * [1.0, -1.0]
        mirrored["low"], mirrored["high"] = -problem["high"], -problem["low"]
        one, other = solve(problem), solve(mirrored)
        np.testing.assert_allclose(one["omega"], -other["omega"], atol=1e-9)
        np.testing.assert_allclose(one["v"], other["v"] * [1.0, -1.0], atol=1e-9)


@pytest.mark.parametrize("least", [5e-324, 1e-319, 1e-315, 1e-305, 1e-300, 1e-200, 1e-150, 1e-30])
@pytest.mark.parametrize("name", ["table_friction", "hinge_friction"])
def test_the_least_friction_is_as_good_as_none(name, least):
    ruler = FoldingRuler(sections=3, opening=0.5)
    hand = quick_and_jerky(ruler, speed=1.0)
    without = replace(ruler, **{name: 0.0}).pull(hand)
    motion = replace(ruler, **{name: least}).pull(hand)
    np.testing.assert_allclose(motion.angles, without.angles, atol=1e-6)
    np.testing.assert_allclose(motion.energy, without.energy, atol=1e-6 * without.energy.max())


def test_free_motion_without_friction_keeps_its_energy_to_first_order_in_the_time_step():
    ruler = FoldingRuler(sections=4, table_friction=0.0, hinge_friction=0.0, opening=1.2)
    hand = slow_and_steady(ruler, reach=0.65, speed=0.3)
    drifts = []
    for dt in (1e-3, 5e-4, 2.5e-4):
        motion = ruler.pull(hand, dt, every=1)
        free = np.searchsorted(motion.times, hand.times[-3] + 2e-3)  # the hand has stopped
        drifts.append(abs(motion.energy[-1] / motion.energy[free] - 1))
        assert np.ptp(motion.angles[free:], axis=0).max() > 0.2
    assert drifts[0] < 2e-5
    np.testing.assert_allclose(np.divide(drifts[:-1], drifts[1:]), 2.0, atol=0.01)


def test_positions_converge_to_first_order_in_the_time_step():
    ruler = FoldingRuler(sections=4, opening=1.0)
    hand = quick_and_jerky(ruler, reach=0.7, speed=0.4, amplitude=0.001)
    ends = [ruler.pull(hand, dt).points[-1] for dt in (4e-4, 2e-4, 1e-4, 2e-5)]
    errors = [np.abs(end - ends[-1]).max() for end in ends[:-1]]
    assert errors[2] < errors[1] < errors[0] < 2e-3


def test_the_same_hand_gives_the_same_bits(jerky):
    again = FoldingRuler().pull(quick_and_jerky(RULER), every=1)
    np.testing.assert_array_equal(again.angles, jerky.angles)
    np.testing.assert_array_equal(again.velocities, jerky.velocities)
    other = RULER.pull(quick_and_jerky(RULER, seed=1), every=1)
    assert np.abs(other.angles[-1] - jerky.angles[-1]).max() > 1e-3


# One step against the conditions of its optimum, and against another algorithm


def one_step(seed, size=6):
    """Draw a step with all bounds of about the size of what they bound."""
    rng = np.random.default_rng(seed)
    angles = 1.2 * (-1.0) ** np.arange(size) + rng.uniform(-0.3, 0.3, size)
    scale = 10.0 ** rng.uniform(-3, 0)
    problem = {
        "angles": angles,
        "v": scale * rng.normal(size=(size, 2)),
        "hand": scale * rng.normal(size=2),
        "low": -scale * rng.uniform(0, 3, size - 1),
        "high": scale * rng.uniform(0, 3, size - 1),
        "section": 1.0,
        "mass": 1.0,
        "table": 10.0 ** rng.uniform(-1, 0.5) * scale,
        "hinge": 10.0 ** rng.uniform(-1.5, 0) * scale,
        "omega": np.zeros(size),
        "p": np.zeros((size, 2)),
        "q": np.zeros(size - 1),
        "s": np.zeros(size - 1),
    }
    return problem | {"scale": scale}


def solve(problem):
    copied = {name: np.copy(value) if np.ndim(value) else value for name, value in problem.items()}
    copied.pop("scale")
    assert step(*copied.values()) >= 0
    return copied


def jacobian(angles):
    """Return what the angular velocities do to the points, shape (N, 2, N)."""
    size = len(angles)
    tangents = np.stack([-np.sin(angles), np.cos(angles)])
    return np.tril(np.ones((size, size)))[:, None, :] * tangents[None]


@pytest.mark.parametrize("seed", range(30))
def test_impulses_meet_the_conditions_of_dry_friction(seed):
    problem = one_step(seed)
    found, eps = solve(problem), 1e-8 * problem["scale"]
    J, omega, p, q, s = jacobian(problem["angles"]), *(found[n] for n in ("omega", "p", "q", "s"))
    v, rates = J @ omega, np.diff(omega)
    np.testing.assert_allclose(found["v"], v, atol=1e-12)
    np.testing.assert_allclose(v[-1], problem["hand"], atol=eps)
    # Balance of impulses.
    forces = p.copy()
    forces[:-1] += v[:-1] - problem["v"][:-1]
    torques = np.append(0.0, q + s) - np.append(q + s, 0.0)
    np.testing.assert_allclose(np.einsum("icn,ic->n", J, forces) + torques, 0.0, atol=eps)
    # Friction: within its bound, at the bound and against the motion where there is any.
    for impulse, velocity in zip(p[:-1], v[:-1], strict=True):
        speed = np.linalg.norm(velocity)
        assert np.linalg.norm(impulse) <= problem["table"] + eps
        assert impulse @ velocity == pytest.approx(problem["table"] * speed, abs=eps * 10)
    assert (np.abs(q) <= problem["hinge"] + eps).all()
    np.testing.assert_allclose(q * rates, problem["hinge"] * np.abs(rates), atol=10 * eps)
    # Stops: no rate beyond, impulse only at a stop and only away from it.
    assert (rates >= problem["low"] - eps).all()
    assert (rates <= problem["high"] + eps).all()
    assert (
        np.abs(s[(rates > problem["low"] + eps) & (rates < problem["high"] - eps)]) <= eps
    ).all()
    assert (s[rates > (problem["low"] + problem["high"]) / 2] >= -eps).all()
    assert (s[rates < (problem["low"] + problem["high"]) / 2] <= eps).all()


def test_all_cases_of_friction_occur_in_these_steps():
    kinds = set()
    for seed in range(30):
        problem = one_step(seed)
        found = solve(problem)
        speeds, rates = np.linalg.norm(found["v"], axis=1)[:-1], np.diff(found["omega"])
        tiny = 1e-8 * problem["scale"]
        kinds |= {("point", bool(x)) for x in speeds > tiny}
        kinds |= {("hinge", bool(x)) for x in np.abs(rates) > tiny}
        kinds |= {("stop", bool(x)) for x in np.abs(found["s"]) > tiny}
    assert len(kinds) == 6


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_general_solver_finds_the_same(seed):
    """Alternate proximal steps (ADMM) on the same convex problem, in NumPy."""
    problem = one_step(seed, size=4)
    J, size = jacobian(problem["angles"]), 4
    D = np.diff(np.eye(size), axis=0)
    rows = np.concatenate([J[:-1].reshape(-1, size), D])
    old = problem["v"][:-1].ravel()
    H = J[:-1].reshape(-1, size).T @ J[:-1].reshape(-1, size)
    right = J[:-1].reshape(-1, size).T @ old
    # Eliminate the hand: omega = start + null @ free.
    start = np.linalg.lstsq(J[-1], problem["hand"], rcond=None)[0]
    null = np.linalg.svd(J[-1])[2][2:].T
    z, u = np.zeros(len(rows)), np.zeros(len(rows))
    inverse = np.linalg.inv(null.T @ (H + rows.T @ rows) @ null)
    for _ in range(30_000):
        free = inverse @ null.T @ (right + rows.T @ (z - u) - (H + rows.T @ rows) @ start)
        omega = start + null @ free
        w = rows @ omega + u
        points, hinges = w[: 2 * (size - 1)].reshape(-1, 2), w[2 * (size - 1) :]
        length = np.linalg.norm(points, axis=1, keepdims=True)
        points = points * np.maximum(0, 1 - problem["table"] / np.maximum(length, 1e-300))
        hinges = np.sign(hinges) * np.maximum(0, np.abs(hinges) - problem["hinge"])
        z = np.append(points.ravel(), np.clip(hinges, problem["low"], problem["high"]))
        u = w - z
    np.testing.assert_allclose(solve(problem)["omega"], omega, atol=1e-7 * problem["scale"])


# Hands


def test_hands_start_at_the_end_of_the_ruler_and_stop_where_told():
    for sections in (2, 5, 10):
        ruler = FoldingRuler(sections)
        for hand in (slow_and_steady(ruler, 0.6, 0.1), quick_and_jerky(ruler, 0.6, 0.4, 0.001)):
            np.testing.assert_allclose(hand.positions[0], ruler.end, atol=1e-15)
            goal = [0.6 * sections * ruler.section_length, ruler.end[1]]
            np.testing.assert_allclose(hand.positions[-1], goal, atol=1e-12)
            assert hand.speeds[-1] == 0.0
    steady = slow_and_steady(RULER, speed=0.1)
    assert np.percentile(steady.speeds, 50) == pytest.approx(0.1, rel=1e-3)
    assert steady.speeds.max() == pytest.approx(0.1, rel=1e-3)


def test_jerks_go_both_ways_and_differ_by_seed():
    steady = quick_and_jerky(RULER, speed=0.2, amplitude=0.0).positions
    one, other = (quick_and_jerky(RULER, speed=0.2, seed=s).positions - steady for s in (0, 1))
    assert (np.abs(one).max(axis=0) > 0.003).all()
    assert np.abs(one - other).max() > 0.003
    # Eight sinusoids of random phase: a standard deviation of twice their amplitude.
    assert np.std(one[200:-200]) == pytest.approx(2 * 0.003, rel=0.2)


def test_a_motion_keeps_what_was_asked_for():
    hand = along(RULER, [0.0, 0.01, 0.01], [3.0, 3.05, 3.1])
    motion = RULER.pull(hand, dt=1e-3, every=30)
    np.testing.assert_allclose(motion.times, [3.0, 3.03, 3.06, 3.09, 3.1])
    assert motion.points.shape == (5, 11, 2)
    assert motion.extensions.shape == motion.rates.shape == (5, 10)
    np.testing.assert_allclose(motion.points[-1, -1], hand.positions[-1], atol=1e-12)
    np.testing.assert_allclose(
        motion.load_curve.loads, motion.extensions[-1, :-1] * RULER.section_length
    )
    assert motion.load_curve.measure == "distance"
    np.testing.assert_array_equal(motion.points[:, 0], 0.0)


@pytest.mark.parametrize("every", [2, 7, 100, 101, 10**6, 10**30, np.int64(7)])
def test_every_only_thins_out(every):
    hand = along(RULER, [0.0, 0.02, 0.02], [0.0, 0.05, 0.1])
    full, thin = RULER.pull(hand, every=1), RULER.pull(hand, every=every)
    indices = [*range(0, 100, every), 100]
    for name in ("times", "angles", "rates", "velocities", "energy", "work", "table_heat"):
        np.testing.assert_array_equal(getattr(thin, name), getattr(full, name)[indices])


def test_steps_taken_a_few_at_a_time_are_the_same(monkeypatch):
    hand = quick_and_jerky(RULER)
    whole = RULER.pull(hand, every=7)
    monkeypatch.setattr(ruler, "_MOVED_AT_ONCE", 10**9)
    np.testing.assert_array_equal(RULER.pull(hand, every=7).angles, whole.angles)
    monkeypatch.setattr(ruler, "_MOVED_AT_ONCE", 1)
    np.testing.assert_array_equal(RULER.pull(hand, every=7).work, whole.work)


def test_a_tremble_made_a_few_positions_at_a_time_is_the_same(monkeypatch):
    whole = quick_and_jerky(RULER, seed=3).positions
    monkeypatch.setattr(pulls, "_AT_ONCE", 17)
    np.testing.assert_allclose(quick_and_jerky(RULER, seed=3).positions, whole, rtol=1e-14)


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sections": 1}, r"sections: 1; give a whole number of at least 2"),
        ({"sections": 2.5}, r"sections: 2.5; give a whole number"),
        ({"mass": 0.0}, r"mass: 0.0; give a positive finite number"),
        ({"mass": math.nan}, r"mass: nan; give a positive"),
        ({"section_length": -1.0}, r"section_length: -1.0; give a positive"),
        ({"table_friction": -0.1}, r"table_friction: -0.1; give a finite number, 0 or more"),
        ({"hinge_friction": math.inf}, r"hinge_friction: inf; give a finite number"),
        ({"opening": 0.0}, r"opening: 0.0; give 0.001 to 3 rad"),
        ({"opening": math.nan}, r"opening: nan; give 0.001 to 3 rad"),
        ({"sections": True}, r"sections: True; give a whole number"),
        ({"sections": 10**6}, r"sections: 1000000; give a whole .* at least 2, at most 200"),
        ({"mass": 1e301}, r"mass: 1e\+301; give 1e-60 to 1e\+60"),
        ({"section_length": 1e-310}, r"section_length: 1e-310; give 1e-60 to 1e\+60"),
        ({"hinge_friction": 1e300}, r"hinge_friction: 1e\+300; give at most 1e\+60"),
        ({"mass": "heavy"}, r"mass='heavy': give a number"),
    ],
)
def test_bad_rulers(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        FoldingRuler(**arguments)


def test_numbers_of_numpy_are_numbers():
    same = FoldingRuler(np.int64(4), *np.float64([0.1, 0.005, 0.3, 3e-4, 0.16]))
    assert repr(same) == repr(FoldingRuler(4))
    assert np.array_equal(
        quick_and_jerky(RULER, seed=np.int64(2)).positions, quick_and_jerky(RULER, seed=2).positions
    )


@pytest.mark.parametrize(
    ("times", "positions", "message"),
    [
        ([0.0], [[0.0, 0.0]], r"times: shape \(1,\); give \(n,\) with n >= 2"),
        ([0.0, 1.0], [0.0, 1.0], r"positions: shape \(2,\); give \(2, 2\), x and y"),
        ([0.0, 1.0, 0.5], np.zeros((3, 2)), r"times: 0.5 s after 1 s; sort them"),
        ([0.0, 0.0], np.zeros((2, 2)), r"times: 0 s after 0 s; .* keep one of equal ones"),
        ([0.0, np.nan], np.zeros((2, 2)), r"times: NaN or infinite values"),
        ([0.0, 1.0], [[0, 0], [np.inf, 0]], r"positions: NaN or infinite values; leave such"),
        (None, np.zeros((2, 2)), r"times: give numbers, shape \(n,\)"),
        ([0.0, 1.0], [[0, 0], [1]], r"positions: give numbers, shape \(n, 2\)"),
        ([0.0, 1.0], [["a", "b"]] * 2, r"positions: give numbers, shape \(n, 2\)"),
        ([0.0, 1j], np.zeros((2, 2)), r"times: give numbers, shape \(n,\)"),
        ([0.0, np.longdouble("1e4000")], np.zeros((2, 2)), "times: NaN or infinite values"),
        ([0.0, 1.0], np.ma.masked_all((2, 2)), r"positions: give numbers, shape \(n, 2\)"),
        ([-1e308, 1e308], np.zeros((2, 2)), r"times: 1e\+308 is out of bounds; .* 1e\+60"),
    ],
)
def test_bad_hands(times, positions, message):
    with pytest.raises(ValueError, match=message):
        Hand(times, positions)


def test_hands_are_their_own_and_read_only():
    source = np.array([[0.0, 0.0], [1.0, 0.0]])
    hand = Hand([0, 1], source)
    source[1] = 9.0
    assert hand.positions[1, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        hand.positions[0] = 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reach": 0.05}, r"reach: 0.05; give more than 0.080, the folded ruler's"),
        ({"reach": math.nan}, r"reach: nan; give more than"),
        ({"speed": 0.0}, r"speed: 0.0; give a positive number of m/s"),
        ({"amplitude": -1.0}, r"amplitude: -1.0; give metres, 0 for a steady hand"),
        ({"amplitude": 1e308}, r"amplitude: 1e\+308; .*give less"),
        (
            {"speed": 1e-9},
            r"speed: 1e-09; that takes 4.7e\+08 s, give m/s for .* less than 5,000 s",
        ),
        ({"speed": 5e-324}, r"speed: 5e-324; that takes inf s"),
        ({"speed": 1e99}, r"speed: 1e\+99; that takes 4.7e-100 s, give m/s for more than 1e-50 s"),
        ({"reach": 1e308}, r"reach: 1e\+308; .*give less"),
        ({"seed": -1}, r"seed=-1: give an integer of at least 0, or several of them"),
        ({"seed": None}, r"seed=None: give an integer"),
        ({"seed": 1.5}, r"seed=1.5: give an integer"),
    ],
)
def test_bad_pulls(arguments, message):
    with pytest.raises(ValueError, match=message):
        quick_and_jerky(RULER, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dt": 0.0}, r"dt: 0.0; give a positive number of s, at most the hand's 1.0"),
        ({"dt": math.nan}, r"dt: nan; give a positive"),
        ({"dt": 2.0}, r"dt: 2.0; .* at most the hand's 1.0"),
        ({"every": 0}, r"every: 0; give a whole number of at least 1"),
        ({"every": True}, r"every: True; give a whole number of at least 1"),
        ({"dt": 1e-300}, r"dt: 1e-300; more than 1e15 steps in the hand's 1.0 s, give more"),
        ({"dt": 1e-12}, r"every: 10; of 1,000,000,000,000 steps that keeps more than fits"),
    ],
)
def test_bad_steps(arguments, message):
    with pytest.raises(ValueError, match=message):
        RULER.pull(along(RULER, [0.0, 0.1], [0.0, 1.0]), **arguments)


def test_a_hand_elsewhere():
    with pytest.raises(ValueError, match=r"hand: starts at \[0.0, 0.0\], .* start at ruler.end"):
        RULER.pull(Hand([0.0, 1.0], np.zeros((2, 2))))


def test_a_hand_beyond_the_ruler():
    with pytest.raises(ImpossiblePull, match=r"hand: goes 1.2 m .* within 0.995 of .* 1 m"):
        RULER.pull(slow_and_steady(RULER, reach=1.2))
    nearly = RULER.pull(slow_and_steady(RULER, reach=LONGEST, speed=0.5))
    assert np.isfinite(nearly.angles).all()
    assert nearly.extensions[-1].min() > 0.9


def test_a_hand_the_ruler_cannot_follow():
    hand = Hand([0.0, 0.2], [RULER.end, -RULER.end])
    with pytest.raises(ImpossiblePull, match=r"hand: the ruler cannot follow to .* at 0\.\d+ s"):
        RULER.pull(hand)


@pytest.mark.parametrize(
    "settings", [{"hinge_friction": 1e30}, {"mass": 1e-40}, {"section_length": 1e-40, "mass": 1.0}]
)
def test_friction_beyond_rounding_is_not_blamed_on_the_hand(settings):
    ruler = FoldingRuler(**settings)
    hand = slow_and_steady(ruler, speed=10 * ruler.section_length)
    with pytest.raises(ValueError, match=r"hinge_friction: .*, table_friction: .*; give less"):
        ruler.pull(hand)


def test_times_too_close_for_a_speed_are_named():
    with pytest.raises(ValueError, match=r"times: 1e-300 s after 0 s; sort them, and keep one of"):
        Hand([0.0, 1e-300], np.zeros((2, 2)))
