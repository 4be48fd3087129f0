"""Cost of steering, as ratios within one run; prints one JSON line.

For the published MLP with all 2,560 images and as chapter 8 compares it, and for the small CNN of
that comparison: ``..._steer`` is the time that `sbt_utils.steering.steer` takes for its readings
over the time that it trains, and ``..._reading`` what a loop of one's own pays, the time of
`sbt_utils.probe.load_curve` alone over the same. Each figure is the median of `REPEATS` rounds.
Times are of the processor, on one thread, so that other processes count as little as they can.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch

from sbt_utils.controllers import DropoutController
from sbt_utils.datasets import load
from sbt_utils.networks import MLP
from sbt_utils.probe import load_curve
from sbt_utils.readings import Readings
from sbt_utils.steering import steer
from sbt_utils.steering_experiment import READINGS, Problem, problem

REPEATS = 5
MEMBERS = 2
PUBLISHED = Problem(MLP(), load("mnist", train=2560), 2560, epochs=40)
CASES: dict[str, tuple[Problem, int]] = {  # and the epochs between two readings
    "mlp_every_10": (PUBLISHED, 10),
    "mlp_every_5": (PUBLISHED, 5),
    "compared_mlp": (problem("MLP", "mnist"), 100 // READINGS),
    "compared_cnn": (problem("CNN", "mnist"), 20 // READINGS),
}


def measure(case: str) -> dict[str, float]:
    chosen, every = CASES[case]
    data = chosen.data.train_images[: chosen.images], chosen.data.train_labels[: chosen.images]
    seconds = {"reading": 0.0, "steer": 0.0}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.process_time()
            result = function(*arguments, **options)
            seconds[name] += time.process_time() - start
            return result

        return call

    def readings(epochs: tuple[int, ...], take: Callable[..., Any]) -> Readings:
        return Readings(epochs, timed("steer", take))

    start = time.process_time()
    with mock.patch("sbt_utils.steering.Readings", readings):
        steered = steer(
            chosen.network,
            *data,
            controllers=DropoutController(0.1),
            seeds=range(MEMBERS),
            epochs=chosen.epochs,
            every=every,
            progress=False,
            **chosen.settings,
        )
    training = time.process_time() - start - seconds["steer"]
    curve = timed("reading", load_curve)
    probe = chosen.settings.get("probe_images", 256)
    for _ in range(chosen.epochs // every):
        for each in steered.training.networks:
            curve(each, data[0][:probe], data[1][:probe], chosen.settings.get("layers"))
    return {f"{case}_{name}": spent / training for name, spent in seconds.items()}


def main() -> None:
    torch.set_num_threads(1)
    rounds = [
        {name: value for case in CASES for name, value in measure(case).items()}
        for _ in range(1 + REPEATS)
    ]
    medians = {name: statistics.median(each[name] for each in rounds[1:]) for name in rounds[0]}
    print(json.dumps({name: round(value, 3) for name, value in medians.items()}))


if __name__ == "__main__":
    main()
