"""What stands out in the load curves of a network, and what the theory suggests.

Every rule asks the 95 % interval of the bootstrap, not only the number itself. The suggestions
come from the phase diagram: noise wakes shallow layers, nonlinearity lets deep ones do the work.
They are suggestions from a theory, not promises.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sbt_utils.measuring.curves import REGIME_TOLERANCE, LoadCurve, interval, load_draws, shares

OVERLOADED = 2.0
"""A layer is overloaded from this many times an even share of the fall on.

In the published diagram of dropout, 1 % of the ReLU networks have such a layer, and 96 % of the
linear ones, where the first two layers do most.
"""

BARELY_USED = 0.1
"""A layer is barely used up to this part of an even share, however sure its load is.

In the same diagram none of the ReLU networks has such a layer, and 54 % of the linear ones.
"""

OVERFITTED = 0.5
"""A network is overfitted whose D falls on unseen data by surely less than this part of its fall.

All networks in the same diagram, trained on 2,560 digits, keep more, 0.60 to 0.94 of it: the less,
the further their test accuracy is below that on training images (rank correlation -0.85).
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
    """Say of each layer what stands out about its load.

    Parameters
    ----------
    train, test : LoadCurve
        On the training images and, where given, on unseen ones: a row a draw of the bootstrap.

    Returns
    -------
    list of str
        For l = 1..L one of: ``"overloaded"``, at least `OVERLOADED` even shares and as many times
        what the other layers that are used carry on average, surely more than an even share and,
        where there are unseen images, surely more load than on those;
        ``"barely used"``, a load not told from zero but surely less than an even share, or at
        most `BARELY_USED` of one; ``"reversed"``, D surely rises; ``"unclear"``, told neither
        from zero nor from an even share; ``""``, nothing.

    Examples
    --------
    >>> layer_states(LoadCurve([[3.0, 3.0, 2.5, 0.0], [3.1, 3.1, 2.6, 0.0]]))
    ['barely used', '', 'overloaded']
    """
    loads = load_draws(train)
    even = loads.mean(axis=1, keepdims=True)
    if not even.mean() > 0:
        return [""] * loads.shape[1]
    (low, high), (below, above) = interval(loads), interval(loads - even)
    part = train.loads / train.loads.mean()
    idle = ((abs(part) <= BARELY_USED) | ((low <= 0) & (high >= 0))) & (above < 0)
    over = (part >= OVERLOADED) & (below > 0)
    # Layers without a load lower an even share, but do not overload those that have one.
    others = (train.loads[~idle].sum() - train.loads) / max(1, (~idle).sum() - 1)
    over &= train.loads >= OVERLOADED * others
    if test is not None:
        # Draws of the one set and of the other are independent.
        over &= interval(loads - load_draws(test))[0] > 0
    states = [over, idle, high < 0, low <= 0]
    names = ["overloaded", "barely used", "reversed", "unclear"]
    return np.select(states, names, default="").tolist()


def advise(train: LoadCurve, test: LoadCurve | None = None) -> tuple[Advice, ...]:
    """Say what stands out in the load curves of a network and what the theory suggests.

    Parameters
    ----------
    train, test : LoadCurve
        On the training images and, where given, on unseen ones: a row a draw of the bootstrap.

    Returns
    -------
    tuple of Advice
        Empty where nothing stands out.

    References
    ----------
    C. Shi, L. Pan & I. Dokmanić, "Spring-block theory of feature learning in deep neural
    networks", PRL 2025, arXiv:2407.19353.

    Examples
    --------
    >>> advise(LoadCurve([[3.0, 2.0, 1.0, 0.0], [3.1, 2.1, 1.0, 0.0]]))
    ()
    >>> (advice,) = advise(LoadCurve([[3.0, 2.5, 1.8, 0.0], [3.1, 2.5, 1.8, 0.0]]))
    >>> advice.finding, advice.basis
    ('lazy', 'the phase diagram of noise and nonlinearity')
    """
    if not train.loads.sum() > 0:
        return (_unresolved(train),)
    found = [_shape(train), _overfitted(train, test)]
    states = layer_states(train, test)
    found += [_of_layers(train, test, states, state) for state in _STATES]
    return tuple(advice for advice in found if advice)


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
# What to do about the layers of a state, what they are in it by, and the basis of the suggestion.
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
    low, high = train.convexity_interval or (train.convexity, train.convexity)
    if train.regime not in _SHAPES or not (high < -REGIME_TOLERANCE or low > REGIME_TOLERANCE):
        return None
    evidence = f"convexity {train.convexity:.3f} ({low:.3f} to {high:.3f}), threshold "
    evidence += f"{REGIME_TOLERANCE:g} either way"
    return Advice(train.regime, _SHAPES[train.regime], evidence, _DIAGRAM)


def _overfitted(train: LoadCurve, test: LoadCurve | None) -> Advice | None:
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
    chosen = [layer for layer, own in enumerate(states) if own == state]
    if not chosen:
        return None
    text, threshold, basis = _STATES[state]
    names = [train.layers[layer + 1] if train.layers else f"l = {layer + 1}" for layer in chosen]
    low, high = interval(load_draws(train))
    parts = []
    for name, layer in zip(names, chosen, strict=True):
        part = f"{name}: {decimal(train.loads[layer])} "
        part += f"({decimal(low[layer])} to {decimal(high[layer])})"
        part += f", {percent(shares(train)[layer])} of the fall"
        if test is not None:
            part += f", {percent(shares(test)[layer])} on unseen data"
        parts.append(part)
    if state == "overloaded":
        compared = "no unseen data to compare with" if test is None else "more than on unseen data"
        threshold += f"; {compared}"
    evidence = f"loads {'; '.join(parts)}; an even share is {1 / len(states):.0%} ({threshold})"
    return Advice(state, text.format(", ".join(names)), evidence, basis, tuple(names))


def decimal(value: float, digits: int = 2) -> str:
    """Return a number as text, without a minus before a zero.

    Parameters
    ----------
    value : float
    digits : int
        After the point.

    Returns
    -------
    str

    Examples
    --------
    >>> decimal(-1e-9), decimal(-0.125, 3)
    ('0.00', '-0.125')
    """
    return f"{round(value, digits) + 0.0:.{digits}f}"


def percent(value: float) -> str:
    """Return a fraction as text, in whole per cent and without a minus before a zero.

    Parameters
    ----------
    value : float

    Returns
    -------
    str

    Examples
    --------
    >>> percent(-1e-9), percent(0.5)
    ('0%', '50%')
    """
    return f"{round(value, 2) + 0.0:.0%}"
