"""Speed and memory of the spring-block chain; prints JSON lines for the questions named, or all.

Figures are medians of `REPEATS` rounds or more.
"""

import math
import os
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit
from timing import answer, seconds

from sbt_book.chain.simulated_diagrams import mechanical_diagram
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import stiffness
from sbt_utils.mechanics.published_chains import SECOND_ORDER
from sbt_utils.mechanics.trajectories import Trajectory
from sbt_utils.threads import in_threads

try:
    import sdeint
except ImportError:
    sdeint = None

REPEATS = 5
CHAIN = SpringBlockChain()
DT = 0.05


def median(function: Callable[[], object]) -> float:
    """Return the median time of the calls that fit into half a second, at least `REPEATS`."""
    function()
    times: list[float] = []
    while len(times) < REPEATS or sum(times) < 0.5:
        times.append(seconds(function))
    return statistics.median(times)


def trajectory(
    blocks: int = 7, steps: int = 14_000, common_noise: bool = True, **settings: Any
) -> Trajectory:
    chain = replace(CHAIN, blocks=blocks, common_noise=common_noise)
    return chain.simulate(steps * DT, DT, **{"every": max(1, steps // 10)} | settings)


@njit(nogil=True)
def numba_loop(x, v, generator, seed, steps, k, m, damping, right, left, noise, decay, end, dt):
    """Move blocks from x and v, as one writes such a loop; without a generator, numba's own draws.

    No product stands in it twice, nothing is kept or checked, and all blocks are alike.
    """
    if generator is None:
        random.seed(seed)
    slows = 1 / (1 + damping * dt / m)
    pulled, to_right, to_left = dt * k / m, slows * dt * right / m, slows * dt * left / m
    strength = noise * math.sqrt(len(x) * dt) / m
    for step in range(steps):
        normal = random.gauss(0.0, 1.0) if generator is None else generator.standard_normal()
        kick, before = strength * math.exp(-decay * dt * step) * normal, 0.0
        for i in range(len(x)):
            after = x[i + 1] if i + 1 < len(x) else end
            free = (v[i] + pulled * (before - 2 * x[i] + after) + kick) * slows
            before = x[i]
            v[i] = max(free - to_right, 0.0) + min(free + to_left, 0.0)
            x[i] += dt * v[i]


def rival(seed: int, numpy_draws: bool) -> np.ndarray:
    """Return where the blocks of the published chain are after a loop in numba."""
    x, v, c = np.zeros(7), np.zeros(7), CHAIN
    generator = np.random.default_rng(seed) if numpy_draws else None
    springs = c.spring_constant, c.mass, c.damping, c.friction_right, c.friction_left
    numba_loop(x, v, generator, seed, 14_000, *springs, c.noise, c.noise_decay, c.end, DT)
    return x


def numpy_loop(steps: int) -> np.ndarray:
    """Return the velocities after a loop over the steps, all blocks at once."""
    right, left = CHAIN.frictions
    inertia = 1 + CHAIN.damping * DT / CHAIN.mass
    h = DT / (CHAIN.mass * inertia)
    ends, v = np.zeros(9), np.zeros(7)
    ends[-1] = CHAIN.end
    normals = np.random.default_rng(0).standard_normal(steps)
    kicks = CHAIN.amplitude * np.sqrt(DT) * np.exp(-CHAIN.noise_decay * DT * np.arange(steps))
    for kick in kicks * normals:
        force = CHAIN.spring_constant * (ends[2:] - 2 * ends[1:-1] + ends[:-2])
        free = (v + (DT * force + kick) / CHAIN.mass) / inertia
        v = np.maximum(free - h * right, 0) + np.minimum(free + h * left, 0)
        ends[1:-1] += DT * v
    return v


def sdeint_loop(steps: int) -> None:
    """Integrate with explicit friction, as `sdeint` takes its equations."""
    springs, pull = stiffness(CHAIN), np.zeros(7)
    pull[-1] = CHAIN.pull
    right, left = CHAIN.frictions

    def drift(y: np.ndarray, t: float) -> np.ndarray:
        x, v = y[:7], y[7:]
        friction = np.where(v > 0, -right, np.where(v < 0, left, 0.0))
        force = pull - springs @ x - CHAIN.damping * v + friction
        return np.concatenate([v, force / CHAIN.mass])

    shape = np.zeros((14, 1))
    shape[7:] = CHAIN.amplitude / CHAIN.mass

    def noise(y: np.ndarray, t: float) -> np.ndarray:
        return shape * math.exp(-CHAIN.noise_decay * t)

    generator = np.random.default_rng(0)
    sdeint.itoint(drift, noise, np.zeros(14), DT * np.arange(steps + 1), generator)


def published() -> Iterator[dict]:
    """Time a trajectory as published, its noise included, and 1,000 of them on all cores."""
    one = median(trajectory)
    many = median(lambda: trajectory(seeds=range(1000)))
    times = {"milliseconds": round(1e3 * one, 3), "seconds_for_1000": round(many, 3)}
    yield times | {"cores": os.cpu_count()}


def numba_rivals() -> Iterator[dict]:
    """Say how many times the processor time of a plain loop in numba a trajectory takes.

    Alone and as one of 1,000 on all cores: the least of several rounds, in turns. The loop draws
    by numba's own generator, or by the one of NumPy that we draw by.
    """
    np.testing.assert_allclose(rival(0, True), trajectory().positions[-1], rtol=0, atol=1e-12)
    seeds = range(1000)
    for name, numpy_draws in (("numba's own", False), ("NumPy's", True)):
        calls = {
            "alone": (trajectory, lambda d=numpy_draws: rival(0, d)),
            "in_1000": (
                lambda: trajectory(seeds=seeds),
                lambda d=numpy_draws: in_threads(lambda seed, stopped: rival(seed, d), seeds),
            ),
        }
        times = {case: [math.inf, math.inf] for case in calls}
        for case, pair in calls.items():
            for _ in range(200 if case == "alone" else REPEATS):
                for which, call in enumerate(pair):
                    start = time.process_time()
                    call()
                    spent = time.process_time() - start
                    times[case][which] = min(times[case][which], spent)
        ratios = {case: round(ours / theirs, 2) for case, (ours, theirs) in times.items()}
        yield {"generator": name, "of its time": ratios}


def peers() -> Iterator[dict]:
    """Say how many times longer others take for a step of the same equation."""
    if not np.array_equal(numpy_loop(200) == 0, trajectory(steps=200).velocities[-1] == 0):
        raise SystemExit("the loop in NumPy differs")
    loops = {"numpy_loop": (numpy_loop, 2000)}
    if sdeint is not None:
        loops["sdeint_itoint"] = (sdeint_loop, 500)
    rounds = []
    for _ in range(REPEATS):
        ours = seconds(trajectory) / 14_000
        times = {name: seconds(lambda f=f, n=n: f(n)) / n for name, (f, n) in loops.items()}
        rounds.append({name: theirs / ours for name, theirs in times.items()})
    ratios = {name: round(statistics.median(r[name] for r in rounds)) for name in loops}
    yield ratios | {"unit": "times the seconds of a step"}


def blocks() -> Iterator[dict]:
    """Give nanoseconds for a block and a step, against the number of blocks."""
    for count in (7, 70, 700, 7000, 10_000):
        steps = max(100, 1_400_000 // count)
        time_taken = median(lambda count=count, steps=steps: trajectory(count, steps))
        yield {"blocks": count, "steps": steps, "ns": round(1e9 * time_taken / count / steps, 2)}


def steps() -> Iterator[dict]:
    """Give nanoseconds for a block and a step, against the number of steps."""
    for count in (140, 1400, 14_000, 140_000, 1_400_000):
        time_taken = median(lambda count=count: trajectory(steps=count))
        yield {"blocks": 7, "steps": count, "ns": round(1e9 * time_taken / 7 / count, 2)}


def diagram() -> Iterator[dict]:
    """Time 20 x 20 cells of 50 trajectories, each with its theory: the better of two rounds."""
    levels = np.linspace(0, 0.152, 20).tolist(), np.geomspace(0.003, 0.6, 20).tolist()

    def whole() -> None:
        mechanical_diagram(SECOND_ORDER, *levels, trajectories=50, progress=False)

    shortest = min(seconds(whole) for _ in range(2))
    yield {"cells": 400, "trajectories": 20_000, "seconds": round(shortest, 2)}


def memory() -> Iterator[dict]:
    """Give the peak of what a call allocates to keep 101 states of ten times as many steps."""
    trajectory(steps=100)  # loads the compiled code
    for count in (140_000, 1_400_000):
        tracemalloc.start()
        trajectory(steps=count, every=count // 100, common_noise=False)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        yield {"steps": count, "kept": 101, "peak_mib": round(peak / 2**20, 2)}


if __name__ == "__main__":
    questions = (published, numba_rivals, peers, blocks, steps, diagram, memory)
    answer({question.__name__: question for question in questions})
