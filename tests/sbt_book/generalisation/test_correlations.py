"""Rank correlations with what is held fixed, against SciPy, closed forms and known truths."""

import numpy as np
import pytest
import xarray as xr
from diagram_data import diagram
from scipy.stats import spearmanr

from sbt_book.common.statistics import spearman
from sbt_book.generalisation.correlations import (
    Estimate,
    correlations_at,
    networks_of,
    rank_correlation_at,
)
from sbt_utils.measuring.curves import LoadCurve

DIMS = ("noise", "slope", "seed")


def grid(rng, *shape, dims=DIMS):
    return xr.DataArray(rng.normal(size=shape), dims=dims)


def correlated(rng, rho, *shape):
    """Return two samples of normal variables whose Pearson correlation is rho."""
    first, second = rng.normal(size=(2, *shape))
    return first, rho * first + np.sqrt(1 - rho**2) * second


def test_spearman_is_scipys(rng):
    first, second = rng.integers(6, size=(2, 4, 5, 12)).astype(float)  # with ties
    found = spearman(first, second)
    for place in np.ndindex(4, 5):
        assert found[place] == pytest.approx(spearmanr(first[place], second[place]).statistic)


def test_spearman_leaves_out_undefined_pairs():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 3, 10))
    first[0, 2], second[0, 5], second[1] = np.nan, np.inf, np.nan
    found = spearman(first, second)
    kept = np.delete(np.arange(10), [2, 5])
    assert found[0] == pytest.approx(spearmanr(first[0, kept], second[0, kept]).statistic)
    assert np.isnan(found[1])
    assert found[2] == pytest.approx(spearmanr(first[2], second[2]).statistic)


def test_spearman_without_an_order():
    assert np.isnan(spearman(np.ones(4), np.arange(4))).all()
    assert np.isnan(spearman(np.array([1.0]), np.array([2.0])))


@pytest.mark.parametrize("fixed", [(), ("slope",), ("noise",), ("noise", "slope")])
def test_what_is_held_fixed(fixed):
    rng = np.random.default_rng(2)
    first, second = grid(rng, 4, 3, 5), grid(rng, 4, 3, 5)
    groups = [range(first.sizes[name]) for name in fixed]
    places = [dict(zip(fixed, place, strict=True)) for place in np.ndindex(*map(len, groups))]
    expected = [
        spearmanr(first.isel(place).values.ravel(), second.isel(place).values.ravel()).statistic
        for place in places
    ]
    found = rank_correlation_at(first, second.transpose("seed", ...), fixed, draws=20)
    assert found.value == pytest.approx(np.mean(expected))


def test_one_order_is_exactly_one_in_every_draw():
    accuracy = grid(np.random.default_rng(3), 5, 2, 6)
    for fixed in ((), ("slope",), ("noise", "slope")):
        up = rank_correlation_at(np.exp(accuracy), accuracy, fixed, draws=50)
        down = rank_correlation_at(-(accuracy**3), accuracy, fixed, draws=50)
        assert (up.value, up.low, up.high) == pytest.approx((1, 1, 1), abs=1e-12)
        assert (down.value, down.low, down.high) == pytest.approx((-1, -1, -1), abs=1e-12)


def test_a_common_cause_is_gone_once_it_is_held_fixed():
    rng = np.random.default_rng(4)
    noise = xr.DataArray(np.linspace(0, 100, 30), dims="noise")
    first, second = (noise + grid(rng, 30, 4, 10) for _ in range(2))
    assert rank_correlation_at(first, second, draws=50).value > 0.99
    inside = rank_correlation_at(first, second, ("noise", "slope"))
    assert inside.low < 0 < inside.high


def test_the_interval_of_other_seeds_holds_the_truth_as_often_as_it_says():
    rng, rho = np.random.default_rng(5), 0.6
    truth = 6 / np.pi * np.arcsin(rho / 2)  # of normal variables (K. Pearson, 1907)
    hits = 0
    for _ in range(200):
        pair = (xr.DataArray([each], dims=("noise", "seed")) for each in correlated(rng, rho, 80))
        found = rank_correlation_at(*pair, draws=200)
        hits += found.low <= truth <= found.high
    assert 0.90 <= hits / 200 <= 0.99


def test_the_interval_of_other_cells_holds_the_truth_as_often_as_it_says():
    rng, rho, n = np.random.default_rng(6), 0.4, 10
    # Expected from n normal pairs (P. A. P. Moran, Biometrika 35 (1948) 203).
    truth = 6 / (np.pi * (n + 1)) * (np.arcsin(rho) + (n - 2) * np.arcsin(rho / 2))
    hits, values = 0, []
    for _ in range(200):
        first, second = (xr.DataArray(each, dims=DIMS) for each in correlated(rng, rho, 8, 6, n))
        found = rank_correlation_at(first, second, ("noise", "slope"), draws=400)
        hits += found.low <= truth <= found.high
        values.append(found.value)
    assert np.mean(values) == pytest.approx(truth, abs=3 * np.std(values) / np.sqrt(200))
    assert 0.90 <= hits / 200 <= 0.99


def test_draws_take_the_seeds_of_each_cell_and_no_others():
    # Cells far apart whose seeds agree: whatever seeds are drawn, the order is the same.
    cells = xr.DataArray(np.repeat([[0.0], [1.0], [2.0]], 4, axis=1), dims=("noise", "seed"))
    found = rank_correlation_at(cells, cells**2, draws=30)
    assert (found.low, found.high) == pytest.approx((1, 1))


def test_the_seed_of_the_draws_decides():
    rng = np.random.default_rng(7)
    pair = grid(rng, 4, 3, 5), grid(rng, 4, 3, 5)
    first, again, other = (rank_correlation_at(*pair, draws=50, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.low != other.low


def test_nothing_defined_gives_nothing():
    nothing = xr.full_like(grid(np.random.default_rng(0), 3, 2, 4), np.nan)
    for fixed in ((), ("noise", "slope")):
        assert str(rank_correlation_at(nothing, nothing, fixed)) == "nan (nan to nan)"


def test_dimensions_must_fit():
    values = grid(np.random.default_rng(0), 3, 2, 4)
    with pytest.raises(ValueError, match="give both the same, 'seed' among them"):
        rank_correlation_at(values.isel(slope=0), values)
    with pytest.raises(ValueError, match="'seed' among them"):
        rank_correlation_at(values.isel(seed=0), values.isel(seed=0))
    for name in ("layer", "seed"):
        with pytest.raises(ValueError, match=f"'{name}' is no dimension to hold fixed"):
            rank_correlation_at(values, values, [name])


def test_several_predictors():
    rng = np.random.default_rng(9)
    predictors = xr.Dataset({name: grid(rng, 3, 2, 4) for name in ("bend", "loss")})
    accuracy = grid(rng, 3, 2, 4)
    table = correlations_at(predictors, accuracy, ["slope"], draws=20, seed=5)
    for name in predictors:
        row = table.sel(predictor=name)
        found = Estimate(row.value.item(), row.low.item(), row.high.item())
        assert found == rank_correlation_at(predictors[name], accuracy, ["slope"], 20, seed=5)


def test_an_estimate_in_words():
    assert str(Estimate(0.123, -1, 0.987)) == "0.12 (-1.00 to 0.99)"


def test_networks_of_a_diagram():
    cells = diagram(np.random.default_rng(8), seeds=3)
    cells["loss_train"] = cells.accuracy_train - 1
    cells.accuracy_train[0, 0, 1] = 0.3
    cells.separation_train[1, 1, 2, 4] = np.nan
    networks = networks_of(cells)
    out = {(0, 0, 1), (1, 1, 2)}
    for place in np.ndindex(3, 2, 3):
        index = dict(zip(DIMS, place, strict=True))
        cell, network = cells[index], networks.isel(index)
        if place in out:
            assert all(np.isnan(value) for value in network.values())
            continue
        curve = LoadCurve(cell.separation_train.values)
        assert network.convexity == pytest.approx(curve.convexity)
        assert network.bend == pytest.approx(abs(curve.convexity))
        assert network.imbalance == pytest.approx(curve.imbalance)
        assert network.accuracy == cell.accuracy_test
        assert network.loss == cell.loss_train
    assert networks_of(cells, least=0.2).accuracy.isnull().sum() == 1
    assert "loss" not in networks_of(cells.drop_vars("loss_train"))
