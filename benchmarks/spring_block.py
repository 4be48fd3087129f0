"""Speed and memory of the spring-block chain; prints JSON lines for the questions named, or all.

Figures are medians of `REPEATS` rounds or more.
"""

import math
import os
import statistics
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from timing import answer, fresh, seconds

from sbt_book.chain.simulated_diagrams import mechanical_diagram
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import stiffness
from sbt_utils.mechanics.published_chains import SECOND_ORDER
from sbt_utils.mechanics.trajectories import Trajectory

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


def start() -> Iterator[dict]:
    """Time the first call in a fresh process, without and with compiled code on disk."""
    times: dict[str, list[float]] = {"compiling": [], "from_disk": []}
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            for name in times:  # the first writes what the second reads
                times[name].append(fresh(__file__, "first call", NUMBA_CACHE_DIR=folder))
    yield {f"seconds_{name}": round(statistics.median(t), 3) for name, t in times.items()}


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
    if sys.argv[1:] == ["first call"]:
        print(seconds(lambda: trajectory(steps=10)))
    else:
        questions = (published, peers, blocks, steps, diagram, start, memory)
        answer({question.__name__: question for question in questions})
