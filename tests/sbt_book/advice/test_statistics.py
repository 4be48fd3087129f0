"""The statistics that may tell a finding, against arithmetic by hand on two networks."""

import numpy as np
import pytest
import xarray as xr

from sbt_book.advice import statistics
from sbt_book.advice.statistics import STATISTICS

SEEN = [[4.0, 3.0, 2.0, -2.0], [2.0, 2.0, -1.0, np.nan]]
UNSEEN = [[4.0, 3.5, 1.0, 2.0], [2.0, 2.1, 0.0, np.nan]]


@pytest.fixture
def two():
    """Networks of three layers and of two, with two draws half a unit off either way at l = 1."""
    draws = np.array([[0, 0.5, 0, 0], [0, -0.5, 0, 0]])
    dims = ("network", "draw", "layer")
    planted = [[np.nan, 0, 0, 0], [np.nan, 0, 1, np.nan]]
    return xr.Dataset(
        {
            "separation_train": (dims, np.array(SEEN)[:, None] + draws),
            "separation_test": (dims, np.array(UNSEEN)[:, None] + draws),
            "planted": (("network", "layer"), planted),
            "moved_train": (("network", "layer"), [[np.nan, 1, 2, 3], [np.nan, 4, 0, np.nan]]),
            "state_train": (("network", "layer"), [[0, 0, 0, 0], [0, 0, 1, np.nan]]),
        },
        {"layer": range(4)},
    )


def of(finding, name, networks):
    return STATISTICS[finding][name](networks).values


def test_loads_and_shares(two):
    assert statistics.depth(two).values.tolist() == [3, 2]
    loads = statistics.loads(two).values
    assert loads == pytest.approx(
        np.array([[np.nan, 1, 1, 4], [np.nan, 0, 3, np.nan]]), nan_ok=True
    )
    assert statistics.even_share(two).values.tolist() == [2.0, 1.5]
    assert statistics.falls(two, "test").mean("draw").values.tolist() == [2.0, 2.0]


def test_idle(two):
    expected = np.array([[np.nan, 0.5, 0.5, 2.0], [np.nan, 0.0, 2.0, np.nan]])
    assert of("idle", "load", two) == pytest.approx(-expected, nan_ok=True)
    # Two draws of l = 1, half a unit off: the interval reaches 0.475 to either side.
    spread = np.array([[np.nan, 1.475, 1.475, 4.0], [np.nan, 0.475, 3.475, np.nan]])
    surely = of("idle", "load, surely", two)
    assert surely == pytest.approx(-spread / [[2.0], [1.5]], nan_ok=True)
    unseen = np.array([[np.nan, 0.975, 2.975, 1.0], [np.nan, 0.575, 2.575, np.nan]])
    both = of("idle", "load, surely, both parts", two)
    assert both == pytest.approx(-np.maximum(spread, unseen), nan_ok=True)
    assert of("idle", "change", two)[1] == pytest.approx([np.nan, -4, 0, np.nan], nan_ok=True)


def test_dead(two):
    assert of("dead", "constant", two).tolist() == [[0, 0, 0, 0], [0, 0, 1, 0]]


def test_overfitted(two):
    assert of("overfitted", "fall lost", two) == pytest.approx([1 - 2 / 6, 1 - 2 / 3])
    # The draws are those of l = 1 alone, so that the fall is the same in all.
    assert of("overfitted", "fall lost, surely", two) == pytest.approx([1 - 2 / 6, 1 - 2 / 3])
    assert of("overfitted", "gap at the end", two) == pytest.approx([4.0, 1.0])
    assert of("overfitted", "last load reversed", two) == pytest.approx([1.0, -2.1])
    surely = of("overfitted", "last load reversed, surely", two)
    assert surely == pytest.approx([1.0, -2.575])
    assert of("overfitted", "rise", two) == pytest.approx([1 / 6, 0.0])
    assert of("overfitted", "least kept", two) == pytest.approx([5 / 6, 0.9 / 3])
    # Of three layers the last two, of two the last.
    assert of("overfitted", "fall lost in the second half", two) == pytest.approx(
        [1 - 1.5 / 5, 1 - 2.1 / 3]
    )


def test_overfitted_where_the_curve_first_rises(two):
    # Of the second network: 2.1 to 0 on unseen data, 2 to -1 on seen data.
    lost = of("overfitted", "fall lost from the top", two)
    assert lost == pytest.approx([1 - 2 / 6, 1 - 2.1 / 3])
    # Seen 1, 1, 4 and unseen 0.5, 2.5, -1; seen 0, 3 and unseen -0.1, 2.1.
    kept = of("overfitted", "loads not repeated", two)
    assert kept == pytest.approx([1 - (0.5 + 1 - 1) / 6, 1 - 2.1 / 3])
    two["accuracy_train"], two["accuracy_test"] = (
        ("network", values) for values in ([0.9, 0.8], [0.5, 0.9])
    )
    assert of("overfitted", "accuracy gap", two) == pytest.approx([0.4, -0.1])


def test_overloaded_and_unresolved(two):
    shares = [[np.nan, 0.5, 0.5, 2.0], [np.nan, 0.0, 2.0, np.nan]]
    assert of("overloaded", "even shares", two) == pytest.approx(np.array(shares), nan_ok=True)
    lead = [[np.nan, -0.5, -0.5, 0.5], [np.nan, -1.0, 1.0, np.nan]]
    assert of("overloaded", "lead", two) == pytest.approx(np.array(lead), nan_ok=True)
    assert of("unresolved", "fall", two).tolist() == [-6.0, -3.0]
    two.separation_train[:, :, 0] += [1.0, -1.0]  # of l = 0: a standard deviation of sqrt(2)
    deviations = of("unresolved", "fall in deviations", two)
    assert deviations == pytest.approx(np.array([-6, -3]) / np.sqrt(2))


def test_a_curve_that_does_not_fall_has_no_shares(two):
    rising = two.assign(separation_train=-two.separation_train)
    for finding, name in (("idle", "load"), ("overfitted", "fall lost"), ("overfitted", "rise")):
        assert np.isnan(of(finding, name, rising)).all()


def test_a_dead_end_leaves_the_fall_undefined(two):
    two.separation_train[1, :, 2] = np.nan
    assert np.isnan(of("unresolved", "fall", two)[1])
    for name in ("fall lost", "fall lost from the top", "loads not repeated"):
        assert np.isnan(of("overfitted", name, two)[1])
