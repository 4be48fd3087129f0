"""Shards: networks of an experiment that are trained and measured together."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from sbt_utils.data import datasets
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.sweeping.experiments import Experiment
from sbt_utils.training.networks import MLP
from sbt_utils.training.settings import check_batch_sizes
from sbt_utils.training.trainer import Training, train

SHARD_SIZE = 30
"""Networks of a shard: enough to train small batches fast, few enough to lose little."""

# What networks must share to be trained by one call.
_KIND = ("hidden_layers", "width", "epochs", "optimizer", "batch_size")


def cut(experiment: Experiment, numbers: set[int], shard_size: int = SHARD_SIZE) -> list[list[int]]:
    """Divide networks into shards that can be trained together, the costliest first.

    Parameters
    ----------
    experiment : Experiment
    numbers : set of int
        Which of its networks.
    shard_size : int
        Networks of a shard, at most.

    Returns
    -------
    list of list of int

    Raises
    ------
    ValueError
        If the size is not an integer of at least 1.

    Examples
    --------
    >>> grid = Experiment({"batch_size": [20, 100], "dropout": [0.0, 0.1]}, seeds=2, train=100)
    >>> cut(grid, set(range(8)), shard_size=3)
    [[0, 1, 2], [3], [4, 5, 6], [7]]
    """
    if not isinstance(shard_size, int) or shard_size < 1:
        raise ValueError(f"shard_size={shard_size!r}: give an integer of at least 1")
    alike: dict[tuple[Any, ...], list[int]] = {}
    for number in sorted(numbers):
        network = experiment.network(number)
        alike.setdefault(tuple(network[name] for name in _KIND), []).append(number)
    kinds = sorted(alike.values(), key=lambda group: -work(experiment, group[0]))
    return [
        group[start : start + shard_size]
        for group in kinds
        for start in range(0, len(group), shard_size)
    ]


def work(experiment: Experiment, number: int) -> float:
    """Return roughly how much there is to compute for a network, in no particular unit.

    Parameters
    ----------
    experiment : Experiment
    number : int

    Returns
    -------
    float
        Multiply-adds, where a step costs as much besides as 30 images more.

    Examples
    --------
    >>> grid = Experiment({"batch_size": [5, 2560], "dropout": [0.0]}, seeds=1)
    >>> bool(work(grid, 0) > work(grid, 1))
    True
    """
    network = experiment.network(number)
    steps = network["epochs"] * -(-experiment.train // network["batch_size"])
    size = network["width"] ** 2 * network["hidden_layers"]
    return float(steps * (network["batch_size"] + 30) * size)


def measure(
    experiment: Experiment, numbers: Sequence[int], device: str = "cpu", threads: int | None = None
) -> xr.Dataset:
    """Train some networks of an experiment together and measure them: the task of a worker.

    Parameters
    ----------
    experiment : Experiment
    numbers : sequence of int
        Networks of one size, batch size, optimiser and number of epochs.
    device : str
        ``"cpu"`` or ``"cuda"``.
    threads : int, optional
        Set PyTorch to so many threads first.

    Returns
    -------
    xarray.Dataset
        The variables of `sweep` with the dimensions (network, layer); as attributes when it was
        begun and ended (seconds since 1970) and the processor time (seconds).

    Examples
    --------
    >>> grid = Experiment({"dropout": [0.0], "width": [4]}, epochs=1, train=100, test=50)
    >>> measure(grid, [0, 7]).separation_train.shape
    (2, 8)
    """
    if threads:
        torch.set_num_threads(threads)
    start, processor = time.time(), time.process_time()
    data = data_of(experiment)
    trained = _train(experiment, numbers, data, device)
    networks = [network.to(device) for network in trained.networks]
    training = data.train_images.to(device), data.train_labels.to(device)
    test = data.test_images.to(device), data.test_labels.to(device)
    on_train, on_test = evaluate(networks, *training), evaluate(networks, *test)
    fuzziness = evaluate(networks, *training, "fuzziness").separation
    curves = ("network", "layer")
    return xr.Dataset(
        {
            "separation_train": (curves, on_train.separation.values, {"long_name": "D, training"}),
            "separation_test": (curves, on_test.separation.values, {"long_name": "D, test"}),
            "fuzziness_train": (curves, fuzziness.values, {"long_name": "D, fuzziness, training"}),
            "accuracy_train": ("network", on_train.accuracy.values, {"long_name": "accuracy"}),
            "accuracy_test": ("network", on_test.accuracy.values, {"long_name": "test accuracy"}),
            "loss_train": ("network", on_train.loss.values, {"long_name": "cross-entropy"}),
            "epochs": ("network", trained.history.epochs.values, {"long_name": "epochs trained"}),
        },
        {"network": list(numbers), "layer": np.arange(on_train.sizes["layer"])},
        {"start": start, "stop": time.time(), "cpu_seconds": time.process_time() - processor},
    )


def plan(
    experiment: Experiment, shard_size: int = SHARD_SIZE, device: str = "cpu"
) -> dict[str, float]:
    """Say what a sweep would take here, from a few training steps of each kind of network.

    Parameters
    ----------
    experiment : Experiment
    shard_size : int
    device : str
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    dict of str to float
        ``networks``, ``shards``, ``operations`` (floating point, of the linear layers in training)
        and ``seconds`` (an upper estimate, because networks may stop early).

    Examples
    --------
    >>> grid = Experiment({"dropout": [0.0, 0.1], "width": [4, 8]}, epochs=2, train=100)
    >>> round(plan(grid)["operations"])
    43200000
    """
    data = data_of(experiment)
    everything = set(range(len(experiment)))
    operations = seconds = 0.0
    for alike in cut(experiment, everything, len(experiment)):
        network = experiment.network(alike[0])
        layers = _architecture(network, data).modules()
        weights = sum(layer.weight.numel() for layer in layers if isinstance(layer, nn.Linear))
        operations += 6.0 * len(alike) * weights * experiment.train * network["epochs"]
        steps = network["epochs"] * -(-experiment.train // network["batch_size"])
        seconds += len(alike) * steps * _seconds_a_step(experiment, alike, data, device)
    return {
        "networks": len(experiment),
        "shards": len(cut(experiment, everything, shard_size)),
        "operations": operations,
        "seconds": seconds,
    }


def data_of(experiment: Experiment) -> datasets.Dataset:
    """Return the images of an experiment; raise if they cannot be had or do not suit its batches.

    Parameters
    ----------
    experiment : Experiment

    Returns
    -------
    sbt_utils.data.datasets.Dataset

    Examples
    --------
    >>> len(data_of(Experiment({"dropout": [0.0], "width": [4]}, train=100)).train_images)
    100
    """
    if experiment.dataset not in datasets.NAMES:
        choices = ", ".join(datasets.NAMES)
        raise ValueError(f"dataset={experiment.dataset!r}: choose one of {choices}")
    data = datasets.load_data(
        experiment.dataset, experiment.train, experiment.test, experiment.size
    )
    sizes = experiment.axes.get("batch_size", [experiment.batch_size or experiment.train])
    check_batch_sizes(MLP(), experiment.train, np.array(sizes))
    return data


def _architecture(network: dict[str, Any], data: datasets.Dataset) -> MLP:
    inputs = data.train_images[0].numel()
    return MLP(inputs, network["width"], network["hidden_layers"], data.classes)


def _train(
    experiment: Experiment,
    numbers: Sequence[int],
    data: datasets.Dataset,
    device: str,
    epochs: int | None = None,
) -> Training:
    networks = [experiment.network(number) for number in numbers]
    members = ("negative_slope", "dropout", "learning_rate", "data_noise", "batch_size")
    settings: Any = {name: [network[name] for network in networks] for name in members}
    return train(
        _architecture(networks[0], data),
        data.train_images,
        data.train_labels,
        seeds=[network["seed"] for network in networks],
        **settings,
        epochs=epochs or networks[0]["epochs"],
        optimizer=networks[0]["optimizer"],
        device=device,
        progress=False,
    )


def _seconds_a_step(
    experiment: Experiment, alike: list[int], data: datasets.Dataset, device: str
) -> float:
    """Measure how long a step of one of these networks takes, on some of them and a few steps."""
    batch = experiment.network(alike[0])["batch_size"]
    count = min(experiment.train, 20 * batch)
    few = replace(
        data, train_images=data.train_images[:count], train_labels=data.train_labels[:count]
    )
    some = alike[:: -(-len(alike) // max(4, 4096 // batch))]

    def seconds(epochs: int) -> float:
        start = time.perf_counter()
        _train(experiment, some, few, device, epochs)
        return time.perf_counter() - start

    seconds(1)  # Compiles and touches memory.
    return max(0.0, seconds(3) - seconds(1)) / (2 * -(-count // batch) * len(some))
