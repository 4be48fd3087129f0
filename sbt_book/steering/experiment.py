"""Is steering worth it? Steered networks beside fixed dropouts and a schedule without feedback."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import xarray as xr
from torch import nn
from tqdm.auto import tqdm

from sbt_book.common.selections import convexity
from sbt_book.steering.tables import join
from sbt_utils.data.datasets import Dataset, load_data
from sbt_utils.measuring.evaluation import accuracy, evaluate
from sbt_utils.training.controllers import Controller, DropoutController, Schedule
from sbt_utils.training.networks import CNN, MLP
from sbt_utils.training.steering import steer

GRID = (0.0, 0.05, 0.1, 0.2)
"""The fixed dropouts to search."""

READINGS = 10
"""In each training, at equal intervals."""

IMAGES = {"MLP": 2560, "CNN": 800}
"""How many images each architecture trains on."""

VALIDATION = 1000
"""How many more there are to validate on."""

COMPARED = (
    ("MLP", "mnist"),
    ("MLP", "fashion_mnist"),
    ("MLP", "cifar10"),
    ("CNN", "mnist"),
    ("CNN", "cifar10"),
)
"""Architectures and data sets. The gains of the controller were chosen on an MLP and digits."""

ARMS: Mapping[str, Controller] = {f"fixed {p:g}": Schedule((p,)) for p in GRID} | {
    "steered": DropoutController(),
}
"""What is compared, but for the replay of the steered networks' dropout."""

VARIATIONS: Mapping[str, Controller] = (
    {f"fixed {p:g}": Schedule((p,)) for p in (0.0, 0.1, 0.3)}
    | {f"start {p:g}": DropoutController(p) for p in (0.0, 0.1, 0.3)}
    | {f"gains x {f:g}": DropoutController(gain=f, integral_gain=0.1 * f) for f in (0.25, 0.5, 2.0)}
    | {f"target {c:g}": DropoutController(target=c) for c in (-0.1, -0.05, 0.05, 0.1)}
)
"""Controllers that differ in one respect from the default, which is ``"start 0"``."""

CHANGES: dict[str, dict[str, Any]] = {
    "learning rate 0.003": {"settings": {"learning_rate": 3e-3}},
    "width 50": {"network": partial(MLP, width=50)},
    "12 hidden layers": {"network": partial(MLP, hidden_layers=12)},
    "slope 0.4": {"network": partial(MLP, negative_slope=0.4)},
}
"""What to change about the MLP on digits, while the controller stays as it is."""

CONFIGURATION: dict[str, Any] = {
    "compared": COMPARED,
    "grid": GRID,
    "images": IMAGES,
    "validation": VALIDATION,
    "variations": {arm: repr(controller) for arm, controller in VARIATIONS.items()},
}
"""What a file of results says of how it came about."""


@dataclass(frozen=True)
class Problem:
    """A network, its data and how to train it, for a multiple of `READINGS` epochs.

    The training images of `data` are the `images` to train on and, after them, those to validate
    on; `settings` are the other arguments of `sbt_utils.training.steering.steer`.
    """

    network: nn.Sequential
    data: Dataset
    images: int
    epochs: int
    settings: dict[str, Any] = field(default_factory=dict)


def problem(architecture: str, data: str | Dataset) -> Problem:
    """Return a problem of the comparison; data not named have `VALIDATION` more images to train.

    The published MLP, 2,560 images in full batches for 100 epochs at a learning rate of 1e-3; or a
    small CNN (5 hidden layers of 6 channels), 800 images in batches of 50 for 40 epochs at 2e-3.
    """
    if architecture not in IMAGES:
        raise ValueError(f"architecture={architecture!r}: choose one of {', '.join(IMAGES)}")
    images = IMAGES[architecture]
    if isinstance(data, str):
        data = load_data(data, train=images + VALIDATION)
    channels, size, _ = data.train_images.shape[1:]
    if architecture == "MLP":
        return Problem(MLP(channels * size**2), data, images, epochs=100)
    settings = {"learning_rate": 2e-3, "batch_size": 50, "layers": nn.MaxPool2d}
    return Problem(CNN(channels, size, channels=6, hidden_layers=5), data, images, 40, settings)


def run(
    problem: Problem, controllers: Controller | Sequence[Controller], seeds: Sequence[int]
) -> xr.Dataset:
    """Train a problem's networks, one per seed, and test them; one controller for all or one each.

    Returns ``dropout``, ``convexity`` and ``accuracy_validation`` (seed, reading), the coordinate
    ``reading`` in epochs; ``accuracy_test`` (seed) at the end, and ``convexity_end`` (seed), of all
    training images.
    """
    data, count = problem.data, problem.images
    training = data.train_images[:count], data.train_labels[:count]
    steered = steer(
        problem.network,
        training,
        controllers=controllers,
        seeds=list(seeds),
        epochs=problem.epochs,
        every=problem.epochs // READINGS,
        unseen=(data.train_images[count:], data.train_labels[count:]),
        progress=False,
        **problem.settings,
    )
    networks = list(steered.training.networks)
    read = steered.history[["dropout", "convexity", "accuracy_unseen"]].reset_coords(drop=True)
    result = read.rename(accuracy_unseen="accuracy_validation", member="seed")
    curves = evaluate(networks, training, layers=problem.settings.get("layers")).separation
    tested = [accuracy(n, data.test_images, data.test_labels) for n in networks]
    result["convexity_end"] = "seed", convexity(curves).values, {"long_name": "final convexity"}
    result["accuracy_test"] = "seed", tested, {"long_name": "accuracy on test images"}
    return result.assign_coords(seed=list(seeds))


def run_all(
    problem: Problem, controllers: Mapping[str, Controller], seeds: Sequence[int]
) -> xr.Dataset:
    """Run a problem with several controllers: as `run`, along ``arm``, by their names."""
    runs = [run(problem, controller, seeds) for controller in controllers.values()]
    return xr.concat(runs, "arm").assign_coords(arm=list(controllers))


def replay(steered: xr.Dataset) -> list[Schedule]:
    """Return per seed the mean dropout over time of all others: a schedule without feedback."""
    dropout = steered.dropout.values
    others = (dropout.sum(0) - dropout) / (len(dropout) - 1)
    return [Schedule(tuple(levels)) for levels in others]


def compare(problem: Problem, seeds: Sequence[int]) -> xr.Dataset:
    """Train all arms of `ARMS` on one problem, and ``"replayed"``, with two seeds or more.

    All train for the same number of epochs, and a seed means the same initial weights whatever the
    dropout. Accuracy on validation images, which no network trains on, chooses the best fixed
    dropout; test images are for the report alone.
    """
    compared = run_all(problem, ARMS, seeds)
    replayed = run(problem, replay(compared.sel(arm="steered")), seeds)
    arms = [*ARMS, "replayed"]
    return xr.concat([compared.drop_vars("arm"), replayed], "arm").assign_coords(arm=arms)


def everything() -> xr.Dataset:
    """Run all that the chapter reports, in a quarter of an hour on two processor cores.

    Returns comparisons, variations and changed problems, from `join`.
    """
    parts = {}
    for kind, data in tqdm(COMPARED, unit="problem"):
        parts[f"{kind}, {data}"] = compare(problem(kind, data), range(10))
    # The curves of this one do not fall: there is nothing to steer by.
    none = {"fixed 0": ARMS["fixed 0"]}
    parts["CNN, fashion_mnist"] = run_all(problem("CNN", "fashion_mnist"), none, range(10))
    digits = problem("MLP", "mnist")
    parts["variations"] = run_all(digits, VARIATIONS, range(5))
    three = {arm: ARMS[arm] for arm in ("fixed 0", "fixed 0.1", "steered")}
    for change, values in CHANGES.items():
        # Networks are made here: making one draws from PyTorch's global generator.
        changed = {name: value() if callable(value) else value for name, value in values.items()}
        parts[change] = run_all(replace(digits, **changed), three, range(5))
    return join(parts)
