"""What a stress map shows: the curves of layers that have a D, and why others have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from sbt_utils.language.probe import TokenProbe
from sbt_utils.language.text_scatter import text_bootstrap
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.probing import INPUTS, Probe, noting
from sbt_utils.measuring.scatter import UndefinedSeparation
from sbt_utils.models.layer_choice import ACTIVATIONS, NORMS, PASSIVE
from sbt_utils.reporting.advice import LANGUAGE_MODEL, PERCEPTRON
from sbt_utils.reporting.bootstrap import SampledScatter, bootstrap
from sbt_utils.reporting.folding import Room
from sbt_utils.reporting.states import ROUNDING, UNDEFINED, undefined_state
from sbt_utils.text import shown

_PARTS = {"train": "training", "test": "unseen"}  # in words


def measured(
    probe: Probe | TokenProbe,
    batches: Mapping[str, Callable[[], Any]],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Return the attributes of a stress map, from what gives the batches of each part."""
    draws: dict[str, np.ndarray] = {}  # of D, (resamples, layers), NaN where a layer has none
    states: dict[str, dict[str, str]] = {}
    counts, notes = [], []
    names: tuple[str, ...] = ()
    tokens = isinstance(probe, TokenProbe)
    drawn: Callable[..., np.ndarray] = text_bootstrap if tokens else bootstrap
    for number, (part, batches_of_part) in enumerate(batches.items()):
        with noting(f"in the {_PARTS[part]} inputs"):
            # Those of the other part are no longer needed, and may be large.
            scatters, kept, room = {}, [], Room()
            scatters = probe.statistics(batches_of_part(), partial(_new_statistics, room))
            states[part] = _states(scatters, chain=probe.layers is None and not tokens)
        names = tuple(scatters)
        draws[part] = np.full((resamples, len(names)), np.nan)
        has = [not states[part][name] for name in names]
        if any(has):
            kept = [scatters[name] for name in names if not states[part][name]]
            draws[part][:, has] = drawn(kept, resamples, [seed, number])
        weights = scatters[names[0]].weights
        counts.append((int(weights.sum()), int(weights.count_nonzero())))
        if (error := max((scatter.error for scatter in kept), default=0.0)) > ROUNDING:
            notes.append(_estimate(_PARTS[part], counts[-1][1], error))
        if alone := len(weights) - counts[-1][1]:
            where = f"in the {_PARTS[part]} inputs"
            notes.append(f"classes of one sample {where}, left out: {alone}")
    _check_inputs(names, states)
    undefined = {name: _worst([of[name] for of in states.values()]) for name in names}
    has = [not undefined[name] for name in names]
    chain = tuple(name for name in names if not undefined[name])
    curves = [
        LoadCurve(values[:, has], "trace", chain) if len(chain) > 1 else None
        for values in draws.values()
    ]
    notes = list(dict.fromkeys([*probe.notes, *notes])) if isinstance(probe, TokenProbe) else notes
    return {
        "train": curves[0],
        "test": curves[1] if len(curves) > 1 else None,
        "images": tuple(samples for samples, _ in counts),
        "classes": tuple(classes for _, classes in counts),
        "layers": names,
        "undefined": {name: state for name, state in undefined.items() if state},
        "rule": probe.rule,
        "network": LANGUAGE_MODEL if tokens else network_kind(probe.model),
        "notes": tuple(notes),
        "unit": "tokens" if tokens else "inputs",
    }


def _states(scatters: Mapping[str, SampledScatter], chain: bool) -> dict[str, str]:
    """Return why layers have no D, ``""`` where they have one.

    In a `chain` everything passes through every layer: none sees more of the input than a dead one
    before it, even where a normalisation has blown up rounding.
    """
    states: dict[str, str] = {}
    for name, scatter in scatters.items():
        with noting(f"in layer '{shown(name)}'"):
            state = undefined_state(scatter)
        states[name] = "dead" if chain and "dead" in states.values() else state
    return states


def _new_statistics(room: Room, name: str) -> SampledScatter:
    return SampledScatter(room)


def _estimate(part: str, classes: int, error: float) -> str:
    """Return the note that D is not exact, and how to have it so."""
    return (
        f"D of {part} inputs estimated from sums of features, to {error:.1g} (standard error): "
        f"exact class means of {classes} classes would take too much memory; for exact ones sort "
        "the inputs by class, or pool"
    )


def _check_inputs(names: Sequence[str], states: Mapping[str, Mapping[str, str]]) -> None:
    """Raise if the samples of a part are all the same, which no network is to blame for."""
    dead = [part for part, of in states.items() if of[names[0]] == "dead"]
    if dead and (names[0] in INPUTS or len(dead) < len(states)):
        error = UndefinedSeparation("data: all samples are the same; give different ones", "dead")
        error.add_note(f"in layer '{shown(names[0])}'")
        error.add_note(f"in the {_PARTS[dead[0]]} inputs")
        raise error


def _worst(states: Sequence[str]) -> str:
    return next((state for state in UNDEFINED if state in states), "")


def network_kind(model: nn.Module) -> str:
    """Return `PERCEPTRON` for linear layers with activations between them, else ``""``.

    A model with modules of its own inside may do anything with them.
    """
    parts = [module for module in model.modules() if module is not model]
    leaves = [module for module in parts if next(module.children(), None) is None]
    plain = (nn.Linear, *ACTIVATIONS, *NORMS, *PASSIVE)
    rest = [module for module in parts if module not in leaves]
    if not all(type(module) is nn.Sequential for module in rest):
        return ""
    linear = any(isinstance(module, nn.Linear) for module in leaves)
    return PERCEPTRON if linear and all(isinstance(module, plain) for module in leaves) else ""
