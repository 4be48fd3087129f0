"""The law of data separation by the protocol of those who found it.

He & Su, A law of data separation in deep learning, PNAS 120 (2023) e2221704120, arXiv:2210.17020,
with the settings of their public code (HornHehhf/Equi-Separation on GitHub): 100 Fashion-MNIST
images a class at 10 x 10 pixels, ReLU networks of width 100 with batch normalisation but not of the
input, 600 epochs in batches of 128, learning rate divided by ten after 200 and 400 epochs, weight
decay 5e-4, no early stop.
"""

import argparse
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.optim import Optimizer

from sbt_book.common.parts import remove_parts
from sbt_utils import results
from sbt_utils.data.datasets import Dataset, load_data
from sbt_utils.ensembles.ensemble import Ensemble, initial_state, member_network
from sbt_utils.ensembles.noise import seed_words
from sbt_utils.ensembles.stacked_layers import padded
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import MEASURES
from sbt_utils.training.networks import MLP
from sbt_utils.training.ranges import RANGES
from sbt_utils.training.steps import Steps, TrainingData

RATES = {
    4: {"sgd": 0.3, "momentum": 0.3, "adam": 3e-3},
    8: {"sgd": 0.03, "momentum": 0.01, "adam": 1e-3},
    20: {"sgd": 0.01, "momentum": 1e-3, "adam": 3e-4},
}
"""He & Su's learning rates by depth and optimizer. Their depth counts the read-out."""

PER_CLASS, BATCH, WEIGHT_DECAY = 100, 128, 5e-4
FROZEN_SEEDS = 5
"""Of the seeds, so many are trained with frozen layers too: it takes 2.5 times as long."""
STATISTICS = {"batch": 100, "running": None}
"""What batch normalisation subtracts and divides by when D is measured.

As published, the statistics of batches of a hundred images; or those that it kept of training.
"""

_OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": partial(torch.optim.SGD, weight_decay=WEIGHT_DECAY, fused=True),
    "momentum": partial(torch.optim.SGD, momentum=0.9, weight_decay=WEIGHT_DECAY, fused=True),
    "adam": partial(torch.optim.Adam, weight_decay=WEIGHT_DECAY, fused=True),
}


@dataclass(frozen=True)
class Stage:
    """A time in which the layers from `first` to `last` are trained, and all others are frozen.

    Frozen parameters stay as they are; running statistics of batch normalisation follow the images.
    """

    first: int
    last: int  # the read-out is the last layer of a network
    epochs: int
    decays: bool = True  # rate / 10 after each third


@dataclass(frozen=True)
class Run:
    """A depth, read-out counted, with an optimizer, its rate, and the stages of its training."""

    depth: int
    optimizer: str
    rate: float
    stages: tuple[Stage, ...]


def protocol_runs(
    epochs: int = 600, first_epochs: int = 900, depths: Sequence[int] = tuple(RATES)
) -> list[Run]:
    """Return He & Su's nine runs, and one with frozen layers.

    The last one trains its first ten layers, with all others at random, and then those others, with
    the first ten frozen. He & Su do so on CIFAR-10; here it is Adam at the greatest depth.

    Examples
    --------
    >>> [run.rate for run in protocol_runs() if run.depth == 20]
    [0.01, 0.001, 0.0003, 0.0003]
    """
    runs = [
        Run(depth, optimizer, rate, (Stage(1, depth, epochs),))
        for depth in depths
        for optimizer, rate in RATES[depth].items()
    ]
    deepest = runs[-1]
    half = deepest.depth // 2
    stages = Stage(1, half, first_epochs, False), Stage(half + 1, deepest.depth, epochs)
    return [*runs, replace(deepest, stages=stages)]


def law_protocol(
    data: Dataset, out: Path, runs: Sequence[Run], seeds: Sequence[int] = range(10)
) -> xr.Dataset:
    """Train and measure networks by He & Su's protocol; an interrupted experiment goes on.

    Parameters
    ----------
    data : Dataset
        Training images to choose from, a hundred a class; test images.
    out : Path
        The results file, ending in ``.nc``. Until it is there, finished runs are in a folder of the
        same name that ends in ``.parts``.
    runs : sequence of Run
        As from `protocol_runs`.
    seeds : sequence of int
        One network for each: weights and order of images. All see the same images. Runs with
        frozen layers take the first `FROZEN_SEEDS`.

    Returns
    -------
    xarray.Dataset
        ``separation`` (run, statistics, measure, seed, layer) of the training images, l = 0 the
        pixels, nan beyond a run's last hidden layer and its seeds; ``accuracy_train``,
        ``accuracy_test``, fractions, and ``loss`` (run, seed), of the training images. Coordinates
        of `run` are ``depth``, ``optimizer``, ``rate`` and ``frozen``.

    Raises
    ------
    ValueError
        If a class has too few images, or `out` or its parts hold the results of other settings.
    """
    data = balanced(data, PER_CLASS)
    shared: dict[str, Any] = {
        "data": data.source,
        "train": len(data.train_images),
        "test": len(data.test_images),
        "seeds": [int(seed) for seed in seeds],
        "batch_size": BATCH,
        "weight_decay": WEIGHT_DECAY,
    }
    folder = out.with_suffix(".parts")
    files = [folder / f"run{number:02d}.nc" for number in range(len(runs))]

    def whole() -> xr.Dataset:
        parts = []
        for file, run in zip(files, runs, strict=True):
            own = shared["seeds"] if len(run.stages) == 1 else shared["seeds"][:FROZEN_SEEDS]
            settings = shared | {"seeds": own, "run": asdict(run)}
            parts.append(results.kept(file, settings, partial(_run, run, data, own)))
        found = xr.concat(parts, "run", join="outer", combine_attrs="drop")
        seconds = sum(float(part.wall_time_seconds) for part in parts)
        # To join cuts names to the first one's length.
        names = ("run", [run.optimizer for run in runs])
        return found.assign_coords(optimizer=names).assign_attrs(wall_time_seconds=seconds)

    found = results.kept(out, shared | {"runs": [asdict(run) for run in runs]}, whole)
    remove_parts(files)
    return found


def balanced(data: Dataset, per_class: int) -> Dataset:
    """Keep the first so many training images of each class, in their order, with pixels in [-1, 1].

    Test images become the same.
    """
    labels = data.train_labels
    counts = torch.bincount(labels, minlength=data.classes)
    if counts.min() < per_class:
        raise ValueError(
            f"data: {int(counts.min())} images of class {int(counts.argmin())}; give {per_class} "
            "or more of each"
        )
    before = nn.functional.one_hot(labels, data.classes).cumsum(0).gather(1, labels[:, None])[:, 0]
    chosen = before <= per_class
    return replace(
        data,
        train_images=2 * data.train_images[chosen] - 1,
        train_labels=labels[chosen],
        test_images=2 * data.test_images - 1,
    )


def feedforward(depth: int, inputs: int = 100, classes: int = 10) -> nn.Sequential:
    """Return He & Su's network: an MLP of `depth` - 1 hidden layers, its input not normalised."""
    layers = MLP(inputs, hidden_layers=depth - 1, classes=classes).named_children()
    absent = "input_norm", "dropout"
    return nn.Sequential(OrderedDict((n, m) for n, m in layers if not n.startswith(absent)))


def trained(
    network: nn.Sequential, data: Dataset, run: Run, seeds: Sequence[int]
) -> Iterator[nn.Sequential]:
    """Yield the networks of a run, one for each seed, in evaluation mode."""
    words = np.stack([seed_words(seed) for seed in seeds])
    ensemble = Ensemble(network, initial_state(network, words[:, 0]))
    batches = np.full(len(seeds), min(BATCH, len(data.train_images)))
    members = {name: np.zeros(len(seeds)) for name in RANGES}  # ReLU and no noise
    members |= {"word": words[:, 1], "batch_size": batches}
    ours = TrainingData(data.train_images, data.train_labels, 1.0, data.classes)
    epoch = 0
    for stage in run.stages:
        optimizer = _optimizer(ensemble, network, stage, run.optimizer)
        steps = Steps(ours, ensemble, optimizer, members)
        for number in range(stage.epochs):
            decades = number // (stage.epochs // 3) if stage.decays else 0
            for group in optimizer.param_groups:
                group["lr"] = run.rate / 10 ** min(decades, 2)
            steps.epoch(epoch)
            epoch += 1
    state = ensemble.state()
    for member in range(len(seeds)):
        yield member_network(network, state, member, 0.0, 0.0)


def _optimizer(ensemble: Ensemble, network: nn.Sequential, stage: Stage, name: str) -> Optimizer:
    """Return an optimizer of the parameters that a stage trains, and of no others."""
    # Side by side in a member's row: of each hidden layer weights, biases, and the scales and
    # shifts of its normalisation; then the two of the read-out.
    starts = np.cumsum([0, *(padded(parameter.numel()) for parameter in network.parameters())])
    part = slice(starts[4 * (stage.first - 1)], starts[: 4 * stage.last + 1][-1])
    rows = [row[part] for row in ensemble.rows]
    for row, gradient in zip(rows, ensemble.gradients, strict=True):
        row.grad = gradient[part]
    return _OPTIMIZERS[name](rows)


def separations(
    network: nn.Sequential,
    images: Tensor,
    labels: Tensor,
    statistics: Mapping[str, int | None] = STATISTICS,
) -> xr.DataArray:
    """Return D (statistics, measure, layer) of the pixels and behind every activation.

    `statistics` maps names to the size of the batches that are normalised by their own mean and
    variance, or to None for those kept of training.
    """
    curves = [
        [
            load_curve(
                _normalised(network, batch),
                (images, labels),
                None,
                nn.LeakyReLU,
                measure,
                batch or 512,
            ).separation
            for measure in MEASURES
        ]
        for batch in statistics.values()
    ]
    names = {"statistics": list(statistics), "measure": list(MEASURES)}
    return xr.DataArray(np.array(curves), names, ("statistics", "measure", "layer"))


def _normalised(network: nn.Sequential, batch: int | None) -> nn.Sequential:
    """Return a network that normalises batches by their own statistics, if they are of a size."""
    if batch is None:
        return network
    network = deepcopy(network)
    for layer in network:
        if isinstance(layer, nn.BatchNorm1d):  # without running statistics, also in evaluation
            layer.running_mean = layer.running_var = None
            layer.track_running_stats = False
    return network


def _run(run: Run, data: Dataset, seeds: list[int]) -> xr.Dataset:
    """Train and measure the networks of a run."""
    training, test = (data.train_images, data.train_labels), (data.test_images, data.test_labels)
    network = feedforward(run.depth, training[0][0].numel(), data.classes)
    networks = list(trained(network, data, run, seeds))
    after = evaluate(networks, training)
    return xr.Dataset(
        {
            "separation": xr.concat([separations(one, *training) for one in networks], "seed"),
            "accuracy_train": ("seed", after.accuracy.values),
            "accuracy_test": ("seed", evaluate(networks, test).accuracy.values),
            "loss": ("seed", after.loss.values),
        },
        {
            "seed": seeds,
            "layer": range(run.depth),
            "depth": run.depth,
            "optimizer": run.optimizer,
            "rate": run.rate,
            "frozen": int(len(run.stages) > 1),
        },
    )


def _minutes(data: Dataset, runs: Sequence[Run], seeds: int) -> float:
    """Return about how long runs will take: time goes with the layers that images pass."""
    deepest = runs[-1]
    for _ in range(2):  # compiled first, then timed
        begun, epochs = time.process_time(), 3
        brief = replace(deepest, stages=(Stage(1, deepest.depth, epochs),))
        list(trained(feedforward(brief.depth), data, brief, range(seeds)))
        seconds = time.process_time() - begun
    passed = sum(
        (run.depth - 1) * stage.epochs * (seeds if len(run.stages) == 1 else FROZEN_SEEDS)
        for run in runs
        for stage in run.stages
    )
    return seconds * passed / (epochs * (deepest.depth - 1) * seeds) / 60


def main() -> None:
    """Measure He & Su's networks, and write ``law_protocol.nc`` into a folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="keeps what is finished, and the results")
    folder = parser.parse_args().folder
    data, runs = load_data("fashion_mnist", train=2000), protocol_runs()
    minutes = _minutes(balanced(data, PER_CLASS), runs, seeds=10)
    print(
        f"{len(runs)} runs of up to ten networks: about {minutes:.0f} minutes of one core",
        flush=True,
    )
    law_protocol(data, folder / "law_protocol.nc", runs)


if __name__ == "__main__":
    main()
