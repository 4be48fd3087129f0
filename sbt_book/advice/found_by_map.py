"""How often the stress map is right: the rates of its own findings on networks with known faults.

Written down when the thresholds had been chosen by the 500 networks of results/advice.nc, and
before any of the 200 of results/advice_fresh.nc had been looked at (other images, other grammars,
other seeds):

Criterion
    That of `sbt_book.advice.rates`, now for the fresh networks and the map as it is: a finding is
    advice if it is raised on at least 95 % of those with its fault and on at most 5 % of the
    healthy ones. Otherwise it is an observation.
Null model
    As there: a finding that knows nothing of a fault is raised on as many of the networks with it
    as of the healthy ones.
Predictions
    *Idle* and *dead* stay above 95 % at no alarm but for one or two. *Overfitted* (loads that
    unseen inputs do not repeat, or labels that look random) finds 95 %: memorised labels of images
    always, of sentences in the transformer not at 10 %, for its embedding hides them; few samples
    a little less often. Its alarms are perceptrons on Fashion-MNIST, which fit all of their images
    and a fifth of the unseen ones less: about 5 %. *Unresolved* finds all untrained networks but
    two, where random features separate the classes a little better than pixels do.

Choice
    Thresholds of *idle*, *overloaded* and *reversed* lie between healthy networks and those with
    the fault, where there is a gap, or else where 5 % of the healthy ones raise an alarm. That for
    loads that are not repeated detects 95 % at 5 %. In doing so, the 9 sequence classifiers that
    learned grammar 1 are left aside: their sentences look as if 11 % of the labels were random,
    by 3.7 standard deviations, and their labels are right. No other one of 120 such grammars is
    beyond 3 (`deviations_of_grammars`).
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import xarray as xr
from torch import Tensor
from torch.nn.functional import one_hot

from sbt_book.advice.experiment import STATES
from sbt_book.advice.faults import CONDITIONS
from sbt_book.advice.kinds import CLASSES, KINDS, SAMPLES
from sbt_book.advice.rates import has_fault, rate
from sbt_book.gallery.sentences import sentences
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.reporting.advice import SEVERITY
from sbt_utils.reporting.bootstrap import SampledScatter, bootstrap
from sbt_utils.reporting.generalisation import random_labels
from sbt_utils.reporting.stress_map import StressMap

FAULTS = {name: (name,) for name in ("dead", "overfitted", "overloaded", "unresolved")} | {
    "idle": ("idle", "dead branch")
}
"""Which of `sbt_book.advice.rates.FINDINGS` each finding of the map has to make; a dead branch
beside a skip connection does nothing, and should be found idle."""

_STATES = {"constant": "dead", "no variance between": "mixed", "no variance within": "collapsed"}


def stress_of(network: xr.Dataset) -> StressMap:
    """Return the stress map of one network, from the draws of its results."""
    layers = network.planted.notnull().sum().item() + 1
    draws = {part: network[f"separation_{part}"].transpose("draw", "layer").values[:, :layers]
             for part in ("train", "test")}  # fmt: skip
    has = np.isfinite([values[0] for values in draws.values()]).all(axis=0)
    names = tuple(f"l = {layer}" for layer in range(layers))
    undefined = {}
    for layer in np.flatnonzero(~has):
        state = STATES[int(network.state_train[layer])]
        undefined[names[layer]] = _STATES.get(state, "not finite")
    kept = tuple(names[layer] for layer in np.flatnonzero(has))
    train, test = (
        LoadCurve(values[:, has].astype(float), layers=kept) if has.sum() > 1 else None
        for values in draws.values()
    )
    kind = str(network.kind.item())
    classes = CLASSES[KINDS[kind].learns]
    few = CONDITIONS[str(network.condition.item())].samples
    seen = SAMPLES if few is None else few // classes * classes
    return StressMap(train, test, (seen, SAMPLES), (classes, classes), names, undefined)


def is_faulty(networks: xr.Dataset, finding: str) -> np.ndarray:
    """Return which networks (network,) have a fault that calls for a finding of the map."""
    faulty = np.zeros(networks.sizes["network"], bool)
    for fault in FAULTS.get(finding, ()):
        faulty |= has_fault(networks, fault).values
    return faulty


def raised_by_map(networks: xr.Dataset) -> xr.Dataset:
    """Return which findings the map of each network has, one variable of bool (network,) each.

    Of the networks with a fault in some layers, only those count whose map names each of them.
    """
    named = []
    for number in range(networks.sizes["network"]):
        stress = stress_of(networks.isel(network=number))
        named.append({one.finding: set(one.layers) for one in stress.advice})
    found = {}
    for name in SEVERITY:
        faulty = is_faulty(networks, name)
        found[name] = [
            name in layers and (not fault or _planted(networks, number) <= layers[name])
            for number, (layers, fault) in enumerate(zip(named, faulty, strict=True))
        ]
    return xr.Dataset({name: ("network", values) for name, values in found.items()})


def _planted(networks: xr.Dataset, number: int) -> set[str]:
    """Return the names of the layers of a network that have a fault."""
    planted = networks.planted.isel(network=number)
    return {f"l = {layer}" for layer in np.flatnonzero(planted == 1)}


def map_rates(networks: xr.Dataset, kind: str = "") -> pd.DataFrame:
    """Return how often the map is right and how often it raises a false alarm.

    One row per finding, the most severe first, with the columns of
    `sbt_book.advice.rates.rate_table`; nan for findings that no fault here calls for. Labels that
    look random count as overfitting. Of all networks, or those of one kind.
    """
    if kind:
        networks = networks.isel(network=networks.kind.values == kind)
    found = raised_by_map(networks)
    found["overfitted"] |= found["noisy labels"]
    healthy = networks.fault.values == "healthy"
    rows = {
        name: rate("detection", found[name].values, is_faulty(networks, name))
        | rate("alarms", found[name].values, healthy)
        for name in SEVERITY
    }
    return pd.DataFrame(rows).T


def rates_in_words(rates: pd.DataFrame) -> pd.DataFrame:
    """Return `map_rates` as text, of those findings that a fault calls for."""
    kept = rates[rates.detection_of > 0]

    def shown(name: str) -> list[str]:
        columns = [kept[f"{name}{end}"] for end in ("", "_low", "_high", "_of")]
        return [
            f"{part:.0%} ({low:.0%} to {high:.0%}) of {count:.0f}"
            for part, low, high, count in zip(*columns, strict=True)
        ]

    columns = {"found": shown("detection"), "false alarms": shown("alarms")}
    return pd.DataFrame(columns, index=kept.index)


def deviations_of_grammars(seeds: Iterable[int]) -> np.ndarray:
    """Return by how many standard deviations right labels look random: sentences of grammars.

    The null model of `sbt_utils.reporting.generalisation.noisy_labels` at l = 0: one-hot symbols.
    """
    found = []
    for seed in seeds:
        data = sentences(SAMPLES, SAMPLES, seed=seed)
        train = _draws(data.train_images, data.train_labels, data.classes)
        test = _draws(data.test_images, data.test_labels, data.classes)
        random = random_labels(train, test, [(SAMPLES, data.classes)] * 2)
        found.append(random.mean() / random.std())
    return np.array(found)


def _draws(symbols: Tensor, labels: Tensor, classes: int) -> np.ndarray:
    """Return bootstrap draws of D of sentences, with each symbol as a one-hot vector."""
    scatter = SampledScatter()
    scatter.update(one_hot(symbols, classes).flatten(1).float(), labels)
    return bootstrap([scatter])[:, 0]


def raised_by_condition(networks: xr.Dataset) -> pd.DataFrame:
    """Return the fraction of networks whose map has each finding, one row per condition."""
    found = raised_by_map(networks)
    columns = {str(name): values.values for name, values in found.items()}
    return pd.DataFrame(columns).groupby(networks.condition.values, sort=False).mean()
