"""Choosing a level of noise by the load curve, or by another rule, and what it costs."""

import numpy as np
import xarray as xr

from sbt_book.common.statistics import seed_variance

MOST_GIVEN_UP = 0.01
"""The criterion for convolutional networks: the accuracy, a fraction, that it may cost to choose
the straightest level, ``given_up`` of `straightest_and_best` with ten seeds."""


def straightest_and_best(networks: xr.Dataset) -> xr.Dataset:
    """Compare the level of noise with the straightest load curves and the most accurate one.

    Parameters
    ----------
    networks : xarray.Dataset
        ``convexity`` and ``accuracy`` (noise, seed, ...), from `networks_of`.

    Returns
    -------
    xarray.Dataset
        (...): the levels ``straightest``, whose mean convexity is nearest to zero, and ``best``,
        whose mean accuracy is highest; ``convexity_straightest``, ``convexity_best`` and
        ``accuracy_straightest``, ``accuracy_best``, their means over the seeds; ``given_up``, the
        difference of the accuracies, and ``error``, its standard error from the scatter of the
        seeds (0 where both levels are the same, nan for a single seed). The best level is chosen by
        the accuracies that are compared: ``given_up`` is never negative, and where levels are
        equally good it is positive by chance alone.
    """
    means = networks[["convexity", "accuracy"]].mean("seed")
    variance = seed_variance(networks.accuracy) / networks.accuracy.count("seed")
    chosen = {
        "straightest": abs(means.convexity).fillna(np.inf).argmin("noise"),
        "best": means.accuracy.fillna(-np.inf).argmax("noise"),
    }
    columns = {}
    for name, level in chosen.items():
        columns[name] = networks.noise.isel(noise=level).drop_vars("noise")
        for quantity in ("convexity", "accuracy"):
            columns[f"{quantity}_{name}"] = means[quantity].isel(noise=level).drop_vars("noise")
    apart = chosen["straightest"] != chosen["best"]
    squares = sum(variance.isel(noise=level).drop_vars("noise") for level in chosen.values())
    columns["given_up"] = columns["accuracy_best"] - columns["accuracy_straightest"]
    columns["error"] = np.sqrt(squares * apart)
    return xr.Dataset(columns)


def cost_of_choice(criterion: xr.DataArray, accuracy: xr.DataArray) -> xr.DataArray:
    """Return the accuracy given up by choosing the level of noise that is lowest by a criterion.

    Each seed chooses by itself, among one network of each level; `criterion` and `accuracy` are
    (noise, seed, ...), and a nan is never chosen. What a level is worth is the mean accuracy of all
    its networks, so that luck with a single network counts neither way. The cost (seed, ...) is the
    mean accuracy of the best level less that of the chosen one, nan where the criterion is nan at
    all levels.
    """
    worth = accuracy.mean("seed").reset_coords(drop=True)
    given_up = worth.max("noise") - worth
    chosen = criterion.fillna(np.inf).argmin("noise")
    return given_up.isel(noise=chosen, drop=True).where(criterion.notnull().any("noise"))
