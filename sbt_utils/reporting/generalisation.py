"""Whether what a network learned holds for unseen inputs, from its load curves on both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sbt_utils.measuring.curves import LoadCurve, interval, load_draws
from sbt_utils.reporting.states import floor, layer_name

OVERFITTED = 0.5
"""A network is overfitted if D surely falls on unseen data by less than this fraction of its fall.

All networks in the published diagram of dropout, trained on 2,560 digits, keep more, 0.60 to 0.94:
the less, the further their test accuracy is below that on training images (rank correlation -0.85).
"""

TURN = 0.05
"""It is, too, if D surely rises on unseen data through its last layers, where it surely falls on
training data: by at least this fraction of the whole fall there."""

RANDOM_LABELS = 0.05
"""Labels are noisy if the classes of the training inputs surely lie closer together than those of
unseen ones by as much as this fraction of random labels would bring about. A network is overfitted
if it separates them all the same, better than unseen ones."""


def little_fall(train: LoadCurve, test: LoadCurve) -> str:
    """Return the evidence if D falls too little on unseen inputs."""
    seen, unseen = (load_draws(curve).sum(axis=1) for curve in (train, test))
    ratio = test.loads.sum() / train.loads.sum()
    low, high = interval(unseen / seen)
    if not (ratio < OVERFITTED and high < OVERFITTED):
        return ""
    return (
        f"D falls by {train.loads.sum():.2f} on the training inputs, by {test.loads.sum():.2f} on "
        f"unseen ones: {ratio:.2f} ({low:.2f} to {high:.2f}) of it, threshold {OVERFITTED:g}"
    )


def turn(train: LoadCurve, test: LoadCurve) -> str:
    """Return the evidence if D rises on unseen inputs where it falls on training inputs."""
    seen, unseen = (np.cumsum(load_draws(curve)[:, ::-1], axis=1) for curve in (train, test))
    last = int(unseen.mean(axis=0).argmin())  # so many layers before the last one
    seen, rises = seen[:, last], -unseen[:, last]
    (surely_falls, _), (low, high) = interval(seen), interval(rises)
    rise = rises.mean()
    if not (low > 0 and rise >= TURN * train.loads.sum() and surely_falls > 0):
        return ""
    first = layer_name(train, len(train.loads) - 1 - last)
    return (
        f"from {first} on D falls by {seen.mean():.2f} on the training inputs and rises by "
        f"{rise:.2f} ({low:.2f} to {high:.2f}) on unseen ones, threshold {TURN:.0%} of the fall"
    )


def noisy_labels(train: LoadCurve, test: LoadCurve, sizes: Sequence[tuple[int, int]]) -> str:
    """Return the evidence if part of the training labels look random; `sizes` as in `advise`."""
    if len(sizes) < 2:
        return ""
    seen, unseen = (np.atleast_2d(curve.separation)[:, 0] for curve in (train, test))
    low, high = interval(random_labels(seen, unseen, sizes))
    if not low > RANDOM_LABELS:
        return ""
    part = float(random_labels(train.mean[0], test.mean[0], sizes))
    return (
        f"D is {train.mean[0]:.2f} at first, {test.mean[0]:.2f} on unseen inputs: as if {part:.0%} "
        f"({low:.0%} to {high:.0%}) of the training labels were random, threshold "
        f"{RANDOM_LABELS:.0%}"
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
