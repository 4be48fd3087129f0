"""Speed of ensemble training, as ratios within one run; prints one JSON line.

All use every thread that PyTorch is given; figures are medians of `REPEATS` rounds.
"""

import json
import statistics

import torch
from timing import seconds
from torch import nn

from sbt_utils.data.datasets import load_data
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

REPEATS = 3
BATCH_SIZES = (5, 10, 20, 40, 80, 320)
DIGITS = load_data("mnist")
IMAGES, LABELS = DIGITS.train_images, DIGITS.train_labels
MULTIPLY_ADDS = sum(
    layer.weight.numel() for layer in MLP().modules() if isinstance(layer, nn.Linear)
)


def sgemm_rate() -> float:
    """Return this machine's rate of operations for 2048 x 2048 matrices in float32."""
    a, b = torch.rand(2, 2048, 2048)
    return 2 * 2048**3 / min(seconds(lambda: a @ b) for _ in range(5))


def ensemble(members: int, batch_size: int, epochs: int) -> float:
    """Seconds for one member's step."""
    settings = {"batch_size": batch_size, "epochs": epochs, "progress": False}
    run = seconds(lambda: train(MLP(dropout=0.1), IMAGES, LABELS, seeds=range(members), **settings))
    return run / (members * epochs * (len(IMAGES) // batch_size))


def loop(batch_size: int, steps: int) -> float:
    """Seconds for one member's step in a loop with plain PyTorch: stock layers, autograd, Adam."""
    network = MLP(dropout=0.1)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def run() -> None:
        for step in range(steps):
            start = step * batch_size % len(IMAGES)
            batch = slice(start, start + batch_size)
            loss = nn.functional.cross_entropy(network(IMAGES[batch]), LABELS[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return seconds(run) / steps


def main() -> None:
    threads = torch.get_num_threads()
    rounds = []
    # A round measures all figures in turn, so that a drift of the machine's speed hits all alike.
    for _ in range(1 + REPEATS):
        rate = sgemm_rate()
        full = ensemble(2 * threads, 2560, 100)
        rounds.append(
            {
                "sgemm_gflops": rate / 1e9,
                # Of the rate, at 6 operations per multiply-add: 2 forward, 4 backward.
                "full_batch_fraction": 6 * MULTIPLY_ADDS * len(IMAGES) / full / rate,
                "full_batch_over_loop": loop(2560, 20) / full,
            }
            | {
                f"batch_{size}_over_loop": loop(size, 300) / ensemble(32 * threads, size, 1)
                for size in BATCH_SIZES
            }
        )
    medians = {name: statistics.median(r[name] for r in rounds[1:]) for name in rounds[0]}
    print(json.dumps({"threads": threads} | {k: round(v, 3) for k, v in medians.items()}))


if __name__ == "__main__":
    main()
