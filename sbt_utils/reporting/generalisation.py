"""Whether what a network learned holds for unseen inputs, from its load curves on both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sbt_utils.measuring.curves import LoadCurve, interval, load_draws
from sbt_utils.reporting.states import ROUNDING, floor, layer_name

NOT_REPEATED = 0.55
"""A network is overfitted if surely at least this fraction of the fall of D on training inputs is
not repeated on unseen ones, layer by layer.

With `DEVIATIONS`, this finds 92% (84% to 97%) of 80 networks that memorised wrong labels or had few
samples, and that had no part in choosing the two; of the healthy ones 5% (1% to 14%) of 60. That is
less than 95 %: an observation. Most of those missed learned sentences with 10 % wrong labels; the
alarms are perceptrons that know all of their images and 78 % of others.
"""

DEVIATIONS = 3.0
"""Labels are noisy if, in some layer, the classes of the training inputs lie closer together than
those of unseen ones, as random labels would bring them, by this many standard deviations. A network
is overfitted if it separates them all the same, better than unseen ones."""


def not_repeated(train: LoadCurve, test: LoadCurve) -> str:
    """Return the evidence if little of what the layers do is done to unseen inputs, too."""
    seen, unseen = load_draws(train), load_draws(test)
    lost = lost_part(seen, unseen)
    low, high = interval(lost)
    if not low > NOT_REPEATED:
        return ""
    return (
        f"{lost_part(train.loads, test.loads):.0%} ({low:.0%} to {high:.0%}) of the fall on the "
        f"training inputs is not repeated on unseen ones, layer by layer; "
        f"threshold {NOT_REPEATED:.0%}"
    )


def lost_part(seen: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    r"""Return which part of the loads on training inputs (..., L) is none on unseen ones.

    .. math::

        1 - \frac{\sum_l \min(s_l, u_l)}{\sum_l s_l}, \qquad s_l > 0,

    over the loads :math:`s_l` on training and :math:`u_l` on unseen inputs of the layers that
    separate the training inputs. It is 0 if no layer does less for unseen inputs, and above 1 if
    these layers mix them.
    """
    separates = seen > 0
    repeated = np.where(separates, np.minimum(seen, unseen), 0).sum(axis=-1)
    return 1 - repeated / np.where(separates, seen, 0).sum(axis=-1)


def noisy_labels(train: LoadCurve, test: LoadCurve, sizes: Sequence[tuple[int, int]]) -> str:
    """Return the evidence if part of the training labels look random; `sizes` as in `advise`.

    Any layer may show it. A network that learns what holds for its training inputs alone pulls
    their classes apart, which hides random labels and never feigns them.
    """
    if len(sizes) < 2:
        return ""
    seen, unseen = (np.atleast_2d(curve.separation) for curve in (train, test))
    parts = random_labels(seen, unseen, sizes)
    above = parts.mean(axis=0) - DEVIATIONS * parts.std(axis=0)
    if not (above > ROUNDING).any():
        return ""
    layer = int(np.nanargmax(above))
    low, high = interval(parts[:, layer])
    place = "at first" if layer == 0 else f"after {layer_name(train, layer - 1)}"
    return (
        f"{place} D is {train.mean[layer]:.2f}, {test.mean[layer]:.2f} on unseen inputs: as if "
        f"{parts[:, layer].mean():.0%} ({low:.0%} to {high:.0%}) of the training labels were "
        f"random, threshold {DEVIATIONS:g} standard deviations"
    )


def separates_better(train: LoadCurve, test: LoadCurve) -> bool:
    """Tell whether the last layer surely separates training inputs better than unseen ones."""
    seen, unseen = (np.atleast_2d(curve.separation)[:, -1] for curve in (train, test))
    return bool(interval(seen - unseen)[1] < 0)


def random_labels(
    train: np.ndarray, test: np.ndarray, sizes: Sequence[tuple[int, int]]
) -> np.ndarray:
    r"""Return the fraction of random labels that would account for D of training inputs.

    Labels that are drawn anew with probability p bring the class means closer together, by 1 - p,
    and leave the whole scatter as it is: the fraction :math:`\rho` of it that lies between the
    classes is (1 - p)^2 times that of unseen inputs with right labels. What chance adds to
    :math:`\rho`, more for fewer inputs, is taken off as in an analysis of variance.

    `train` and `test` are D of the two, in any shape; NaN where chance accounts for either.
    """
    parts = []
    for separation, (samples, classes) in zip((train, test), sizes, strict=True):
        ratio = np.exp(-separation) - np.exp(-floor(samples, classes))
        ratio = np.where(ratio > 0, ratio, np.nan) * (samples - classes) / samples
        parts.append(ratio / (1 + ratio))
    return 1 - np.sqrt(parts[0] / parts[1])
