"""What stands out in the load curves of a network, and what the theory suggests.

Every rule asks the 95 % interval of the bootstrap, not only the number itself. The suggestions
come from the phase diagram: noise shifts the work to shallow layers, nonlinearity to deep ones.
They are suggestions from a theory, not promises.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sbt_utils.measuring.curves import REGIME_TOLERANCE, LoadCurve, interval, load_draws, shares
from sbt_utils.text import shown

OVERLOADED = 2.0
"""A layer is overloaded if it carries at least this many even shares of the fall.

In the published diagram of dropout, 1 % of the ReLU networks have such a layer, and 96 % of the
linear ones, where the first two layers do most.
"""

BARELY_USED = 0.1
"""A layer is barely used if it carries at most this fraction of an even share, however surely.

In the same diagram none of the ReLU networks has such a layer, and 54 % of the linear ones.
"""

OVERFITTED = 0.5
"""A network is overfitted if D surely falls on unseen data by less than this fraction of its fall.

All networks in the same diagram, trained on 2,560 digits, keep more, 0.60 to 0.94: the less, the
further their test accuracy is below that on training images (rank correlation -0.85).
"""


@dataclass(frozen=True)
class Advice:
    """A finding, what to do about it, and why.

    Attributes
    ----------
    finding : str
        ``"lazy"``, ``"active"``, ``"unresolved"``, ``"overloaded"``, ``"barely used"``,
        ``"reversed"``, ``"overfitted"`` or ``"unclear"``.
    text : str
        What is suggested.
    evidence : str
        The numbers behind it, with their 95 % intervals, and the threshold.
    basis : str
        Where the suggestion comes from.
    layers : tuple of str
        The layers that it is about; empty where it is about all.
    """

    finding: str
    text: str
    evidence: str
    basis: str
    layers: tuple[str, ...] = ()


def layer_states(train: LoadCurve, test: LoadCurve | None = None) -> list[str]:
    """Return what stands out about the load of each layer l = 1..L; curves hold bootstrap draws.

    ``"overloaded"``: at least `OVERLOADED` even shares and as many times what the other layers
    that are used carry on average, surely more than an even share and, given unseen images, surely
    more load than on those. ``"barely used"``: surely less than an even share, and a load that is
    indistinguishable from zero or at most `BARELY_USED` of an even share. ``"reversed"``: D surely
    rises. ``"unclear"``: indistinguishable both from zero and from an even share. ``""``: nothing.
    """
    loads = load_draws(train)
    even = loads.mean(axis=1, keepdims=True)
    if not even.mean() > 0:
        return [""] * loads.shape[1]
    (low, high), (below, above) = interval(loads), interval(loads - even)
    part = train.loads / train.loads.mean()
    idle = ((abs(part) <= BARELY_USED) | ((low <= 0) & (high >= 0))) & (above < 0)
    over = (part >= OVERLOADED) & (below > 0)
    # Idle layers lower an even share, but that does not make the others overloaded.
    others = (train.loads[~idle].sum() - train.loads) / max(1, (~idle).sum() - 1)
    over &= train.loads >= OVERLOADED * others
    if test is not None:
        # The two sets are drawn independently, so differences of draws are draws of the difference.
        over &= interval(loads - load_draws(test))[0] > 0
    states = [over, idle, high < 0, low <= 0]
    names = ["overloaded", "barely used", "reversed", "unclear"]
    return np.select(states, names, default="").tolist()


def advise(train: LoadCurve, test: LoadCurve | None = None) -> tuple[Advice, ...]:
    """Return what stands out in the load curves of a network and what the theory suggests.

    Both curves hold bootstrap draws; C. Shi, L. Pan & I. Dokmanić, PRL 2025, arXiv:2407.19353.
    """
    if not train.loads.sum() > 0:
        return (_unresolved(train),)
    states = layer_states(train, test)
    of_layers = [_of_layers(train, test, states, state) for state in _STATES]
    findings = [_shape(train), _overfitted(train, test), *of_layers]
    return tuple(advice for advice in findings if advice)


_DIAGRAM = "the phase diagram of noise and nonlinearity"
_SHAPES = {
    "lazy": (
        "The deep layers do most. More noise wakes the shallow ones: more dropout, a larger "
        "learning rate, smaller batches; or take a less nonlinear activation, such as a leaky ReLU."
    ),
    "active": (
        "The shallow layers do most. Less noise lets the deep ones take part: less dropout, a "
        "smaller learning rate, larger batches; or take a more nonlinear activation."
    ),
}
# For layers in a state: what is suggested, the threshold of the state, and the basis.
_STATES = {
    "overloaded": (
        "Far more than an even share rests on {}. More noise in training spreads loads towards "
        "shallow layers, less noise towards deep ones.",
        f"at least {OVERLOADED:g} even shares",
        _DIAGRAM,
    ),
    "barely used": (
        "Next to nothing rests on {}. Fewer layers may do; or more noise, if they are shallow.",
        f"not told from zero, or at most {BARELY_USED:g} of an even share",
        "the meaning of a load: a layer without one separates nothing",
    ),
    "reversed": (
        "The classes are mixed again by {}. See what they are for, or leave them out.",
        "loads below zero",
        "the meaning of a load: a negative one undoes what other layers did",
    ),
    "unclear": (
        "Too few images to tell whether {} do their share or nothing. Measure on more.",
        "told neither from zero nor from an even share",
        "statistics, not the theory",
    ),
}


def _unresolved(train: LoadCurve) -> Advice:
    """Return the advice for a curve that does not fall."""
    low, high = interval(load_draws(train).sum(axis=1))
    return Advice(
        "unresolved",
        "The last layer separates the classes no better than the input does. Train further, or see "
        "whether labels and images belong together.",
        f"D falls by {train.loads.sum():.2f} ({low:.2f} to {high:.2f}) in all",
        "the law of data separation: in trained networks D falls",
    )


def _shape(train: LoadCurve) -> Advice | None:
    """Return what the regime suggests where the whole interval of the convexity lies in it."""
    convexity = train.convexity
    low, high = train.convexity_interval or (convexity, convexity)
    if train.regime not in _SHAPES or not (high < -REGIME_TOLERANCE or low > REGIME_TOLERANCE):
        return None
    threshold = f"threshold {REGIME_TOLERANCE:g} either way"
    evidence = f"convexity {convexity:.3f} ({low:.3f} to {high:.3f}), {threshold}"
    return Advice(train.regime, _SHAPES[train.regime], evidence, _DIAGRAM)


def _overfitted(train: LoadCurve, test: LoadCurve | None) -> Advice | None:
    """Return what to do where D falls too little on unseen images."""
    if test is None:
        return None
    seen, unseen = (load_draws(curve).sum(axis=1) for curve in (train, test))
    ratio = test.loads.sum() / train.loads.sum()
    low, high = interval(unseen / seen)
    if not (ratio < OVERFITTED and high < OVERFITTED):
        return None
    text = "What the layers learned holds for the training images only. Train on more images"
    text += "." if train.regime == "active" else ", or with more noise, such as dropout."
    return Advice(
        "overfitted",
        text,
        f"D falls by {train.loads.sum():.2f} on the training images, by {test.loads.sum():.2f} on "
        f"unseen ones: {ratio:.2f} ({low:.2f} to {high:.2f}) of it, threshold {OVERFITTED:g}",
        "common practice; in the phase diagram noise also straightens a lazy curve",
    )


def _of_layers(
    train: LoadCurve, test: LoadCurve | None, states: list[str], state: str
) -> Advice | None:
    """Return the advice for all layers in one state, None if there are none."""
    chosen = [layer for layer, layer_state in enumerate(states) if layer_state == state]
    if not chosen:
        return None
    text, threshold, basis = _STATES[state]
    names = [shown(train.layers[i + 1]) if train.layers else f"l = {i + 1}" for i in chosen]
    low, high = interval(load_draws(train))
    numbers = []
    for name, i in zip(names, chosen, strict=True):
        part = f"{name}: {train.loads[i]:z.2f} ({low[i]:z.2f} to {high[i]:z.2f}), "
        part += f"{percent(shares(train)[i])} of the fall"
        if test is not None:
            part += f", {percent(shares(test)[i])} on unseen data"
        numbers.append(part)
    if state == "overloaded":
        compared = "no unseen data to compare with" if test is None else "more than on unseen data"
        threshold += f"; {compared}"
    evidence = f"loads {'; '.join(numbers)}; an even share is {1 / len(states):.0%} ({threshold})"
    return Advice(state, text.format(", ".join(names)), evidence, basis, tuple(names))


def percent(value: float) -> str:
    """Return a fraction as text, in whole per cent and without a minus before a zero."""
    return f"{value:z.0%}"
