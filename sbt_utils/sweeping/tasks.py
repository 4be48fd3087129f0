"""What a worker does with a shard: train it and measure it; and how long that takes here."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from sbt_utils.data.datasets import NAMES, Dataset, load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.stacked import Stack, stacked_state
from sbt_utils.sweeping.experiments import Experiment
from sbt_utils.sweeping.shards import SHARD_SIZE, cut
from sbt_utils.text import quoted
from sbt_utils.training.networks import MLP
from sbt_utils.training.ranges import RANGES
from sbt_utils.training.settings import check_batch_sizes
from sbt_utils.training.trainer import Training, train

ALGORITHM = 1
"""Raise it when the same configuration gives other numbers: no file holds those of two."""


def measure(
    experiment: Experiment, numbers: Sequence[int], device: str = "cpu", threads: int | None = None
) -> xr.Dataset:
    """Train a shard of an experiment and measure its networks.

    The dataset has the variables of `sweep` with dimensions (network, layer), and as attributes the
    start and stop in seconds since 1970 and the processor time in seconds. `threads` sets the
    number of PyTorch's threads first.
    """
    if threads:
        torch.set_num_threads(threads)
    start, processor = time.time(), time.process_time()
    data = data_of(experiment)
    trained = _train(experiment, numbers, data, device)
    networks = list(trained.networks) if device == "cpu" else _on_gpu(trained, device)
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
    """Estimate what a sweep would take here, from a few training steps of each kind of network.

    Returns the numbers of ``networks`` and ``shards``, the floating-point ``operations`` of the
    linear layers in training, and the ``seconds``, an upper bound because networks may stop early.
    """
    data = data_of(experiment)
    everything = set(range(len(experiment)))
    operations = seconds = 0.0
    for group in cut(experiment, everything, len(experiment)):
        network = experiment.network(group[0])
        layers = _architecture(network, data).modules()
        weights = sum(layer.weight.numel() for layer in layers if isinstance(layer, nn.Linear))
        # Two for a multiply-add; forwards, and backwards to the inputs and to the weights.
        operations += 6.0 * len(group) * weights * experiment.train * network["epochs"]
        steps = network["epochs"] * -(-experiment.train // network["batch_size"])
        seconds += len(group) * steps * _seconds_per_step(experiment, group, data, device)
    return {
        "networks": len(experiment),
        "shards": len(cut(experiment, everything, shard_size)),
        "operations": operations,
        "seconds": seconds,
    }


def data_of(experiment: Experiment) -> Dataset:
    """Return the images of an experiment; raise ValueError if they do not suit its batches."""
    if experiment.dataset not in NAMES:
        raise ValueError(f"dataset={quoted(experiment.dataset)}: choose one of {', '.join(NAMES)}")
    data = load_data(experiment.dataset, experiment.train, experiment.test, experiment.size)
    sizes = experiment.axes.get("batch_size", [experiment.batch_size or experiment.train])
    check_batch_sizes(_architecture(experiment.network(0), data), experiment.train, np.array(sizes))
    return data


def _architecture(network: dict[str, Any], data: Dataset) -> MLP:
    inputs = data.train_images[0].numel()
    with torch.device("meta"):  # draws no random numbers for weights that training replaces
        architecture = MLP(inputs, network["width"], network["hidden_layers"], data.classes)
    return architecture.to_empty(device="cpu")


def _train(
    experiment: Experiment,
    numbers: Sequence[int],
    data: Dataset,
    device: str,
    epochs: int | None = None,
) -> Training:
    networks = [experiment.network(number) for number in numbers]
    names = (*RANGES, "batch_size")
    settings: Any = {name: [network[name] for network in networks] for name in names}
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


def _on_gpu(trained: Training, device: str) -> Stack | list[nn.Sequential]:
    """Return the networks in company: to make one of each would take longer than to measure it."""
    state = {name: tensor.to(device) for name, tensor in trained.state["networks"].items()}
    slopes = torch.from_numpy(trained.history.negative_slope.values)
    stack = stacked_state(trained.network(0), state, slopes)
    return stack or [network.to(device) for network in trained.networks]


def _seconds_per_step(
    experiment: Experiment, group: list[int], data: Dataset, device: str
) -> float:
    """Time a step per network, on some networks of the group and at most 20 steps per epoch."""
    batch = experiment.network(group[0])["batch_size"]
    count = min(experiment.train, 20 * batch)
    few = replace(
        data, train_images=data.train_images[:count], train_labels=data.train_labels[:count]
    )
    some = group[:: -(-len(group) // max(4, 4096 // batch))]

    def seconds(epochs: int) -> float:
        start = time.perf_counter()
        _train(experiment, some, few, device, epochs)
        return time.perf_counter() - start

    seconds(1)  # compiles, and touches memory for the first time
    three, one = seconds(3), seconds(1)
    # The difference leaves out what a call costs however long it trains. On a busy machine the
    # shorter one may take longer: then it is left in.
    epoch = (three - one) / 2 if three > one else three / 3
    return epoch / (-(-count // batch) * len(some))
