"""Whether curves of networks of different depths fall on one another."""

from collections.abc import Mapping

import numpy as np

from sbt_utils.measuring.curves import scaled


def collapse(curves: Mapping[int, np.ndarray], draws: int = 2000) -> tuple[float, float]:
    """Return how far curves of different depths lie apart at equal l / L, and the share of chance.

    Curves (seed, layer) of each group, scaled from 1 to 0, are read at 32 equal steps of l / L
    between layers by straight lines. The first number is the mean over these of the variance of the
    groups' means over the variance within groups; 1 is what a collapse gives on average. The second
    is the share of shuffles of the curves among the groups with a ratio at least as large.
    """
    places = np.linspace(0, 1, 33)[1:-1]
    rows, groups = [], []
    for group, alike in curves.items():
        for curve in scaled(alike):
            rows.append(np.interp(places, np.linspace(0, 1, len(curve)), curve))
            groups.append(group)
    values, generator = np.array(rows), np.random.default_rng(0)
    measured = _apart(values, np.array(groups))
    null = np.array([_apart(values, generator.permutation(groups)) for _ in range(draws)])
    return measured, float((null >= measured - 1e-9).mean())  # but for rounding


def _apart(curves: np.ndarray, group: np.ndarray) -> float:
    """Return the ratio of variances (Fisher's F) between and within groups, all points together."""
    names, sizes = np.unique(group, return_counts=True)
    means = np.stack([curves[group == name].mean(0) for name in names])
    between = (sizes[:, None] * (means - curves.mean(0)) ** 2).sum() / (len(names) - 1)
    within = ((curves - means[np.searchsorted(names, group)]) ** 2).sum()
    return float(between / (within / (len(curves) - len(names))))
