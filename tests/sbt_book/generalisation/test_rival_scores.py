"""Orders of settings and of twins, on data made by hand and against scipy."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from sbt_book.generalisation.rival_scores import (
    NAMES,
    costs,
    goodness,
    order_of_settings,
    order_of_twins,
    verdicts,
)

DIMS = ("source", "noise", "slope", "seed")


@pytest.fixture
def accuracy(rng):
    cells = rng.permutation(2 * 4 * 2).reshape(2, 4, 2, 1)
    return xr.DataArray(cells + 0.1 * rng.normal(size=(2, 4, 2, 5)), dims=DIMS).assign_coords(
        source=["dropout", "batch_size"]
    )


def measures_of(accuracy, rng):
    """Return one that knows the cell, one that knows the network, one of the other sign, chance."""
    cells = accuracy.mean("seed") + 0 * accuracy
    chance = accuracy.copy(data=rng.normal(size=accuracy.shape))
    return xr.Dataset({"bend": cells, "all": accuracy, "other": -accuracy, "chance": chance})


def test_who_knows_the_cell_orders_settings_and_no_twins(accuracy, rng):
    good = measures_of(accuracy, rng)
    settings = order_of_settings(good, accuracy, draws=200)
    assert settings.value.sel(measure=["bend", "all", "other"]).values == pytest.approx([1, 1, -1])
    assert settings.low.sel(measure="bend") > 0.9  # one cell drawn twice has two means
    assert settings.lead.sel(measure="other") == pytest.approx(2)
    assert settings.lead_low.sel(measure="other") > 1.8
    low, high = (settings[end].sel(measure="chance") for end in ("low", "high"))
    assert low < settings.value.sel(measure="chance") < high
    assert high - low > 0.5
    twins = order_of_twins(good, accuracy, draws=200)
    assert twins.value.sel(measure=["all", "other"]).values == pytest.approx([1, -1])
    assert np.isnan(twins.value.sel(measure="bend"))
    assert twins.low.sel(measure="chance") < 0 < twins.high.sel(measure="chance")


def test_orders_by_scipy(accuracy, rng):
    good = measures_of(accuracy, rng)[["chance"]].rename(chance="bend")
    settings, twins = (order(good, accuracy, 20) for order in (order_of_settings, order_of_twins))
    within = []
    for source in range(2):
        x, y = (values[source].values.reshape(8, 5) for values in (good.bend, accuracy))
        expected = spearmanr(x.mean(1), y.mean(1)).statistic
        assert settings.by_source.isel(measure=0, source=source) == pytest.approx(expected)
        within += [spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    assert twins.value.item() == pytest.approx(np.mean(within))


def test_a_cell_without_any_measurement_comes_last(accuracy, rng):
    good = measures_of(accuracy, rng)[["all"]].rename(all="bend").copy(deep=True)
    best = accuracy.mean("seed").isel(source=0).argmax(...)
    good.bend[{"source": 0, **best}] = np.nan
    settings = order_of_settings(good, accuracy, draws=20)
    ranks = np.arange(8)  # the best of eight is put first instead of last
    expected = spearmanr(ranks, [*(ranks[:-1] + 1), 0]).statistic
    assert settings.by_source.isel(measure=0).values == pytest.approx([expected, 1])
    assert np.isfinite(order_of_twins(good, accuracy).value)


def test_more_is_better_as_the_authors_have_it():
    shape = ("source", "seed", "noise", "slope", "share")

    def column(low, high, extra=()):
        """Return a quantity that is low in the first column of noise and high in the second."""
        values = np.array([low, high]).reshape(1, 1, 2, 1, 1, *np.shape(low))
        return (*shape, *extra), values

    straight, bent = np.linspace(2, 0, 8), 2 * np.linspace(1, 0, 8) ** 2
    worse_last = {
        name: column(0.1, 0.3)
        for name in ("loss_trained", "validation_error", "sharpness", "mixup_error")
    }
    worse_last |= {
        name: column(np.full(7, 0.1), np.full(7, 0.3), ("hidden",))
        for name in ("davies_bouldin", "probe_error")
    }
    better_first = {"effective_rank": column(np.full(7, 9.0), np.full(7, 3.0), ("hidden",))}
    better_first |= {"alignment": column(0.5, 0.2)}
    better_first |= {"separation": column(straight, bent, ("layer",))}
    good = goodness(xr.Dataset(worse_last | better_first))
    assert list(good) == list(NAMES)
    for name, values in good.items():
        first, second = values.values.ravel()
        assert first > second, name
    assert good.bend.values.ravel()[0] == pytest.approx(0, abs=1e-12)


def test_verdicts_by_the_interval_of_the_lead():
    ends = {"lead_low": ("measure", [0.1, -0.2, -0.3]), "lead_high": ("measure", [0.4, 0.1, -0.1])}
    assert verdicts(xr.Dataset(ends)).values.tolist() == ["leads", "level", "trails"]


def test_costs_are_medians_without_the_first_epochs():
    measured = ["separation", "validation_error", "sharpness", "davies_bouldin"]
    measured += ["mixup_error", "probe_error", "effective_rank", "alignment", "forward"]
    dims = ("source", "seed", "noise", "slope", "share")
    cost = np.arange(1.0, 10) * np.array([0.5, 1, 9]).reshape(1, 3, 1, 1, 1, 1)
    epoch = np.array([[[[[90.0, 4.0]]]], [[[[90.0, 70.0]]]]])
    followed = xr.Dataset(
        {
            "cost": ((*dims, "measure"), np.broadcast_to(cost, (2, 3, 1, 1, 2, 9))),
            "epoch_cost": (dims, np.broadcast_to(epoch, (2, 3, 1, 1, 2))),
        },
        {"measure": measured, "source": ["dropout", "batch_size"]},
    )
    found = costs(followed)
    assert set(found) == {*NAMES, "one epoch"}
    assert found["bend"] == 1
    assert found["winner"] == 4 + 5
    assert found["one epoch"] == 4
