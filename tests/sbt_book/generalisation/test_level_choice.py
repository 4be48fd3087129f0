"""Levels of noise chosen by a rule, on data made by hand."""

import numpy as np
import pytest
import xarray as xr

from sbt_book.generalisation.level_choice import cost_of_choice, straightest_and_best

NOISE = [0.0, 0.1, 0.3]


@pytest.fixture
def networks():
    """Two slopes: at the first the straightest level is not the best one, at the second it is."""
    convexity = [[[-0.3, -0.1], [0.1, 0.2]], [[-0.1, 0.1], [-0.4, -0.2]], [[0.2, 0.3], [0.3, 0.5]]]
    accuracy = [
        [[0.90, 0.94], [0.93, 0.95]],
        [[0.89, 0.93], [0.91, 0.91]],
        [[0.8, 0.9], [0.5, 0.6]],
    ]
    dims = ("noise", "slope", "seed")
    return xr.Dataset(
        {"convexity": (dims, convexity), "accuracy": (dims, accuracy)},
        {"noise": NOISE, "slope": [0.0, 0.5]},
    )


def test_straightest_and_best(networks):
    choice = straightest_and_best(networks)
    assert choice.straightest.values.tolist() == [0.1, 0.0]
    assert choice.best.values.tolist() == [0.0, 0.0]
    assert choice.convexity_straightest.values == pytest.approx([0.0, 0.15])
    assert choice.convexity_best.values == pytest.approx([-0.2, 0.15])
    assert choice.accuracy_straightest.values == pytest.approx([0.91, 0.94])
    assert choice.accuracy_best.values == pytest.approx([0.92, 0.94])
    assert choice.given_up.values == pytest.approx([0.01, 0.0])
    # Each level's two accuracies lie 0.04 apart: variance 0.0008, over two networks 0.0004.
    assert choice.error.values == pytest.approx([np.sqrt(0.0008), 0.0])
    assert dict(choice.sizes) == {"slope": 2}


def test_a_single_seed_has_no_error(networks):
    choice = straightest_and_best(networks.isel(seed=[0]))
    assert np.isnan(choice.error).all()
    assert choice.given_up.values == pytest.approx([0.01, 0.0])


def test_levels_without_a_curve_are_not_chosen(networks):
    missing = networks.where(networks.noise != 0.1)
    choice = straightest_and_best(missing)
    assert choice.straightest.values.tolist() == [0.0, 0.0]
    one = networks.copy(deep=True)
    one.convexity[1, 0, 0] = np.nan  # of two seeds one is left: its convexity is 0.1
    assert straightest_and_best(one).convexity_straightest[0] == pytest.approx(0.1)


def test_cost_of_choice(networks):
    cost = cost_of_choice(abs(networks.convexity), networks.accuracy)
    assert cost.sizes == {"slope": 2, "seed": 2}
    # Mean accuracies: 0.92, 0.91, 0.85 and 0.94, 0.91, 0.55.
    assert cost.sel(slope=0.0).values == pytest.approx([0.01, 0.0])  # 0.1 chosen, then a tie: first
    assert cost.sel(slope=0.5).values == pytest.approx([0.0, 0.0])
    worst = cost_of_choice(networks.accuracy, networks.accuracy)
    assert worst.values == pytest.approx(np.array([[0.07, 0.07], [0.39, 0.39]]))
    perfect = cost_of_choice(-networks.accuracy, networks.accuracy)
    assert perfect.values == pytest.approx(np.zeros((2, 2)))


def test_a_criterion_over_time(networks):
    criterion = xr.concat([networks.accuracy, -networks.accuracy], "checkpoint")
    cost = cost_of_choice(criterion, networks.accuracy)
    assert cost.transpose("checkpoint", "slope", "seed").values == pytest.approx(
        np.array([[[0.07, 0.07], [0.39, 0.39]], [[0, 0], [0, 0]]])
    )


def test_a_criterion_that_is_undefined(networks):
    criterion = networks.convexity.copy(deep=True)
    criterion[0], criterion[:, 1, 1] = np.nan, np.nan
    cost = cost_of_choice(abs(criterion), networks.accuracy)
    assert cost.sel(slope=0.0).values == pytest.approx([0.01, 0.01])
    assert cost.sel(slope=0.5).values == pytest.approx([0.39, np.nan], nan_ok=True)
