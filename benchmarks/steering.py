"""Cost of steering, as ratios within one run; prints one JSON line.

For the published MLP at full batch and for a small CNN, each with 256 probe images:
``..._steer`` is the time of `sbt_utils.steering.steer` over that of `sbt_utils.training.train` with
the same dropout, less 1; ``..._reading`` is what a loop of one's own pays, the time of
`sbt_utils.probe.load_curve` alone over that of the training. Each figure is the median of `REPEATS`
rounds, and a round measures all of them in turn, so that a drift of the machine's speed hits all
alike. Times are of the processor, on one thread, so that other processes count as little as they
can.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sbt_utils.controllers import DropoutController
from sbt_utils.datasets import load
from sbt_utils.networks import CNN, MLP
from sbt_utils.probe import load_curve
from sbt_utils.steering import steer
from sbt_utils.training import train

REPEATS = 3
MEMBERS = 5
DIGITS = load("mnist")
CASES: dict[str, tuple[nn.Sequential, int, int, int, dict[str, Any]]] = {
    # network, images, epochs, epochs between readings, settings
    "mlp_every_10": (MLP(), 2560, 20, 10, {}),
    "mlp_every_5": (MLP(), 2560, 20, 5, {}),
    "cnn_every_2": (CNN(1, channels=6, hidden_layers=5), 800, 4, 2, {"batch_size": 50}),
}


def seconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def measure(case: str) -> dict[str, float]:
    network, count, epochs, every, settings = CASES[case]
    data = DIGITS.train_images[:count], DIGITS.train_labels[:count]
    layers = nn.MaxPool2d if isinstance(network, CNN) else None
    common: dict[str, Any] = {"seeds": range(MEMBERS), "progress": False} | settings

    constant = DropoutController(0.1, gain=0, integral_gain=0)
    trained = train(network, *data, epochs=1, **common).network(0)

    def readings() -> None:
        for _ in range(MEMBERS * epochs // every):
            load_curve(trained, data[0][:256], data[1][:256], layers)

    def steered() -> None:
        control: dict[str, Any] = {"controllers": constant, "every": every, "layers": layers}
        steer(network, *data, epochs=epochs, **control, **common)

    plain = seconds(lambda: train(network, *data, dropout=0.1, epochs=epochs, **common))
    return {
        f"{case}_steer": seconds(steered) / plain - 1,
        f"{case}_reading": seconds(readings) / plain,
    }


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
