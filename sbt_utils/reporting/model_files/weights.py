"""Which of a checkpoint's tensors are a model's: those under a prefix that has all its names."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from sbt_utils.reporting.model_files.regular import given
from sbt_utils.text import quoted, shown

State = dict[str, Tensor]

_COMPILED = "_orig_mod"  # as torch.compile calls the module that it wraps
_USUAL = {"state_dict", "model_state_dict", "model", "net", "network", "module"}
_AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged?|averaging)([._]|$)", re.IGNORECASE)
_DEEPEST = 12  # parts of a prefix
_SHOWN = 3  # names in a message


def model_weights(
    tensors: Mapping[str, Tensor], model: nn.Module, checkpoint: Any, weights: str | None = None
) -> State:
    """Return the state_dict of a model from the tensors of a checkpoint.

    Raise ValueError if none fit, or if several do and neither `weights` nor usual names tell which.
    """
    own = model.state_dict()
    first = _first_names(own)
    places = {_plain(name): name for name in own}
    tensors = {_plain(name): tensor for name, tensor in tensors.items()}
    found: dict[str, set[str]] = defaultdict(set)  # names by their prefixes
    for name in tensors:
        for prefix in _prefixes(name):
            if (place := places.get(name[len(prefix) :])) is not None:
                found[prefix].add(first[place])
    entire = [prefix for prefix in found if len(found[prefix]) == len(set(first.values()))]
    among = list(found)
    if weights is not None:
        among = _named(among, weights, f"{given(checkpoint)} has its names under {_labels(entire)}")

    def state(prefix: str) -> State:
        under = {
            first[place]: tensors[prefix + name]
            for name, place in places.items()
            if prefix + name in tensors
        }
        return {name: under[first[name]] for name in own if first[name] in under}

    if fitting := {prefix: state(prefix) for prefix in among if prefix in entire}:
        prefix = _chosen(fitting, own, checkpoint, weights)
    else:
        prefix = max(among, key=lambda prefix: len(found[prefix]), default="")
    others = tuple(other for other in entire if other != prefix and other.startswith(prefix))
    besides = [
        name.removeprefix(prefix)
        for name, tensor in tensors.items()
        if name.startswith(prefix)
        and name.removeprefix(prefix) not in places
        and not name.startswith(others)
        # Integers count and number: older versions of layers keep them, newer ones do not.
        and (tensor.is_floating_point() or tensor.is_complex())
    ]
    _check_fit(model, state(prefix), besides, checkpoint)
    return state(prefix)


def _plain(name: str) -> str:
    """Return a name without what torch.compile adds, anywhere."""
    return ".".join(part for part in name.split(".") if part != _COMPILED)


def _prefixes(name: str) -> Iterator[str]:
    """Yield what may stand before a model's own name: nothing, or a part up to a dot."""
    return accumulate((f"{part}." for part in name.split(".")[:-1][:_DEEPEST]), initial="")


def _first_names(own: Mapping[str, Any]) -> dict[str, str]:
    """Return for each name the first one of the same tensor: files often hold only one of them."""
    seen: dict[Any, str] = {}
    return {name: seen.setdefault(_memory(own[name]) or name, name) for name in own}


def _memory(tensor: Any) -> Any:
    """Return where a tensor lies, None if it has no memory of its own."""
    if type(tensor) is not Tensor or tensor.layout != torch.strided or not tensor.data_ptr():
        return None
    return tensor.data_ptr(), tensor.shape, tensor.stride()


def _labels(prefixes: Sequence[str]) -> str:
    """Return the first few prefixes as part of a message."""
    labels = [shown(prefix.removesuffix(".")) or "no prefix" for prefix in prefixes[:_SHOWN]]
    return " and ".join(labels) or "no prefix that has all"


def _named(prefixes: Sequence[str], weights: Any, known: str) -> list[str]:
    """Return the prefixes that a name means: of a key, of a part, or of a word in it."""
    if not isinstance(weights, str) or not weights:
        raise TypeError(f"weights: {quoted(weights)} given; give the name of a key or a prefix")
    fits: list[Callable[[str], bool]] = [
        lambda prefix: prefix == f"{weights}.",
        lambda prefix: f".{weights}." in f".{prefix}",
        lambda prefix: weights in re.split("[._]", prefix),
    ]
    for fit in fits:
        if named := list(filter(fit, prefixes)):
            return named
    raise ValueError(f"weights={quoted(weights)}: no weights of the model have this name; {known}")


def _chosen(
    states: Mapping[str, State], own: Mapping[str, Any], checkpoint: Any, weights: str | None
) -> str:
    """Return the prefix of those weights that are meant where several have all names."""
    ranked = sorted(states, key=_rank)
    fitting = [p for p in ranked if not any(_other_shapes(own, states[p]))]
    different: list[str] = []  # a model is often saved beside an average that began as its copy
    for prefix in fitting or ranked[:1]:
        if not any(_equal(states[prefix], states[other]) for other in different):
            different.append(prefix)
        if len(different) > _SHOWN:
            break
    best, *others = different
    if others and _rank(best) == _rank(others[0]):
        raise ValueError(
            f"{given(checkpoint)}: has weights that fit under {_labels(different)}; name one of "
            "them as weights"
        )
    if others and weights is None:
        warnings.warn(
            f"{given(checkpoint)}: the weights under {_labels([best])} are taken; weights= takes "
            f"those under {_labels(others)}",
            stacklevel=4,
        )
    return best


def _rank(prefix: str) -> int:
    """Return 0 for a model's names alone, 1 for usual prefixes, 2 for others, 3 for averages."""
    if not prefix:
        return 0
    if _AVERAGED.search(prefix):
        return 3
    return 1 if set(prefix.split(".")[:-1]) <= _USUAL else 2


def _equal(one: State, other: State) -> bool:
    """Tell whether weights are the same, bit by bit."""
    try:
        return all(torch.equal(one[name], other[name]) for name in one)
    except RuntimeError:  # of other types, or without values
        return False


def _other_shapes(own: Mapping[str, Any], state: State) -> Iterator[str]:
    """Yield the names whose tensors have other shapes than the model's."""
    for name, tensor in own.items():
        if name in state and not nn.parameter.is_lazy(tensor) and state[name].shape != tensor.shape:
            yield name


def _check_fit(model: nn.Module, state: State, besides: Sequence[str], checkpoint: Any) -> None:
    """Raise if weights are missing, unknown or of other shapes; name the first few."""
    own = model.state_dict()
    faults = {
        "lacks": [shown(name) for name in own if name not in state],
        "has besides": [shown(name) for name in besides],
        "has in other shapes": [
            f"{shown(name)} {shown(tuple(state[name].shape))} for {tuple(own[name].shape)}"
            for name in _other_shapes(own, state)
        ],
        "has complex numbers in": [
            shown(name)
            for name, tensor in own.items()
            if name in state and state[name].is_complex() and not tensor.is_complex()
        ],
    }
    phrases = []
    for fault, names in faults.items():
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            phrases.append(f"{fault} {', '.join(names[:_SHOWN])}{more}")
    if phrases:
        raise ValueError(
            f"{given(checkpoint)}: does not fit {type(model).__name__}, "
            f"{'; '.join(phrases)}; give the model and the arguments it was saved from"
        )
