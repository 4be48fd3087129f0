"""The data-noise panel by fewer images: draws of the seeds, and what one number does alone."""

import json

import numpy as np
import pytest
import xarray as xr
from diagram_data import diagram, published_cells

from sbt_book.common.committed import load_committed
from sbt_book.common.selections import scaled_curves
from sbt_book.phase_diagram.fewer_images import (
    EXPERIMENT,
    deviation_draws,
    without_new_networks,
)
from sbt_book.phase_diagram.published import compare, published_diagram


def test_draws_of_equal_seeds_are_the_deviation_itself(rng):
    one = diagram(rng, seeds=1)
    ours = xr.concat([one.isel(seed=0)] * 4, "seed")
    theirs = published_cells(rng, ours).assign(accuracy=ours.accuracy_test.mean("seed"))
    # The levels in another order, and one that is not published.
    theirs = theirs.isel(noise=[2, 0])
    draws = deviation_draws(ours, theirs, draws=3)
    assert draws == pytest.approx([compare(ours, theirs).deviation.mean().item()] * 3)


def test_draws_scatter_as_means_of_normal_numbers_do():
    # Only the middle of three layers varies: a third of the magnitude of a mean's error.
    middle = np.random.default_rng(0).normal(0.5, 0.01, size=400)
    curves = np.stack([np.ones(400), middle, np.zeros(400)], axis=-1)
    ours = xr.Dataset(
        {"separation_train": (("slope", "noise", "seed", "layer"), curves[None, None])},
        {"slope": [0.0], "noise": [0.1]},
    )
    theirs = xr.Dataset(
        {"curve": (("slope", "noise", "layer"), [[[1.0, middle.mean(), 0.0]]])},
        {"slope": [0.0], "noise": [0.1]},
    )
    expected = middle.std() / 20 * np.sqrt(2 / np.pi) / 3
    assert deviation_draws(ours, theirs).mean() == pytest.approx(expected, rel=0.1)


def bent(levels, bends):
    """Return a diagram of one slope whose curves are straight but for a bend."""
    z = np.arange(8) / 7
    curves = 1 - z + np.asarray(bends)[:, None] * z * (1 - z)
    return curves, {"slope": [0.0], "noise": list(levels)}


@pytest.mark.parametrize(
    ("name", "levels", "bends"),
    [  # ours are bent by 1.5 times the level up to 0.2, and by a third of it beyond that
        ("levels shifted", [0.1, 0.4], [0.075, 0.35]),  # as ours are at 0.05 and 0.35
        ("levels stretched", [0.1, 0.4], [0.12, 0.34]),  # at 0.08 and 0.32
        ("all curves bent", [0.0, 0.2, 0.5], [0.11, 0.41, 0.51]),
    ],
)
def test_one_number_alone_finds_what_was_done(name, levels, bends):
    curves, coords = bent([0.0, 0.2, 0.5], [0.0, 0.3, 0.4])
    ours = xr.Dataset(
        {"separation_train": (("slope", "noise", "seed", "layer"), curves[None, :, None])}, coords
    )
    curves, coords = bent(levels, bends)
    theirs = xr.Dataset({"curve": (("slope", "noise", "layer"), curves[None])}, coords)
    found = without_new_networks(ours, theirs)
    assert found.pop(name) == pytest.approx(0, abs=1e-9)
    assert min(found.values()) > 1e-4


def test_one_number_is_no_worse_than_none():
    ours, theirs = load_committed("data_noise"), published_diagram("data_noise")
    apart = abs(scaled_curves(ours.sel(noise=theirs.noise)) - theirs.curve).mean().item()
    found = without_new_networks(ours, theirs)
    assert max(found.values()) <= apart
    assert min(found.values()) == pytest.approx(0.0140, abs=5e-5)  # what the chapter says


def test_the_networks_are_the_published_ones_but_for_their_images():
    fewer, full = load_committed("data_noise_1000"), load_committed("data_noise")
    assert json.loads(fewer.attrs["configuration"])["train"] == EXPERIMENT.train == 1000
    assert len(EXPERIMENT) == fewer.accuracy_test.size == 480
    ours, theirs = (json.loads(part.attrs["configuration"]) for part in (fewer, full))
    differ = {name for name in theirs if ours[name] != theirs[name]}
    assert differ == {"axes", "train"}
    assert set(fewer.noise.values) == set(published_diagram("data_noise").noise.values)
