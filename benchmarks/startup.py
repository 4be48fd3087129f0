"""Seconds from a fresh process to first results, and to help; prints JSON lines, one a question.

``imports`` are those of PyTorch and numba, or of NumPy and numba for a chain, ``cold`` and ``warm``
what the first result takes after them, where no kernel was ever compiled and where all are kept,
``compiling`` their difference, ``second`` the same result once more. Each is the least of `REPEATS`
processes. Ratios to the imports hold for other machines, too. Set ``CLOCK=process_time`` for the
processor's seconds, on a machine that others use as well.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from itertools import pairwise
from typing import Any

from timing import answer, fresh

REPEATS = 3
LIBRARIES = {"chain": ("numpy", "numba")}
CLOCK = getattr(time, os.environ.get("CLOCK", "perf_counter"))


def images() -> tuple[Any, Any]:
    import numpy as np

    return np.random.default_rng(0).normal(size=(200, 100)).astype("float32"), np.arange(200) % 10


def first_result(name: str) -> None:
    import sbt_utils as sbt

    if name == "chain":
        sbt.SpringBlockChain().simulate(duration=700.0, seed=0)
    elif name == "train":
        sbt.train(sbt.MLP(), *images(), seeds=[0, 1], dropout=0.1, epochs=1, progress=False)
    elif name == "load_curve":
        sbt.load_curve(sbt.MLP(), *images())
    else:
        sbt.report(sbt.MLP(), images())


def times(name: str) -> dict[str, float]:
    """Return what imports, a first and a second result take in this process."""
    ends = [CLOCK()]
    for library in LIBRARIES.get(name, ("torch", "numba")):
        import_module(library)
    ends.append(CLOCK())
    for _ in range(2):
        first_result(name)
        ends.append(CLOCK())
    spent = (after - before for before, after in pairwise(ends))
    return dict(zip(("imports", "first", "second"), spent, strict=True))


def start(name: str) -> Iterator[dict]:
    """Compare the first result with the imports that it needs."""
    runs: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            for kind in runs:  # the first compiles what the second reads
                runs[kind].append(fresh(__file__, "times", name, NUMBA_CACHE_DIR=folder))
    every = [*runs["cold"], *runs["warm"]]
    found = {what: min(run[what] for run in every) for what in ("imports", "second")}
    found |= {kind: min(run["first"] for run in runs[kind]) for kind in runs}
    found["compiling"] = found["cold"] - found["warm"]
    found |= {f"{kind}_over_imports": found[kind] / found["imports"] for kind in runs}
    yield {what: round(value, 3) for what, value in found.items()}


def help_() -> Iterator[dict]:
    """Compare the command line's help with an interpreter that does nothing."""
    clock = CLOCK if CLOCK is time.perf_counter else lambda: sum(os.times()[2:4])

    def spent(run: Callable[[], Any]) -> float:
        before = clock()
        run()
        return clock() - before

    def least(*words: str) -> float:
        run = partial(subprocess.run, [sys.executable, *words], check=True, capture_output=True)
        return min(spent(run) for _ in range(3 * REPEATS))

    help_, nothing = least("-m", "sbt_utils", "--help"), least("-c", "")
    yield {"seconds": round(help_, 3), "over_python": round(help_ / nothing, 1)}


if __name__ == "__main__":
    if sys.argv[1:2] == ["times"]:
        print(json.dumps(times(sys.argv[2])))
    else:
        questions: dict[str, Callable[[], Iterator[dict]]] = {"help": help_}
        names = ("load_curve", "train", "chain", "report")
        answer(questions | {name: partial(start, name) for name in names})
