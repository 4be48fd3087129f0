"""Cost of steering, as ratios within one run; prints one JSON line.

For the published MLP at full batch and for a small CNN, each with 256 probe images:
``..._steer`` is the time that `sbt_utils.steering.steer` takes for its readings over the time that
it trains, and ``..._reading`` what a loop of one's own pays, the time of
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
from torch import nn

from sbt_utils.controllers import DropoutController
from sbt_utils.datasets import load
from sbt_utils.networks import CNN, MLP
from sbt_utils.probe import load_curve
from sbt_utils.readings import Readings
from sbt_utils.steering import steer

REPEATS = 5
MEMBERS = 2
DIGITS = load("mnist")
CASES: dict[str, tuple[nn.Sequential, int, int, int, dict[str, Any]]] = {
    # network, images, epochs, epochs between readings, settings
    "mlp_every_10": (MLP(), 2560, 40, 10, {}),
    "mlp_every_5": (MLP(), 2560, 40, 5, {}),
    "cnn_every_2": (CNN(1, channels=6, hidden_layers=5), 800, 8, 2, {"batch_size": 50}),
}


def measure(case: str) -> dict[str, float]:
    network, count, epochs, every, settings = CASES[case]
    data = DIGITS.train_images[:count], DIGITS.train_labels[:count]
    layers = nn.MaxPool2d if isinstance(network, CNN) else None
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
            network,
            *data,
            controllers=DropoutController(0.1),
            seeds=range(MEMBERS),
            epochs=epochs,
            every=every,
            layers=layers,
            progress=False,
            **settings,
        )
    training = time.process_time() - start - seconds["steer"]
    curve = timed("reading", load_curve)
    for _ in range(epochs // every):
        for each in steered.training.networks:
            curve(each, data[0][:256], data[1][:256], layers)
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
