"""What stands out about each layer of a load curve, and from which threshold on.

Every rule asks the 95 % interval of the bootstrap, not only the number itself.
"""

from __future__ import annotations

import numpy as np

from sbt_utils.measuring.curves import LoadCurve, interval, load_draws, shares
from sbt_utils.measuring.scatter import ScatterStatistics, UndefinedSeparation
from sbt_utils.text import shown

OVERLOADED = 0.5
"""A layer is overloaded if its load exceeds that of any other by at least this fraction of the sum
of the sizes of all loads.

Of networks whose last block had to do everything, this names 65% (41% to 85%) of 20; of the healthy
ones in the same experiment, 5% (2% to 9%) of 180 have such a layer, too. So it is an observation.
"""

REVERSED = 0.2
"""A layer is reversed if D surely rises through it, by at least this fraction of its whole fall.

So do 7% of 60 healthy networks, most of them convolutional: an observation.
"""

IDLE = 0.025
"""A layer is idle if its load is surely within this fraction of an even share of zero.

Of networks that had no part in choosing this, it names the idle blocks in 97% (85% to 100%) of 34,
and false alarms in 0% (0% to 6%) of 60: advice. What is missed normalises what passes by a branch.
"""

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
    *counts, common, within, between = scatter.totals
    spread = within / (sum(n for n in counts if n > 1) or 1) + between
    return "dead" if spread <= scatter.precision**2 * common else state


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

    ``"idle"``: surely no load, but for `IDLE` or rounding, on unseen inputs neither. The rest is
    said only if D surely falls. ``"overloaded"``: more load than any other layer by at least
    `OVERLOADED`, surely more than an even share. ``"reversed"``: D surely rises, by at least
    `REVERSED`. ``"unclear"``: indistinguishable both from zero and from an even share. ``""``:
    nothing.
    """
    loads = load_draws(train)
    idle = np.logical_and.reduce([_is_idle(curve) for curve in (train, test) if curve is not None])
    if not is_resolved(train):
        return np.where(idle, "idle", "").tolist()
    (low, high), (below, above) = (
        interval(draws) for draws in (loads, loads - loads.mean(axis=1, keepdims=True))
    )
    over = (lead(train.loads) >= OVERLOADED) & (below > 0)
    back = (train.loads <= -REVERSED * train.loads.sum()) & (high < 0)
    states = [idle, over, back, (low <= 0) & (high >= 0) & (above >= 0)]
    return np.select(states, ["idle", "overloaded", "reversed", "unclear"], default="").tolist()


def lead(loads: np.ndarray) -> np.ndarray:
    """Return by how much each load (L,) exceeds the largest other one, over the sum of sizes."""
    second, largest = np.sort(loads)[-2:] if len(loads) > 1 else (0.0, loads[0])
    return (loads - np.where(loads == largest, second, largest)) / abs(loads).sum()


def _is_idle(curve: LoadCurve) -> np.ndarray:
    """Tell which layers l = 1..L surely have no load."""
    tolerance = max(ROUNDING, IDLE * curve.loads.mean())
    return (abs(np.array(interval(load_draws(curve)))) <= tolerance).all(axis=0)


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
