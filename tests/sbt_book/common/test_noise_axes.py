"""Names, order and scale of the sources of noise."""

import numpy as np
import pytest
from diagram_data import diagram

from sbt_book.common.noise_axes import NOISES, in_order, level_name
from sbt_utils.sweeping.experiments import published


@pytest.mark.parametrize("name", NOISES)
def test_noise_falls_and_slopes_rise(name):
    cells = diagram(np.random.default_rng(0), [20, 5, 10], [1.0, 0.0])
    ordered = in_order(name, cells)
    assert ordered.slope.values.tolist() == [0.0, 1.0]
    # A small batch is a noisy one.
    expected = [5, 10, 20] if name == "batch_size" else [20, 10, 5]
    assert ordered.noise.values.tolist() == expected
    assert ordered.separation_train.dims[:2] == ("slope", "noise")
    cell = {"noise": 5, "slope": 0.0, "seed": 1}
    assert (ordered.separation_train.sel(cell) == cells.separation_train.sel(cell)).all()


def test_an_unknown_source():
    cells = diagram(np.random.default_rng(0))
    with pytest.raises(ValueError, match="source of noise 'width': choose one of dropout"):
        in_order("width", cells)


@pytest.mark.parametrize("name", NOISES)
def test_the_levels_shown_are_published_ones_from_the_noisiest(name):
    shown, falls = NOISES[name].shown, NOISES[name].falls
    assert set(shown) <= set(published(name).axes[name])
    assert list(shown) == sorted(shown, reverse=not falls)
    assert len(shown) == 8


@pytest.mark.parametrize(
    ("level", "name"),
    [(0, "0"), (0.3, "0.3"), (1e-4, "1e-4"), (2e-3, "2e-3"), (5e-3, "0.005"), (1280, "1280")],
)
def test_level_names(level, name):
    assert level_name(level) == name
