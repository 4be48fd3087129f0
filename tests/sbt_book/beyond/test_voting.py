"""Votes of neighbouring cells, against counting them one by one, and against chance."""

import numpy as np
import pytest
import xarray as xr

from sbt_book.beyond.voting import (
    DIRECTIONS,
    _convexity,
    by_strength,
    shuffled_votes,
    vote_table,
    vote_words,
    votes,
)
from sbt_utils.measuring.curves import curve_statistics


def counted(cells):
    """Return the shares of votes of a diagram, pair by pair."""
    noise, slope = cells.shape
    pairs = [
        [(cells[i, j], cells[i + 1, j]) for i in range(noise - 1) for j in range(slope)],
        [(cells[i, j], cells[i, j + 1]) for i in range(noise) for j in range(slope - 1)],
    ]
    return [
        np.mean([high > low for low, high in some if np.isfinite(low + high)]) for some in pairs
    ]


def test_votes_are_counted_pair_by_pair(rng):
    many = rng.normal(size=(7, 5, 4))
    many[2, 1, 1] = many[3, 0, :] = np.nan
    np.testing.assert_allclose(votes(many), [counted(cells) for cells in many])


def test_a_diagram_in_order_has_every_vote_and_one_upside_down_none():
    cells = np.add.outer(np.arange(4.0), np.arange(3.0))
    assert votes(cells).tolist() == [1, 1]
    assert votes(-cells).tolist() == [0, 0]


def test_one_level_has_no_vote_on_noise():
    share, _ = votes(np.zeros((1, 3)))
    assert np.isnan(share)


def test_shuffled_cells_vote_by_chance(rng):
    cells = rng.normal(size=(6, 5))
    cells[0, 0] = np.nan
    shuffled = shuffled_votes(cells, draws=2000)
    assert abs(shuffled.mean(0) - 0.5).max() < 5 * 0.1 / 2000**0.5
    assert len(np.unique(shuffled[:, 0])) > 5


def test_mean_curves_have_the_convexity_of_a_load_curve(rng):
    curves = rng.normal(size=(3, 4, 5, 8)) - np.arange(8)
    curves[0, 0, 1, 3] = np.nan
    curves[1, 1] = np.nan
    curves[2, 2] = curves[2, 2, :, ::-1]  # rises
    whole = np.where(np.isfinite(curves).all(-1, keepdims=True), curves, np.nan)
    mean = np.full((3, 4, 8), np.nan)
    for cell in np.ndindex(3, 4):
        sound = whole[cell][np.isfinite(whole[cell]).all(1)]
        mean[cell] = sound.mean(0) if len(sound) else np.nan
    np.testing.assert_allclose(_convexity(curves), curve_statistics(mean, "convexity"))
    assert np.isnan(_convexity(curves)[[1, 2], [1, 2]]).all()


def test_the_bootstrap_draws_as_many_seeds_as_there_are(rng):
    # Curves that differ from seed to seed by their height alone have one convexity.
    shape = np.linspace(1, 0, 8) ** 2
    curves = shape * (1 + rng.random((2, 3, 6, 1)))
    np.testing.assert_allclose(_convexity(curves, 50), _convexity(curves[:, :, :1])[0, 0])
    curves = np.repeat(shape[None], 6, 0) + np.zeros((2, 3, 1, 1))
    curves[..., 3] += 0.1 * rng.normal(size=(2, 3, 6))
    # Of a mean over six: the standard deviation of the seeds over the root of six.
    expected = curves[..., 3].std(-1) / 6 / 6**0.5
    spread = _convexity(curves, 4000).std(0)
    np.testing.assert_allclose(spread, expected, rtol=5 / (2 * 4000) ** 0.5)


def test_a_table_of_a_clear_diagram_and_of_none(rng):
    slope, noise = np.linspace(0, 1, 4), np.linspace(0, 1, 5)
    bend = np.add.outer(noise, slope)[..., None, None] * np.linspace(0, 1, 8)
    curves = np.linspace(1, 0, 8) - 0.1 * bend * np.linspace(1, 0, 8)
    curves = curves + 1e-4 * rng.normal(size=(5, 4, 3, 8))
    dims = ("noise", "slope", "seed", "layer")
    clear = xr.DataArray(curves, {"noise": noise, "slope": slope}, dims)
    chance = clear.copy(data=np.linspace(1, 0, 8) + 0.01 * rng.normal(size=(5, 4, 3, 8)))
    table = vote_table({"clear": clear, "chance": chance}, draws=100)
    assert (table.loc["clear"].votes == 1).all()
    assert (table.loc["clear"].low > table.loc["clear"].chance).all()
    assert (table.loc["chance"].votes < table.loc["chance"].chance).all()
    assert table.loc["clear", "pairs"].tolist() == [4 * 4, 5 * 3]
    assert table.loc["clear"].index.tolist() == list(DIRECTIONS)
    words = vote_words(table)
    assert words.index.tolist() == ["clear", "chance"]
    chance = 100 * table.loc["clear"].chance
    assert words.loc["clear"].tolist() == [f"100 % (100 to 100), chance {n:.0f}" for n in chance]
    assert vote_words(table.iloc[:1]).iloc[0].tolist()[1] == "–"
    # Slopes may stand in any order, and axes too.
    turned = {"clear": clear.isel(slope=[2, 0, 1, 3]).transpose("layer", "seed", "slope", "noise")}
    assert vote_table(turned, draws=10).votes.tolist() == [1, 1]


@pytest.mark.parametrize(("source", "weakest"), [("dropout", 0.0), ("batch_size", 2560)])
def test_the_weakest_noise_comes_first(source, weakest):
    levels = {"noise": [0.0, 0.1] if source == "dropout" else [5, 2560], "slope": [0.0, 1.0]}
    cells = xr.DataArray(np.zeros((2, 2)), levels, ("noise", "slope"))
    assert by_strength(source, cells).noise.values[0] == weakest
