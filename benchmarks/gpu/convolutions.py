"""Part 4 of the GPU command: the published convolutional networks, two seeds a round.

The seeds of a round are in a file of their own, ``cnn_dropout_0_1.nc`` and so on; after each round
those that there are become ``cnn_dropout.nc``.

Their images are CIFAR-10's, downloaded; or from a file, ``--images FILE.npz``, with the arrays
``train_images`` and ``test_images`` (n, 3, 10, 10), ``train_labels`` and ``test_labels`` (n,), all
uint8, and ``source``, a text that says what they are. Of more than 2,560 training images those are
taken that `load_data` would take.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sbt_book.generalisation.convolutional_experiment import (
    DROPOUTS,
    dropout_experiment,
    join_seeds,
)
from sbt_utils.data.datasets import Dataset, load_data
from sbt_utils.training.networks import CNN

TRAIN = 2560


def rounds(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    if options.profile == "smoke":
        data, network = load_data("mnist", train=60, test=40), CNN(1, channels=3, hidden_layers=2)
        sizes: dict[str, Any] = {"dropouts": DROPOUTS[::7], "epochs": 4, "every": 2}
        count = 4
    else:
        data = from_file(options.images) if options.images else load_data("cifar10")
        network, sizes, count = CNN(), {"dropouts": DROPOUTS, "epochs": 2000, "every": 100}, 10
    train = partial(dropout_experiment, data, network=network, progress=False, **sizes)
    for seed in range(0, count, 2):
        yield f"seeds {seed}, {seed + 1}", partial(pair, options, train, (seed, seed + 1))


def pair(
    options: argparse.Namespace, train: Callable[..., Any], seeds: tuple[int, int]
) -> dict[str, Any]:
    """Train the networks of two seeds, and join them to those of the others."""
    file = options.out / f"cnn_dropout_{seeds[0]}_{seeds[1]}.nc"
    last = train(file, seeds=seeds, device=options.device).isel(checkpoint=-1)
    join_seeds(sorted(options.out.glob("cnn_dropout_*.nc")), options.out / "cnn_dropout.nc")
    return {
        "accuracy_train": last.accuracy_train.mean("seed").values.tolist(),
        "accuracy_test": last.accuracy_test.mean("seed").values.tolist(),
    }


def from_file(path: Path) -> Dataset:
    """Read the images of a file as `load_data` would give them."""
    with np.load(path, allow_pickle=False) as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    chosen = np.arange(TRAIN)
    if len(kept["train_labels"]) > TRAIN:
        chosen = np.random.default_rng(0).permutation(len(kept["train_labels"]))[:TRAIN]

    def pixels(images: np.ndarray) -> torch.Tensor:
        return torch.tensor(images, dtype=torch.float32) / 255

    return Dataset(
        name="cifar10",
        train_images=pixels(kept["train_images"][chosen]),
        train_labels=torch.tensor(kept["train_labels"][chosen], dtype=torch.int64),
        test_images=pixels(kept["test_images"]),
        test_labels=torch.tensor(kept["test_labels"], dtype=torch.int64),
        classes=10,
        source=str(kept["source"]),
    )
