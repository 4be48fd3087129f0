"""The diagram of pulls: each cell is a pull by itself."""

import numpy as np
import pytest

from sbt_book.ruler.diagram import ruler_diagram
from sbt_utils.mechanics.pulls import quick_and_jerky
from sbt_utils.mechanics.ruler import FoldingRuler

RULER = FoldingRuler()


def test_diagram_holds_what_single_pulls_give():
    cells = ruler_diagram(RULER, [0.5, 2.0], [0.0, 0.003], seeds=[3, 4])
    single = RULER.pull(quick_and_jerky(RULER, speed=2.0, amplitude=0.003, seed=4), every=100)
    cell = cells.sel(speed=2.0, amplitude=0.003, seed=4)
    np.testing.assert_array_equal(cell.separation, single.load_curve.separation)
    np.testing.assert_array_equal(cell.extension, single.extensions[-1])
    assert cell.convexity.item() == single.load_curve.convexity
    assert cells.sizes == {"speed": 2, "amplitude": 2, "seed": 2, "layer": 10, "section": 10}
    assert cells.speed.units == "m/s"


def test_levels_may_be_any_numbers():
    cells = ruler_diagram(RULER, [np.float16(2.0)], [0, np.float32(0.25)], seeds=[0])
    assert cells.speed.values.tolist() == [2.0]
    assert cells.amplitude.values.tolist() == [0.0, 0.25]


def test_diagram_leaves_out_what_is_impossible():
    cells = ruler_diagram(RULER, [0.5], [0.0, 0.3], seeds=[0])
    assert np.isfinite(cells.convexity.sel(amplitude=0.0)).all()
    assert np.isnan(cells.separation.sel(amplitude=0.3)).all()
    assert np.isnan(cells.convexity.sel(amplitude=0.3)).all()


def test_a_diagram_without_levels_or_of_a_bad_seed_is_refused():
    for speeds, amplitudes, seeds, name in (([], [0], [0], "speeds"), ([1.0], [0], [], "seeds")):
        with pytest.raises(ValueError, match=f"{name}: give a sequence of one value or more"):
            ruler_diagram(RULER, speeds, amplitudes, seeds)
    for odd in ([[1]], [[1, 2]], [1, [2]], np.array(0.5), "", {}):
        with pytest.raises(ValueError, match="seeds: give a sequence of one value or more"):
            ruler_diagram(RULER, [1.0], [0.001], odd)
    with pytest.raises(ValueError, match="seed=-1: give an integer of at least 0"):
        ruler_diagram(RULER, [1.0], [0.001], [-1])
