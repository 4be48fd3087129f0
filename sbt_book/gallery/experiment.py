"""A gallery of architectures, their load curves, and what noise does to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import xarray as xr
from torch import nn

from sbt_book.gallery.sentences import sentences
from sbt_book.gallery.small_models import (
    ResNet,
    SequenceClassifier,
    VisionTransformer,
    class_token,
    fit,
    mean_token,
)
from sbt_utils import results
from sbt_utils.data import datasets
from sbt_utils.measuring.probe import Layers, Pool, load_curve
from sbt_utils.training.networks import CNN, MLP
from sbt_utils.training.trainer import train

DROPOUTS = (0.0, 0.1, 0.2, 0.3)
RATES = (0.1, 0.3, 1.0, 3.0)
"""Factors by which the learning rate is multiplied."""


@dataclass(frozen=True)
class Kind:
    """An architecture, how it is trained, and where its features are measured.

    `build` returns a network and takes ``dropout``. `rates` are factors by which the learning rate
    is multiplied, without dropout; `layers` and `pool` are as in
    `sbt_utils.measuring.probe.load_curve`. It learns `data`, ``"digits"`` or ``"sentences"``.
    """

    build: Callable[..., nn.Module]
    epochs: int
    batch_size: int = 50
    learning_rate: float = 3e-3
    rates: tuple[float, ...] = (1.0,)
    layers: Layers | None = None
    pool: Pool | None = None
    data: str = "digits"


KINDS = {
    "MLP": Kind(MLP, epochs=100, batch_size=1000, learning_rate=1e-3, rates=RATES),
    "CNN": Kind(partial(CNN, inputs=1, channels=8), epochs=10, layers=nn.MaxPool2d),
    "residual network": Kind(ResNet, epochs=10),
    "transformer, class token": Kind(
        VisionTransformer, epochs=16, batch_size=100, pool=class_token
    ),
    "transformer, mean token": Kind(
        partial(VisionTransformer, pool=mean_token), epochs=16, batch_size=100, pool=mean_token
    ),
    "sequence classifier": Kind(SequenceClassifier, epochs=10, rates=RATES, data="sentences"),
}
"""The architectures of the gallery, by name."""


@cache
def data_of(kind: str) -> datasets.Dataset:
    """Return what a key of `KINDS` learns: 1,000 digits or sentences, and 1,000 to test."""
    if KINDS[kind].data == "sentences":
        return sentences(train=1000, test=1000)
    return datasets.load_data("mnist", train=1000, test=1000)


def trained(
    kind: str, dropout: float = 0.0, rate: float = 1.0, seed: int = 0, epochs: int | None = None
) -> nn.Module:
    """Train a network of the gallery and return it in evaluation mode.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    dropout, rate : float
        p in [0, 1), and a factor to the kind's learning rate.
    epochs : int, optional
        Default: the kind's.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}: choose one of {', '.join(KINDS)}")
    recipe, data = KINDS[kind], data_of(kind)
    epochs = recipe.epochs if epochs is None else epochs
    training = data.train_images, data.train_labels
    options: dict[str, Any] = {
        "learning_rate": rate * recipe.learning_rate,
        "batch_size": recipe.batch_size,
    }
    network = recipe.build(dropout=dropout)
    if isinstance(network, MLP | CNN):
        run = train(network, training, epochs=epochs, seeds=seed, progress=False, **options)
        return run.network(0)
    return fit(partial(recipe.build, dropout=dropout), *training, epochs, seed, **options)


def measured(kind: str, network: nn.Module) -> xr.Dataset:
    """Measure a network of a kind on the data that it learned from, and on unseen data.

    Returns ``separation_train`` and ``separation_test`` (layer); ``accuracy_train`` and
    ``accuracy_test``, fractions.
    """
    recipe, data = KINDS[kind], data_of(kind)
    parts = {
        "train": (data.train_images, data.train_labels),
        "test": (data.test_images, data.test_labels),
    }
    columns: dict[str, Any] = {}
    for part, (images, labels) in parts.items():
        curve = load_curve(network, images, labels, layers=recipe.layers, pool=recipe.pool)
        columns[f"separation_{part}"] = ("layer", curve.separation)
        with torch.no_grad():
            right = network(images).argmax(1) == labels
        columns[f"accuracy_{part}"] = right.double().mean().item()
    return xr.Dataset(columns, {"layer": range(len(curve.separation))})


def gallery(
    folder: Path,
    kinds: Sequence[str] = tuple(KINDS),
    seeds: Sequence[int] = range(5),
    dropouts: Sequence[float] = DROPOUTS,
) -> xr.Dataset:
    """Train and measure networks of each kind at each dropout, and at each of its learning rates.

    Parameters
    ----------
    folder : Path
        Keeps a file for each network that is finished; those are not trained again.
    kinds, seeds
        Keys of `KINDS`, and the seeds, each with a network.
    dropouts : sequence of float
        At the kind's usual learning rate; the others are taken without dropout.

    Returns
    -------
    xarray.Dataset
        As `measured`, over (kind, dropout, rate, seed), nan where no network was trained and beyond
        a kind's last layer; ``seconds`` of each network's training and measurement.

    Raises
    ------
    ValueError
        If a file in `folder` holds a network that was trained in another way.
    """
    names = ["kind", "dropout", "rate", "seed"]
    networks = []
    for seed in seeds:
        for kind in kinds:
            cells = [(kind, dropout, 1.0, seed) for dropout in dropouts]
            cells += [(kind, 0.0, rate, seed) for rate in KINDS[kind].rates if rate != 1]
            for cell in cells:
                path = folder / f"{'_'.join(map(str, cell))}.nc"
                settings = dict(zip(names, cell, strict=True))
                compute = partial(_trained_and_measured, settings)
                networks.append(results.kept(path, settings | _protocol(kind), compute))
    found = xr.concat(networks, "network", coords=names, join="outer", combine_attrs="drop")
    found = found.set_index(network=names).unstack("network").sel(kind=list(kinds))
    return found.assign_coords(kind=list(kinds))  # the index cuts names to the first one's length


def _protocol(kind: str) -> dict[str, Any]:
    """Return how networks of a kind are trained, and on what."""
    recipe, data = KINDS[kind], data_of(kind)
    names = ("epochs", "batch_size", "learning_rate")
    return {name: getattr(recipe, name) for name in names} | {
        "data": data.source,
        "train": len(data.train_images),
        "test": len(data.test_images),
    }


def _trained_and_measured(settings: dict[str, Any]) -> xr.Dataset:
    start = perf_counter()
    found = measured(settings["kind"], trained(**settings))
    return found.assign(seconds=perf_counter() - start).assign_coords(settings)
