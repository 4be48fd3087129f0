"""The published experiment on convolutional networks, in rounds: its 2,000 epochs take hours."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
import xarray as xr
from torch import nn
from tqdm.auto import tqdm

from sbt_book.common.parts import remove_parts
from sbt_utils import results
from sbt_utils.data.datasets import Dataset
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.sweeping.experiments import network_seed
from sbt_utils.training.networks import CNN
from sbt_utils.training.trainer import train

DROPOUTS = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
"""The published levels."""


def dropout_in_rounds(
    data: Dataset,
    out: str | os.PathLike[str],
    *,
    dropouts: Sequence[float] = DROPOUTS,
    seeds: int = 10,
    epochs: int = 2000,
    every: int = 100,
    network: CNN | None = None,
    learning_rate: float = 1e-4,
    device: str = "cpu",
    progress: bool = True,
) -> xr.Dataset:
    """Train convolutional networks at several dropouts, and measure them every so many epochs.

    Shi, Pan & Dokmanić, Phys. Rev. Lett. (2025), arXiv:2407.19353. An interrupted experiment
    resumes at its last checkpoint when it is called again.

    Parameters
    ----------
    data : Dataset
        ``load_data("cifar10")`` as published.
    out : path-like
        The results file, ending in ``.nc``. Until it is there, finished rounds and the networks of
        the last one are in a folder of the same name that ends in ``.parts``.
    dropouts, seeds
        Levels p in [0, 1), and how many networks to train at each.
    epochs, every : int
        How many to train, full batch, and after how many to measure.
    network : CNN, optional
        The architecture; default the published one.
    learning_rate, device, progress
        As in `sbt_utils.training.trainer.train`, with Adam; the bar is over the epochs.

    Returns
    -------
    xarray.Dataset
        ``separation_train``, ``separation_test`` (noise, seed, checkpoint, layer), measure "trace"
        after the pooling; ``accuracy_train``, ``accuracy_test``, fractions, and ``loss_train``
        (noise, seed, checkpoint). The coordinate ``checkpoint`` counts epochs.

    Raises
    ------
    ValueError
        If `out` or its ``.parts`` hold the results of other settings.
    """
    network = network or CNN(classes=data.classes)
    configuration = {
        "data": data.source,
        "train": len(data.train_images),
        "test": len(data.test_images),
        "network": str(network),
        "dropouts": list(dropouts),
        "seeds": seeds,
        "epochs": epochs,
        "every": every,
        "learning_rate": learning_rate,
        "optimizer": "adam",
        "device": device,
    }
    parts, stops = Path(out).with_suffix(".parts"), (*range(every, epochs, every), epochs)
    cells = [(float(p), seed) for p in dropouts for seed in range(seeds)]
    levels, numbers = map(list, zip(*cells, strict=True))

    def networks_at(epoch: int) -> Path:
        return parts / f"{epoch:06d}.pt"

    def advance(start: int, stop: int) -> xr.Dataset:
        """Train from one checkpoint to the next; keep the networks, return what was measured."""
        # Without the networks of `start`, training begins at epoch 0 and arrives at the same.
        known = networks_at(start).exists()
        run = train(
            network,
            (data.train_images, data.train_labels),
            seeds=[network_seed(0, ["dropout", "CNN"], {"dropout": p}, n) for p, n in cells],
            dropout=levels,
            learning_rate=learning_rate,
            epochs=stop,
            resume=torch.load(networks_at(start), weights_only=True) if known else None,
            device=device,
            progress=False,
        )
        parts.mkdir(parents=True, exist_ok=True)
        with results.whole_file(networks_at(stop)) as temporary:
            torch.save(run.state, temporary)
        measured = _measure(list(run.networks), data)
        measured = measured.assign_coords(noise=("member", levels), seed=("member", numbers))
        measured = measured.set_index(member=["noise", "seed"]).unstack("member")
        return measured.expand_dims(checkpoint=[stop])

    def all_rounds() -> xr.Dataset:
        rounds, reached = [], 0
        with tqdm(total=epochs, unit="epoch", disable=not progress) as bar:
            for stop in stops:
                part = networks_at(stop).with_suffix(".nc")
                rounds.append(results.kept(part, configuration, partial(advance, reached, stop)))
                networks_at(reached).unlink(missing_ok=True)
                bar.update(stop - reached)
                reached = stop
        whole = xr.concat(rounds, "checkpoint").transpose("noise", "seed", "checkpoint", "layer")
        return whole.assign_attrs(wall_time_seconds=sum(r.wall_time_seconds for r in rounds))

    whole = results.kept(out, configuration, all_rounds)
    remove_parts(
        networks_at(stop).with_suffix(suffix) for stop in stops for suffix in (".pt", ".nc")
    )
    return whole


def _measure(networks: list[nn.Sequential], data: Dataset) -> xr.Dataset:
    """Return the load curves, accuracies and losses of networks, over member and layer."""
    parts = {
        "train": (data.train_images, data.train_labels),
        "test": (data.test_images, data.test_labels),
    }
    measured = {
        f"{name}_{part}": variable
        for part, images in parts.items()
        for name, variable in evaluate(networks, images, layers=nn.MaxPool2d).items()
    }
    return xr.Dataset(measured).drop_vars("loss_test")
