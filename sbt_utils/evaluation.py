"""Load curves and accuracies of trained networks."""

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from sbt_utils.probe import load_curve
from sbt_utils.scatter import UndefinedSeparation


def evaluate(
    networks: Iterable[nn.Module], images: Tensor, labels: Tensor, measure: str = "trace"
) -> xr.Dataset:
    """Measure the load curve and the accuracy of each network on labelled images.

    Parameters
    ----------
    networks : iterable of torch.nn.Module
        For instance `sbt_utils.training.Training.networks`; all with the same number of layers.
    images : Tensor, shape (N, ...), floating point
    labels : Tensor, shape (N,), integer
    measure : {"trace", "fuzziness"}
        See `sbt_utils.separation.data_separation`.

    Returns
    -------
    xarray.Dataset
        ``separation`` (member, layer), nan where a collapsed network leaves it undefined, and
        ``accuracy`` (member), a fraction.

    Examples
    --------
    >>> from sbt_utils.datasets import load
    >>> from sbt_utils.networks import MLP
    >>> digits = load("mnist", train=100)
    >>> evaluate([MLP()], digits.train_images, digits.train_labels).separation.shape
    (1, 8)
    """
    curves, accuracies = [], []
    for network in networks:
        curves.append(separation_or_nan(network, images, labels, measure))
        accuracies.append(_accuracy(network, images, labels))
    return xr.Dataset(
        {
            "separation": (
                ("member", "layer"),
                np.stack(curves),
                {"long_name": "data separation D"},
            ),
            "accuracy": ("member", accuracies, {"long_name": "accuracy"}),
        }
    )


def separation_or_nan(
    network: nn.Module, images: Tensor, labels: Tensor, measure: str = "trace"
) -> np.ndarray:
    """Measure D_l of a network; nan if it has collapsed so far that D is not defined.

    Parameters
    ----------
    network : torch.nn.Module
    images : Tensor, shape (N, ...), floating point
    labels : Tensor, shape (N,), integer
    measure : {"trace", "fuzziness"}

    Returns
    -------
    ndarray, shape (L + 1,), float64

    Examples
    --------
    >>> from sbt_utils.networks import MLP
    >>> network = MLP(inputs=4, width=3, hidden_layers=2)
    >>> _ = network.requires_grad_(False).linear1.weight.zero_()
    >>> separation_or_nan(network, torch.rand(8, 4), torch.arange(8) % 2)
    array([nan, nan, nan])
    """
    try:
        return load_curve(network, images, labels, measure=measure, batch_size=4096).separation
    except UndefinedSeparation:
        # A copy with new weights says how many layers there are.
        network = copy.deepcopy(network)
        layer: Any
        for layer in network.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
        return np.full_like(load_curve(network, images, labels).separation, np.nan)


@torch.no_grad()
def _accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the fraction of images that a network in evaluation mode classifies rightly."""
    return (network(images).argmax(1) == labels).double().mean().item()
