"""Cost of steering, as ratios within one run; prints one JSON line.

Times are of the processor, on one thread, so that other processes count as little as they can.
``mlp_recorded`` is what ten of the published perceptrons pay for `separation_every` ten epochs, on
all 1,000 images that they train on.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import torch

from sbt_book.steering.experiment import problem
from sbt_utils.measuring.probe import load_curve
from sbt_utils.training.controllers import DropoutController
from sbt_utils.training.readings import Readings, Record
from sbt_utils.training.steering import steer
from sbt_utils.training.trainer import train

REPEATS = 5
MEMBERS = 2
PUBLISHED = replace(problem("MLP", "mnist"), epochs=40)
CASES = {  # and the epochs between two readings
    "mlp_every_10": (PUBLISHED, 10),
    "mlp_every_5": (PUBLISHED, 5),
    "cnn_every_4": (problem("CNN", "mnist"), 4),
}


def measure(case: str) -> dict[str, float]:
    """Return the time of the readings over that of the training.

    ``..._steer`` is what `steer` takes for them, ``..._reading`` what a loop of one's own would
    pay, the time of `load_curve` alone.
    """
    chosen, every = CASES[case]
    images = chosen.data.train_images[: chosen.images]
    labels = chosen.data.train_labels[: chosen.images]
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
    with mock.patch("sbt_utils.training.steering.Readings", readings):
        steered = steer(
            chosen.network,
            (images, labels),
            controllers=DropoutController(0.1),
            seeds=range(MEMBERS),
            epochs=chosen.epochs,
            every=every,
            progress=False,
            **chosen.settings,
        )
    training = time.process_time() - start - seconds["steer"]
    curve = timed("reading", load_curve)
    for _ in range(chosen.epochs // every):
        for network in steered.training.networks:
            curve(network, images[:256], labels[:256], chosen.settings.get("layers"))
    return {f"{case}_{name}": spent / training for name, spent in seconds.items()}


def recorded() -> float:
    """Return the time of the readings over that of the training."""
    data, spent = PUBLISHED.data, 0.0
    take = Record.take

    def timed(*arguments: Any) -> Any:
        nonlocal spent
        start = time.thread_time()
        result = take(*arguments)
        spent += time.thread_time() - start
        return result

    start = time.process_time()
    with mock.patch.object(Record, "take", timed):
        train(
            PUBLISHED.network,
            (data.train_images[:1000], data.train_labels[:1000]),
            seeds=range(10),
            dropout=0.1,
            epochs=40,
            separation_every=10,
            progress=False,
        )
    training = time.process_time() - start - spent
    return spent / training * 4 / 5  # of five readings, the first is ahead of the training


def main() -> None:
    torch.set_num_threads(1)
    rounds = [
        {name: value for case in CASES for name, value in measure(case).items()}
        | {"mlp_recorded": recorded()}
        for _ in range(1 + REPEATS)
    ]
    medians = {name: statistics.median(r[name] for r in rounds[1:]) for name in rounds[0]}
    print(json.dumps({name: round(value, 3) for name, value in medians.items()}))


if __name__ == "__main__":
    main()
