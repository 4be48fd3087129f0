"""The law of data separation: how straight the load curves of many kinds of network are.

He & Su, A law of data separation in deep learning, PNAS 120 (2023) e2221704120, arXiv:2210.17020.
"""

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

    Attributes
    ----------
    layers, width : int
        Hidden layers, and the units of each.
    data, images
        Name and number of the images to train on, in batches of 128.
    class_ratio : float, optional
        Largest class over smallest, see `uneven_classes`; None leaves classes as they are drawn.
    learning_rates : tuple of float, optional
        To try; None: those of `LEARNING_RATES`.
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
    """Train networks of one kind, one per seed and learning rate, and return their `linearity`.

    The coordinate ``source`` says where the data came from. `loader` gives a data set by its name
    and number of training images.
    """
    if kind.class_ratio is None:
        data = loader(kind.data, kind.images)
    else:  # the largest class takes more than its share of these
        data = uneven_classes(loader(kind.data, 5000), kind.class_ratio, kind.images)
    network = MLP(data.train_images[0].numel(), kind.width, kind.layers, data.classes)
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
    """Choose training images so that class sizes fall by a constant factor from class to class.

    `ratio` is the size of the first class over that of the last. The first images of each class
    are taken, and stay in their order.
    """
    if not ratio >= 1:
        raise ValueError(f"ratio={ratio}: give the largest class over the smallest, at least 1")
    shares = ratio ** -np.linspace(0.0, 1.0, data.classes)
    # Rounded where they add up, so that the total is exact.
    wanted = np.diff(np.rint(images * np.cumsum(shares) / shares.sum()).astype(int), prepend=0)
    available = torch.bincount(data.train_labels, minlength=data.classes).numpy()
    for label in np.flatnonzero((wanted > available) | (wanted < 2)).tolist():
        raise ValueError(
            f"images={images}: of class {label}, {wanted[label]} images are wanted and "
            f"{available[label]} are there; take another total, or a smaller ratio"
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
    optimizer, epochs, batch_size, device
        As in `sbt_utils.training.trainer.train`; measured on the CPU.
    seeds : sequence of int
        One network for each, at each learning rate.
    learning_rates : sequence of float, optional
        Default: those of `LEARNING_RATES`.

    Returns
    -------
    xarray.Dataset
        ``linearity_trace`` and ``linearity_fuzziness`` (learning_rate, seed), Pearson's r of (l,
        D_l) on the training images, nan where a network has collapsed; ``accuracy_test`` likewise,
        a fraction.
    """
    if optimizer not in LEARNING_RATES:
        raise ValueError(f"optimizer={optimizer!r}: choose one of {', '.join(LEARNING_RATES)}")
    rates = learning_rates or LEARNING_RATES[optimizer]
    rate, seed = (grid.ravel() for grid in np.meshgrid(rates, seeds, indexing="ij"))
    training, test = (data.train_images, data.train_labels), (data.test_images, data.test_labels)
    trained = train(
        network,
        training,
        seeds=seed.tolist(),
        learning_rate=rate,
        batch_size=min(batch_size, len(data.train_images)),
        epochs=epochs,
        optimizer=optimizer,
        device=device,
        progress=False,
    )
    networks = list(trained.networks)
    columns = {"accuracy_test": evaluate(networks, test).accuracy.values}
    for measure in MEASURES:
        curves = evaluate(networks, training, measure=measure).separation.values
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
    """Return one row per kind of network, at the learning rate with the best test accuracy.

    Parameters
    ----------
    kinds : sequence of dict
        What to say of each kind: column to entry.
    results : sequence of xarray.Dataset
        From `linearity`, in the same order.

    Returns
    -------
    pandas.DataFrame
        The entries of `kinds`; the learning rate; magnitudes of r as mean ± standard deviation over
        the seeds; the range of their means over the learning rates; the test accuracy.
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
