"""What stands out about each layer of a load curve, and from which threshold on.

Every rule asks the 95 % interval of the bootstrap, not only the number itself.
"""

from __future__ import annotations

import numpy as np

from sbt_utils.measuring.curves import LoadCurve, interval, load_draws, shares
from sbt_utils.measuring.scatter import ScatterStatistics, UndefinedSeparation
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

IDLE = 1e-3
"""A layer is idle if its load is within this fraction of an even share of zero in every draw."""

ROUNDING = 1e-5
"""A smaller load or fall is rounding: of features in float32, or of matrix products in TF32."""

UNDEFINED = ("dead", "mixed", "collapsed")
"""States of layers that have no D, the worst first.

The features of a dead layer are the same for every sample; the class means of a mixed one coincide,
D = inf; the samples of each class coincide in a collapsed one, D = -inf.
"""


def undefined_state(scatter: ScatterStatistics) -> str:
    """Return why features have no D, one of `UNDEFINED`; ``""`` if they have one.

    Raises where features are not finite. Differences between samples that are rounding of what all
    samples share are none: a dead layer may put out 1 for some samples and 1.0000001 for others.
    """
    state = ""
    try:
        scatter.scatter()
    except UndefinedSeparation as error:
        if not error.state:
            raise
        state = error.state
    *_, within, between = scatter.totals
    share = scatter.weights / (number := scatter.weights.sum())
    common = float((scatter.origin + share @ scatter.means).square().sum())
    return "dead" if within / float(number) + between <= scatter.precision**2 * common else state


def fall(curve: LoadCurve) -> tuple[float, float, float]:
    """Return by how much D falls in all, and the 95 % interval of that."""
    low, high = interval(load_draws(curve).sum(axis=1))
    return float(curve.loads.sum()), float(low), float(high)


def is_resolved(curve: LoadCurve | None) -> bool:
    """Tell whether D surely falls. Otherwise no layer can be said to do some share of it."""
    return curve is not None and fall(curve)[1] > ROUNDING


def resolved_shares(curve: LoadCurve) -> np.ndarray:
    """Return each layer's share of the fall, shape (L,); NaN unless D surely falls."""
    return shares(curve) if is_resolved(curve) else np.full(len(curve.loads), np.nan)


def layer_states(train: LoadCurve, test: LoadCurve | None = None) -> list[str]:
    """Return what stands out about the load of each layer l = 1..L; curves hold bootstrap draws.

    ``"idle"``: no load in any draw, but for `IDLE` or rounding, on unseen inputs neither. The rest
    is said only if D surely falls. ``"overloaded"``: at least `OVERLOADED` even shares and as many
    times what the other layers that are used carry on average, surely more than an even share and,
    given unseen inputs, surely more load than on those. ``"barely used"``: surely less than an even
    share, and a load that is indistinguishable from zero or at most `BARELY_USED` of an even share.
    ``"reversed"``: D surely rises. ``"unclear"``: indistinguishable both from zero and from an even
    share. ``""``: nothing.
    """
    loads = load_draws(train)
    idle = np.logical_and.reduce([_is_idle(curve) for curve in (train, test) if curve is not None])
    if not is_resolved(train):
        return np.where(idle, "idle", "").tolist()
    even = loads.mean(axis=1, keepdims=True)
    (low, high), (below, above) = interval(loads), interval(loads - even)
    part = train.loads / train.loads.mean()
    barely = ((abs(part) <= BARELY_USED) | ((low <= 0) & (high >= 0))) & (above < 0)
    over = (part >= OVERLOADED) & (below > 0)
    # Layers of little use lower an even share, but that does not make the others overloaded.
    others = (train.loads[~barely].sum() - train.loads) / max(1, (~barely).sum() - 1)
    over &= train.loads >= OVERLOADED * others
    if test is not None:
        # The two sets are drawn independently, so differences of draws are draws of the difference.
        over &= interval(loads - load_draws(test))[0] > 0
    states = [idle, over, barely, high < 0, low <= 0]
    names = ["idle", "overloaded", "barely used", "reversed", "unclear"]
    return np.select(states, names, default="").tolist()


def _is_idle(curve: LoadCurve) -> np.ndarray:
    """Tell which layers l = 1..L have no load in any draw."""
    tolerance = max(ROUNDING, IDLE * curve.loads.mean())
    return (abs(load_draws(curve)) <= tolerance).all(axis=0)


def floor(samples: int, classes: int) -> float:
    r"""Return D of shuffled labels: what any features have by chance.

    With N samples of C classes, T the total scatter and labels dealt out at random, the mean over
    all deals is :math:`E\,\mathrm{tr}\,\Sigma_b = T (C - 1) / (N - 1)`, however many samples each
    class has: the mean of :math:`n_c` of them deviates from that of all by
    :math:`T N (1 - n_c / N) / (n_c (N - 1))` on average, and weighs :math:`n_c / N`. The rest of T
    is within the classes, so that

    .. math::

        D = \log \frac{N - C}{C - 1},

    the same for all features. :math:`e^{D - D_l}` is the pseudo-F of a permutational analysis of
    variance. M. J. Anderson, "A new method for non-parametric multivariate analysis of variance",
    Austral Ecology 26(1), 2001.

    >>> round(floor(2560, 10), 2), round(floor(2000, 1000), 2)
    (5.65, 0.0)
    """
    return float(np.log((samples - classes) / (classes - 1)))


def by_chance(separation: np.ndarray, samples: int, classes: int) -> np.ndarray:
    """Return the fraction of the scatter between the classes, at each D, that is there by chance.

    Chance brings about tr Σw (C - 1) / (N - C) on average; at most 1.
    """
    return np.exp(np.minimum(0, separation - floor(samples, classes)))


def layer_name(curve: LoadCurve, layer: int) -> str:
    """Return the name of a layer of a curve, counted from 0 without l = 0."""
    return shown(curve.layers[layer + 1]) if curve.layers else f"l = {layer + 1}"
