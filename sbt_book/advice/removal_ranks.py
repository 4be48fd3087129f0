"""Which number that is measured in one pass tells what the removal of a block costs.

Written down before any correlation was computed (see `sbt_book.advice.rates`):

Criterion
    Within each healthy network, Spearman's rank correlation over its blocks of a predictor with the
    loss that skipping the block adds on unseen data; for a kind the mean over its networks, with a
    95 % interval of a bootstrap over networks. The best predictor has the highest mean over the
    kinds, and the map shows it.
Null model
    Blocks differ by where they are: the depth alone, shallow blocks first, is a predictor, too. One
    that is no better than depth knows nothing of the block. An ignorant one has the correlation 0.
Predictions
    Influence and angular distance, which order blocks alike, correlate with the cost in residual
    kinds (above 0.7) and do better than the load, which is high in late blocks that can go: a late
    block pulls classes together that the readout would have told apart. Depth does nearly as well
    as influence. In the plain sequence classifier all blocks are needed and the ranks mean little.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import bootstrap

from sbt_book.advice.statistics import loads
from sbt_book.common.statistics import spearman

PREDICTORS: Mapping[str, Callable[[xr.Dataset], xr.DataArray]] = {
    "load": loads,
    "load on unseen data": lambda networks: loads(networks, "test"),
    "influence": lambda networks: networks.influence_test,
    "angular distance": lambda networks: networks.angular_distance_test,
    "depth": lambda networks: -networks.layer.where(networks.planted.notnull()),
}
"""What may tell the cost of a block, higher where it is dearer; (network, layer)."""


def cost(networks: xr.Dataset, part: str = "test") -> xr.DataArray:
    """Return what skipping each block adds to the loss, (network, layer); nan where none can be."""
    return networks[f"loss_without_{part}"] - networks[f"loss_{part}"]


def correlations(networks: xr.Dataset, part: str = "test") -> xr.Dataset:
    """Return each network's rank correlation of each predictor with the cost, over its blocks.

    One variable per predictor, (network,); nan where no block can be skipped.
    """
    dear = cost(networks, part).transpose("network", "layer")
    return xr.Dataset(
        {
            name: (
                "network",
                spearman(predictor(networks).transpose("network", "layer").values, dear.values),
            )
            for name, predictor in PREDICTORS.items()
        }
    )


def regrets(networks: xr.Dataset, part: str = "test") -> xr.Dataset:
    """Return how much more it costs to skip the block a predictor calls least than the cheapest.

    One variable per predictor, (network,), in units of the loss; nan where no block can be skipped.
    """
    dear = cost(networks, part)
    there = dear.notnull().any("layer")
    columns = {}
    for name, predictor in PREDICTORS.items():
        least = predictor(networks).where(dear.notnull()).fillna(np.inf).argmin("layer")
        columns[name] = (dear.isel(layer=least).drop_vars("layer") - dear.min("layer")).where(there)
    return xr.Dataset(columns)


def rank_table(
    networks: xr.Dataset,
    measure: Callable[[xr.Dataset], xr.Dataset] = correlations,
    draws: int = 1000,
) -> pd.DataFrame:
    """Return the mean of `correlations` or `regrets` over the healthy networks of each kind.

    One row per kind with blocks that can be skipped and ``"all"``, where each kind counts the same;
    for each predictor its mean and the ends ``_low`` and ``_high`` of its 95 % interval, from
    bootstrap draws of networks within their kind, always the same ones.
    """
    healthy = networks.isel(network=networks.fault.values == "healthy")
    found = measure(healthy)
    skippable = cost(healthy).notnull().any("layer").values
    kinds = [str(kind) for kind in dict.fromkeys(healthy.kind.values[skippable])]
    rows: dict[str, dict[str, float]] = {kind: {} for kind in [*kinds, "all"]}
    for name, values in found.items():
        by_kind = [values.values[skippable & (healthy.kind.values == kind)] for kind in kinds]
        for kind, one in zip(kinds, by_kind, strict=True):
            rows[kind] |= _mean(str(name), [one], draws)
        rows["all"] |= _mean(str(name), by_kind, draws)
    return pd.DataFrame(rows).T


def _mean(name: str, groups: list[np.ndarray], draws: int) -> dict[str, float]:
    """Return the mean over groups of their means, and the ends of its 95 % interval."""

    def mean(*samples: np.ndarray, axis: int) -> np.ndarray:
        return np.mean([np.nanmean(sample, axis=axis) for sample in samples], axis=0)

    row = {name: float(mean(*groups, axis=-1))}
    if min(map(len, groups)) < 2 or all(np.ptp(group) == 0 for group in groups):
        return row | {f"{name}_low": np.nan, f"{name}_high": np.nan}
    drawn = bootstrap(
        groups,
        mean,
        n_resamples=draws,
        vectorized=True,
        axis=-1,
        method="percentile",
        random_state=np.random.default_rng(0),
    )
    low, high = drawn.confidence_interval
    return row | {f"{name}_low": float(low), f"{name}_high": float(high)}
