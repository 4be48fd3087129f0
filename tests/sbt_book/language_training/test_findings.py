"""What is said of small language models, on made-up curves of which the answer is known."""

import numpy as np
import pytest
import xarray as xr

from sbt_book.common.collapsing import collapse
from sbt_book.language_training import findings
from sbt_book.language_training.settings import DROPOUTS, SETTINGS


@pytest.fixture
def made_up():
    """Curves that are parabolas of a convexity that grows with the place among the settings."""
    seeds, readings, deepest = 4, 3, 12
    generator = np.random.default_rng(0)
    curves = np.full((len(SETTINGS), seeds, 3, readings, deepest + 1), np.nan)
    for place, setting in enumerate(SETTINGS.values()):
        x = np.linspace(0, 1, setting.depth + 1)
        bulge = 0.1 * (place + 1) + 0.001 * generator.normal(size=(seeds, 1, 1, 1))
        curves[place, ..., : setting.depth + 1] = 1 - x - bulge * x * (1 - x)
    fall = np.array([4.0, 2.0, 1.0]) + np.arange(len(SETTINGS))[:, None] / 100
    loss = np.zeros((len(SETTINGS), seeds, 3, readings)) + fall[:, None, None]
    dims = ("setting", "seed", "part", "reading")
    return xr.Dataset(
        {
            "separation": ((*dims, "layer"), curves),
            "residual": ((*dims, "layer"), np.exp(curves)),
            "loss": (dims, loss),
            "dropout": (("setting", "seed", "reading"), np.zeros(loss[:, :, 0].shape)),
        },
        {
            "setting": list(SETTINGS),
            "seed": range(seeds),
            "part": ["training", "validation", "test"],
            "reading": [0, 10, 20],
        },
    )


def test_more_noise_is_more_convex(made_up):
    table = findings.noise_table(made_up).loc["dropout"]
    # The mean of x (1 - x) over five inner points is 7 / 36.
    assert table.difference.values == pytest.approx(0.3 * 7 / 36, abs=2e-3)
    assert (table.low < table.difference).all()
    assert table["rank"].tolist() == [1.0, 1.0]


def test_values_at_equal_loss_lie_on_the_line_between_readings(made_up):
    values = xr.zeros_like(made_up.dropout) + made_up.reading
    found = findings.at_training_loss(made_up, list(DROPOUTS), values)
    # The level is 1.03, where the last of them ends: the base goes from 2 at 10 to 1 at 20.
    assert found.sel(setting="base").values == pytest.approx(19.7)
    assert found.sel(setting="dropout 0.3").values == pytest.approx(20.0)


def test_a_perfect_order_is_reached_by_one_permutation_in_5040(made_up):
    bent = abs(findings.shape_of(made_up)).transpose("setting", "seed", "reading").values
    falling = np.broadcast_to(np.array([4.0, 2.0, 1.0]), bent.shape)
    dims = ("setting", "seed", "part", "reading")
    made_up["loss"] = dims, np.stack([falling, bent, bent], axis=2)
    (mean, *_), chance = findings.straightest(made_up)
    assert mean == 1.0
    assert chance == pytest.approx(1 / 5040)


def test_deeper_half_and_imbalance_of_straight_curves(made_up):
    straight = np.linspace(1, 0, 7)
    made_up.separation.loc[{"setting": "scaled", "layer": range(7)}] = straight
    table = findings.scaling_table(made_up).loc[6].scaled
    assert table["share of the deeper half"] == pytest.approx(0.5)
    assert table["imbalance"] == pytest.approx(0.0, abs=1e-9)


def test_curves_of_one_shape_collapse_and_others_do_not():
    generator = np.random.default_rng(1)
    alike = {d: np.linspace(1, 0, d + 1) + 0.01 * generator.normal(size=(5, d + 1)) for d in (4, 8)}
    steps = {d: np.r_[1.0, np.zeros(d)] + 0.01 * generator.normal(size=(5, d + 1)) for d in (4, 8)}
    assert collapse(alike)[0] < 10 < 100 < collapse(steps)[0]
    assert collapse(steps)[1] < 0.05


def test_the_law_of_residuals_of_an_exponential(made_up):
    made_up["residual"] = xr.zeros_like(made_up.residual) + np.exp(-0.1 * np.arange(13))
    assert findings.law_of_residuals(made_up, "12 blocks") == pytest.approx(-1.0)


def test_the_best_dropout_is_that_of_the_lowest_validation_loss(made_up):
    assert findings.best_fixed(made_up) == "base"
    table = findings.steering_table(made_up)
    assert table["steered less this"]["base"] == pytest.approx(0.1)
