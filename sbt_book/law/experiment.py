"""The law of data separation: how straight the load curves of many kinds of network are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import nn

from sbt_utils.data.datasets import Dataset, load_data
from sbt_utils.measuring.curves import curve_statistics
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.separation import MEASURES
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

LEARNING_RATES = {
    "sgd": (0.03, 0.1, 0.3),
    "momentum": (0.01, 0.03, 0.1),
    "adam": (3e-4, 1e-3, 3e-3),
}
"""Learning rates to try with each optimiser, from too small to nearly too large."""


@dataclass(frozen=True)
class Kind:
    """A kind of ReLU network and of training; change one field to see what it does.

    Parameters
    ----------
    layers, width : int
        Hidden layers, and the units of each.
    optimizer : {"sgd", "momentum", "adam"}
        See `sbt_utils.training.trainer.train`.
    data : str
        A name that `sbt_utils.data.datasets.load_data` knows.
    images : int
        To train on.
    class_ratio : float, optional
        Largest class over smallest, see `uneven_classes`. Default: classes as they are drawn.
    epochs : int
        Of training, in batches of 128 images.
    learning_rates : tuple of float, optional
        To try. Default: those of `LEARNING_RATES`.

    Examples
    --------
    >>> replace(Kind(), layers=20).width
    100
    """

    layers: int = 6
    width: int = 100
    optimizer: str = "momentum"
    data: str = "mnist"
    images: int = 2560
    class_ratio: float | None = None
    epochs: int = 100
    learning_rates: tuple[float, ...] | None = None


def linearity_of(
    kind: Kind,
    seeds: Sequence[int],
    device: str = "cpu",
    loader: Callable[[str, int], Dataset] = load_data,
) -> xr.Dataset:
    """Train networks of one kind and measure their linearity.

    Parameters
    ----------
    kind : Kind
        What to train.
    seeds : sequence of int
        One network for each, at each learning rate.
    device : str
        As in `sbt_utils.training.trainer.train`.
    loader : callable
        Gives a data set by its name and number of training images.

    Returns
    -------
    xarray.Dataset
        From `linearity`, with the coordinate ``source``: where the data came from.

    Raises
    ------
    ValueError
        As `linearity`, `uneven_classes` and the loader.

    Examples
    --------
    >>> kind = Kind(layers=3, width=20, data="gaussian_mixture", images=100, epochs=1)
    >>> linearity_of(kind, seeds=[0]).source.item()[:25]
    'Generated: 10 Gaussian cl'
    """
    if kind.class_ratio is None:
        data = loader(kind.data, kind.images)
    else:  # the largest class takes more than its share of these
        data = uneven_classes(loader(kind.data, 5000), kind.class_ratio, kind.images)
    pixels, classes = data.train_images[0].numel(), data.classes
    network = MLP(pixels, kind.width, kind.layers, classes)
    result = linearity(
        network,
        data,
        kind.optimizer,
        seeds,
        kind.epochs,
        device=device,
        learning_rates=kind.learning_rates,
    )
    return result.assign_coords(source=data.source)


def uneven_classes(data: Dataset, ratio: float, images: int) -> Dataset:
    """Choose training images so that the classes differ in size.

    Parameters
    ----------
    data : Dataset
        From which the first images of each class are taken.
    ratio : float
        Size of the largest class, 0, over that of the smallest, the last, at least 1. From class to
        class the sizes fall by a constant factor.
    images : int
        How many to take of all classes together.

    Returns
    -------
    Dataset
        The images in their order; the test images are those of `data`.

    Raises
    ------
    ValueError
        If the ratio is below 1, a class has too few images, or fewer than 2 are to be taken of one.

    Examples
    --------
    >>> torch.bincount(uneven_classes(load_data(train=5000), ratio=10, images=1900).train_labels)
    tensor([465, 360, 279, 215, 167, 130, 100,  77,  61,  46])
    """
    if not ratio >= 1:
        raise ValueError(f"ratio={ratio}: give the largest class over the smallest, at least 1")
    shares = ratio ** -np.linspace(0.0, 1.0, data.classes)
    # Rounded where they add up, so that the total is exact.
    wanted = np.diff(np.rint(images * np.cumsum(shares) / shares.sum()).astype(int), prepend=0)
    there = torch.bincount(data.train_labels, minlength=data.classes).numpy()
    for label in np.flatnonzero((wanted > there) | (wanted < 2)).tolist():
        raise ValueError(
            f"images={images}: of class {label}, {wanted[label]} images are wanted and "
            f"{there[label]} are there; take another total, or a smaller ratio"
        )
    chosen = torch.cat(
        [(data.train_labels == label).nonzero()[:n, 0] for label, n in enumerate(wanted.tolist())]
    )
    chosen = chosen.sort().values
    return replace(
        data, train_images=data.train_images[chosen], train_labels=data.train_labels[chosen]
    )


def linearity(
    network: nn.Sequential,
    data: Dataset,
    optimizer: str,
    seeds: Sequence[int],
    epochs: int = 100,
    batch_size: int = 128,
    device: str = "cpu",
    learning_rates: Sequence[float] | None = None,
) -> xr.Dataset:
    """Train networks of one architecture at several learning rates and measure their linearity.

    Parameters
    ----------
    network : torch.nn.Sequential
        The architecture.
    data : Dataset
        What to train on and to test on.
    optimizer : {"sgd", "momentum", "adam"}
        See `sbt_utils.training.trainer.train`.
    seeds : sequence of int
        One network for each, at each learning rate.
    epochs, batch_size : int
        As in `sbt_utils.training.trainer.train`.
    device : str
        Likewise; measured on the CPU.
    learning_rates : sequence of float, optional
        Default: those of `LEARNING_RATES`.

    Returns
    -------
    xarray.Dataset
        ``linearity_trace`` and ``linearity_fuzziness`` (learning_rate, seed), Pearson's r of
        (l, D_l) on the training images, nan where a network has collapsed; ``accuracy_test``
        likewise, a fraction.

    Raises
    ------
    ValueError
        If the optimiser is unknown, or as `sbt_utils.training.trainer.train`.

    References
    ----------
    He & Su, A law of data separation in deep learning, PNAS 120 (2023) e2221704120,
    arXiv:2210.17020.

    Examples
    --------
    >>> from sbt_utils.data.datasets import load_data
    >>> from sbt_utils.training.networks import MLP
    >>> result = linearity(MLP(width=20), load_data("mnist", train=200, test=100), "sgd", [0], epochs=1)
    >>> dict(result.sizes)
    {'learning_rate': 3, 'seed': 1}
    """
    if optimizer not in LEARNING_RATES:
        raise ValueError(f"optimizer={optimizer!r}: choose one of {', '.join(LEARNING_RATES)}")
    rates = learning_rates or LEARNING_RATES[optimizer]
    rate, seed = (grid.ravel() for grid in np.meshgrid(rates, seeds, indexing="ij"))
    training, test = (data.train_images, data.train_labels), (data.test_images, data.test_labels)
    trained = train(
        network,
        *training,
        seeds=seed.tolist(),
        learning_rate=rate,
        batch_size=min(batch_size, len(data.train_images)),
        epochs=epochs,
        optimizer=optimizer,
        device=device,
        progress=False,
    )
    networks = list(trained.networks)
    columns = {"accuracy_test": evaluate(networks, *test).accuracy.values}
    for measure in MEASURES:
        curves = evaluate(networks, *training, measure).separation.values
        columns[f"linearity_{measure}"] = curve_statistics(curves, "linearity")
    return xr.Dataset(
        {
            name: (("learning_rate", "seed"), values.reshape(len(rates), len(seeds)))
            for name, values in columns.items()
        },
        {"learning_rate": list(rates), "seed": list(seeds)},
    )


def linearity_table(
    kinds: Sequence[dict[str, object]], results: Sequence[xr.Dataset]
) -> pd.DataFrame:
    """Return a row for each kind of network, at the learning rate with the best test accuracy.

    Parameters
    ----------
    kinds : sequence of dict
        What to say of each kind: column to entry.
    results : sequence of xarray.Dataset
        From `linearity`, in the same order.

    Returns
    -------
    pandas.DataFrame
        The entries of `kinds`; the learning rate; magnitudes of r as mean ± standard deviation
        over the seeds; the range of their means over the learning rates; the test accuracy.

    Examples
    --------
    >>> dims = ("learning_rate", "seed")
    >>> result = xr.Dataset(
    ...     {"linearity_trace": (dims, [[-0.99, -0.97]]), "accuracy_test": (dims, [[0.9, 0.9]]),
    ...      "linearity_fuzziness": (dims, [[-0.98, -0.98]])}, {"learning_rate": [0.1]})
    >>> linearity_table([{"width": 50}], [result])["|r|, trace"].item()
    '0.980 ± 0.014'
    """
    rows = []
    for kind, result in zip(kinds, results, strict=True):
        best = result.isel(
            learning_rate=result.accuracy_test.mean("seed").argmax("learning_rate").item()
        )
        row = dict(kind) | {"rate": f"{best.learning_rate.item():g}"}
        for measure in MEASURES:
            r = abs(best[f"linearity_{measure}"])
            row[f"|r|, {measure}"] = f"{r.mean().item():.3f} ± {r.std(ddof=1).item():.3f}"
        means = abs(result.linearity_fuzziness).mean("seed")
        row["|r|, any rate"] = f"{means.min().item():.3f} to {means.max().item():.3f}"
        row["accuracy"] = f"{best.accuracy_test.mean().item():.1%}"
        rows.append(row)
    return pd.DataFrame(rows)
