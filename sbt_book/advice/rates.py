"""How often a finding is raised where it should be, and where it should not.

Written down before any rate was computed (each cell of the experiment had been run once or twice,
to see that healthy networks learn and that faults are what they claim):

Criterion
    A finding becomes advice if it detects at least 95 % of the networks with its fault and is
    raised on at most 5 % of the healthy ones, on the half of the networks that did not choose its
    threshold. A finding that does not is reworded as an observation. Intervals are those of Clopper
    and Pearson, 95 %.
Null model
    A statistic that knows nothing of a fault detects as many of the faulty networks as it alarms on
    healthy ones: 5 %. The lower end of the interval of the detection must lie above that.
Predictions
    *Idle*: the load of an idle block is surely zero, and that of no healthy block: the goal is
    reached by the upper end of the load's size in even shares. Late blocks of healthy transformers
    are where it will raise false alarms. *Dead*: exact, 100 % and 0 %. *Overfitted*: the fall on
    unseen data over that on seen data is the best single statistic; it detects memorised labels (30
    and 50 %) and few samples, and misses many networks that have half memorised 10 % random labels,
    so that the goal is not reached over all of them. *Overloaded*: reached by the largest load in
    even shares. *Unresolved*: an untrained network's D does not fall.

Later
    "Fall lost from the top" and "loads not repeated" were thought of when the first 162 networks
    had been seen: the fall from the input on misleads where D first rises. The accuracy gap was
    added to compare with. Once all had been seen, the map looked for labels that look random, too.
    So what counts are the rates on networks that were trained afterwards
    (`sbt_book.advice.found_by_map`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import binomtest

from sbt_book.advice.statistics import STATISTICS

GOAL_ALARMS = 0.05
"""Of the healthy networks, at most this fraction may raise a finding."""

TAKEN = 0.3
"""Networks that gave fewer of the wrong labels as they were told count as no memorisers."""


@dataclass(frozen=True)
class Finding:
    """What is to be found: in networks with one of these faults, of some kinds or of all.

    A finding about layers must be raised for each planted one, and about no layer of a healthy
    network.
    """

    faults: tuple[str, ...]
    of_layers: bool = False
    kinds: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


PLAIN = ("MLP", "CNN", "sequence classifier")
"""Kinds without skip connections, where a dead layer lets nothing through."""

FINDINGS = {
    "idle": Finding(("idle",), of_layers=True),
    "dead branch": Finding(("dead",), of_layers=True, without=PLAIN),
    "dead": Finding(("dead",), of_layers=True, kinds=PLAIN),
    "overfitted": Finding(("memorised", "few samples")),
    "overloaded": Finding(("overloaded",), of_layers=True),
    "unresolved": Finding(("untrained",)),
}
"""The findings; a dead branch beside a skip connection should be found idle."""


def halves(networks: xr.Dataset, seed: int = 0) -> xr.DataArray:
    """Return which networks choose thresholds: half of those of each kind with each fault."""
    rng = np.random.default_rng(seed)
    chosen = np.zeros(networks.sizes["network"], bool)
    groups = pd.DataFrame({"kind": networks.kind.values, "fault": networks.fault.values})
    for _, members in sorted(groups.groupby(["kind", "fault"]).groups.items()):
        order = rng.permutation(np.asarray(members))
        # Of an odd number, either half may be the larger one.
        chosen[order[: (len(order) + rng.integers(2)) // 2]] = True
    return xr.DataArray(chosen, dims="network")


def has_fault(networks: xr.Dataset, finding: str) -> xr.DataArray:
    """Return which networks (network,) have the fault that a finding should find."""
    asked = FINDINGS[finding]
    there = networks.fault.isin(asked.faults) & ~networks.kind.isin(asked.without)
    if asked.kinds:
        there &= networks.kind.isin(asked.kinds)
    took = ~(networks.fault == "memorised") | (networks.memorised >= TAKEN)
    return there & took


def raised(networks: xr.Dataset, finding: str, statistic: str) -> xr.DataArray:
    """Return up to which threshold a finding is raised, (network,): the score of a network.

    Of a network with the fault, the lowest score of a layer where it was planted; of another one
    the highest of any layer. -inf where a statistic is undefined.
    """
    score = STATISTICS[finding][statistic](networks)
    if not FINDINGS[finding].of_layers:
        return score.fillna(-np.inf)
    worst = score.fillna(-np.inf).where(networks.planted.notnull(), -np.inf).max("layer")
    least = score.fillna(-np.inf).where(networks.planted == 1, np.inf).min("layer")
    return least.where(has_fault(networks, finding), worst)


def threshold(healthy: np.ndarray, faulty: np.ndarray, alarms: float = GOAL_ALARMS) -> float:
    """Return the threshold that detects most while it is passed by few of the healthy scores.

    At most a fraction `alarms` of the healthy scores reach it. Of all thresholds that detect
    equally many, the one in the middle: between a score that should not reach it, and the lowest
    that should.
    """
    healthy, faulty = np.sort(healthy), np.sort(faulty)
    allowed = int(np.floor(alarms * len(healthy)))
    least = healthy[len(healthy) - allowed - 1]  # must stay below the threshold
    detected = faulty[faulty > least]
    if not len(detected):
        return float(np.nextafter(least, np.inf))
    if not np.isfinite(least):
        return float(detected[0])
    return float((least + detected[0]) / 2)


def rate_table(
    networks: xr.Dataset, finding: str, statistic: str, chosen_on: xr.DataArray | None = None
) -> pd.DataFrame:
    """Return how often a finding is right, for each kind and for all.

    Parameters
    ----------
    networks : xarray.Dataset
        From `sbt_book.advice.experiment.everything`.
    finding, statistic : str
        Keys of `FINDINGS` and of its `sbt_book.advice.statistics.STATISTICS`.
    chosen_on : DataArray of bool, shape (network,), optional
        Which networks choose the threshold: by default `halves`. The rates are those of the others.

    Returns
    -------
    pandas.DataFrame
        One row per kind, and ``"all"``. ``detection`` and ``alarms``, fractions, with the ends
        ``_low`` and ``_high`` of their 95 % intervals, and ``_of``, the number of networks with the
        fault, and of healthy ones. The attribute ``threshold`` (``attrs``).
    """
    chosen_on = halves(networks) if chosen_on is None else chosen_on
    score = raised(networks, finding, statistic)
    faulty, healthy = has_fault(networks, finding), networks.fault == "healthy"
    limit = threshold(
        score.values[(healthy & chosen_on).values], score.values[(faulty & chosen_on).values]
    )
    found = score >= limit
    rows = {}
    for kind in [*dict.fromkeys(networks.kind.values), "all"]:
        others = ~chosen_on & ((networks.kind == kind) | (kind == "all"))
        rows[str(kind)] = rate("detection", found.values, (faulty & others).values) | rate(
            "alarms", found.values, (healthy & others).values
        )
    table = pd.DataFrame(rows).T
    table.attrs["threshold"] = limit
    return table


def statistic_table(networks: xr.Dataset, finding: str) -> pd.DataFrame:
    """Compare the statistics of a finding on the half that chooses thresholds, best first.

    ``detection`` at no more alarms than `GOAL_ALARMS` on that half, and ``area``: the probability
    that a faulty network has a higher score than a healthy one, ties counting half.
    """
    chosen_on = halves(networks)
    rows = {}
    for name in STATISTICS[finding]:
        score = raised(networks, finding, name)
        healthy = score.values[((networks.fault == "healthy") & chosen_on).values]
        faulty = score.values[(has_fault(networks, finding) & chosen_on).values]
        limit = threshold(healthy, faulty)
        higher = (faulty[:, None] > healthy).mean() + (faulty[:, None] == healthy).mean() / 2
        rows[name] = {"detection": (faulty >= limit).mean(), "area": higher, "threshold": limit}
    return pd.DataFrame(rows).T.sort_values(["detection", "area"], ascending=False)


def rate(name: str, found: np.ndarray, among: np.ndarray) -> dict[str, float]:
    """Return the fraction of some networks on which a finding is raised, with its interval."""
    count, total = int((found & among).sum()), int(among.sum())
    if not total:
        nothing = dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
        return nothing | {f"{name}_of": 0}
    interval = binomtest(count, total).proportion_ci(method="exact")
    return {
        name: count / total,
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
        f"{name}_of": total,
    }
