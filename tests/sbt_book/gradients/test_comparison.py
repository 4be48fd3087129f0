"""Tables of kicks and gradients, of networks whose numbers are made up."""

import numpy as np
import pytest
import xarray as xr
from drawing import drawn, legend_of

from sbt_book.gradients.comparison import (
    drive_table,
    force_table,
    predicted_convexity,
    shares,
    skewness_table,
    slope_table,
)
from sbt_book.gradients.figures import shares_against_drive, skewness_against_convexity

SOURCES = ["dropout", "batch_size"]
SHAPE = {"source": 2, "level": 3, "slope": 2, "seed": 2, "stage": 2, "layer": 3}


@pytest.fixture
def gradients(rng):
    def values(*dims):
        return dims, rng.random([SHAPE[dim] for dim in dims])

    cell = ("source", "level", "slope", "seed")
    made = {name: values(*cell, "layer") for name in ("skewness", "force")}
    made |= {name: values(*cell) for name in ("skewness_chance", "force_chance")}
    made["convexity"] = values(*cell, "stage")
    made["gradient"] = values(*cell, "stage", "layer")
    noise = ("source", "level"), [[0.0, 0.1, 0.2], [1280.0, 320.0, 20.0]]
    places = {"source": SOURCES, "slope": [0.0, 1.0], "stage": [0.5, 1.0], "noise": noise}
    dataset = xr.Dataset(made, places)
    for name in ("skewness", "skewness_chance", "force"):
        dataset[name][0, 0] = np.nan  # without dropout nothing kicks
    return dataset


def as_drive(values):
    """Return a drive for every cell, and for levels that others have, as results hold it."""
    more = values.isel(level=[0]).assign_coords(noise=("source", [np.nan, 5.0]))
    return xr.concat([more, values], "level").astype("float32")


def test_shares_are_relative_to_the_last_layer(gradients):
    found = shares(gradients).sel(source="dropout", slope=1.0).isel(level=2, seed=1)
    g = gradients.gradient.sel(source="dropout", slope=1.0).isel(level=2, seed=1).values
    first, second = ((g[stage, 0] + g[stage, 1]) / 2 / g[stage, 2] for stage in (0, 1))
    assert found.item() == pytest.approx(np.sqrt(first * second))


def test_what_skewness_would_leave(gradients):
    gradients["force"][:] = -0.5
    gradients["convexity"][..., -1] = np.array([[-0.2, 0.1], [0.3, 0.3], [0.4, 0.4]])[..., None]
    predicted = predicted_convexity(gradients).sel(source="dropout").transpose("slope", "level")
    np.testing.assert_allclose(predicted, [[0.1, 0.1, 0.1], [0.0, 0.0, 0.0]])
    gradients["force"][0, 0] = np.nan
    table = force_table(gradients)
    assert table.cells.to_dict() == {"dropout": 2, "batch_size": 2, "all": 4}
    (row,) = table.loc[["all"]].to_dict("records")
    assert row["left"] == pytest.approx(0.35)
    assert row["most"] == pytest.approx(0.2)
    assert row["share"] == pytest.approx(0.1 / 0.35)
    assert row["low"] < row["share"] < row["high"]


def test_skewness_that_rises_with_the_convexity_is_found(gradients):
    rise = np.arange(6.0).reshape(3, 2)
    gradients["skewness"][:] = rise[..., None, None] - 2.5
    gradients["skewness_chance"][:] = 0.1
    gradients["convexity"][..., -1] = (rise**3 / 100)[..., None]
    table = skewness_table(gradients).loc["batch_size"]
    assert table["skewness"] == pytest.approx(0.0)
    assert table["correlation"] == 1
    assert table["permutations"] == pytest.approx(1 / 720, abs=0.005)
    assert table["by chance"] == pytest.approx(1.96 * 0.1 / np.sqrt(12))
    assert table["active"] == 4
    assert table["skewness, active"] == pytest.approx(1.0)


def test_a_drive_that_follows_the_share(gradients):
    share = shares(gradients).mean("seed")
    table = drive_table(gradients, as_drive(share**2))
    assert (table.correlation == 1).all()
    assert table.loc["dropout", "permutations"] == pytest.approx(1 / 720, abs=0.005)
    # 6 orders in each of 4 rows
    assert table.loc["within rows", "permutations"] == pytest.approx(6.0**-4, abs=0.003)
    fewer = drive_table(gradients, as_drive(share.where(share.slope > 0)))
    assert fewer.cells.tolist() == [3, 3, 6]


def test_a_drive_that_follows_the_slope_alone_is_told_apart(gradients):
    share, rng = shares(gradients).mean("seed"), np.random.default_rng(1)
    drive = 0 * share + share.slope + 1e-3 * rng.random(share.shape)
    gradients["gradient"][:] = rng.random(gradients.gradient.shape) + 0.1
    gradients["gradient"][:, :, 1, ..., :-1] += 5
    table = drive_table(gradients, as_drive(drive))
    assert table.loc["dropout", "slope alone"] > 0.8
    assert table.loc["dropout", "correlation"] > 0.5
    assert table.loc["within rows", "permutations"] > 0.05
    assert slope_table(gradients)["linear larger"].tolist() == [3, 3]


def test_pictures_show_every_cell(gradients):
    figure = drawn(skewness_against_convexity(gradients))
    assert legend_of(figure) == ["dropout p", "batch size"]
    (line, *_), *_ = figure.axes[0].containers
    skewness = gradients.skewness.mean(("layer", "seed")).sel(source="dropout")
    np.testing.assert_allclose(line.get_ydata(), skewness.values.ravel())
    share = shares(gradients).mean("seed")
    figure = drawn(shares_against_drive(gradients, as_drive(2 * share)))
    assert legend_of(figure) == ["α = 0", "α = 1"]
    points = np.concatenate([line.get_xydata() for line in figure.axes[1].lines])
    np.testing.assert_allclose(points[:, 1], 2 * points[:, 0], rtol=1e-6)
    assert sorted(points[:, 0]) == pytest.approx(
        sorted(share.sel(source="batch_size").values.ravel())
    )
