"""The few samples on which a network is watched: chosen once, the same at every step."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Subset

from sbt_utils.models.batches import Data, as_batches, dense, labels_in, sliced
from sbt_utils.models.forward import cut

PER_CLASS = 8
"""Of arrays with so many classes that each would have fewer samples, only some are watched."""


def probe_set(data: Data, labels: Any, samples: int, batch_size: int) -> list[Any]:
    """Return at most so many samples in batches: at random, or the first ones of mere batches."""
    found = as_batches(data, labels, sys.maxsize)  # checks the data, and reads no loader
    find = labels if callable(labels) else labels_in
    if isinstance(found, list):  # of all samples in one batch
        chosen: Any = _of_some_classes(find(found[0]), samples) if found else []
        parts = (slice(start, start + batch_size) for start in range(0, len(chosen), batch_size))
        return [sliced(found[0], chosen[part]) for part in parts]
    if not isinstance(data, DataLoader):
        return list(
            _first(as_batches(_some_rows(data, samples), labels, batch_size), samples, find)
        )
    if data.batch_sampler is not None:  # else the data set gives whole batches
        rows = _some_rows(data.dataset, samples)
        if rows is not data.dataset:
            data = DataLoader(rows, data.batch_size or batch_size, collate_fn=data.collate_fn)
    return list(_first(data, samples, find))


def _of_some_classes(labels: Any, samples: int) -> np.ndarray:
    """Return the places of samples to take: of all classes, or of as many as there is room for."""
    labels = dense(labels, "labels")
    classes = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    random = np.random.default_rng(0)
    order = random.permutation(len(classes))
    names = random.permutation(np.unique(classes))[: max(2, samples // PER_CLASS)]
    return order[np.isin(classes[order], names)][:samples]


def _some_rows(data: Any, samples: int) -> Any:
    """Return some rows of a data set that can be asked for any, or else the data as they are."""
    rows = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    if not rows or isinstance(data, (IterableDataset, Mapping)):
        return data
    order = np.random.default_rng(0).permutation(len(data))
    return Subset(data, order[:samples].tolist())


def _first(batches: Iterable[Any], samples: int, find: Callable[[Any], Any]) -> Iterator[Any]:
    """Yield the first samples of batches, the last one cut."""
    for batch in batches:
        try:
            count = len(find(batch))
        except (TypeError, IndexError):
            raise TypeError(
                f"data: a batch is {type(batch).__name__}; yield (inputs, labels) pairs, or give "
                "labels=, a function that finds them in it"
            ) from None
        yield cut(batch, count, samples) if count > samples else batch
        samples -= count
        if samples <= 0:
            return
