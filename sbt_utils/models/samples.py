"""Labelled samples: features as a matrix, and which class each sample is of."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sbt_utils.models.batches import Array, as_tensor, dense


@dataclass(frozen=True, eq=False)
class SampleClasses:
    """Which class each of some samples is of, found once for the features of all layers."""

    names: list[int]  # of the classes, ascending
    index: np.ndarray  # (n,), of each sample's class in `names`
    _rows: dict[tuple[int, ...], Tensor] = field(default_factory=dict)

    def rows(self, numbers: tuple[int, ...]) -> Tensor:
        """Return the number (n,) of each sample's class, given those of `names`: one tensor."""
        if numbers not in self._rows:
            self._rows[numbers] = torch.from_numpy(np.array(numbers)[self.index])
        return self._rows[numbers]


def sample_classes(labels: ArrayLike | Tensor) -> SampleClasses:
    """Return which classes labels (n,) name; raise unless they are integers from 0 on."""
    values = dense(labels, "labels")
    values = values.detach().cpu() if isinstance(values, Tensor) else values
    if "int" not in _type(values):
        raise TypeError(f"labels: {_type(values)} given; convert them to integers, one per sample")
    classes = np.asarray(values)
    if classes.size and classes.min() < 0:
        raise ValueError(f"labels: {classes.min()} is negative; number the classes from 0")
    names, index = np.unique(classes, return_inverse=True)
    return SampleClasses(names.tolist(), index.reshape(classes.shape))


def checked(
    features: Array, labels: ArrayLike | Tensor | SampleClasses
) -> tuple[Tensor, SampleClasses]:
    """Return samples (n, d) and their classes; raise unless there are some, of real numbers."""
    features = dense(features, "features")
    kind = _type(features)
    if "float" not in kind and "int" not in kind and "bool" not in kind:
        raise TypeError(f"features: {kind} given; convert them to real numbers")
    shape = tuple(features.shape)
    if not shape or 0 in shape:
        raise ValueError(f"features: shape {shape} is empty; give (N, ...), one row per sample")
    if isinstance(features, np.ndarray) and features.dtype not in (np.float32, np.float64):
        with np.errstate(over="ignore"):  # of longer types; refused as infinite
            features = features.astype(np.float64)
    samples = as_tensor(features).detach()
    samples = samples if len(shape) == 2 else samples.reshape(shape[0], -1)
    if "int64" in kind and samples.double().abs().max() >= 2**53:
        raise ValueError(
            "features: integers of 2^53 and beyond lose digits in float64; subtract what all have "
            "in common first"
        )
    classes = labels if isinstance(labels, SampleClasses) else sample_classes(labels)
    if classes.index.shape != shape[:1]:
        raise ValueError(
            f"labels: shape {classes.index.shape} does not match features of shape {shape}; give "
            f"{shape[0]} labels, one per sample"
        )
    return samples.byte() if samples.dtype == torch.bool else samples, classes


def _type(array: Array) -> str:
    return getattr(array.dtype, "name", str(array.dtype))  # NumPy's name; PyTorch has none
