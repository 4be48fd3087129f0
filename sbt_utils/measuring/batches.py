"""Labelled data, in arrays or from a loader, as batches that a model takes or as whole arrays."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Array = np.ndarray | torch.Tensor
Data = Array | tuple[Any, Any] | Iterable[tuple[Any, Any]]
"""Labelled data: a pair (inputs, labels), or a loader of such batches. Functions that take labels
as an argument of their own also take the inputs alone."""


def as_batches(data: Data, labels: Any, batch_size: int) -> Iterable[Any]:
    """Return whole arrays in batches (inputs, labels) of a given size, or a loader as it is."""
    pair = _pair(data, labels)
    if pair is None:
        return data
    if not isinstance(batch_size, int | np.integer) or batch_size is True or batch_size < 1:
        raise ValueError(f"batch_size: {batch_size!r} given; give an integer of 1 or more")
    inputs, labels = pair
    parts = (slice(start, start + batch_size) for start in range(0, len(inputs), batch_size))
    return [(inputs[part], labels[part]) for part in parts]


def whole_arrays(data: Data, labels: Any = None) -> tuple[Tensor, Tensor]:
    """Return all inputs and all labels as tensors; those of a loader are concatenated.

    Dtypes and devices stay as given. Arrays share their memory with the tensors where they can.
    """
    pair = _pair(data, labels)
    if pair is not None:
        return as_tensor(pair[0]), as_tensor(pair[1], "labels")
    batches = [checked_batch(batch) for batch in data]
    if not batches:
        raise ValueError("data: the loader yields no batch; give one or more")
    inputs, classes = zip(*batches, strict=True)
    return torch.cat(inputs), torch.cat([as_tensor(part, "labels") for part in classes])


def checked_batch(batch: Any) -> tuple[Tensor, Any]:
    """Return the inputs of a batch as a tensor, and its labels as a tensor or an array."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"data: a batch is {type(batch).__name__}; yield (inputs, labels) pairs")
    inputs, labels = batch
    if not isinstance(inputs, Array):
        raise TypeError(f"data: a batch holds {type(inputs).__name__}; yield tensors")
    return as_tensor(inputs), dense(labels, "labels")


def on_model(batch: Any, model: nn.Module) -> tuple[Tensor, Any]:
    """Return a copy of a batch's inputs on the device and of the dtype of a model, and its labels.

    Inputs that are not floating, such as numbers of words, keep their dtype.
    """
    inputs, labels = checked_batch(batch)
    tensors = chain(model.parameters(), model.buffers())
    like = next((tensor for tensor in tensors if tensor.is_floating_point()), inputs)
    dtype = like.dtype if inputs.is_floating_point() else inputs.dtype
    # A copy, since the model may work in place.
    return inputs.to(like.device, dtype, copy=True), labels


def as_tensor(array: Any, name: str = "data") -> Tensor:
    """Return an array or a sequence of numbers as a tensor."""
    array = dense(array, name)
    if isinstance(array, torch.Tensor):
        return array
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{name}: an array of {array.dtype} given; give numbers")
    # PyTorch warns of arrays that must not be written to, and takes no negative strides.
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def dense(array: Any, name: str) -> Array:
    """Return a tensor, an array or a sequence as one of the first two, which has all its values."""
    if isinstance(array, torch.Tensor):
        layout = "strided" if array.is_nested else str(array.layout).removeprefix("torch.")
        if array.is_nested or array.is_meta or layout != "strided":
            kind = "nested" if array.is_nested else "meta" if array.is_meta else layout
            raise TypeError(f"{name}: a {kind} tensor given; {_REMEDIES.get(kind, _TO_DENSE)}")
        return array
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name}: a masked array given; leave such samples out, or call filled()")
    try:
        return np.asarray(array)
    except ValueError:
        raise ValueError(f"{name}: rows of different lengths; give all one shape") from None


_TO_DENSE = "give a dense one: call to_dense()"
_REMEDIES = {
    "nested": "give a padded one, as torch.nested.to_padded_tensor makes it",
    "meta": "give one with values, on the CPU or on a GPU",
}


def holds_arrays(data: Any) -> bool:
    """Tell whether data are a tuple or list of arrays, such as a pair, and not of batches."""
    return isinstance(data, (tuple, list)) and any(isinstance(part, Array) for part in data)


def _pair(data: Any, labels: Any) -> tuple[Any, Any] | None:
    """Return inputs and labels, checked and as arrays, or None if `data` is a loader."""
    if holds_arrays(data):
        if len(data) != 2:
            raise ValueError(f"data: {len(data)} parts given; give (inputs, labels)")
        if labels is not None:
            raise TypeError("labels: given twice, also in data; leave one of them out")
        data, labels = data
    if isinstance(data, Array):
        if labels is None:
            raise TypeError("labels: None given; inputs in an array need labels, one per sample")
        data, labels = dense(data, "data"), dense(labels, "labels")
        if labels.shape[:1] != data.shape[:1]:
            raise ValueError(
                f"labels: shape {tuple(labels.shape)} does not match inputs of shape "
                f"{tuple(data.shape)}; give one label per sample"
            )
        return data, labels
    if labels is not None:
        raise TypeError(
            f"data: {type(data).__name__} given beside labels; give a tensor or an array, or a "
            "loader alone, whose batches bring their own labels"
        )
    if not isinstance(data, Iterable):
        raise TypeError(f"data: {type(data).__name__} given; give (inputs, labels) or a loader")
    return None
