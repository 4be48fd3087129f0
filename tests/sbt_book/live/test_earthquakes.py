"""Earthquakes of the chain explorable: slips and their sizes, against NumPy, SciPy and formulas."""

import numpy as np
import pytest
from node import functions_of
from scipy.stats import kstest, pareto

from sbt_book.live.chain import ChainExplorable
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.trajectories import Trajectory

run = functions_of("chain/chain.js")
FAULT = {
    "blocks": 20,
    "spring_constant": 0.1,
    "drive": 0.0,
    "mass": 1.0,
    "damping": 0.1,
    "friction_right": 0.003,
    "friction_left": 0.004,
    "weakening": 0.2,
}
FAULTS = {
    "pulled at its end": {},
    "driven": {"drive": 0.02, "blocks": 7},
    "rough": {"weakening": 0.5, "friction_right": 0.01, "spring_constant": 0.3},
    "damped": {"damping": 0.3, "blocks": 4},
    "easily pushed back": {"friction_left": 0.0001, "blocks": 6, "mass": 2.0},
}
# Slips, and of each how many blocks it moved.
SLIPS = """(() => {
  const fault = stressedFault(chain, 3);
  const start = Array.from(fault.gaps);
  const moved = [];
  const sizes = Array.from({ length: count }, () => {
    const size = nextSlip(fault);
    moved.push(fault.gaps.filter((gap, l) => gap !== fault.before[l]).length);
    return size;
  });
  const draws = Array.from({ length: 20000 }, uniform(3));
  return { start, sizes, moved, draws, gaps: Array.from(fault.gaps), travel: fault.travel };
})()"""


def forces(chain, positions, hand):
    """Return the forces of the springs on blocks that hang from a hand, (L,)."""
    along = chain["spring_constant"] * np.diff([*positions, hand])
    return along - np.concatenate([[0.0], along[:-1]]) + chain["drive"] * (hand - positions)


def slips(chain, gaps, draws, count, dt=0.05):
    """Return the sizes of slips and the last gaps, in NumPy, from positions of blocks and hand."""
    draws = iter(draws)
    size = chain["blocks"]
    holds = np.array([0.9 + 0.2 * next(draws) for _ in range(size)])
    for _ in range(size):
        next(draws)  # spent on where the blocks start
    x, v, hand, sizes = -np.array(gaps), np.zeros(size), 0.0, []
    stiffness = np.full(size, chain["drive"])
    stiffness[-1] += chain["spring_constant"]
    right, left = chain["friction_right"], chain["friction_left"]
    for _ in range(count):
        short = right * holds - forces(chain, x, hand)
        with np.errstate(divide="ignore"):
            hand += max(np.min(np.where(stiffness > 0, short / stiffness, np.inf)), 0.0) + 1e-9
        before = x.copy()
        while True:
            force = forces(chain, x, hand)
            stuck = (v == 0) & (force <= right * holds) & (force >= -left * holds)
            v = np.where(stuck, 0.0, v + dt * force / chain["mass"])
            v = v / (1 + chain["damping"] * dt / chain["mass"])
            brake = (1 - chain["weakening"]) * holds * dt
            brake = brake / (chain["mass"] + chain["damping"] * dt)
            v = np.where(v > 0, np.maximum(v - right * brake, 0), np.minimum(v + left * brake, 0))
            v = np.where(abs(v) < 1e-6, 0.0, v)
            x = x + dt * v
            if not v.any():
                break
        sizes.append((x - before).sum())
        for block in np.flatnonzero(x != before):
            holds[block] = 0.9 + 0.2 * next(draws)
    return sizes, hand - x


@pytest.mark.parametrize("settings", FAULTS.values(), ids=FAULTS)
def test_slips_are_those_of_another_simulation(settings):
    chain = FAULT | settings
    found = run(SLIPS, chain=chain, count=40)
    sizes, gaps = slips(chain, found["start"], found["draws"], 40)
    # Sums of many steps in another order: what rounding leaves grows from slip to slip.
    np.testing.assert_allclose(found["sizes"], sizes, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found["gaps"], gaps, atol=1e-8)
    assert max(sizes) > 3 * min(sizes) > 0


@pytest.mark.parametrize("drive", [0.0, 0.05])
def test_one_block_without_damping_slips_by_twice_what_friction_loses(drive):
    chain = FAULT | {"blocks": 1, "damping": 0.0, "drive": drive}
    found = run(SLIPS, chain=chain, count=50)
    holds = 0.9 + 0.2 * np.array([found["draws"][0], *found["draws"][2:51]])
    lost = chain["weakening"] * chain["friction_right"] * holds
    np.testing.assert_allclose(found["sizes"], 2 * lost / (0.1 + drive), rtol=2e-3)


@pytest.mark.parametrize("drive", [0.0, 0.03])
def test_gaps_hold_given_forces(drive):
    chain = FAULT | {"drive": drive, "blocks": 6}
    given = np.random.default_rng(0).uniform(0.0, 0.003, 6)
    gaps = np.array(run("Array.from(gapsUnder(chain, forces))", chain=chain, forces=given))
    np.testing.assert_allclose(forces(chain, -gaps, 0.0), given, atol=1e-14)


def test_slips_have_many_sizes_as_the_chapter_says():
    found = run(SLIPS, chain=FAULT, count=1000)
    sizes, moved = np.array(found["sizes"]), np.array(found["moved"])
    assert sizes.max() > 1000 * sizes.min()
    assert 440 < (moved == 1).sum() < 460
    assert 25 <= (moved == 20).sum() <= 31
    assert sizes[moved == 20].sum() / sizes.sum() == pytest.approx(0.7, abs=0.02)
    assert 1.6 < run("fitSlips(sizes).exponent", sizes=sizes) < 1.73


def test_without_a_loss_of_friction_nothing_slips():
    sizes = run(SLIPS, chain=FAULT | {"weakening": 0.0}, count=300)["sizes"]
    assert max(np.abs(sizes)) < 1e-7


# What is made of the sizes


def test_the_exponent_is_the_most_likely_one_from_the_best_smallest_size_on():
    sizes = 0.01 * (1 + np.random.default_rng(1).pareto(0.8, 3000))
    sizes[:600] = np.random.default_rng(2).uniform(0.001, 0.02, 600)  # which follow no power law
    found = run("fitSlips(sizes)", sizes=sizes)

    def by_scipy(smallest):
        tail = sizes[sizes >= smallest]
        exponent, _, _ = pareto.fit(tail, floc=0, fscale=smallest)
        return exponent + 1, kstest(tail, pareto(exponent, scale=smallest).cdf).statistic

    smallest = sizes[np.argmin(abs(sizes - found["smallest"]))]
    exponent, distance = by_scipy(smallest)
    assert smallest == pytest.approx(found["smallest"], rel=1e-12)
    assert found["exponent"] == pytest.approx(exponent, rel=1e-9)
    assert found["distance"] == pytest.approx(distance, rel=1e-6)
    assert found["count"] == (sizes >= smallest).sum() >= 100
    assert found["error"] == pytest.approx((exponent - 1) / np.sqrt(found["count"]))
    others = [by_scipy(each)[1] for each in np.quantile(sizes, np.linspace(0, 0.96, 40))]
    assert distance <= min(others) + 0.003
    assert exponent == pytest.approx(1.8, abs=4 * found["error"])


def test_the_standard_error_is_the_spread_over_samples():
    samples = 1 + np.random.default_rng(3).pareto(1.0, (200, 400))
    fits = run(
        "samples.map(each => { const logs = each.sort((a, b) => a - b).map(Math.log);"
        "const sums = new Float64Array(401);"
        "for (let n = 399; n >= 0; n--) sums[n] = sums[n + 1] + logs[n];"
        "return fitFrom(logs, sums, 0); })",
        samples=samples,
    )
    exponents = [fit["exponent"] for fit in fits]
    assert np.std(exponents) == pytest.approx(fits[0]["error"], rel=0.25)
    assert np.mean(exponents) == pytest.approx(2.0, abs=0.02)


def test_too_few_slips_have_no_exponent():
    sizes = 1 + np.random.default_rng(4).pareto(1.0, 200)
    few, enough, alike = run(
        "[sizes.slice(1), sizes, sizes.map(() => 2)].map(each => slipWords(each, fitSlips(each)))",
        sizes=sizes,
    )
    assert few == "199 slips: too few for an exponent yet (200 are needed)"
    assert enough.startswith("200 slips; exponent ")
    assert alike == "200 slips, all of one size"


def test_bins_are_those_of_a_histogram():
    sizes = 0.003 * (1 + np.random.default_rng(5).pareto(0.7, 500))
    bins = run("slipBins(sizes)", sizes=sizes)
    edges = np.append([each["low"] for each in bins], bins[-1]["high"])
    for each in bins:
        inside = ((sizes >= each["low"]) & (sizes < each["high"])).sum()
        assert each["count"] == inside > 0
        assert each["density"] * (each["high"] - each["low"]) == pytest.approx(inside / 500)
    np.testing.assert_allclose(5 * np.log10(edges), np.round(5 * np.log10(edges)), atol=1e-9)


def test_large_slips_sound_lower_and_louder():
    clicks = run("[1e-5, 1e-3, 0.1, 1, 50].map(clickOf)")
    pitches, loudness = ([each[name] for each in clicks] for name in ("pitch", "loudness"))
    assert sorted(pitches, reverse=True) == pitches
    assert sorted(loudness) == loudness
    assert 0 < loudness[0] < loudness[-1] < 0.5
    assert 50 < pitches[-1] < pitches[0] < 2000


# Nudges and shakes of a chain that is pulled once

COURSE = """(() => {
  const normals = new Float64Array(14000);
  const course = new ChainCourse(chain, normals);
  const before = course.positions.map((each) => Array.from(each));
  course.nudge(time, block, velocity, 0);
  const after = course.positions.map((each) => Array.from(each));
  return { before, after, duration: course.duration };
})()"""


@pytest.mark.parametrize(("time", "velocity"), [(30, 0.2), (700, -0.3)])
def test_a_nudged_chain_goes_on_from_its_present_state(time, velocity):
    chain = SpringBlockChain(noise=0.0)
    settings = {"chain": dict(vars(chain)), "time": time, "block": 3, "velocity": velocity}
    found = run(COURSE, **settings)
    state = time // 2
    assert found["after"][: state + 1] == found["before"][: state + 1]
    quiet = chain.simulate(float(time), every=40)
    kicked = quiet.velocities.copy()
    kicked[-1, 2] += velocity
    start = Trajectory(quiet.times, quiet.positions, quiet.ends, kicked)
    expected = chain.simulate(found["duration"] - time, every=40, start=start).positions
    np.testing.assert_allclose(found["after"][state:], expected, atol=1e-9)
    assert found["duration"] == max(700, time + 140)
    assert abs(expected[10, 2] - expected[0, 2]) > 0.02


def test_a_nudge_of_nothing_changes_nothing_on_a_quiet_table():
    chain = dict(vars(SpringBlockChain(noise=0.0)))
    found = run(COURSE, chain=chain, time=100, block=7, velocity=0.0)
    np.testing.assert_array_equal(found["after"], found["before"])


def test_python_reads_the_slips_and_sets_the_mode():
    explorable = ChainExplorable(earthquakes=True, blocks=20, damping=0.1, weakening=0.3)
    assert explorable.slip_sizes == []
    explorable.set_state({"slip_sizes": [0.1, 0.2]})  # as a page would send it
    assert explorable.slip_sizes == [0.1, 0.2]
    assert explorable.chain == SpringBlockChain(blocks=20, damping=0.1)
