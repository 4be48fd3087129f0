"""Chains, rulers and hands of any kind: right against closed forms and scaling, or refused."""

import contextlib
import warnings

import numpy as np
import pytest
from fuzzing import REFUSED, answer, tried
from hypothesis import given
from hypothesis import strategies as st
from odd_values import arguments, close_to, odd, odd_seeds, powers, within
from scipy.linalg import solve_continuous_lyapunov

from sbt_book.ruler.diagram import ruler_diagram
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import drift, relaxation, stationary_covariance, stiffness
from sbt_utils.mechanics.hand import Hand
from sbt_utils.mechanics.matching import PoorMatch, fit_chain
from sbt_utils.mechanics.published_chains import in_units, relaxed_curve, theory_diagram
from sbt_utils.mechanics.pulls import quick_and_jerky
from sbt_utils.mechanics.ruler import FoldingRuler
from sbt_utils.mechanics.trajectories import Trajectory, curve_of, largest_step

SECONDS = 60  # of an example at most, on a busy machine; nearly all take milliseconds

# Chains -------------------------------------------------------------------------------------

amounts = st.one_of(close_to(1e-3, 10), close_to(1e-3, 10), powers)
frictions = st.one_of(st.just(0.0), amounts)
PARAMETERS = {
    "blocks": st.sampled_from([1, 2, 3, 7, 30]),
    "spring_constant": amounts,
    "mass": amounts,
    "damping": frictions,
    "friction_right": frictions,
    "friction_left": frictions,
    "noise": frictions,
    "noise_decay": frictions,
    "common_noise": st.booleans(),
    "end": amounts,
    "force": st.one_of(st.none(), st.none(), amounts),
    "drive": st.one_of(st.just(0.0), st.just(0.0), amounts),
    "skewness": st.one_of(st.just(0.0), st.just(0.0), st.floats(-10, 10)),
}
HISTORIES = [[(0, 0), (1, 1)], [(0, 0), (1e-300, 1)], [(-1e99, 0), (1e99, 1e99)], [(1, 2), (0, 1)]]
HISTORIES += [[[0, 1, 2]], (), [(0, None)], [(0, 0), (0, 1)], [(0, np.nan), (1, 1)], [(0, 1e300)]]
ODD_PARAMETERS = {
    "blocks": st.one_of(odd, st.sampled_from([10**6, 10**6 + 1, 7.0])),
    "end": st.one_of(odd, st.sampled_from(HISTORIES)),
}
parameters = arguments(PARAMETERS, ODD_PARAMETERS)
mild = st.fixed_dictionaries(
    PARAMETERS
    | dict.fromkeys(["spring_constant", "mass", "damping", "end"], close_to(1e-2, 10))
    | dict.fromkeys(["friction_right", "friction_left", "noise"], close_to(1e-3, 1))
    | {"noise_decay": st.one_of(st.just(0.0), close_to(1e-3, 0.1))}
    | {"drive": st.one_of(st.just(0.0), close_to(1e-2, 10))}
).map(lambda settings: settings | ({} if settings["force"] is None else {"drive": 0.0}))
STEPS = st.integers(1, 300)


def chain_of(settings):
    return answer(lambda: SpringBlockChain(**settings), *PARAMETERS)


def finite(*arrays):
    return all(np.isfinite(np.asarray(array)).all() for array in arrays)


@tried(5)
@given(parameters)
def test_states_of_rest(settings):
    chain = chain_of(settings)
    if chain is REFUSED:
        return
    k = chain.spring_constant
    net = {"static_loads": lambda: chain.frictions[0], "mean_field_loads": lambda: chain.net_forces}
    for name, force in net.items():
        loads = answer(getattr(chain, name), "end", "force", "noise")
        if loads is REFUSED:
            continue
        rise = force() / k
        assert loads.shape == (chain.blocks + 1,)
        assert finite(loads)
        size = np.abs(loads).max() + np.abs(rise).sum()
        if chain.force is None:
            assert abs(loads.sum() - chain.end) <= 1e-9 * size * chain.blocks
        else:
            assert abs(loads[-1] - chain.force / k) <= 1e-9 * size
        if chain.drive > 0:
            _balances(chain, loads, force(), "mean" in name)
            continue
        moved = np.ones(chain.blocks, bool) if "mean" in name else loads[:-1] > 0
        np.testing.assert_allclose(np.diff(loads)[moved], rise[moved], 1e-6, 1e-9 * size)


def _balances(chain, loads, net, everywhere):
    """Assert that springs and drive leave each block its net force, or no more where it rests."""
    x = np.cumsum(loads[:-1])
    k, drive = chain.spring_constant, chain.drive
    left = k * np.diff(loads) + drive * (chain.end - x) - net
    size = (2 * k + drive) * np.abs([*x, chain.end]).max() + np.abs(net).max()
    moved = everywhere | (np.abs(x) > 1e-12 * abs(chain.end))
    assert np.abs(left[moved]).max(initial=0) <= 1e-9 * size * chain.blocks
    assert left.max() <= 1e-9 * size * chain.blocks


def steps_of(chain, overdamped, forces, dt, steps):
    """Return positions after some steps without noise, from the definition of the chain."""
    x, v = np.zeros(chain.blocks), np.zeros(chain.blocks)
    pull = np.full(chain.blocks, 0.0 if chain.drive == 0 else chain.drive * chain.end)
    pull[-1] += chain.pull
    right, left = chain.frictions
    for _ in range(steps):
        force = pull - forces @ x
        if overdamped:
            v = np.maximum(force - right, 0) + np.minimum(force + left, 0)
        else:
            push = chain.mass * v + dt * force
            held = np.maximum(push - dt * right, 0) + np.minimum(push + dt * left, 0)
            v = held / (chain.mass + chain.damping * dt)
        x = x + dt * v
    return x


@tried(5)
@given(parameters, st.booleans(), st.floats(0.01, 0.9), STEPS)
def test_quiet_chains_take_the_steps_that_are_written_down(settings, overdamped, part, steps):
    chain = chain_of(settings | {"noise": 0.0})
    if chain is REFUSED or chain.blocks > 100:
        return
    dt = part * largest_step(chain, overdamped)
    move = chain.simulate_overdamped if overdamped else chain.simulate
    with within(SECONDS):
        moved = answer(lambda: move(steps * dt, dt, every=steps), "mass", "dt", "duration", "noise")
    if moved is REFUSED or isinstance(chain.end, tuple):
        return
    expected = steps_of(chain, overdamped, stiffness(chain), dt, steps)
    size = np.abs(moved.positions).max() + abs(chain.pull) / chain.spring_constant
    np.testing.assert_allclose(moved.positions[-1], expected, 1e-7, 1e-7 * size)
    np.testing.assert_allclose(moved.loads.sum(), moved.ends[-1], 1e-9, 1e-12 * size)


RUN = {
    "steps": STEPS,
    "dt": st.floats(0.01, 0.99),
    "seed": st.integers(0, 2**40),
    "every": st.sampled_from([1, 7, 10**9]),
}
ODD_RUN = {"seed": odd_seeds, "every": st.one_of(odd, st.just(10**30)), "steps": odd}


@tried(5)
@given(parameters, arguments(RUN, ODD_RUN), st.booleans())
def test_shaken_chains(settings, run, overdamped):
    chain = chain_of(settings)
    if chain is REFUSED:
        return
    dt, steps = run["dt"], run["steps"]
    usual = type(dt) is float and type(steps) is int and 0 < dt < 1 and 0 < steps <= 300
    if usual:
        dt *= largest_step(chain, overdamped)
    given = {"duration": steps * dt if usual else steps, "dt": dt}
    given |= {"seed": run["seed"], "every": run["every"]}
    if chain.blocks > 100 or _is_long(chain, given, overdamped):
        return
    move = chain.simulate_overdamped if overdamped else chain.simulate
    with within(SECONDS):
        moved = answer(lambda: move(**given), *given, "mass", "damping", "noise")
        if moved is REFUSED:
            return
        assert finite(moved.positions, moved.ends, moved.times)
        assert moved.positions.shape == (len(moved.times), chain.blocks)
        again = move(**given)
        np.testing.assert_array_equal(again.positions, moved.positions)
        seed = given.pop("seed")
        both = move(**given, seeds=[3, seed])
        np.testing.assert_array_equal(both.positions[1], moved.positions)


def _is_long(chain, given, overdamped):
    """Say whether a simulation would take its million steps or more, as it was asked to."""
    with contextlib.suppress(Exception):
        duration, dt = float(given["duration"]), float(given["dt"])
        return duration / dt > 1e5 and 0 < dt < largest_step(chain, overdamped)
    return False


@tried(3)
@given(mild, st.booleans(), st.floats(0.01, 0.9), STEPS, *[st.integers(-40, 40)] * 3)
def test_chains_do_not_depend_on_units(settings, overdamped, part, steps, length, time, weight):
    length, time, weight = 2.0**length, 4.0**time, 2.0**weight
    force = weight * length / time**2
    spring = weight / time**2 if not overdamped else 1 / time
    if overdamped:  # a force is a velocity there
        force = length / time
    units = {
        "spring_constant": spring,
        "drive": spring,
        "mass": weight,
        "damping": weight / time,
        "friction_right": force,
        "friction_left": force,
        "noise": force if overdamped else force * np.sqrt(time),
        "noise_decay": 1 / time,
        "end": length,
    }
    chain = SpringBlockChain(**settings)
    scaled = settings | {name: settings[name] * unit for name, unit in units.items()}
    if chain.force is not None:
        scaled["force"] = chain.force * force
    other = chain_of(scaled)
    if other is REFUSED:
        return
    dt = part * largest_step(chain, overdamped)

    def moved(chain, unit):
        move = chain.simulate_overdamped if overdamped else chain.simulate
        return move(steps * dt * unit, dt * unit, seed=1, every=10)

    ours, theirs = moved(chain, 1.0), moved(other, time)
    # Powers of two leave all digits as they are.
    np.testing.assert_array_equal(theirs.positions, ours.positions * length)
    np.testing.assert_array_equal(theirs.times, ours.times * time)


@tried(3)
@given(parameters, st.one_of(amounts, amounts.map(lambda x: -x), odd), st.booleans())
def test_drift(settings, force, overdamped):
    chain = chain_of(settings)
    if chain is REFUSED or chain.blocks > 100:
        return
    names = ("force", "mass", "damping", "chain", "noise", "skewness")
    velocity = answer(lambda: drift(chain, force, overdamped), *names)
    if velocity is REFUSED:
        return
    assert finite(velocity)
    force = float(force)  # numbers of other types have a narrower range
    right, left = (float(side[0]) for side in chain.frictions)
    noiseless = max(force - right, 0) - max(-force - left, 0)
    scale = 1.0 if overdamped else chain.damping
    # On average noise moves a block towards where the force draws it, never past sliding freely.
    drawn = force - (right - left) / 2
    low, high = sorted([noiseless / scale, drawn / scale])
    rounding = 1e-9 * (abs(force) + right + left) / scale
    assert low - rounding <= velocity <= high + rounding
    if chain.amplitude == 0:
        assert velocity == pytest.approx(noiseless / scale, rel=1e-12)
    mirrored = SpringBlockChain(
        **settings | {"friction_right": left, "friction_left": right, "blocks": chain.blocks}
    )
    assert drift(mirrored, -force, overdamped) == pytest.approx(-velocity, rel=1e-6, abs=1e-300)


@tried(3)
@given(
    parameters,
    st.one_of(
        st.lists(close_to(1e-3, 1e3), max_size=4).map(np.cumsum),
        st.lists(odd, max_size=3),
        odd,
    ),
    st.booleans(),
)
def test_relaxation(settings, times, overdamped):
    chain = chain_of(settings)
    if chain is REFUSED or chain.blocks > 100:
        return
    names = ("times", "mass", "damping", "chain", "end", "spring_constant", "skewness")
    with within(SECONDS):
        loads = answer(lambda: relaxation(chain, times, overdamped), *names)
    if loads is REFUSED or not len(loads):
        return
    assert finite(loads)
    size = np.abs(loads).max()
    if chain.force is None:
        np.testing.assert_allclose(loads.sum(-1), chain.end, 1e-9, 1e-9 * size)
    # Where it is at one time does not depend on the others that are asked for.
    alone = relaxation(chain, np.array(times, float)[-1:], overdamped)
    np.testing.assert_allclose(alone[-1], loads[-1], atol=1e-4 * size)


@tried(3)
@given(arguments(PARAMETERS, ODD_PARAMETERS, most=1))
def test_covariance(settings):
    settings |= dict.fromkeys(["friction_right", "friction_left", "noise_decay"], 0)
    chain = chain_of(settings)
    if chain is REFUSED or chain.blocks > 100:
        return
    found = answer(lambda: stationary_covariance(chain), "mass", "damping", "blocks", "chain")
    if found is REFUSED:
        return
    positions, velocities = found
    assert finite(positions, velocities)
    # A P + P A' + Q = 0 of the linear system, for forces of a like size.
    k, m, g = chain.spring_constant, chain.mass, chain.damping
    if (
        not all(1e-3 < x < 1e3 for x in (k / m, g / m, chain.amplitude / m))
        or chain.drive > 1e3 * m
    ):
        return
    size = chain.blocks
    system = np.block(
        [[np.zeros((size, size)), np.eye(size)], [-stiffness(chain) / m, -g / m * np.eye(size)]]
    )
    noise = np.zeros((2 * size, 2 * size))
    shape = np.ones((size, size)) if chain.common_noise else np.eye(size)
    noise[size:, size:] = (chain.amplitude / m) ** 2 * shape
    expected = solve_continuous_lyapunov(system, -noise)
    np.testing.assert_allclose(positions, expected[:size, :size], 1e-5, 1e-6 * positions.max())
    np.testing.assert_allclose(velocities, expected[size:, size:], 1e-5, 1e-6 * velocities.max())


LEVELS = st.one_of(st.lists(close_to(1e-3, 0.3), min_size=1, max_size=2), odd, st.lists(odd))


@tried(3)
@given(parameters, LEVELS, LEVELS, st.one_of(close_to(1, 1e3), odd), st.booleans())
def test_published_chains(settings, friction, noise, duration, overdamped):
    chain = chain_of(settings)
    if chain is REFUSED or chain.blocks > 100:
        return
    names = ("friction", "noise", "friction_right", "chain", "duration", "times", "mass")
    names += ("damping", "end", "skewness")
    if duration is not None:
        with within(SECONDS):
            theory = answer(
                lambda: theory_diagram(chain, friction, noise, duration, overdamped), *names
            )
        if theory is not REFUSED:
            assert theory.shape == (len(friction), len(noise), chain.blocks + 1)
            assert finite(theory)
            units = in_units(chain, friction[0], noise[0])
            alone = relaxed_curve(units, duration, overdamped)
            np.testing.assert_array_equal(theory[0, 0], alone.mean)
            size = np.abs(theory).max()  # strong noise moves the blocks far, and far past the end
            np.testing.assert_allclose(theory[..., 0], chain.end, rtol=1e-9, atol=1e-9 * size)


LOADS = st.lists(st.one_of(st.floats(-1e3, 1e3), st.floats()), min_size=1, max_size=5)


@tried(2)
@given(st.one_of(LOADS, st.lists(LOADS, min_size=1, max_size=2), odd, st.lists(odd)))
def test_curves_of_loads(loads):
    curve = answer(lambda: curve_of(loads), "loads", "separation")
    if curve is not REFUSED:
        loads = np.atleast_2d(loads).astype(float)
        backwards = [loads[:, n:].sum(axis=1) for n in range(loads.shape[1])]
        found, size = np.atleast_2d(curve.separation), np.abs(loads).max()  # terms may cancel
        np.testing.assert_allclose(found, np.transpose(backwards), 1e-9, 1e-9 * size)


@tried(2)
@given(st.one_of(st.floats(), odd), st.one_of(st.floats(0, 1e3), odd), st.booleans())
def test_resuming_and_averaging(factor, after, overdamped):
    chain = SpringBlockChain()
    first = chain.simulate(5.0, every=10)
    try:
        start = Trajectory(first.times, first.positions * factor, first.ends, first.velocities)
    except (TypeError, ValueError, OverflowError, RuntimeWarning):
        start = factor
    move = chain.simulate_overdamped if overdamped else chain.simulate
    moved = answer(lambda: move(5.0, start=start), "start", "noise")
    if moved is not REFUSED:
        assert finite(moved.positions)
        begun = first.positions if start is None else start.positions
        if start is not None:
            np.testing.assert_array_equal(moved.positions[0], begun[-1])
    mean = answer(lambda: first.average_load_curve(after), "after")
    if mean is not REFUSED:
        late = first.separation[[float(time) >= after for time in first.times]]
        np.testing.assert_allclose(mean.separation, late.mean(0))


FIT = {
    "curve": st.lists(close_to(0.05, 1), min_size=4, max_size=8).map(
        lambda loads: LoadCurve(np.cumsum(loads[::-1])[::-1])
    ),
    "friction": st.one_of(st.none(), st.floats(0.0, 0.2)),
    "trajectories": st.integers(1, 3),
    "duration": close_to(10, 700),
}


@tried(1)
@given(arguments(FIT, most=1), st.integers(-60, 60))
def test_fits(given_, power):
    with warnings.catch_warnings(), within(SECONDS):
        warnings.filterwarnings("ignore", category=PoorMatch)
        match = answer(lambda: fit_chain(**given_), *FIT, "friction_right", "chain")
        if match is REFUSED:
            return
        low, high = match.noise_interval
        assert low <= match.noise <= high
        assert 0.003 <= match.noise <= 0.2001
        target = given_["curve"].scaled
        error = np.sqrt(np.mean((match.curve.scaled - target) ** 2))
        assert match.residual == pytest.approx(error)
        # A curve's scale is not its shape, and a power of two changes no digit.
        other = LoadCurve(given_["curve"].separation * 2.0**power)
        again = fit_chain(**given_ | {"curve": other})
        assert (again.friction, again.noise) == (match.friction, match.noise)


# Rulers -------------------------------------------------------------------------------------

RULER = {
    "sections": st.sampled_from([2, 3, 5]),
    "section_length": close_to(0.03, 0.3),
    "mass": close_to(1e-3, 0.1),
    "table_friction": st.one_of(st.just(0.0), close_to(0.01, 3)),
    "hinge_friction": st.one_of(st.just(0.0), close_to(1e-5, 1e-2)),
    "opening": st.floats(0.01, 1.5),
}
odd_amounts = st.one_of(odd, powers)
ODD_RULER = dict.fromkeys(RULER, odd_amounts)
ODD_RULER["sections"] = st.one_of(odd, st.sampled_from([20, 200, 201, 2.0]))
PULL = {
    "reach": st.floats(0.3, 0.99),
    "speed": close_to(0.2, 20),
    "amplitude": st.one_of(st.just(0.0), close_to(1e-4, 1e-2)),
    "seed": st.integers(0, 2**40),
}
STEPPING = {"dt": st.sampled_from([1e-3, 2e-3]), "every": st.sampled_from([1, 7, 10**9])}
ODD_STEPPING = {"every": st.one_of(odd, st.just(10**30)), "dt": odd}


def ruler_of(settings):
    return answer(lambda: FoldingRuler(**settings), *RULER)


def follows(motion, dt):
    """Assert that energy never appears, and that the end is where the hand is."""
    assert finite(motion.angles, motion.rates, motion.velocities, motion.points)
    balance = motion.energy + motion.table_heat + motion.hinge_heat - motion.work
    size = np.abs([motion.energy, motion.table_heat, motion.hinge_heat, motion.work]).max()
    assert finite(balance)
    assert np.diff(balance).max(initial=0) <= 1e-6 * size
    for heat in (motion.table_heat, motion.hinge_heat):
        assert np.diff(heat).min(initial=0) >= 0
    hand, times = motion.hand, np.clip(motion.times, *motion.hand.times[[0, -1]])
    where = np.stack([np.interp(times, hand.times, path) for path in hand.positions.T], axis=1)
    full = motion.ruler.section_length * motion.ruler.sections
    # What a straight line of one step misses of a turn: the errors of steps do not add up.
    turned = np.abs(motion.rates[-1]).max() * dt
    np.testing.assert_allclose(motion.points[-1, -1], where[-1], atol=full * (1e-9 + turned**2))
    turns = np.diff(motion.angles, axis=1) * (-1.0) ** np.arange(1, motion.ruler.sections)
    assert turns.min() >= -1e-6
    assert turns.max() <= np.pi + 1e-6


@pytest.fixture(scope="module")
def _compiled():
    """Compile what pulls are computed with, which is not part of the time that they may take."""
    ruler = FoldingRuler()
    ruler.pull(quick_and_jerky(ruler), every=1000)


@pytest.mark.usefixtures("_compiled")
@tried(3)
@given(
    arguments(RULER, ODD_RULER),
    arguments(PULL, {"seed": odd_seeds}),
    arguments(STEPPING, ODD_STEPPING, most=1),
)
def test_pulls(settings, pull, stepping):
    ruler = ruler_of(settings)
    if ruler is REFUSED:
        return
    hand = answer(lambda: quick_and_jerky(ruler, **pull), *PULL)
    if hand is REFUSED or _is_long_pull(ruler, hand, stepping):
        return
    names = (*STEPPING, "hand", "hinge_friction", "table_friction")
    with within(SECONDS):
        motion = answer(lambda: ruler.pull(hand, **stepping), *names)
    if motion is not REFUSED:
        follows(motion, stepping["dt"])


def _is_long_pull(ruler, hand, stepping):
    dt = stepping["dt"]
    moved = hand.times[-1] - hand.times[0]
    return type(dt) is float and 0 < dt < moved * ruler.sections**3 / 1e6


@st.composite
def wild(draw):
    """Return how a hand moves from where the ruler ends, in ruler lengths, and when."""
    count = draw(st.integers(1, 5))
    place = st.floats(-0.5, 0.5)
    offsets = draw(st.lists(st.tuples(place, place), min_size=count, max_size=count))
    gaps = draw(st.lists(close_to(1e-3, 0.2), min_size=count, max_size=count))
    return np.array([(0.0, 0.0), *offsets]), np.array([0.0, *np.cumsum(gaps)])


@tried(3)
@given(st.fixed_dictionaries(RULER), wild(), st.integers(-10, 10), st.integers(-30, 30))
def test_wild_hands_and_units(settings, path, power, weight):
    ruler = FoldingRuler(**settings)
    offsets, times = path
    full = ruler.section_length * ruler.sections
    hand = Hand(times, ruler.end + full * offsets)
    with within(SECONDS):
        motion = answer(lambda: ruler.pull(hand, every=1), "hand", "dt", "hinge_friction")
    if motion is REFUSED:
        return
    follows(motion, 1e-3)
    # Gravity stays what it is: four times as long in twice the time.
    time, weight = 2.0**power, 4.0**weight
    other = FoldingRuler(
        **settings
        | {
            "section_length": settings["section_length"] * time**2,
            "mass": settings["mass"] * weight,
            "hinge_friction": settings["hinge_friction"] * weight * time**2,
        }
    )
    moved = other.pull(Hand(times * time, hand.positions * time**2), 1e-3 * time, every=1)
    np.testing.assert_array_equal(moved.angles, motion.angles)
    np.testing.assert_array_equal(moved.work, motion.work * weight * time**2)


TIMES = [None, [], [0], [0, 1], [0, 1e-300], [0, 1e59], ["a", "b"], [0, np.nan], np.arange(2)]
TIMES += [[1, 0], [0, 0], [0, None], [[0, 1]], [-1e59, 1e59], range(2), np.ma.array([0, 1])]
PLACES = [None, [], [[0, 0]] * 2, [[0, 0], [1]], "ab", np.zeros((2, 2), int), np.zeros((2, 3))]
PLACES += [[[0, 1e60], [0, -1e60]], np.ma.masked_all((2, 2)), np.zeros((2, 2), complex)]


@tried(2)
@given(st.one_of(odd, st.sampled_from(TIMES)), st.one_of(odd, st.sampled_from(PLACES)))
def test_hands(times, positions):
    hand = answer(lambda: Hand(times, positions), "times", "positions")
    if hand is not REFUSED:
        assert finite(hand.speeds, hand.times, hand.positions)
        moved = np.linalg.norm(np.diff(hand.positions, axis=0), axis=1) / np.diff(hand.times)
        assert hand.speeds.max() <= moved.max() * (1 + 1e-9)


some = st.one_of(odd, st.lists(odd, max_size=2))
DIAGRAM = {
    "speeds": st.lists(close_to(1, 20), min_size=1, max_size=2, unique=True),
    "amplitudes": st.lists(st.floats(0, 0.01), min_size=1, max_size=2, unique=True),
    "seeds": st.lists(st.integers(0, 99), min_size=1, max_size=2, unique=True),
}


@tried(2)
@given(
    st.sampled_from([FoldingRuler(2), FoldingRuler(4)]),
    arguments(DIAGRAM, {"speeds": some, "amplitudes": some, "seeds": st.lists(odd_seeds)}, most=1),
)
def test_ruler_diagrams(ruler, levels):
    with within(SECONDS):
        names = (*DIAGRAM, "speed", "amplitude", "seed")
        diagram = answer(lambda: ruler_diagram(ruler, **levels), *names)
    if diagram is REFUSED:
        return
    assert diagram.separation.shape == (*(len(x) for x in levels.values()), ruler.sections)
    speed, amplitude, seed = (values[-1] for values in levels.values())
    hand = quick_and_jerky(ruler, 0.55, speed, amplitude, seed)
    alone = answer(lambda: ruler.pull(hand, 1e-3), "hand")
    if alone is REFUSED:
        assert np.isnan(diagram.separation[-1, -1, -1]).all()
    else:
        np.testing.assert_array_equal(diagram.separation[-1, -1, -1], alone.distances[-1])
