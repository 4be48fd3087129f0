"""The published experiment on convolutional networks, in shards: on two cores it takes days."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from sbt_book.common.parts import remove_parts
from sbt_utils import results
from sbt_utils.data.datasets import Dataset
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.stacked import Stack
from sbt_utils.sweeping.experiments import network_seed
from sbt_utils.training.networks import CNN
from sbt_utils.training.ranges import check_counts
from sbt_utils.training.readings import Readings, Record
from sbt_utils.training.trainer import train

DROPOUTS = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
"""The published levels."""

Cell = tuple[float, int]
"""A network's dropout and its seed."""


def dropout_experiment(
    data: Dataset,
    out: str | os.PathLike[str],
    *,
    dropouts: Sequence[float] = DROPOUTS,
    seeds: Sequence[int] = range(10),
    epochs: int = 2000,
    every: int = 100,
    shard: int | None = None,
    network: CNN | None = None,
    learning_rate: float = 1e-4,
    device: str = "cpu",
    progress: bool = True,
) -> xr.Dataset:
    """Train convolutional networks at several dropouts, and measure them every so many epochs.

    Shi, Pan & Dokmanić, Phys. Rev. Lett. (2025), arXiv:2407.19353. The networks are trained shard
    by shard, each to the end, in the order of their seeds. An interrupted experiment goes on with
    the networks that it lacks when it is called again.

    Parameters
    ----------
    data : Dataset
        ``load_data("cifar10")`` as published.
    out : path-like
        The results file, ending in ``.nc``. Until it is there, finished shards are in a folder of
        the same name that ends in ``.parts``: on another machine, too, the experiment resumes from
        it, also with more seeds.
    dropouts, seeds
        Levels p in [0, 1), and the numbers of the networks to train at each.
    epochs, every : int
        How many to train, full batch, and after how many to measure.
    shard : int, optional
        How many networks to train at once. Default: 16 on a GPU, two seeds of the published levels;
        on the CPU as many as PyTorch has threads.
    network : CNN, optional
        The architecture; default the published one.
    learning_rate, device, progress
        As in `sbt_utils.training.trainer.train`, with Adam; a bar for each shard.

    Returns
    -------
    xarray.Dataset
        ``separation_train``, ``separation_test`` (noise, seed, checkpoint, layer), measure "trace"
        after the pooling; ``accuracy_train``, ``accuracy_test``, fractions, and ``loss_train``
        (noise, seed, checkpoint). The coordinate ``checkpoint`` counts epochs; a network that stops
        early stays as it is. The attribute ``card`` names the GPU, or those that took turns.

    Raises
    ------
    ValueError
        If a count is below 1, or `out` or its ``.parts`` hold the results of other settings.
    """
    if shard is None:
        shard = torch.get_num_threads() if device == "cpu" else 16
    check_counts(epochs=epochs, every=every, shard=shard)
    network = network or CNN(classes=data.classes)
    configuration = {
        "data": data.source,
        "train": len(data.train_images),
        "test": len(data.test_images),
        "network": _layers_of(network),
        "dropouts": list(dropouts),
        "epochs": epochs,
        "every": every,
        "learning_rate": learning_rate,
        "optimizer": "adam",
        "device": device,
    }
    parts = Path(out).with_suffix(".parts")
    cells = [(float(p), int(seed)) for seed in seeds for p in dropouts]
    stops = (*range(every, epochs, every), epochs)

    def part(file: Path, chosen: list[Cell]) -> xr.Dataset:
        settings = {"learning_rate": learning_rate, "device": device, "progress": progress}
        return results.kept(
            file, configuration, lambda: _trained(network, data, chosen, stops, settings)
        )

    def whole() -> xr.Dataset:
        there = [part(file, []) for file in _parts_in(parts)]
        finished = {cell for dataset in there for cell in _cells(dataset)}
        lacking = [cell for cell in cells if cell not in finished]
        for start in range(0, len(lacking), shard):
            chosen = lacking[start : start + shard]
            p, seed = chosen[0]
            there.append(part(parts / f"seed{seed:03d}_dropout{p:g}.nc", chosen))
        members = xr.concat(there, "member", combine_attrs="drop").assign_attrs(_total(there))
        members = members.set_index(member=["noise", "seed"]).sel(member=cells)
        dims = ("noise", "seed", "checkpoint", "layer")
        return members.unstack("member").transpose(*dims)

    found = results.kept(out, configuration | {"seeds": [int(seed) for seed in seeds]}, whole)
    remove_parts(_parts_in(parts))
    return found


def join_seeds(files: Iterable[str | os.PathLike[str]], out: str | os.PathLike[str]) -> xr.Dataset:
    """Join results of `dropout_experiment` that differ in their seeds alone, into one file.

    Parameters
    ----------
    files : iterable of path-like
        One results file or more.
    out : path-like
        The file that they become, as if all seeds had been trained in one call. It is replaced if
        it is there.

    Returns
    -------
    xarray.Dataset
        As from `dropout_experiment`, in the order of the seeds.

    Raises
    ------
    ValueError
        If there are no files, their settings differ, or a seed is in two of them.
    """
    paths = list(files)
    datasets = [results.load(path) for path in paths]
    if not datasets:
        raise ValueError("files: none given; give one results file or more")
    configurations = [json.loads(dataset.configuration) for dataset in datasets]
    seeds = sorted(seed for configuration in configurations for seed in configuration["seeds"])
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"files hold the seeds {seeds}: give files that share none")
    whole = configurations[0] | {"seeds": seeds}
    for path, configuration in zip(paths, configurations, strict=True):
        other = configuration | {"seeds": seeds}
        for key in whole | other:
            if whole.get(key) != other.get(key):
                raise ValueError(
                    f"{path} holds results with {key} = {other.get(key)!r}, {paths[0]} with "
                    f"{whole.get(key)!r}: give files that differ in their seeds alone"
                )
    total = _total(datasets)
    joined = xr.concat(datasets, "seed", combine_attrs="drop").sortby("seed").assign_attrs(total)
    results.save(joined, out, whole, total["wall_time_seconds"])
    return results.load(out)


def _parts_in(folder: Path) -> list[Path]:
    """Return the finished shards in a folder, and nothing of anybody else's."""
    own = re.compile(r"seed\d{3,}_dropout[-+.\de]+\.nc")
    return sorted(path for path in folder.glob("*.nc") if own.fullmatch(path.name))


def _cells(part: xr.Dataset) -> list[Cell]:
    return list(zip(part.noise.values.tolist(), part.seed.values.tolist(), strict=True))


def _total(datasets: Sequence[xr.Dataset]) -> dict[str, Any]:
    """Return the cards and the time of several results, together."""
    cards = [card for dataset in datasets for card in dataset.card.split(", ") if card]
    seconds = sum(float(dataset.wall_time_seconds) for dataset in datasets)
    return {"card": ", ".join(dict.fromkeys(cards)), "wall_time_seconds": seconds}


def _trained(
    network: CNN, data: Dataset, cells: list[Cell], stops: Sequence[int], settings: dict[str, Any]
) -> xr.Dataset:
    """Train a shard to the end; return what was measured, over member, checkpoint and layer."""
    device = settings["device"]
    there = replace(
        data,
        train_images=data.train_images.to(device),
        train_labels=data.train_labels.to(device),
        test_images=data.test_images.to(device),
        test_labels=data.test_labels.to(device),
    )

    def together(networks: Stack | list[nn.Sequential], _: Any = None) -> list[xr.Dataset]:
        measured = _measure(networks, there)
        return [measured.isel(member=member) for member in range(measured.sizes["member"])]

    def alone(network: nn.Sequential, _: float) -> xr.Dataset:
        return together([network])[0]

    record = Record(network, alone, together, nn.MaxPool2d)
    levels, numbers = map(list, zip(*cells, strict=True))
    training = train(
        network,
        (there.train_images, there.train_labels),
        seeds=[network_seed(0, ["dropout", "CNN"], {"dropout": p}, n) for p, n in cells],
        dropout=levels,
        epochs=stops[-1],
        readings=Readings(tuple(stops), record.take),
        **settings,
    )
    stopped = np.flatnonzero(training.history.epochs < stops[-1]).tolist()
    if stopped:  # they are measured once more, and stay so at all checkpoints to come
        last = together([training.network(member).to(device) for member in stopped])
        for member, values in zip(stopped, last, strict=True):
            record.values = {(stop, member): values for stop in stops} | record.values
    rows = [
        xr.concat([record.values[stop, member] for stop in stops], "checkpoint")
        for member in range(len(cells))
    ]
    measured = xr.concat(rows, "member").assign_coords(
        checkpoint=list(stops), noise=("member", levels), seed=("member", numbers)
    )
    card = "" if device == "cpu" else torch.cuda.get_device_name(device)
    return measured.assign_attrs(card=card)


def _measure(networks: Stack | list[nn.Sequential], data: Dataset) -> xr.Dataset:
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


def _layers_of(network: CNN) -> dict[str, str]:
    """Describe a network, as no two versions of PyTorch print the same."""
    sizes = {
        name: " ".join("x".join(map(str, tensor.shape)) for tensor in layer.parameters())
        for name, layer in network.named_children()
    }
    slopes = {f"{layer.negative_slope:g}" for layer in network if isinstance(layer, nn.LeakyReLU)}
    return {name: size for name, size in sizes.items() if size} | {"slope": " ".join(slopes)}
