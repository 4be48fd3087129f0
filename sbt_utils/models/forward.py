"""How a model is called with a batch, of whatever form, and what is measured beside its layers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from sbt_utils.models.batches import (
    LABELS,
    Array,
    as_tensor,
    check_numbers,
    dense,
    is_column,
    labels_in,
    moved,
)
from sbt_utils.models.calls import are_samples, is_mapping
from sbt_utils.models.pools import checked_mask, first_tokens
from sbt_utils.models.running import run_model

Forward = Callable[[nn.Module, Any], Any]
"""Runs a model on a batch, such as ``lambda model, batch: model.training_step(batch, 0)``."""

_MASKS = {"attention_mask": True, "src_key_padding_mask": False, "key_padding_mask": False}
# What arguments are called that say where tokens count, and what they hold there.


@dataclass(frozen=True)
class Pass:
    """One forward pass, ready to run, on the device of the model."""

    run: Callable[[], Any]
    inputs: Tensor | None  # the first of them
    labels: Array
    mask: Tensor | None  # (N, tokens), True where a token counts


@dataclass(frozen=True)
class Feed:
    """How batches reach a model: as its forward pass takes them, or by functions of the user."""

    model: nn.Module
    forward: Forward | None = None
    labels: Callable[[Any], Any] | None = None
    mask: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        for name, example in _EXAMPLES.items():
            given = getattr(self, name)
            if not (given is None or callable(given)):
                kind = type(given).__name__
                raise TypeError(f"{name}: {kind} given; give a function, such as {example}")

    def of(self, batch: Any) -> Pass:
        """Prepare the forward pass of a batch: a copy of its inputs, its labels, its mask."""
        if self.forward is None:
            inputs, labels = self._parts(batch)
            args, kwargs = moved(self._arguments(inputs), self.model)
            run = partial(run_model, self.model, *args, **kwargs)
            given = dict(zip(self._parameters, args, strict=False)) | kwargs
            tensors = dict(_tensors(given or args))
            if not tensors and not hasattr(inputs, "to"):
                kind = type(inputs).__name__
                raise TypeError(f"data: a batch holds {kind} without any tensor; yield tensors")
        else:
            copied = moved(batch, self.model)
            inputs, labels = self._parts(copied)
            run = partial(self.forward, self.model, copied)
            tensors = dict(_tensors(inputs))
        labels = dense(labels, "labels")
        labels = labels.cpu() if isinstance(labels, Tensor) else labels
        _check_classes(labels)
        first = self._first(tensors, len(labels))
        if self.forward is None and args and are_samples(args[0], len(labels)):
            alike = len({sample.shape for sample in args[0]}) == 1
            first = torch.stack(args[0]) if alike else None
        return Pass(run, first, labels, self._mask(batch, tensors, first, len(labels)))

    def _parts(self, batch: Any) -> tuple[Any, Any]:
        """Return the inputs of a batch, and its labels."""
        check_numbers(batch)
        if isinstance(batch, Mapping):
            labels = labels_in(batch) if self.labels is None else self.labels(batch)
            return {name: batch[name] for name in batch if name not in LABELS}, labels
        if self.labels is not None:
            if isinstance(batch, (tuple, list)):
                return _alone(batch[: max(1, self._needed())]), self.labels(batch)
            return batch, self.labels(batch)
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            kind = type(batch).__name__
            raise TypeError(
                f"data: a batch is {kind}; yield (inputs, labels) pairs, or give labels=, a "
                "function that finds them in it"
            )
        # Of more than two parts: all that forward needs are inputs, those behind labels are not.
        last = len(batch) - 1
        found = (place for place in range(1, last) if _are_classes(batch[place]))
        place = min(last, max(next(found, last), self._needed()))
        return _alone(batch[:place]), batch[place]

    def _needed(self) -> int:
        """Return how many arguments the model cannot do without."""
        parameters = self._parameters.values() if self.forward is None else ()
        return sum(one.kind in _PLACES and one.default is one.empty for one in parameters)

    @cached_property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        """Return the parameters of the model's forward pass, where they can be known."""
        try:
            return inspect.signature(self.model.forward).parameters
        except (TypeError, ValueError):
            return {}

    def _arguments(self, inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of the model for the inputs of a batch."""
        parameters = self._parameters
        kinds = [one.kind for one in parameters.values()]
        if isinstance(inputs, Mapping):
            named = [name for name in parameters if name in inputs]
            if not named and not any(kind in _PLACES for kind in kinds):
                named = list(inputs)  # for one that takes anything
            if named:
                return (), {name: _numbers(inputs[name]) for name in named}
            return ({name: _numbers(inputs[name]) for name in inputs},), {}
        if isinstance(inputs, (tuple, list)) and not is_column(inputs):
            free = not kinds or inspect.Parameter.VAR_POSITIONAL in kinds
            places = sum(kind in _PLACES for kind in kinds)
            # A list of one may be a batch of one, for a model that takes lists.
            several = isinstance(inputs, tuple) or len(inputs) > 1
            if free or (several and len(inputs) <= places):
                return tuple(map(_numbers, inputs)), {}
        return (_numbers(inputs),), {}

    def _first(self, tensors: dict[str, Tensor], samples: int) -> Tensor | None:
        """Return the input that is l = 0, where no layer is."""
        main = getattr(self.model, "main_input_name", None)  # Hugging Face's
        names = [name for name in tensors if name not in _MASKS]
        suits = {n: t.dim() > 1 and samples in t.shape[:2] for n, t in tensors.items()}
        names.sort(key=lambda name: (name != main, name != "input_ids", not suits[name]))
        return tensors[names[0]] if names else None

    def _mask(
        self, batch: Any, tensors: dict[str, Tensor], first: Tensor | None, samples: int
    ) -> Tensor | None:
        """Return where tokens count, as the user or the batch says; None where neither does."""
        if self.mask is not None:
            return checked_mask(moved(_numbers(self.mask(batch)), self.model), samples)
        for name, counts in _MASKS.items():
            mask = tensors.get(name)
            if mask is not None and mask.dim() == 2 and len(mask) == samples:
                return checked_mask(mask if counts else mask == 0, samples)
        if first is None or first.dim() < 2:
            return None
        tokens = first.shape[1] if len(first) == samples else first.shape[0]
        for name, lengths in tensors.items():
            whole = lengths.shape == (samples,) and not lengths.is_floating_point()
            if re.search(r"(^|_)len(s|gth|gths)?$", name) and whole and lengths.min() > 0:
                return first_tokens(lengths, tokens) if lengths.max() <= tokens else None
        return None


_PLACES = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_EXAMPLES = {
    "forward": "lambda model, batch: model.training_step(batch, 0)",
    "labels": "lambda batch: batch[1]",
    "mask": "lambda batch: batch[0] != 0",
}


def _alone(parts: Any) -> Any:
    """Return the only part, or all."""
    return parts[0] if len(parts) == 1 else tuple(parts)


def _check_classes(labels: Array) -> None:
    """Raise where labels are one-hot vectors, or others with several values for each sample."""
    if labels.ndim > 1 and labels.shape[-1:] != (1,):
        hint = ""
        if labels.ndim == 2 and ((labels == 0) | (labels == 1)).all():
            hint = ", such as labels.argmax(1)"
        shape = tuple(labels.shape)
        raise ValueError(f"labels: shape {shape} given; give the class of each sample{hint}")


def _are_classes(part: Any) -> bool:
    """Tell whether a part of a batch could be labels: whole numbers, one per sample."""
    if not is_column(part):
        return False
    values = dense(part, "data")
    return values.ndim == 1 and "int" in str(values.dtype)


def _numbers(value: Any) -> Any:
    """Return an argument of a model; numbers in a list as a tensor."""
    check_numbers(value)
    return as_tensor(value) if is_column(value) else value


def _tensors(value: Any, name: str = "0") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in nested mappings, tuples and lists, with their names."""
    if isinstance(value, Tensor):
        yield name, value
    elif is_mapping(value):
        for key in value.keys():  # noqa: SIM118  # not all iterate by name
            yield from _tensors(value[key], str(key))
    elif isinstance(value, (tuple, list)):
        for place, part in enumerate(value):
            yield from _tensors(part, str(place))


def cut(batch: Any, samples: int, fewer: int) -> Any:
    """Return the first samples of a batch, of the same form: of whatever has one of each."""
    if isinstance(batch, Array):
        for axis in range(min(2, batch.ndim)):
            if batch.shape[axis] == samples:
                return batch[:fewer] if axis == 0 else batch[:, :fewer]
        return batch
    if isinstance(batch, Mapping):
        return {name: cut(value, samples, fewer) for name, value in batch.items()}
    if isinstance(batch, tuple):
        return tuple(cut(part, samples, fewer) for part in batch)
    if isinstance(batch, list):
        parts = batch[:fewer] if is_column(batch) and len(batch) == samples else batch
        return [cut(part, samples, fewer) for part in parts]
    return batch
