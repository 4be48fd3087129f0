"""What may tell that a finding holds: scores of networks or layers, higher where it is likelier.

Each takes the networks of `sbt_book.advice.experiment.everything` and returns scores (network,), or
(network, layer) for findings about layers; nan where it is undefined.
"""

from collections.abc import Callable, Mapping

import xarray as xr

from sbt_book.advice.experiment import STATES

Statistic = Callable[[xr.Dataset], xr.DataArray]


def depth(networks: xr.Dataset) -> xr.DataArray:
    """Return the number of layers L of each network."""
    return networks.planted.notnull().sum("layer")


def draws_of_loads(networks: xr.Dataset, part: str) -> xr.DataArray:
    """Return bootstrap draws of the loads (network, draw, layer); nan at l = 0."""
    separation = networks[f"separation_{part}"]
    return separation.shift(layer=1) - separation


def loads(networks: xr.Dataset, part: str = "train") -> xr.DataArray:
    """Return the loads (network, layer)."""
    return draws_of_loads(networks, part).mean("draw", skipna=False)


def last(values: xr.DataArray, networks: xr.Dataset) -> xr.DataArray:
    """Return what values (..., layer) are at each network's last layer."""
    return values.sel(layer=depth(networks))


def falls(networks: xr.Dataset, part: str = "train") -> xr.DataArray:
    """Return bootstrap draws of D_0 - D_L, (network, draw); nan where D_L is undefined."""
    separation = networks[f"separation_{part}"]
    return separation.sel(layer=0, drop=True) - last(separation, networks).drop_vars("layer")


def even_share(networks: xr.Dataset) -> xr.DataArray:
    """Return the mean load of a layer on seen data, (network,); nan where D does not fall."""
    even = falls(networks).mean("draw", skipna=False) / depth(networks)
    return even.where(even > 0)


# Idle: how close a layer's load is to zero ------------------------------------------------------


def no_load(networks: xr.Dataset) -> xr.DataArray:
    """Return minus the size of the load, in even shares."""
    return -abs(loads(networks)) / even_share(networks)


def surely_no_load(networks: xr.Dataset) -> xr.DataArray:
    """Return minus the largest size in the 95 % interval of the load, in even shares."""
    interval = draws_of_loads(networks, "train").quantile([0.025, 0.975], "draw", skipna=False)
    return -abs(interval).max("quantile", skipna=False) / even_share(networks)


def surely_no_load_at_all(networks: xr.Dataset) -> xr.DataArray:
    """Return minus the largest size in the 95 % intervals of the load, on seen and unseen data."""
    sizes = [
        abs(draws_of_loads(networks, part).quantile([0.025, 0.975], "draw", skipna=False))
        .max("quantile", skipna=False)
        for part in ("train", "test")
    ]  # fmt: skip
    return -xr.concat(sizes, "part").max("part", skipna=False)


def no_move(networks: xr.Dataset) -> xr.DataArray:
    """Return minus the change of the features from the layer before, relative to their spread."""
    return -networks.moved_train


def no_influence(networks: xr.Dataset) -> xr.DataArray:
    """Return minus the block influence on unseen data."""
    return -networks.influence_test


# Dead: nothing but a constant -------------------------------------------------------------------


def constant(networks: xr.Dataset) -> xr.DataArray:
    """Return 1 where the features are the same for every sample, 0 elsewhere."""
    return (networks.state_train == STATES.index("constant")).astype(float)


# Overfitted: what layers do for seen data alone -------------------------------------------------


def lost_fall(networks: xr.Dataset) -> xr.DataArray:
    """Return 1 less the fall on unseen data over that on seen data."""
    seen, unseen = (falls(networks, part).mean("draw", skipna=False) for part in ("train", "test"))
    return (1 - unseen / seen).where(seen > 0)


def surely_lost_fall(networks: xr.Dataset) -> xr.DataArray:
    """Return the lower end of the 95 % interval of `lost_fall`."""
    seen, unseen = (falls(networks, part) for part in ("train", "test"))
    lost = (1 - unseen / seen).quantile(0.025, "draw", skipna=False).drop_vars("quantile")
    return lost.where(seen.mean("draw", skipna=False) > 0)


def gap_at_the_end(networks: xr.Dataset) -> xr.DataArray:
    """Return D_L on unseen data less that on seen data."""
    ends = (last(networks[f"separation_{part}"].mean("draw", skipna=False), networks)
            for part in ("test", "train"))  # fmt: skip
    unseen, seen = ends
    return (unseen - seen).drop_vars("layer")


def last_load_reversed(networks: xr.Dataset) -> xr.DataArray:
    """Return minus the last load on unseen data."""
    return -last(loads(networks, "test"), networks).drop_vars("layer")


def last_load_surely_reversed(networks: xr.Dataset) -> xr.DataArray:
    """Return minus the upper end of the 95 % interval of the last load on unseen data."""
    draws = last(draws_of_loads(networks, "test"), networks)
    return -draws.quantile(0.975, "draw", skipna=False).drop_vars(["layer", "quantile"])


def rise_on_unseen(networks: xr.Dataset) -> xr.DataArray:
    """Return how far D_L on unseen data lies above the lowest D_l, over the fall on seen data."""
    separation = networks.separation_test.mean("draw", skipna=False)
    rise = (last(separation, networks) - separation.min("layer")).drop_vars("layer")
    return rise / (even_share(networks) * depth(networks))


def least_kept(networks: xr.Dataset) -> xr.DataArray:
    """Return the largest load that one layer loses on unseen data, over the fall on seen data."""
    lost = (loads(networks) - loads(networks, "test")).max("layer")
    return lost / (even_share(networks) * depth(networks))


def lost_second_half(networks: xr.Dataset) -> xr.DataArray:
    """Return `lost_fall` over the second half of the layers."""
    middle = depth(networks) // 2
    seen, unseen = (
        separation.sel(layer=middle).drop_vars("layer")
        - last(separation, networks).drop_vars("layer")
        for separation in (
            networks[f"separation_{part}"].mean("draw", skipna=False) for part in ("train", "test")
        )
    )
    return (1 - unseen / seen).where(seen > 0)


def lost_from_the_top(networks: xr.Dataset) -> xr.DataArray:
    """Return 1 less the fall from the highest D_l to D_L on unseen data over that on seen data."""
    seen, unseen = (
        separation.max("layer") - last(separation, networks).drop_vars("layer")
        for separation in (
            networks[f"separation_{part}"].mean("draw", skipna=False) for part in ("train", "test")
        )
    )
    return (1 - unseen / seen).where(seen > 0)


def not_repeated(networks: xr.Dataset) -> xr.DataArray:
    """Return which share of the loads on seen data, where positive, unseen data does not repeat."""
    seen, unseen = loads(networks), loads(networks, "test")
    there = (seen > 0).where(seen.notnull(), False)
    repeated = xr.where(unseen < seen, unseen, seen).where(there, 0).sum("layer", skipna=False)
    total = seen.where(there, 0).sum("layer")
    return (1 - repeated / total).where(total > 0)


def accuracy_gap(networks: xr.Dataset) -> xr.DataArray:
    """Return the accuracy on seen data, with the labels given, less that on unseen data."""
    return networks.accuracy_train - networks.accuracy_test


# Overloaded: one layer does most ----------------------------------------------------------------


def load_in_shares(networks: xr.Dataset) -> xr.DataArray:
    """Return the load in even shares."""
    return loads(networks) / even_share(networks)


def load_over_the_others(networks: xr.Dataset) -> xr.DataArray:
    """Return the load less the largest other one, over the sum of the sizes of all loads."""
    load = loads(networks)
    largest = load.max("layer")
    second = load.where(load < largest).max("layer")
    lead = xr.where(load == largest, load - second, load - largest)
    return lead / abs(load).sum("layer")


# Unresolved: D does not fall --------------------------------------------------------------------


def no_fall(networks: xr.Dataset) -> xr.DataArray:
    """Return minus the fall in standard deviations of its draws."""
    fall = falls(networks)
    return -fall.mean("draw", skipna=False) / fall.std("draw", ddof=1, skipna=False)


def no_fall_at_all(networks: xr.Dataset) -> xr.DataArray:
    """Return minus the fall."""
    return -falls(networks).mean("draw", skipna=False)


_IDLE: Mapping[str, Statistic] = {
    "load": no_load,
    "load, surely": surely_no_load,
    "load, surely, both parts": surely_no_load_at_all,
    "change": no_move,
    "influence": no_influence,
}
STATISTICS: Mapping[str, Mapping[str, Statistic]] = {
    "idle": _IDLE,
    "dead branch": _IDLE,
    "dead": {"constant": constant},
    "overfitted": {
        "fall lost": lost_fall,
        "fall lost, surely": surely_lost_fall,
        "gap at the end": gap_at_the_end,
        "last load reversed": last_load_reversed,
        "last load reversed, surely": last_load_surely_reversed,
        "rise": rise_on_unseen,
        "least kept": least_kept,
        "fall lost in the second half": lost_second_half,
        "fall lost from the top": lost_from_the_top,
        "loads not repeated": not_repeated,
        "accuracy gap": accuracy_gap,
    },
    "overloaded": {"even shares": load_in_shares, "lead": load_over_the_others},
    "unresolved": {"fall in deviations": no_fall, "fall": no_fall_at_all},
}
"""For each finding, the statistics that may tell it, by name."""
