"""The members' settings and data, checked once, before anything is trained."""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from sbt_utils.ensembles.ensemble import stock_layers
from sbt_utils.text import quoted, shown
from sbt_utils.training.ranges import check_range

Members = dict[str, np.ndarray]
"""The members' settings: under every name an array with an entry for each member."""


_LARGEST = np.iinfo(np.int64).max
_LAYERS = {"negative_slope": (nn.LeakyReLU, "negative_slope"), "dropout": (nn.Dropout, "p")}


def member_settings(network: nn.Sequential, **given: Any) -> Members:
    """Give every member its entry of each setting: the seed, those in `RANGES` and the batch size.

    Where None is given, α or p is that of the network's layers; nan if it has no such layer.
    """
    given |= {name: _of_layers(network, name, given[name]) for name in _LAYERS}
    for name in ("learning_rate", "data_noise", "weight_noise"):
        check_range(name, given[name])
    arrays = {name: np.atleast_1d(_array(value)) for name, value in given.items()}
    for name, least in (("seed", 0), ("batch_size", 1)):
        array = arrays[name]
        if array.dtype.kind not in "iu" or (array < least).any() or (array > _LARGEST).any():
            raise ValueError(
                f"{name}={quoted(given[name])}: give integers of at least {least}, below 2^63"
            )
    counts = {len(array) for array in arrays.values()} - {1}
    if len(counts) > 1 or 0 in counts or any(array.ndim > 1 for array in arrays.values()):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(
            f"settings of shapes {shapes}: give each one value, or one value for each member"
        )
    return {
        name: np.resize(array, max(counts, default=1)).astype(
            np.int64 if name in ("seed", "batch_size") else np.float64
        )
        for name, array in arrays.items()
    }


def _array(value: ArrayLike) -> np.ndarray:
    """Return what was given as an array; one of objects if rows are ragged or values masked."""
    try:
        return np.empty(1, dtype=object) if np.ma.is_masked(value) else np.asarray(value)
    except (TypeError, ValueError):
        return np.empty(1, dtype=object)


def _of_layers(network: nn.Sequential, name: str, given: ArrayLike | None) -> np.ndarray:
    """Return what was given for a setting of the network's layers, else what they have."""
    kind, attribute = _LAYERS[name]
    values = {getattr(layer, attribute) for layer in network.modules() if isinstance(layer, kind)}
    if given is not None:
        if not values:
            raise ValueError(
                f"{name}={quoted(given)}: the network has no {kind.__name__} layer; omit it"
            )
        check_range(name, given)
        return np.asarray(given, np.float64)
    if len(values) > 1:
        raise ValueError(
            f"{name}: the network's layers differ ({quoted(sorted(values))}); give one value"
        )
    return np.array(values.pop() if values else np.nan)


def check_device(device: str | torch.device) -> str:
    """Return the name of a device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...; raise if not here."""
    kind, _, number = str(device).partition(":")
    if (
        not isinstance(device, str | torch.device)
        or kind not in ("cpu", "cuda")
        or not (number or "0").isdecimal()
    ):
        raise ValueError(f"device={quoted(device)}: choose 'cpu' or 'cuda' (of several, 'cuda:1')")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ValueError(f"device={quoted(device)}: this machine has no such GPU; choose 'cpu'")
    return "cpu" if kind == "cpu" else str(device)


def check_data(network: nn.Sequential, images: Tensor, labels: Tensor) -> int:
    """Raise unless an ensemble can train the network, and the data fit it and one another.

    Returns how many numbers the widest layer makes of an image.
    """
    stock_layers(network)
    for name, tensor in network.state_dict(keep_vars=True).items():
        if tensor.device.type != "cpu":
            raise ValueError(f"network: {quoted(name)} is on '{tensor.device}'; give the "
                             "network on the CPU (network.cpu()), and where to train by "
                             "device")  # fmt: skip
        if isinstance(tensor, nn.Parameter) and not tensor.requires_grad:
            raise ValueError(f"network: {quoted(name)} has requires_grad=False, but ensembles "
                             "train all parameters: call network.requires_grad_(), or train with a "
                             "loop of your own")  # fmt: skip
    if not len(images):
        raise ValueError(f"images of shape {tuple(images.shape)}: give at least one")
    values = network.state_dict().values()
    dtypes = sorted({str(value.dtype) for value in values if value.is_floating_point()})
    if len(dtypes) > 1:
        raise ValueError(f"network: holds numbers of {' and '.join(dtypes)}; make all of one type, "
                         "such as network.float() does")  # fmt: skip
    dtype = next(network.parameters()).dtype
    if images.dtype != dtype:
        remedy = f"images.to({dtype})" if images.is_floating_point() else "images.float() / 255"
        raise ValueError(f"images of {images.dtype}, but the network is {dtype}: give {remedy}")
    if not torch.isfinite(images).all():
        raise ValueError("images hold NaN or infinite values: remove or fix them")
    if labels.shape != images.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(f"labels of shape {tuple(labels.shape)} and {labels.dtype} for "
                         f"{len(images)} images: give one integer for each image")  # fmt: skip
    features, widest = images[:1].to("cpu", copy=True), 1  # layers may work in place
    # Of a copy: wherever Ctrl-C comes, the network stays in its mode.
    layers = stock_layers(deepcopy(network).eval())
    try:
        with torch.no_grad():
            for _, layer in layers:
                features = layer(features)
                widest = max(widest, features.numel())
        classes = features.shape[1]
    except RuntimeError as error:
        raise ValueError(
            f"images of shape {tuple(images.shape)} do not fit the network: {shown(error, 300)}"
        ) from None
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels from {labels.min()} to {labels.max()}: "
                         f"the network has classes 0 to {classes - 1}")  # fmt: skip
    return widest


def check_batch_sizes(network: nn.Sequential, count: int, batch_sizes: np.ndarray) -> None:
    """Raise unless batches of these sizes can be taken from so many images."""
    normalised = any(isinstance(layer, nn.BatchNorm1d) for layer in network.modules())
    for size in set(batch_sizes.tolist()):
        if size > count:
            raise ValueError(f"batch_size={size}: there are {count} images; give at most that")
        if 1 in (size, count % size) and normalised:
            raise ValueError(
                f"batch_size={size} leaves a batch of 1 of {count} images; batch normalisation "
                "needs at least 2"
            )
