"""What stands out in the load curves of a network, and what to do about it where that is known.

Every rule asks the 95 % interval of the bootstrap, not only the number itself. What a finding calls
for is advice; what is merely seen is an observation. Chapter 7 has how often each is right. How
noise, such as dropout, shifts the work from layer to layer depends on the kind of network: it is
told of those alone in which this book measured it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sbt_utils.measuring.curves import LoadCurve, interval, load_draws
from sbt_utils.reporting.generalisation import noisy_labels, not_repeated, separates_better
from sbt_utils.reporting.states import (
    IDLE,
    OVERLOADED,
    REVERSED,
    by_chance,
    fall,
    floor,
    is_resolved,
    layer_name,
    layer_states,
    resolved_shares,
)
from sbt_utils.text import shown

BY_CHANCE = 0.5
"""Samples are too few if more than this fraction of the scatter between the classes is there by
chance, as it is with shuffled labels."""

PERCEPTRON = "perceptron"
"""The kind of network in which this book measured how dropout shifts the work."""


LANGUAGE_MODEL = "language model"
"""The kind whose samples are tokens: that an idle block can go, nobody has measured there."""


@dataclass(frozen=True)
class Advice:
    """A finding, what to do about it, and why.

    Attributes
    ----------
    finding : str
        ``"dead"``, ``"unresolved"``, ``"few samples"``, ``"overfitted"``, ``"noisy labels"``,
        ``"idle"``, ``"mixed"``, ``"collapsed"``, ``"reversed"``, ``"overloaded"`` or ``"unclear"``.
    text : str
        What is seen, in its first sentence, and what is suggested.
    evidence : str
        The numbers behind it, with their 95 % intervals, and the threshold.
    basis : str
        Where the suggestion comes from.
    layers : tuple of str
        The layers that it is about; empty where it is about all.
    kind : {"advice", "observation"}
        Whether something ought to be done.
    """

    finding: str
    text: str
    evidence: str
    basis: str
    layers: tuple[str, ...] = ()
    kind: str = "observation"


def advise(
    train: LoadCurve | None,
    test: LoadCurve | None = None,
    *,
    sizes: Sequence[tuple[int, int]] = (),
    undefined: Mapping[str, str] | None = None,
    network: str = "",
) -> tuple[Advice, ...]:
    """Return what stands out in the load curves of a network, the most severe first.

    Curves hold bootstrap draws; None where fewer than two layers have a D. `sizes` are the numbers
    of samples and of classes of the two, `undefined` the states of layers that have no D, and
    `network` is `PERCEPTRON` or unknown. C. Shi, L. Pan & I. Dokmanić, PRL 2025, arXiv:2407.19353.
    """
    found = [_without_separation(undefined or {}, state) for state in _UNDEFINED]
    if train is not None:
        states = layer_states(train, test)
        found.append(few := _few_samples(train, sizes))
        found.append(_of_layers(train, test, states, "idle", network))
        # From few samples nothing is said of their labels.
        found.append(_generalisation(train, test, () if few else sizes))
        if not is_resolved(train):
            found.append(_unresolved(train))
        others = (state for state in _STATES if state != "idle")
        found += [_of_layers(train, test, states, state, network) for state in others]
    present = [advice for advice in found if advice]
    return tuple(sorted(present, key=lambda advice: SEVERITY.index(advice.finding)))


SEVERITY = (
    *("dead", "unresolved", "few samples", "overfitted", "noisy labels", "idle"),
    *("mixed", "collapsed", "reversed", "overloaded", "unclear"),
)
"""All findings, the most severe first."""

_DIAGRAM = "the phase diagram of noise and nonlinearity, measured on perceptrons"
_SHAPES = {
    "lazy": (
        "the deep layers do most",
        "more noise wakes the shallow ones: more dropout, a larger learning rate, smaller batches; "
        "so does a less nonlinear activation, such as a leaky ReLU",
    ),
    "active": (
        "the shallow layers do most",
        "less noise lets the deep ones take part: less dropout, a smaller learning rate, larger "
        "batches; so does a more nonlinear activation",
    ),
}
_MEANING = "the meaning of a load"
# For layers in a state: what is seen, what is suggested, the threshold of the state, the basis.
_STATES = {
    "idle": (
        "D is the same after {} as before.",
        "See whether training reached that, or leave it out.",
        f"surely within {IDLE:.1%} of an even share of zero",
        f"{_MEANING}: a layer without one separates nothing",
    ),
    "reversed": (
        "The classes are mixed again by {}.",
        "",
        f"loads surely below zero, by {REVERSED:.0%} of the fall or more",
        f"{_MEANING}: a negative one undoes what other layers did",
    ),
    "overloaded": (
        "Far more than on any other layer rests on {}.",
        "",
        f"{OVERLOADED:.0%} of the sum of all loads more than any other layer",
        _MEANING,
    ),
    "unclear": (
        "The load may be nothing or a full share: {}.",
        "Measure on more inputs.",
        "told neither from zero nor from an even share",
        "statistics, not the theory",
    ),
}
# For layers without D: what is seen, what is suggested, and what that means.
_UNDEFINED = {
    "dead": (
        "The same comes out of {} for every input.",
        "What follows sees nothing of the input: look at the weights, take another initialisation "
        "or activation, add normalisation, or train more gently.",
        "nothing scatters",
    ),
    "mixed": (
        "The means of all classes coincide in {}.",
        "D is infinite there.",
        "samples scatter within the classes, not between them",
    ),
    "collapsed": (
        "The inputs of each class coincide in {}.",
        "Nothing is left to separate: D is minus infinity there.",
        "samples scatter between the classes, not within them",
    ),
}


def _without_separation(undefined: Mapping[str, str], state: str) -> Advice | None:
    """Return what to do about layers that have no D for this reason."""
    names = tuple(shown(name) for name, found in undefined.items() if found == state)
    if not names:
        return None
    seen, suggested, meaning = _UNDEFINED[state]
    kind = "advice" if state == "dead" else "observation"
    evidence = f"in {', '.join(names)} {meaning}; left out of the curve"
    return Advice(
        state, f"{seen.format(_listed(names))} {suggested}", evidence, "measured", names, kind
    )


def _unresolved(train: LoadCurve) -> Advice:
    """Return the advice for a curve that does not surely fall."""
    whole, low, high = fall(train)
    if whole > 0:
        text = (
            "Whether D falls at all cannot be told, so nothing is said of shares. Measure on more "
            "inputs, unless the network is untrained."
        )
    else:
        text = (
            "The last layer separates the classes no better than the input does. Train further, or "
            "see whether labels and inputs belong together."
        )
    evidence = f"D falls by {whole:.2f} ({low:.2f} to {high:.2f}) in all"
    basis = "the law of data separation: in trained networks D falls"
    return Advice("unresolved", text, evidence, basis, kind="advice")


def _few_samples(train: LoadCurve, sizes: Sequence[tuple[int, int]]) -> Advice | None:
    """Return what to do where most of the scatter between the classes is there by chance."""
    if not sizes:
        return None
    samples, classes = sizes[0]
    part = by_chance(train.mean, samples, classes)
    if part[0] <= BY_CHANCE:
        return None
    everywhere = (part > BY_CHANCE).all()
    where = "of all layers" if everywhere else "of the input"
    return Advice(
        "few samples",
        f"D {where} is near that of shuffled labels. Measure on more inputs of each class, for "
        "chance hides what separates them, or see whether labels and inputs belong together.",
        f"D is {train.mean[0]:.2f} at first and {train.mean[-1]:.2f} in the end, that of shuffled "
        f"labels {floor(samples, classes):.2f} for {samples} inputs of {classes} classes: "
        f"{percent(part[0])} and {percent(part[-1])} of the scatter "
        f"between the classes are chance, threshold {BY_CHANCE:.0%}",
        "D of shuffled labels, which is the same for all features",
        kind="advice" if everywhere else "observation",  # raw sound is at chance, however many
    )


def shape(train: LoadCurve | None, network: str) -> str:
    """Return in words what a regime means, and what noise does to it where that was measured."""
    if train is None or not is_resolved(train) or train.regime not in _SHAPES:
        return ""
    seen, measured = _SHAPES[train.regime]
    if network == PERCEPTRON:
        return f"{seen}; in perceptrons, {measured}"
    return f"{seen}; what noise, such as dropout, would change is not known for such a network"


def _generalisation(
    train: LoadCurve, test: LoadCurve | None, sizes: Sequence[tuple[int, int]]
) -> Advice | None:
    """Return what is seen where what was learned holds for the training inputs only."""
    if test is None:
        return None
    noise = noisy_labels(train, test, sizes)
    fits_noise = noise and separates_better(train, test)
    held = [text] if is_resolved(train) and (text := not_repeated(train, test)) else []
    if fits_noise:
        held.append(f"{noise}; in the end {train.mean[-1]:.2f} and {test.mean[-1]:.2f}")
    if held:
        text = "Much of what the layers do holds for the training inputs only."
        text += " Part of their labels look random: are they right?" if fits_noise else ""
        return Advice("overfitted", text, "; ".join(held), _MEANING)
    if not noise:
        return None
    text = (
        "Part of the training labels look random: are they right? Or training and unseen inputs "
        "are of different kinds."
    )
    return Advice("noisy labels", text, noise, "how mixed classes scatter")


def _of_layers(
    train: LoadCurve, test: LoadCurve | None, states: list[str], state: str, network: str
) -> Advice | None:
    """Return the finding for all layers in one state, None if there are none."""
    chosen = [layer for layer, layer_state in enumerate(states) if layer_state == state]
    if not chosen:
        return None
    seen, suggested, threshold, basis = _STATES[state]
    if state == "overloaded" and network == PERCEPTRON:
        suggested = (
            "More noise in training spreads loads towards shallow layers, less noise towards deep "
            "ones."
        )
        basis = _DIAGRAM
    advised = state == "idle" and network != LANGUAGE_MODEL
    if state == "idle" and not advised:
        suggested = "That the model can do without, this does not tell: a block may serve others."
    names = tuple(layer_name(train, layer) for layer in chosen)
    low, high = interval(load_draws(train))
    numbers = []
    for name, i in zip(names, chosen, strict=True):
        part = f"{name}: {train.loads[i]:z.2f} ({low[i]:z.2f} to {high[i]:z.2f})"
        for curve, where in ((train, " of the fall"), (test, " on unseen data")):
            if curve is not None and is_resolved(curve):
                part += f", {percent(resolved_shares(curve)[i])}{where}"
        numbers.append(part)
    even = f"an even share is {1 / len(states):.0%} " if is_resolved(train) else ""
    evidence = f"loads {'; '.join(numbers)}; {even}({threshold})"
    text = f"{seen.format(_listed(names))} {suggested}".strip()
    return Advice(state, text, evidence, basis, names, "advice" if advised else "observation")


def _listed(names: Sequence[str]) -> str:
    """Return names in words; of many the first and the last."""
    if len(names) > 4:
        return f"{names[0]}, {names[1]}, ... {names[-1]} ({len(names)} layers)"
    return ", ".join(names)


def percent(value: float) -> str:
    """Return a fraction as text, in whole per cent and without a minus before a zero."""
    return f"{value:z.0%}"
