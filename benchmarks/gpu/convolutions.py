"""Part 4 of the GPU command: the published convolutional networks, a hundred epochs a round.

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

from sbt_book.generalisation.convolutional_experiment import DROPOUTS, dropout_in_rounds
from sbt_utils.data.datasets import Dataset, load_data
from sbt_utils.training.networks import CNN

TRAIN = 2560


def rounds(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    if options.profile == "smoke":
        data, network = load_data("mnist", train=60, test=40), CNN(1, channels=3, hidden_layers=2)
        sizes: dict[str, Any] = {"dropouts": DROPOUTS[::7], "seeds": 2, "epochs": 4, "every": 2}
    else:
        data = from_file(options.images) if options.images else load_data("cifar10")
        network, sizes = CNN(), {"dropouts": DROPOUTS, "seeds": 10, "epochs": 2000, "every": 100}
    train = partial(dropout_in_rounds, data, options.out / "cnn_dropout.nc", network=network)
    train = partial(train, device=options.device, progress=False, **sizes)
    for epoch in range(sizes["every"], sizes["epochs"] + 1, sizes["every"]):
        yield f"epoch {epoch}", partial(reached, train, epoch)


def reached(train: Callable[..., Any], epoch: int) -> dict[str, Any]:
    last = train(until=epoch).sel(checkpoint=epoch)
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
