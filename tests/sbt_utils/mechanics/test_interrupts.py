"""Ctrl-C ends long work within two seconds, wherever it is, and leaves no thread at work."""

import subprocess
import sys

import pytest

# Each takes minutes to years when nobody interrupts it.
LONG = {
    "one trajectory": "SpringBlockChain().simulate(1e9, every=10**10)",
    "one trajectory of first order": "SpringBlockChain().simulate_overdamped(1e8, every=10**10)",
    "many trajectories": "SpringBlockChain().simulate(1e6, every=10**9, seeds=range(10_000))",
    "a long chain": "SpringBlockChain(blocks=10**6).simulate(1e6, every=10**9)",
    "the mean field of a long chain": "relaxation(SpringBlockChain(blocks=10**5), [1e5])",
    "a diagram of the mean field": "theory_diagram(SpringBlockChain(), [0.1] * 10**6, [0.01])",
    "a fit": "fit_chain(LoadCurve(1 - np.linspace(0, 1, 9) ** 2), trajectories=10**6)",
    "a slow pull": "FoldingRuler().pull(slow_and_steady(FoldingRuler()), dt=1e-7, every=10**9)",
    "a pull of many sections": "many.pull(slow_and_steady(many, speed=0.1))",
    "a diagram of the ruler": "ruler_diagram(FoldingRuler(), [0.01] * 10_000, [0.0, 0.001])",
    "a diagram of chains": "mechanical_diagram(SpringBlockChain(), [0.1], [0.1], duration=1e9)",
    "a fit to each cell": "fit_cells(networks, xr.DataArray([0.1] * 6, dims='slope'))",
}

SCRIPT = """
import os, signal, threading, time
import numpy as np
import xarray as xr
from sbt_book.chain.diagram_matching import fit_cells
from sbt_book.chain.simulated_diagrams import mechanical_diagram
from sbt_book.ruler.diagram import ruler_diagram
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import relaxation
from sbt_utils.mechanics.matching import fit_chain
from sbt_utils.mechanics.published_chains import theory_diagram
from sbt_utils.mechanics.pulls import slow_and_steady
from sbt_utils.mechanics.ruler import FoldingRuler

# Compile first: how long that takes is not the question here.
SpringBlockChain().simulate(1.0), SpringBlockChain().simulate_overdamped(1.0)
relaxation(SpringBlockChain(), [1.0])
FoldingRuler().pull(slow_and_steady(FoldingRuler(), speed=2.0))
many = FoldingRuler(sections=200)
square = (1 - np.linspace(0, 1, 9) ** 2) * np.ones((30, 6, 100, 9))
networks = xr.Dataset({"separation_train": (("noise", "slope", "seed", "layer"), square)})
for name, work in LONG.items():
    def interrupt():
        time.sleep(0.5)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)  # to the process, as a terminal does
    sent, watch = [], threading.Thread(target=interrupt)
    watch.start()
    try:
        work()
    except KeyboardInterrupt:
        waited = time.monotonic() - sent[0]
    watch.join()
    time.sleep(0.1)
    left = [t for t in threading.enumerate() if t.name.endswith("(run)")]
    print(name, round(waited, 3), len(left), sep=";", flush=True)
"""


@pytest.fixture(scope="module")
def interrupted():
    """Return, by name, how many seconds Ctrl-C took to act, and how many threads were left."""
    work = ", ".join(f"{name!r}: lambda: {call}" for name, call in LONG.items())
    run = [sys.executable, "-c", f"LONG = {{{work}}}\n{SCRIPT}"]
    found = subprocess.run(run, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stderr
    rows = [line.split(";") for line in found.stdout.splitlines() if line.count(";") == 2]
    return {name: (float(waited), int(threads)) for name, waited, threads in rows}


@pytest.mark.parametrize("name", LONG)
def test_long_work_ends_within_two_seconds_of_ctrl_c(interrupted, name):
    waited, threads = interrupted[name]
    assert waited < 2.0
    assert threads == 0
