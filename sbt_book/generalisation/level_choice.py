"""Choosing a level of noise by the load curve, or by another rule, and what it costs."""

import numpy as np
import xarray as xr


def straightest_and_best(networks: xr.Dataset) -> xr.Dataset:
    """Compare the level of noise with the straightest load curves and the one that reads best.

    Parameters
    ----------
    networks : xarray.Dataset
        ``convexity`` and ``accuracy`` (noise, seed, ...), from
        `sbt_book.generalisation.correlations.networks_of`.

    Returns
    -------
    xarray.Dataset
        (...): the levels ``straightest``, whose mean convexity is nearest to zero, and ``best``,
        whose mean accuracy is highest; ``convexity_straightest``, ``convexity_best`` and
        ``accuracy_straightest``, ``accuracy_best``, their means over the seeds; ``given_up``, the
        difference of the accuracies, and ``error``, its standard error from the scatter of the
        seeds (0 where both levels are the same, nan for a single seed). As the best level is
        chosen by the accuracies that are compared, `given_up` is never negative, and is positive
        by chance alone where levels are equally good.

    Examples
    --------
    >>> networks = xr.Dataset({"convexity": (("noise", "seed"), [[-0.2, -0.1], [0.0, 0.02]]),
    ...                        "accuracy": (("noise", "seed"), [[0.93, 0.95], [0.9, 0.92]])},
    ...                       {"noise": [0.0, 0.1]})
    >>> choice = straightest_and_best(networks)
    >>> choice.straightest.item(), choice.best.item(), round(choice.given_up.item(), 4)
    (0.1, 0.0, 0.03)
    """
    means = networks[["convexity", "accuracy"]].mean("seed")
    count = networks.accuracy.count("seed")
    variance = networks.accuracy.var("seed", ddof=1).where(count > 1) / count
    places = {
        "straightest": abs(means.convexity).fillna(np.inf).argmin("noise"),
        "best": means.accuracy.fillna(-np.inf).argmax("noise"),
    }
    columns = {}
    for name, place in places.items():
        columns[name] = networks.noise.isel(noise=place).drop_vars("noise")
        for quantity in ("convexity", "accuracy"):
            columns[f"{quantity}_{name}"] = means[quantity].isel(noise=place).drop_vars("noise")
    apart = places["straightest"] != places["best"]
    squares = sum(variance.isel(noise=place).drop_vars("noise") for place in places.values())
    columns["given_up"] = columns["accuracy_best"] - columns["accuracy_straightest"]
    columns["error"] = np.sqrt(squares * apart)
    return xr.Dataset(columns)


def cost_of_choice(criterion: xr.DataArray, accuracy: xr.DataArray) -> xr.DataArray:
    """Return the accuracy given up by choosing the level of noise that is lowest by a criterion.

    Each seed chooses by itself, among one network of each level. What a level is worth is the mean
    accuracy of all its networks, so that luck with a single network counts neither way.

    Parameters
    ----------
    criterion : xarray.DataArray
        (noise, seed, ...): nan is never chosen.
    accuracy : xarray.DataArray
        (noise, seed, ...), some or all of the same dimensions.

    Returns
    -------
    xarray.DataArray
        (seed, ...): mean accuracy of the best level less that of the chosen one; 0 if they are the
        same, nan where the criterion is nan at all levels.

    Examples
    --------
    >>> accuracy = xr.DataArray([[0.93, 0.95], [0.9, 0.92]], dims=("noise", "seed"))
    >>> bend = xr.DataArray([[0.2, 0.0], [0.1, 0.1]], dims=("noise", "seed"))
    >>> cost_of_choice(bend, accuracy).values.round(4)
    array([0.03, 0.  ])
    """
    worth = accuracy.mean("seed").reset_coords(drop=True)
    given_up = worth.max("noise") - worth
    chosen = criterion.fillna(np.inf).argmin("noise")
    return given_up.isel(noise=chosen, drop=True).where(criterion.notnull().any("noise"))
