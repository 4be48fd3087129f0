"""Labelled data, in arrays or from a loader, as batches that a model takes or as whole arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import chain
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sbt_utils.models.calls import are_samples
from sbt_utils.text import quoted, shown

Array = np.ndarray | torch.Tensor
Data = Array | tuple[Any, Any] | Mapping[str, Any] | Iterable[Any]
"""Labelled data: a pair (inputs, labels), a mapping that holds both, or a loader of such batches.
Functions that take labels as an argument of their own also take the inputs alone."""

LABELS = ("labels", "label", "targets", "target")
"""The names under which a mapping may hold labels."""


def as_batches(data: Data, labels: Any, batch_size: int) -> Iterable[Any]:
    """Return whole arrays in batches of a given size, or a loader of batches as it is.

    A data set of samples is put into batches, too. `labels` may be a function that finds them.
    """
    if not isinstance(batch_size, int | np.integer) or batch_size is True or batch_size < 1:
        raise ValueError(f"batch_size: {quoted(batch_size)} given; give an integer of 1 or more")
    if (whole := _whole(data, labels)) is not None:
        classes = dense(labels(whole) if callable(labels) else labels_in(whole), "labels")
        _check_length(whole, classes)
        parts = (slice(start, start + batch_size) for start in range(0, len(classes), batch_size))
        return [sliced(whole, part) for part in parts]
    if isinstance(data, DataLoader):
        return data
    batches = _Batches(data, batch_size, labels)
    return iter(batches) if isinstance(data, Iterator) else batches


@dataclass(frozen=True)
class _Batches:
    """The batches of a loader as they are, the samples of a data set by so many at once."""

    data: Any
    size: int
    labels: Callable[[Any], Any] | None

    def __iter__(self) -> Iterator[Any]:
        data, samples = self.data, []
        if not isinstance(data, Iterable):
            data = map(data.__getitem__, range(len(data)))
        for item in data:
            if not self._is_sample(item):
                yield item
                continue
            samples.append(item)
            if len(samples) == self.size:
                yield _together(samples)
                samples = []
        if samples:
            yield _together(samples)

    def _is_sample(self, item: Any) -> bool:
        """Tell whether an item is a single sample: its label is a number."""
        if self.labels is not None:
            found = [self.labels(item)]
        elif isinstance(item, Mapping):
            found = [item[name] for name in LABELS if name in item]
        else:
            found = list(item[1:]) if isinstance(item, (tuple, list)) else []
        return any(isinstance(x, Number) or (isinstance(x, Array) and not x.ndim) for x in found)


def _together(samples: Sequence[Any]) -> Any:
    """Return samples as one batch of their form; sequences are padded where a mask says so."""
    if not isinstance(samples[0], Mapping):
        if min(map(len, samples)) < max(map(len, samples)):
            raise ValueError("data: samples of different numbers of parts; give all one number")
        return tuple(_stacked(parts, "data", False) for parts in zip(*samples, strict=True))
    names = [name for name in samples[0] if all(name in sample for sample in samples)]
    padded = "attention_mask" in names
    return {
        name: _stacked([sample[name] for sample in samples], f"data: {quoted(name)}", padded)
        for name in names
    }


def _stacked(values: Sequence[Any], name: str, padded: bool) -> Any:
    """Return the same part of several samples as one tensor, or as a list if it is no array."""
    if not all(isinstance(value, Number) or is_column(value) for value in values):
        return list(values)
    tensors = [as_tensor(value, name) for value in values]
    shapes = list(dict.fromkeys(tuple(tensor.shape) for tensor in tensors))
    if len(shapes) == 1:
        return torch.stack(tensors)
    if not (padded and all(shapes)):
        several = f"{name}: samples of shapes {shapes[0]} and {shapes[1]}"
        raise ValueError(f"{several}; pad them to one, beside an attention_mask that is 0 there")
    return nn.utils.rnn.pad_sequence(tensors, batch_first=True)


def whole_arrays(data: Data, labels: Any = None) -> tuple[Tensor, Tensor]:
    """Return all inputs and all labels as tensors; those of a loader are concatenated.

    Dtypes and devices stay as given. Arrays share their memory with the tensors where they can.
    """
    pair = _pair(data, labels)
    if pair is not None:
        return as_tensor(pair[0]), as_tensor(pair[1], "labels")
    batches = [checked_batch(batch) for batch in _Batches(data, 1024, None)]
    if not batches:
        raise ValueError("data: the loader yields no batch; give one or more")
    inputs, classes = zip(*batches, strict=True)
    shapes = list(dict.fromkeys(tuple(part.shape[1:]) for part in inputs))
    if len(shapes) > 1:
        raise ValueError(
            f"data: samples of shapes {shapes[0]} and {shapes[1]} in two batches; give one shape"
        )
    return torch.cat(inputs), torch.cat([as_tensor(part, "labels") for part in classes])


def checked_batch(batch: Any) -> tuple[Tensor, Any]:
    """Return the inputs of a batch as a tensor, and its labels as a tensor or an array."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"data: a batch is {type(batch).__name__}; yield (inputs, labels) pairs")
    inputs, labels = batch
    if not isinstance(inputs, Array):
        raise TypeError(f"data: a batch holds {type(inputs).__name__}; yield tensors")
    inputs, labels = as_tensor(inputs), dense(labels, "labels")
    _check_length(inputs, labels)
    return inputs, labels


def on_model(batch: Any, model: nn.Module) -> tuple[Tensor, Any]:
    """Return a copy of a batch's inputs on the device and of the dtype of a model, and its labels.

    Inputs that are not floating, such as numbers of words, keep their dtype.
    """
    inputs, labels = checked_batch(batch)
    return moved(inputs, model), labels


def moved(value: Any, model: nn.Module) -> Any:
    """Return a copy of nested tuples, lists and mappings, with arrays as tensors for a model."""
    tensors = chain(model.parameters(), model.buffers())
    return _moved(value, next((one for one in tensors if one.is_floating_point()), None))


def _moved(value: Any, like: Tensor | None) -> Any:
    if isinstance(value, Array):
        tensor = as_tensor(value)
        to = tensor if like is None else like
        dtype = to.dtype if tensor.is_floating_point() else tensor.dtype
        # A copy, since the model may work in place.
        return tensor.to(to.device, dtype, copy=True)
    if isinstance(value, Mapping):
        parts = {name: _moved(value[name], like) for name in value}
        if type(value) is dict or not isinstance(value, MutableMapping):
            return parts
        filled = copy(value)
        filled.update(parts)
        return filled
    if hasattr(value, "to"):  # batches of other libraries
        return value if like is None else value.to(like.device)
    if isinstance(value, (tuple, list)):
        items = [_moved(part, like) for part in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def as_tensor(array: Any, name: str = "data") -> Tensor:
    """Return an array or a sequence of numbers as a tensor."""
    array = dense(array, name)
    if isinstance(array, torch.Tensor):
        # PyTorch computes nothing with numbers of eight bits.
        return array.float() if array.is_floating_point() and array.itemsize < 2 else array
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{name}: an array of {array.dtype} given; give numbers")
    shorter = {np.dtype(np.longdouble): np.float64, np.dtype(np.clongdouble): np.complex128}
    native = array.dtype.newbyteorder("=")
    with np.errstate(over="ignore"):  # what is infinite then is refused where it matters
        array = array.astype(shorter.get(native, native), copy=False)  # as PyTorch knows them
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
        found = np.asarray(array)
        if found.dtype == np.float64 and found is not array and _is_rounded(found, array):
            raise TypeError(f"{name}: integers of 2**53 or more are rounded; give smaller ones")
        return found
    except ValueError as error:
        deep = "maximum number" in str(error)
        what = "nested too deeply" if deep else "rows of different lengths"
        raise ValueError(f"{name}: {what}; give all one shape") from None
    except RuntimeError:  # of tensors that need gradients, or lie on a GPU
        raise TypeError(f"{name}: a list of tensors given; give one: torch.stack(list)") from None


def _is_rounded(numbers: np.ndarray, given: Any) -> bool:
    """Tell whether NumPy has rounded integers in a list that also holds others."""
    large = (abs(numbers) >= 2**53) & np.isfinite(numbers)
    given = np.asarray(given, dtype=object)[large] if large.any() else ()
    return any(isinstance(value, int) and value != float(value) for value in given)


_TO_DENSE = "give a dense one: call to_dense()"
_TO_PADDED = "give a padded one, as torch.nested.to_padded_tensor makes it"
_REMEDIES = {"nested": _TO_PADDED, "meta": "give one with values, on the CPU or on a GPU"}


def holds_arrays(data: Any) -> bool:
    """Tell whether data are a tuple or list of arrays, such as a pair, and not of batches."""
    return isinstance(data, (tuple, list)) and any(isinstance(part, Array) for part in data)


def are_inputs_and_labels(first: Any, second: Any) -> bool:
    """Tell whether of two arguments the one holds inputs, and the other their labels."""
    if isinstance(first, Array):
        return not holds_arrays(second)
    return isinstance(first, Mapping) and is_column(second)


def is_column(value: Any) -> bool:
    """Tell whether a value is an array, or a list of numbers or of such lists."""
    if not isinstance(value, (tuple, list)) or not value:
        return isinstance(value, Array)
    return isinstance(value[0], Number) or (not holds_arrays(value) and is_column(value[0]))


def labels_in(batch: Any) -> Any:
    """Return the labels in a mapping or a pair."""
    if not isinstance(batch, Mapping):
        return batch[1]
    found = [batch[name] for name in LABELS if name in batch]
    if not found:
        raise ValueError(
            f"data: no 'labels' among {shown(', '.join(map(str, batch)))}; give labels, one per "
            "sample, or a function that finds them; a language model takes tokenizer= or batches"
        )
    return found[0]


def sliced(batch: Any, part: slice) -> Any:
    """Return some of the samples of nested tuples, lists and mappings of arrays."""
    if isinstance(batch, Mapping):
        return {name: sliced(value, part) for name, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        return tuple(sliced(value, part) for value in batch)
    return batch[part]


def _whole(data: Any, labels: Any) -> Any:
    """Return whole data, with all that it holds as arrays, or None for a loader of batches."""
    if callable(labels):
        return _columns(data) if isinstance(data, Mapping) or holds_arrays(data) else None
    if isinstance(data, Mapping):
        return _columns(data if labels is None else (data, labels))
    if labels is None and isinstance(data, (tuple, list)) and len(data) == 2:
        inputs, classes = data
        if not isinstance(inputs, Array) and isinstance(inputs, (Mapping, tuple, list)):
            check_numbers(inputs)
            if not is_column(classes):
                return None
            listed = getattr(classes, "ndim", 1) > 0 and are_samples(inputs, len(classes))
            return _columns((_stacked(list(inputs), "data", False) if listed else inputs, classes))
    return _pair(data, labels)


def _columns(value: Any, name: str = "data") -> Any:
    """Return nested tuples, lists and mappings with what they hold as arrays."""
    if isinstance(value, Mapping):
        items = value.items()
        return {
            key: _columns(part, f"data: {quoted(key)}") for key, part in items if part is not None
        }
    if isinstance(value, (tuple, list)) and not is_column(value):
        return tuple(_columns(part, name) for part in value)
    return dense(value, name)


def _check_length(batch: Any, labels: Any, otherwise: str = "") -> None:
    """Raise unless all arrays in a batch have as many rows as there are labels."""
    if not labels.ndim:
        raise ValueError("labels: a single one given; give one label per sample")
    if isinstance(batch, (Mapping, tuple)):
        for part in batch.values() if isinstance(batch, Mapping) else batch:
            _check_length(part, labels, ", or a list of batches, as of graphs: [data]")
    elif batch.shape[:1] != labels.shape[:1]:
        raise ValueError(
            f"labels: shape {tuple(labels.shape)} does not match inputs of shape "
            f"{tuple(batch.shape)}; give one label per sample{otherwise}"
        )


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
        _check_length(data, labels)
        return data, labels
    check_numbers(data)
    if labels is not None:
        raise TypeError(
            f"data: {type(data).__name__} given beside labels; give a tensor or an array, or a "
            "loader alone, whose batches bring their own labels"
        )
    if not (
        isinstance(data, Iterable) or (hasattr(data, "__getitem__") and hasattr(data, "__len__"))
    ):
        raise TypeError(f"data: {type(data).__name__} given; give (inputs, labels) or a loader")
    return None


def check_numbers(data: Any) -> None:
    """Raise where data are of a known kind that holds no numbers, or not as an array."""
    name = type(data).__name__
    texts = isinstance(data, str) or (
        isinstance(data, (tuple, list)) and data and all(isinstance(part, str) for part in data)
    )
    if texts:
        raise TypeError("data: text given; give the numbers that a tokenizer makes of it")
    for method in ("to_numpy", "toarray"):  # of tables, and of sparse matrices
        if hasattr(data, method):
            raise TypeError(f"data: {name} given; give an array, as its {method}() returns")
