"""Speed of ensemble training beside what an expert would write instead; prints JSON lines.

``rivals`` times ten published networks with dropout on one and on two threads, each in a fresh
process that has as many processor cores, beside `rivals.py` and, where JAX is installed,
`rivals_jax.py`: how many times as long they take. JAX is no dependency of the project; install it
in another environment, which sees the packages of this one by a line in a ``.pth`` file, and run
this with its Python. ``many_threads`` asks what more threads than cores cost. Figures are medians
of `REPEATS` rounds, in which all take turns. Compiling is not counted; what JAX takes for it is
told apart. A rival must end where ours does.
"""

import json
import math
import multiprocessing
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec

import torch
from rivals import IMAGES, LABELS, RIVALS, Problem, Run, in_processes
from timing import answer, fresh, seconds
from torch import nn

from sbt_utils.training.networks import MLP

__all__ = ["IMAGES", "LABELS", "sgemm_rate"]

REPEATS = 5
MEMBERS = tuple(range(10))
EPOCHS = {2560: 8, 320: 8, 20: 3}
"""For each size of batch, how many a round times."""
MULTIPLY_ADDS = sum(
    layer.weight.numel() for layer in MLP().modules() if isinstance(layer, nn.Linear)
)
XLA_FLAGS = "--xla_cpu_multi_thread_eigen=false --xla_cpu_prefer_vector_width=512"


def sgemm_rate() -> float:
    """Return this machine's rate of operations for 2048 x 2048 matrices in float32."""
    a, b = torch.rand(2, 2048, 2048)
    return 2 * 2048**3 / min(seconds(lambda: a @ b) for _ in range(5))


def contenders(problem: Problem, threads: int, pool: ProcessPoolExecutor) -> dict[str, Run]:
    """Return ours and its rivals; those in PyTorch also in as many processes as threads."""
    runs = {name: make(problem) for name, make in RIVALS.items()}
    if threads > 1:
        for name in ("plain", "stacked"):
            runs[f"{name}_in_processes"] = in_processes(name, problem, pool, threads)
    if find_spec("jax") is not None:
        import rivals_jax

        runs["jax"] = rivals_jax.rival(problem, hashed=False)
        runs["jax_with_hash"] = rivals_jax.rival(problem, hashed=True)
    return runs


def check_alike(runs: dict[str, Run], epochs: int, within: float) -> None:
    """Raise if a rival's mean loss after so many epochs is not ours."""
    expected = runs["ours"](epochs)
    for name, run in runs.items():
        found = run(epochs)
        assert math.isclose(found, expected, rel_tol=within), (name, found, expected)


def in_rounds(runs: dict[str, Run], epochs: int) -> list[dict[str, float]]:
    """Return the seconds of an epoch, round by round: a whole call's, what it sets up included."""
    return [
        {name: seconds(lambda run=run: run(epochs)) / epochs for name, run in runs.items()}
        for _ in range(REPEATS)
    ]


def over_ours(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return how many times as long as ours each rival takes."""
    return {
        name: round(statistics.median(r[name] / r["ours"] for r in rounds), 2)
        for name in rounds[0]
        if name != "ours"
    }


def compared(problem: Problem, threads: int, pool: ProcessPoolExecutor) -> dict:
    """Time ours and its rivals at a size of batch."""
    runs, epochs = contenders(problem, threads, pool), EPOCHS[problem.batch]
    first = {name: seconds(lambda run=run: run(1)) for name, run in runs.items()}
    again = {name: seconds(lambda run=run: run(1)) for name, run in runs.items()}
    # Each draws its own noise: means of ten networks differ by 2 % or so.
    check_alike(runs, epochs, 0.06)
    rate = sgemm_rate()
    rounds = in_rounds(runs, epochs)
    ratios = over_ours(rounds)
    ours = statistics.median(r["ours"] for r in rounds) / len(MEMBERS)
    # 6 operations per multiply-add: 2 forward, 4 backward.
    share = 6 * MULTIPLY_ADDS * len(IMAGES) / rate / ours
    line = {"question": "rivals", "threads": threads, "batch": problem.batch}
    line |= {"seconds_for_100_epochs": round(100 * ours, 2)} | ratios
    line |= {"best_rival": min(ratios, key=ratios.__getitem__), "best": min(ratios.values())}
    line |= {"share_of_sgemm": round(share, 2), "gflops": round(rate / 1e9)}
    return line | {
        f"compiling_{name}": round(first[name] - again[name], 1) for name in runs if "jax" in name
    }


def rivals_on(threads: int) -> list[dict]:
    """Return the answers of a process that has so many threads."""
    torch.set_num_threads(threads)
    lines = []
    context = multiprocessing.get_context("spawn")
    workers = {"initializer": torch.set_num_threads, "initargs": (1,), "mp_context": context}
    with ProcessPoolExecutor(threads, **workers) as pool:
        # Without dropout at full batch nothing is random: all must compute the same.
        check_alike(contenders(Problem(MEMBERS, 2560, 0.0), threads, pool), 3, 1e-4)
        lines += [compared(Problem(MEMBERS, batch), threads, pool) for batch in EPOCHS]
        wide = Problem(MEMBERS[:1], 2560, width=800)
        runs = {name: RIVALS[name](wide) for name in ("ours", "plain")}
        check_alike(runs, 2, 0.03)
        ratio = over_ours(in_rounds(runs, 2))["plain"]
        lines.append({"question": "wide", "threads": threads, "width": 800, "plain": ratio})
    return lines


def rivals() -> Iterator[dict]:
    """Time ours beside its rivals on one and on two threads."""
    if find_spec("jax") is None:
        yield {"skipped": "JAX is not installed: its rivals are left out"}
    for threads in (1, 2):
        flags = f"{XLA_FLAGS} --xla_force_host_platform_device_count={threads}"
        numbers = {"OMP_NUM_THREADS": str(threads), "XLA_FLAGS": flags}
        yield from fresh(__file__, "on", str(threads), **numbers)


def many_threads() -> Iterator[dict]:
    """Time ours on more threads than there are cores, beside one thread."""
    for batch, epochs in EPOCHS.items():
        run = RIVALS["ours"](Problem(MEMBERS, batch))

        def on(threads: int, run: Run = run, epochs: int = epochs) -> float:
            torch.set_num_threads(threads)
            return seconds(lambda: run(epochs))

        counts = (1, 2, 4, 8, 16)
        on(2)  # compiles
        rounds = [{count: on(count) for count in counts} for _ in range(REPEATS)]
        for count in counts[1:]:
            ratio = statistics.median(r[count] / r[1] for r in rounds)
            yield {"batch": batch, "threads": count, "over_one_thread": round(ratio, 2)}


QUESTIONS: dict[str, Callable[[], Iterator[dict]]] = {
    "rivals": rivals,
    "many_threads": many_threads,
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["on"]:
        threads = int(sys.argv[2])
        if hasattr(os, "sched_setaffinity"):  # whoever ignores the number of threads has no more
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
        print(json.dumps(rivals_on(threads)))
    else:
        answer(QUESTIONS)
