"""Cost of steering, as ratios within one run; prints one JSON line.

For the published MLP at full batch and for a small CNN, each with 256 probe images:
``..._reading`` is the time of the readings (a member's weights loaded into a network, its load
curve measured) over that of uninterrupted training, ``..._reentry`` the time of training that stops
and resumes at every reading over the same, less 1. Each figure is the median of `REPEATS` rounds; a
round measures all of them in turn, so that a drift of the machine's speed hits all alike. Times are
of the processor, on one thread, so that other processes count as little as they can.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sbt_utils.datasets import load
from sbt_utils.networks import CNN, MLP
from sbt_utils.probe import load_curve
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

    def in_segments() -> None:
        state = None
        for epoch in range(every, epochs + 1, every):
            trained = train(network, *data, dropout=0.1, epochs=epoch, resume=state, **common)
            state = trained.state

    trained = train(network, *data, epochs=1, **common)
    networks, states = list(trained.networks), trained.state["networks"]

    def readings() -> None:
        for member, each in enumerate(networks):
            each.load_state_dict({name: tensor[member] for name, tensor in states.items()})
            load_curve(each, data[0][:256], data[1][:256], layers)

    plain = seconds(lambda: train(network, *data, dropout=0.1, epochs=epochs, **common))
    return {
        f"{case}_reading": epochs // every * seconds(readings) / plain,
        f"{case}_reentry": seconds(in_segments) / plain - 1,
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
