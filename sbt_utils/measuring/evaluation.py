"""Load curves and accuracies of trained networks."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from sbt_utils.measuring.layer_choice import Layers, choose
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.scatter import UndefinedSeparation


def evaluate(
    networks: Iterable[nn.Module],
    images: Tensor,
    labels: Tensor,
    measure: str = "trace",
    layers: Layers | None = None,
) -> xr.Dataset:
    """Measure the load curve, the accuracy and the loss of each network on labelled images.

    Parameters
    ----------
    networks : iterable of torch.nn.Module
        For instance `sbt_utils.training.trainer.Training.networks`; all with the same number of layers.
    images : Tensor, shape (N, ...), floating point
    labels : Tensor, shape (N,), integer
    measure : {"trace", "fuzziness"}
        See `sbt_utils.measuring.separation.data_separation`.
    layers : optional
        What to measure, as in `sbt_utils.measuring.probe.load_curve`; ``torch.nn.MaxPool2d`` for a
        `sbt_utils.training.networks.CNN`.

    Returns
    -------
    xarray.Dataset
        ``separation`` (member, layer), nan where a collapsed network leaves it undefined;
        ``accuracy`` (member), a fraction; ``loss`` (member), the mean cross-entropy in nats.

    Examples
    --------
    >>> from sbt_utils.data.datasets import load_data
    >>> from sbt_utils.training.networks import MLP
    >>> digits = load_data("mnist", train=100)
    >>> evaluate([MLP()], digits.train_images, digits.train_labels).separation.shape
    (1, 8)
    """

    def each(network: nn.Module) -> tuple[np.ndarray, float, float]:
        curve = separation_or_nan(network, images, labels, measure, layers)
        return curve, *_accuracy_and_loss(network, images, labels)

    with single_threads() as pool:
        curves, accuracies, losses = zip(*pool.map(each, networks), strict=True)
    return xr.Dataset(
        {
            "separation": (
                ("member", "layer"),
                np.stack(curves),
                {"long_name": "data separation D"},
            ),
            "accuracy": ("member", list(accuracies), {"long_name": "accuracy"}),
            "loss": ("member", list(losses), {"long_name": "cross-entropy"}),
        }
    )


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the fraction of images that a network in evaluation mode classifies rightly.

    Parameters
    ----------
    network : torch.nn.Module
    images : Tensor, shape (N, ...), floating point
    labels : Tensor, shape (N,), integer

    Returns
    -------
    float

    Examples
    --------
    >>> accuracy(nn.Identity(), torch.eye(4), torch.tensor([0, 1, 2, 0]))
    0.75
    """
    return _accuracy(network(images), labels)


@contextmanager
def single_threads() -> Iterator[ThreadPoolExecutor]:
    """Give a pool of as many threads as PyTorch has, on each of which PyTorch has but one.

    That is faster than all threads on each operation, and keeps sums in one order however many
    threads there are.

    Examples
    --------
    >>> with single_threads() as pool:
    ...     pool.submit(torch.get_num_threads).result()
    1
    """
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def separation_or_nan(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    measure: str = "trace",
    layers: Layers | None = None,
) -> np.ndarray:
    """Measure D_l of a network; nan if it has collapsed so far that D is not defined.

    Parameters
    ----------
    network : torch.nn.Module
    images : Tensor, shape (N, ...), floating point
    labels : Tensor, shape (N,), integer
    measure : {"trace", "fuzziness"}
    layers : optional
        As for `evaluate`.

    Returns
    -------
    ndarray, shape (L + 1,), float64

    Examples
    --------
    >>> from sbt_utils.training.networks import MLP
    >>> network = MLP(inputs=4, width=3, hidden_layers=2)
    >>> _ = network.requires_grad_(False).linear1.weight.zero_()
    >>> separation_or_nan(network, torch.rand(8, 4), torch.arange(8) % 2)
    array([nan, nan, nan])
    """
    try:
        return load_curve(network, images, labels, layers, measure, batch_size=4096).separation
    except UndefinedSeparation:
        return np.full(1 + len(choose(network, layers)), np.nan)


@torch.no_grad()
def _accuracy_and_loss(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return the fraction of images classified rightly and the mean cross-entropy."""
    logits = network(images)
    loss = nn.functional.cross_entropy(logits.double(), labels)
    return _accuracy(logits, labels), loss.item()


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return (logits.argmax(1) == labels).double().mean().item()
