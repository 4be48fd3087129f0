"""Rates of detection and false alarm, on made-up networks whose answers are known."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import beta

from sbt_book.advice import rates
from sbt_book.advice.rates import (
    FINDINGS,
    PLAIN,
    halves,
    has_fault,
    raised,
    rate_table,
    statistic_table,
    threshold,
)
from sbt_book.advice.statistics import STATISTICS


@pytest.fixture
def made_up(monkeypatch):
    """Networks of two kinds: 40 healthy ones, 20 idle ones, 10 memorisers of each.

    ``known`` is the score of a network, ``by_layer`` that of a layer.
    """
    counts = {"healthy": 40, "idle": 20, "memorised": 10}
    columns = {name: [] for name in ("kind", "fault", "known", "memorised")}
    for kind in ("MLP", "mixer"):
        for fault, count in counts.items():
            columns["kind"] += [kind] * count
            columns["fault"] += [fault] * count
            columns["known"] += [10.0 * (fault != "healthy") + i / count for i in range(count)]
            columns["memorised"] += [0.2 if fault == "memorised" and i == 0 else 0.9
                                     for i in range(count)]  # fmt: skip
    count = len(columns["kind"])
    fault = np.array(columns["fault"])
    planted = np.full((count, 4), 0.0)
    planted[:, 0] = np.nan
    planted[fault == "idle", 2] = 1.0
    by_layer = np.where(planted == 1, 5.0, 1.0)
    by_layer[:, 0] = 99.0  # no layer is there
    monkeypatch.setitem(STATISTICS, "overfitted", {"known": lambda n: n.known,
                                                  "useless": lambda n: 0 * n.known})  # fmt: skip
    monkeypatch.setitem(STATISTICS, "idle", {"by layer": lambda n: n.by_layer})
    return xr.Dataset(
        {
            "known": ("network", columns["known"]),
            "memorised": ("network", columns["memorised"]),
            "planted": (("network", "layer"), planted),
            "by_layer": (("network", "layer"), by_layer),
        },
        {
            "kind": ("network", columns["kind"]),
            "fault": ("network", columns["fault"]),
            "condition": ("network", columns["fault"]),
            "layer": range(4),
        },
    )


def test_halves_hold_half_of_each_group(made_up):
    chosen = halves(made_up)
    for kind in ("MLP", "mixer"):
        for fault, count in (("healthy", 40), ("idle", 20), ("memorised", 10)):
            group = (made_up.kind == kind) & (made_up.fault == fault)
            assert int((chosen & group).sum()) == count // 2
    assert chosen.equals(halves(made_up))
    assert not chosen.equals(halves(made_up, seed=1))
    odd = made_up.isel(network=slice(0, 39))
    shares = [int(halves(odd, seed).sum()) for seed in range(20)]
    assert set(shares) == {19, 20}


@pytest.mark.parametrize(
    ("healthy", "faulty", "alarms", "expected"),
    [
        (np.arange(20.0), [25.0, 30.0], 0.0, 22.0),  # in the middle of the gap
        (np.arange(20.0), [25.0, 30.0], 0.05, 21.5),  # the highest healthy one may pass
        (np.arange(20.0), [10.5, 30.0], 0.05, 24.0),  # 10.5 would cost nine alarms
        (np.arange(20.0), [18.5, 30.0], 0.05, 18.25),
        ([-np.inf] * 20, [3.0, 4.0], 0.05, 3.0),
    ],
)
def test_the_threshold(healthy, faulty, alarms, expected):
    limit = threshold(np.array(healthy), np.array(faulty), alarms)
    assert limit == expected
    assert (np.array(healthy) >= limit).mean() <= alarms


def test_a_threshold_that_nothing_passes():
    assert threshold(np.arange(20.0), np.array([1.0, 2.0]), 0.0) > 19
    assert threshold(np.arange(3.0), np.array([]), 0.0) > 2


def test_the_table_of_a_perfect_statistic(made_up):
    table = rate_table(made_up, "overfitted", "known")
    assert list(table.index) == ["MLP", "mixer", "all"]
    assert (table.detection == 1).all()
    assert table.alarms.max() <= 0.1
    assert table.loc["all", "alarms_of"] == 40
    # One of the ten memorisers of each kind has not learned what it was told.
    left = int((has_fault(made_up, "overfitted") & ~halves(made_up)).sum())
    assert table.loc["all", "detection_of"] == left
    assert 8 <= left <= 10
    # Clopper and Pearson: of n found among n, the lower end is 0.025^(1/n).
    assert table.loc["all", "detection_low"] == pytest.approx(0.025 ** (1 / left))
    assert table.loc["all", "detection_high"] == 1.0
    alarms = round(table.loc["all", "alarms"] * 40)
    expected = beta.ppf(0.975, alarms + 1, 40 - alarms)
    assert table.loc["all", "alarms_high"] == pytest.approx(expected)


def test_rates_are_those_of_the_other_half(made_up):
    chosen_on = halves(made_up)
    spoilt = made_up.known.where(chosen_on, 0.0)  # the other half tells nothing
    table = rate_table(made_up.assign(known=spoilt), "overfitted", "known")
    assert table.loc["all", "detection"] == 0
    assert table.loc["all", "alarms"] == 0


def test_layers_that_are_planted_must_all_be_found(made_up):
    table = rate_table(made_up, "idle", "by layer")
    assert table.loc["all", ["detection", "alarms"]].tolist() == [1.0, 0.0]
    assert 1 < table.attrs["threshold"] <= 5
    # A second planted layer that does not stand out.
    made_up.planted[(made_up.fault == "idle").values, 3] = 1.0
    assert rate_table(made_up, "idle", "by layer").loc["all", "detection"] == 0.0
    found = raised(made_up, "idle", "by layer")
    assert found.max() == 1.0


def test_undefined_scores_raise_nothing(made_up):
    made_up["known"] = made_up.known.where(made_up.fault != "memorised")
    assert rate_table(made_up, "overfitted", "known").loc["all", "detection"] == 0.0
    made_up["by_layer"] = np.nan * made_up.by_layer
    assert rate_table(made_up, "idle", "by layer").loc["all", "detection"] == 0.0


def test_a_kind_without_the_fault(made_up):
    others = made_up.isel(network=~((made_up.kind == "MLP") & (made_up.fault == "idle")).values)
    row = rate_table(others, "idle", "by layer").loc["MLP"]
    assert row.detection_of == 0
    assert np.isnan(row.detection)
    assert row.alarms == 0


def test_dead_layers_and_dead_branches(made_up):
    dead = made_up.assign_coords(fault=made_up.fault.where(made_up.fault != "idle", "dead"))
    for finding, kind in (("dead", "MLP"), ("dead branch", "mixer")):
        found = has_fault(dead, finding)
        assert set(dead.kind.values[found.values]) == {kind}
        assert set(dead.fault.values[found.values]) == {"dead"}
    assert "MLP" in PLAIN


def test_statistics_are_compared_on_the_half_that_chooses(made_up):
    table = statistic_table(made_up, "overfitted")
    assert list(table.index) == ["known", "useless"]
    assert table.loc["known"].tolist()[:2] == [1.0, 1.0]
    assert table.loc["useless"].tolist()[:2] == [0.0, 0.5]


def test_every_finding_has_statistics_and_faults():
    assert list(FINDINGS) == list(STATISTICS)
    assert rates.GOAL_ALARMS == 0.05
