"""The figures of chains show the numbers that they are given."""

from dataclasses import replace

import numpy as np
import pytest
from chains import LAST
from drawing import band, drawn
from matplotlib.patches import Rectangle

from sbt_book.chain.figures import chains_and_curves, drift_curves, mechanical_diagrams
from sbt_book.common.selections import convexity
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import drift
from sbt_utils.mechanics.published_chains import SECOND_ORDER, relaxed_curve, theory_diagram

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")


def test_a_row_shows_the_blocks_in_order_and_the_curve_with_its_band():
    chain = SpringBlockChain(blocks=4)
    trajectory = chain.simulate(50.0, seeds=range(3), every=LAST)
    theory = relaxed_curve(chain, 50.0)
    figure = drawn(chains_and_curves({"four": trajectory}, {"four": theory}))
    table, curves = figure.axes
    blocks = [patch.get_x() for patch in table.patches if isinstance(patch, Rectangle)][2:]
    assert len(blocks) == 4
    gaps = np.diff(blocks)
    assert np.allclose(gaps - gaps[0], np.diff(trajectory.positions[0, -1]) - gaps_of(trajectory))
    measured, dashed, chord = curves.lines
    assert np.allclose(measured.get_ydata(), trajectory.load_curve.mean)
    assert np.allclose(dashed.get_ydata(), theory.mean)
    assert np.allclose(chord.get_ydata(), trajectory.load_curve.mean[[0, -1]])
    width = np.subtract(*band(curves.collections[0])[::-1])
    assert np.allclose(width, 2 * trajectory.load_curve.spread)


def gaps_of(trajectory):
    return np.diff(trajectory.positions[0, -1])[0]


def test_a_single_trajectory_has_no_band():
    figure = drawn(chains_and_curves({"one": SpringBlockChain().simulate(10.0)}))
    assert not figure.axes[1].collections


def test_drift_curves_pass_through_the_balance_and_shade_the_range_of_rest():
    chain = SpringBlockChain(friction_right=0.02, friction_left=0.04)
    figure = drawn(drift_curves(chain, [0.0, 0.01], reach=0.08))
    (axes,) = figure.axes
    balance, quiet, shaken = axes.lines
    assert np.allclose(balance.get_xdata(), -0.01 / 0.1)
    forces, velocities = shaken.get_data()
    expected = [drift(replace(chain, noise=0.01), force * 0.1) / 0.1 for force in forces]
    assert np.allclose(velocities, expected)
    resting = np.abs(quiet.get_ydata()) == 0
    assert np.isclose(forces[resting].min(), -0.4, atol=0.01)
    assert np.isclose(forces[resting].max(), 0.2, atol=0.01)


@pytest.fixture(scope="module")
def theory():
    return theory_diagram(SECOND_ORDER, [0.0, 0.05, 0.1], np.geomspace(0.01, 0.3, 4).tolist())


def test_noise_falls_from_left_to_right_and_curves_are_not_mirrored(theory):
    figure = drawn(mechanical_diagrams({"one": theory}, {"one": theory}, with_curves=True))
    axes = figure.axes[0]
    left, right = axes.get_xlim()
    assert left > right
    assert axes.get_xlabel().startswith("noise")
    mesh, lines = axes.collections[0], axes.collections[-1]
    assert np.allclose(np.ravel(mesh.get_array()), convexity(theory).values.ravel())
    for path in lines.get_paths():
        x, y = path.vertices.T
        on_screen = axes.transData.transform(np.column_stack([x, y]))
        assert (np.diff(on_screen[:, 0]) > 0).all()
        assert on_screen[0, 1] > on_screen[-1, 1]


def test_every_diagram_has_its_panel_and_name(theory):
    three = dict.fromkeys(("a", "b", "c"), theory)
    figure = drawn(mechanical_diagrams(three, three))
    assert [axes.get_title() for axes in figure.axes[:3]] == ["a", "b", "c"]
