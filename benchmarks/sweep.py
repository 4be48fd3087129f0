"""Speed of sweeps and how training scales; prints JSON lines for the questions named, or for all.

Figures are medians of `REPEATS` rounds.
"""

import os
import statistics
from collections.abc import Callable, Iterator

from timing import answer, seconds
from torch import nn
from training import IMAGES, LABELS, sgemm_rate

from sbt_utils.sweeping.experiments import PHASE_DIAGRAMS, Experiment
from sbt_utils.sweeping.sweeps import sweep
from sbt_utils.sweeping.workers import LocalProcesses
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

REPEATS = 3


def step(members: int = 4, width: int = 100, depth: int = 8, batch_size: int = 2560) -> dict:
    """Time a member's step, everything else as published, with dropout.

    In milliseconds and as a share of the machine's matrix-product rate, measured just before;
    `depth` counts the linear layers.
    """
    network = MLP(width=width, hidden_layers=depth - 1, dropout=0.1)
    weights = sum(p.weight.numel() for p in network.modules() if isinstance(p, nn.Linear))
    images, labels = IMAGES[: 40 * batch_size], LABELS[: 40 * batch_size]
    steps = 5 * (len(images) // batch_size)

    def epochs(count: int) -> float:
        settings = {"batch_size": batch_size, "epochs": count, "progress": False}
        return seconds(lambda: train(network, images, labels, seeds=range(members), **settings))

    def once() -> tuple[float, float]:
        rate = sgemm_rate()
        spent = (epochs(6) - epochs(1)) / (steps * members)
        return spent, 6 * weights * batch_size / spent / rate

    epochs(1)
    times, shares = zip(*(once() for _ in range(REPEATS)), strict=True)
    return {
        "milliseconds": round(1e3 * statistics.median(times), 3),
        "share_of_sgemm": round(statistics.median(shares), 3),
    }


def over(name: str, levels: tuple[int, ...], **settings: int) -> Callable[[], Iterator[dict]]:
    """Return a question: how a step scales with one of its parameters."""
    return lambda: ({name: level} | settings | step(**{name: level} | settings) for level in levels)


def axes() -> Iterator[dict]:
    """Time each published experiment at profile `quick`: training, load curves and files."""
    for noise, _ in PHASE_DIAGRAMS:
        diagram = sweep(noise, "quick", progress=False)
        rate = diagram.epochs.size / diagram.attrs["cpu_seconds"]
        yield {"axis": noise, "networks_per_cpu_second": round(rate, 3)}


def workers() -> Iterator[dict]:
    """Compare how fast two processes and one finish a grid, after they have started."""
    grid = Experiment({"dropout": [0.1, 0.2], "negative_slope": [0.0, 0.5]}, seeds=2)
    times = {}
    for count in (1, 2):
        with LocalProcesses(count) as executor:
            settings = {"executor": executor, "shard_size": 1, "progress": False}
            sweep(Experiment(grid.axes, seeds=1, epochs=1), **settings)  # starts and compiles
            times[count] = statistics.median(
                seconds(lambda settings=settings: sweep(grid, **settings)) for _ in range(REPEATS)
            )
    yield {"workers": 2, "times_faster": round(times[1] / times[2], 2), "cores": os.cpu_count()}


QUESTIONS = {
    "axis": axes,
    "members": over("members", (1, 2, 8, 32, 128), batch_size=20),
    "width": over("width", (50, 100, 200, 400)),
    "depth": over("depth", (4, 8, 16, 32)),
    "batch_size": over("batch_size", (5, 10, 20, 40, 80, 320, 2560), members=32),
    "workers": workers,
}


if __name__ == "__main__":
    answer(QUESTIONS)
