"""Halves of a diagram's cells, and the scores of models on the half that they did not see."""

import numpy as np
import pytest

from sbt_book.chain.held_out import halves, held_out_scores, tabulated
from sbt_book.chain.null_models import additive_shapes, always_convex, exponential, parabola
from sbt_utils.measuring.curves import curve_statistics, scaled
from sbt_utils.mechanics.published_chains import SECOND_ORDER, theory_diagram

T = np.linspace(0.0, 1.0, 8)


def test_halves_take_half_of_each_column_and_determine_every_number():
    usable = np.ones((6, 9), bool)
    usable[:3, 0] = False
    known = halves(usable, 40)
    assert (known.sum(1) == [2, *[3] * 8]).all()
    assert not (known & ~usable).any()
    assert len(np.unique(known.reshape(40, -1), axis=0)) == 40
    for half in known:  # cells that share a row or a column hang together: all of them
        reached = np.zeros_like(half)
        reached[tuple(np.argwhere(half)[0])] = True
        for _ in range(20):
            reached |= half & (reached.any(0) | reached.any(1)[:, None])
        assert (reached == half).all()
        assert half.any(1).all()


@pytest.fixture(scope="module")
def table():
    frictions, noises = np.linspace(0, 0.12, 9), np.geomspace(0.005, 0.3, 12)
    return scaled(theory_diagram(SECOND_ORDER, frictions.tolist(), noises.tolist()).values)


def test_chains_planted_in_a_diagram_are_found_from_half_of_it(table):
    rows, columns = [7, 4, 2, 1], [1, 4, 6, 8, 10]
    targets = table[np.ix_(rows, columns)]
    (known,) = halves(np.ones((4, 5), bool), 1)
    curves, convexities = tabulated(targets, table)(known)
    np.testing.assert_array_equal(curves, targets)
    np.testing.assert_array_equal(convexities, curve_statistics(targets, "convexity"))
    scores = held_out_scores(targets, {"chain": tabulated(targets, table)}, 5)
    np.testing.assert_array_equal(scores.held_out.sel(score="within"), 1.0)
    np.testing.assert_array_equal(scores.held_out.sel(score="sign"), 1.0)
    np.testing.assert_array_equal(scores.held_out.sel(score="median"), 0.0)


def test_more_searches_never_fit_worse(table):
    rng = np.random.default_rng(1)
    targets = rng.permutation(table.reshape(-1, 8))[:20].reshape(4, 5, 8)  # no order at all
    known = np.ones((4, 5), bool)
    one, many = (tabulated(targets, table, starts)(known)[0] for starts in (0, 20))
    assert ((many - targets) ** 2).sum() <= ((one - targets) ** 2).sum()


def test_scores_are_those_of_the_cells_held_out():
    rng = np.random.default_rng(0)
    bend = np.array([-0.8, 0.1, 0.9])[:, None] + np.array([0.5, -0.6, 1.0, 0.2])
    targets = exponential(T, 2 * bend[..., None]) + rng.normal(0, 0.02, (3, 4, 8))
    targets[..., 0], targets[..., -1] = 1.0, 0.0
    targets[2, 3] = targets[2, 3, ::-1]  # rises: left out
    models = {"parabola": additive_shapes(targets, parabola), "convex": always_convex(targets)}
    found = held_out_scores(targets, models, 3)
    usable = np.ones((3, 4), bool)
    usable[2, 3] = False
    convex = curve_statistics(targets, "convexity") > 0
    for half, known in enumerate(halves(usable, 3)):
        held = usable & ~known
        curves, _ = models["parabola"](known)
        distances = np.sqrt(((curves - targets) ** 2).mean(-1))[held]
        within, median, sign = found.held_out.sel(model="parabola", half=half).values
        assert within == pytest.approx(np.mean(distances <= 0.03))
        assert median == pytest.approx(np.median(distances))
        right = (curve_statistics(curves, "convexity") > 0) == convex
        assert sign == pytest.approx(right[held].mean())
        unknown = found.held_out.sel(model="convex", half=half).values
        assert np.isnan(unknown[:2]).all()
        assert unknown[2] == pytest.approx(convex[held].mean())
    assert found.in_sample.sel(model="convex", score="sign") == pytest.approx(convex[usable].mean())
