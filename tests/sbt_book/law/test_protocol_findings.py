"""What is found of the law: against SciPy, simulated samples and results made up to have it."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import pearsonr

from sbt_book.common.committed import load_committed
from sbt_book.law.protocol_findings import (
    PUBLISHED,
    frozen_against_joint,
    linearity_magnitudes,
    median_interval,
    protocol_summary,
    protocol_table,
    random_load_linearity,
)


def made_up(bends, depths=(4, 8), seeds=10):
    """Return results whose curves are lines with a bump of each run's strength, and no noise."""
    runs = len(depths)
    separation = np.full((runs, 2, 2, seeds, max(depths)), np.nan)
    for run, (depth, bend) in enumerate(zip(depths, bends, strict=True)):
        z = np.linspace(0, 1, depth)
        strength = bend * (1 + 0.01 * np.arange(seeds))[:, None]
        separation[run, :, :, :, :depth] = 1 - z - strength * z * (1 - z)
    dims = ("run", "statistics", "measure", "seed", "layer")
    names = {"statistics": ["batch", "running"], "measure": ["trace", "fuzziness"]}
    of_runs = {
        "depth": list(depths),
        "optimizer": ["adam"] * runs,
        "rate": [1e-3] * runs,
        "frozen": [0] * (runs - 1) + [1],
    }
    found = xr.Dataset({"separation": (dims, separation)}, names | {"seed": range(seeds)})
    found["accuracy_test"] = ("run", "seed"), np.full((runs, seeds), 0.8)
    return found.assign_coords({name: ("run", values) for name, values in of_runs.items()})


def test_random_loads_against_scipy():
    found = random_load_linearity(5, curves=4, seed=1)
    loads = np.random.default_rng(1).exponential(size=(4, 5))
    for r, fall in zip(found, np.cumsum(np.pad(loads, ((0, 0), (1, 0))), 1), strict=True):
        assert r == pytest.approx(abs(pearsonr(np.arange(6), -fall).statistic))


def test_random_loads_reach_the_law_as_often_as_the_chapter_says():
    for loads, share, top in ((3, 0.22, 0.995), (7, 0.25, 0.990), (19, 0.67, 0.994)):
        r = random_load_linearity(loads)
        assert (r >= PUBLISHED).mean() == pytest.approx(share, abs=0.006)
        assert np.quantile(r, 0.95) == pytest.approx(top, abs=0.0006)


@pytest.mark.parametrize("size", [6, 10, 23])
def test_an_interval_holds_the_median_as_often_as_it_says(rng, size):
    samples = rng.normal(size=(4000, size))
    held = [low < 0 < high for _, low, high in map(median_interval, samples)]
    assert 0.945 < np.mean(held) < 0.99
    ordered = np.sort(samples[0])
    median, low, high = median_interval(samples[0])
    assert median == pytest.approx(np.median(ordered))
    # One value further in, it would not be so sure.
    inner = np.searchsorted(ordered, low) + 1
    held = [np.sort(x)[inner] < 0 < np.sort(x)[-1 - inner] for x in samples]
    assert np.mean(held) < 0.95
    assert high == ordered[-inner]


def test_magnitudes_and_verdicts_of_results_made_up():
    found = made_up([0.1, 2.0])
    magnitudes = linearity_magnitudes(found)
    curve = found.separation.isel(run=0, statistics=1, measure=0, seed=3, layer=slice(0, 4))
    r = pearsonr(np.arange(4), curve.values).statistic
    assert magnitudes.isel(run=0, statistics=1, measure=0, seed=3).item() == pytest.approx(-r)
    summary = protocol_summary(found)
    assert summary.verdict.tolist() == ["holds", "fails"]
    assert summary.beyond_null.tolist() == [True, False]
    assert (summary.low <= summary["median"]).all()
    assert (summary["median"] <= summary.high).all()
    table = protocol_table(summary)
    assert table.optimiser.tolist() == ["adam", "adam, frozen"]
    assert table.accuracy.tolist() == ["80.0%", "80.0%"]


def test_a_median_below_with_an_interval_that_is_not_is_open():
    found = made_up([3.0, 3.0])
    straight = made_up([0.1, 0.1]).separation.isel(seed=slice(4))
    bent = found.separation.isel(seed=slice(4, None))
    found["separation"] = xr.concat([straight, bent], "seed")
    assert protocol_summary(found).verdict[0] == "open"


def test_frozen_against_joint():
    assert frozen_against_joint(made_up([0.1, 2.0], (8, 8))) == (10, 10, 2.0**-10)
    smaller, seeds, chance = frozen_against_joint(made_up([2.0, 0.1], (8, 8)))
    assert (smaller, seeds, chance) == (0, 10, 1.0)
    found = made_up([0.1, 2.0], (8, 8))
    found.separation[{"run": 1, "seed": slice(5, None)}] = np.nan  # five seeds with frozen layers
    assert frozen_against_joint(found) == (5, 5, 2.0**-5)
    assert protocol_summary(found)["median"].notnull().all()


@pytest.mark.parametrize("depth", [4, 8, 20])
def test_the_committed_results_are_of_the_protocol(depth):
    found = load_committed("law_protocol")
    of = found.isel(run=np.flatnonzero((found.depth == depth) & (found.frozen == 0)))
    assert sorted(of.optimizer.values) == ["adam", "momentum", "sgd"]
    assert of.sizes["seed"] == 10
    assert of.separation.isel(layer=slice(0, depth)).notnull().all()
    # The pixels are the same in every network, by either statistics.
    assert np.ptp(of.separation.isel(layer=0).sel(measure="fuzziness").values) < 1e-9
