"""What the benchmarks share: times, peak memory, and answers as lines of JSON."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak_gib() -> float:
    """Return the peak resident memory of this process."""
    unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, KiB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 2)


def fresh(file: str, *words: str, **environment: str) -> Any:
    """Run a benchmark in a process of its own and return the JSON that it prints."""
    command = [sys.executable, file, *words]
    options: Any = {"check": True, "stdout": subprocess.PIPE, "env": os.environ | environment}
    return json.loads(subprocess.run(command, **options).stdout)


def answer(questions: Mapping[str, Callable[[], Iterable[dict]]]) -> None:
    """Print the answers to the questions named on the command line, or to all, as JSON lines."""
    for name in sys.argv[1:] or questions:
        for line in questions[name]():
            print(json.dumps({"question": name} | line), flush=True)
