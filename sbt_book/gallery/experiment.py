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

    Attributes
    ----------
    build : callable
        Returns a network; takes ``dropout``.
    epochs, batch_size, learning_rate
        Of its training.
    rates : tuple of float
        Factors by which the learning rate is multiplied, without dropout.
    layers, pool
        As in `sbt_utils.measuring.probe.load_curve`.
    data : {"digits", "sentences"}
        What it learns.
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
    """Return what an architecture learns: 1,000 digits or sentences, and 1,000 to be tested on.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.

    Returns
    -------
    Dataset

    Examples
    --------
    >>> data_of("sequence classifier").train_images.shape
    torch.Size([1000, 16])
    """
    if KINDS[kind].data == "sentences":
        return sentences(train=1000, test=1000)
    return datasets.load_data("mnist", train=1000, test=1000)


def trained(
    kind: str, dropout: float = 0.0, rate: float = 1.0, seed: int = 0, epochs: int | None = None
) -> nn.Module:
    """Train a network of the gallery.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    dropout : float
        p in [0, 1).
    rate : float
        Factor to the kind's learning rate.
    seed : int
    epochs : int, optional
        Default: the kind's.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.

    Raises
    ------
    ValueError
        If there is no such kind.

    Examples
    --------
    >>> type(trained("residual network", epochs=1)).__name__
    'ResNet'
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}: choose one of {', '.join(KINDS)}")
    own, data = KINDS[kind], data_of(kind)
    epochs = own.epochs if epochs is None else epochs
    training = data.train_images, data.train_labels
    options: dict[str, Any] = {
        "learning_rate": rate * own.learning_rate,
        "batch_size": own.batch_size,
    }
    network = own.build(dropout=dropout)
    if isinstance(network, MLP | CNN):
        run = train(network, *training, epochs=epochs, seeds=seed, progress=False, **options)
        return run.network(0)
    return fit(partial(own.build, dropout=dropout), *training, epochs, seed, **options)


def measured(kind: str, network: nn.Module) -> xr.Dataset:
    """Measure a network of the gallery on what it has learned from, and on what it has not seen.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    network : torch.nn.Module
        One of that kind.

    Returns
    -------
    xarray.Dataset
        ``separation_train`` and ``separation_test`` (layer), ``accuracy_train`` and
        ``accuracy_test``, fractions.

    Examples
    --------
    >>> measured("MLP", MLP()).sizes["layer"]
    8
    """
    own, data = KINDS[kind], data_of(kind)
    parts = {
        "train": (data.train_images, data.train_labels),
        "test": (data.test_images, data.test_labels),
    }
    columns: dict[str, Any] = {}
    for part, (images, labels) in parts.items():
        curve = load_curve(network, images, labels, layers=own.layers, pool=own.pool)
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
        Holds a file for each network that is finished; those are not trained again.
    kinds : sequence of str
        Keys of `KINDS`.
    seeds : sequence of int
        A network for each.
    dropouts : sequence of float
        At the kind's usual learning rate; the others are taken without dropout.

    Returns
    -------
    xarray.Dataset
        As `measured`, over (kind, dropout, rate, seed), nan where no network was trained and
        beyond a kind's last layer; ``seconds`` of each network's training and measurement.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gallery(Path(folder), ["MLP"], seeds=[0], dropouts=[0.1]).sizes["rate"]
    4
    """
    networks = []
    for seed in seeds:
        for kind in kinds:
            cells = [(dropout, 1.0) for dropout in dropouts]
            cells += [(0.0, rate) for rate in KINDS[kind].rates if rate != 1]
            for dropout, rate in cells:
                place: dict[str, Any] = {
                    "kind": kind,
                    "dropout": dropout,
                    "rate": rate,
                    "seed": seed,
                }
                path = folder / f"{'_'.join(map(str, place.values()))}.nc"
                if not path.exists():
                    start = perf_counter()
                    found = measured(kind, trained(**place))
                    seconds = perf_counter() - start
                    found = found.assign(seconds=seconds).assign_coords(place)
                    results.save(found, path, place, seconds)
                networks.append(results.load(path))
    found = xr.concat(networks, "network", coords=list(place), join="outer", combine_attrs="drop")
    found = found.set_index(network=list(place)).unstack("network").sel(kind=list(kinds))
    return found.assign_coords(kind=list(kinds))  # the index cuts names to the first one's length
