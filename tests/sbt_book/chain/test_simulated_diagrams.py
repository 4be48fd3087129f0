"""The mechanical phase diagram: cells against direct simulations, and against their theory."""

import struct
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from chains import LAST

from sbt_book.chain.simulated_diagrams import all_diagrams, mechanical_diagram
from sbt_book.common.selections import convexity
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import relaxation
from sbt_utils.mechanics.published_chains import (
    DURATION,
    DURATION_OVERDAMPED,
    FIRST_ORDER,
    SECOND_ORDER,
    in_units,
    relaxed_curve,
    theory_diagram,
)

SMALL = replace(SECOND_ORDER, blocks=4, spring_constant=0.3, end=2.0)  # k y = 0.6
SHORT = {"trajectories": 3, "duration": 20.0, "progress": False}


def diagram(chain, friction, noise, **settings):
    return mechanical_diagram(chain, friction, noise, **SHORT | settings)


def bits(level):
    """Return the 64 bits of a level as an integer."""
    return struct.unpack("<Q", struct.pack("<d", level))[0]


@pytest.mark.parametrize("overdamped", [False, True])
@pytest.mark.parametrize("common", [False, True])
def test_a_cell_is_what_direct_simulations_and_the_mean_field_give(common, overdamped):
    chain = replace(SMALL, common_noise=common, friction_left=0.05)
    cells = diagram(chain, [0.02, 0.1], [0.01, 0.4], overdamped=overdamped, root=5, trajectories=4)
    for mu, level in ((0.1, 0.01), (0.02, 0.4)):
        cell = cells.sel(friction=mu, noise=level)
        amplitude = level * 0.6 / (2 if common else 1)
        cell_chain = replace(chain, friction_right=mu * 0.6, noise=amplitude)
        run = cell_chain.simulate_overdamped if overdamped else cell_chain.simulate
        members = [run(20.0, 0.05, seed=[5, bits(mu), bits(level), n], every=4) for n in range(4)]
        ends = np.stack([2.0 - np.append(0.0, member.positions[-1]) for member in members])
        np.testing.assert_allclose(cell.separation, ends.mean(axis=0), rtol=0, atol=1e-14)
        spread = np.sqrt(((ends - ends.mean(axis=0)) ** 2).sum(axis=0) / 3)
        np.testing.assert_allclose(cell.separation_spread, spread, rtol=0, atol=1e-14)
        late = [member.positions[member.times >= 10.0].mean(axis=0) for member in members]
        average = 2.0 - np.append(0.0, np.mean(late, axis=0))
        np.testing.assert_allclose(cell.separation_average, average, rtol=0, atol=1e-14)
        (loads,) = relaxation(cell_chain, np.array([20.0]), overdamped)
        theory = [2.0 - loads[:n].sum() for n in range(5)]
        np.testing.assert_allclose(cell.separation_theory, theory, rtol=0, atol=1e-14)
        # Mean height of the chord over the curve, in units of the fall.
        fall = ends[:, 0] - ends[:, -1]
        chord = ends[:, :1] - fall[:, None] * np.arange(5) / 4
        bulges = (chord - ends)[:, 1:-1].mean(axis=1) / fall
        assert cell.convexity_spread.item() == pytest.approx(bulges.std(ddof=1), abs=1e-13)


def test_a_cell_is_the_same_in_every_diagram_that_holds_it():
    wide = diagram(SMALL, [0.02, 0.05, 0.1], [0.01, 0.1, 0.4])
    for friction, noise in (([0.05], [0.1]), ([0.1, 0.05], [0.4, 0.1]), ([0.0, 0.05], [0.1])):
        other = diagram(SMALL, friction, noise)
        xr.testing.assert_identical(
            other.sel(friction=0.05, noise=0.1), wide.sel(friction=0.05, noise=0.1)
        )
    more = diagram(SMALL, [0.05], [0.1], root=1)
    others = wide.separation.sel(friction=[0.05], noise=[0.1])
    assert (more.separation != others).isel(layer=slice(1, None)).all()


def test_cells_have_noise_of_their_own():
    cells = diagram(SMALL, [0.02, 0.020000000000000004], [0.1, 0.10000000000000002])
    ends = cells.separation.values[..., 1:].reshape(4, -1)
    assert len(np.unique(ends, axis=0)) == 4


@pytest.mark.parametrize("kind", [int, np.float32, np.int64])
def test_levels_mean_the_same_whatever_their_type(kind):
    levels = [kind(0), kind(1)]
    cells = diagram(SMALL, levels, levels)
    floats = diagram(SMALL, [0.0, 1.0], [0.0, 1.0])
    np.testing.assert_array_equal(cells.separation, floats.separation)


def test_the_spread_of_convexities_is_undefined_where_a_curve_does_not_fall():
    shaken = {"trajectories": 8, "duration": 100.0}
    cells = diagram(SMALL, [0.02], [0.01, 10.0], **shaken)
    shaken_chain = in_units(SMALL, 0.02, 10.0)
    seeds = [[0, bits(0.02), bits(10.0), n] for n in range(8)]
    rising = shaken_chain.simulate(100.0, seeds=seeds, every=LAST).positions[:, -1, -1] <= 0
    assert rising.any()
    assert not rising.all()
    assert np.isnan(cells.convexity_spread).values.tolist() == [[False, True]]


def test_layout():
    cells = diagram(SMALL, [0.02, 0.05, 0.1], np.array([0.01, 0.4]))
    separations = ["separation", *(f"separation_{n}" for n in ("spread", "average", "theory"))]
    assert set(cells) == {*separations, "convexity_spread"}
    for name, variable in cells.items():
        layers = () if name == "convexity_spread" else ("layer",)
        assert variable.dims == ("friction", "noise", *layers)
        assert np.isfinite(variable).all()
    assert cells.sizes == {"friction": 3, "noise": 2, "layer": 5}
    np.testing.assert_array_equal(cells.separation.isel(layer=0), 2.0)
    assert (cells.friction.attrs, cells.noise.attrs) == ({"units": "k y"}, {"units": "k y"})


@pytest.mark.parametrize("overdamped", [False, True])
def test_theory_and_simulation_agree_on_the_sign_of_the_convexity(overdamped):
    chain = FIRST_ORDER if overdamped else SECOND_ORDER
    duration = DURATION_OVERDAMPED if overdamped else DURATION
    settings = {"trajectories": 20, "duration": duration, "overdamped": overdamped}
    cells = diagram(chain, [0.0, 0.04, 0.08, 0.12], [0.005, 0.02, 0.06, 0.2], **settings)
    simulated, theory = convexity(cells.separation), convexity(cells.separation_theory)
    away = abs(theory) > 0.03
    assert away.sum() >= 8
    assert (theory.where(away) > 0).any()
    assert (theory.where(away) < 0).any()
    agree = np.sign(simulated) == np.sign(theory)
    assert agree.where(away).mean() >= 0.9


def test_theory_diagram_is_the_mean_field_of_each_cell():
    theory = theory_diagram(SMALL, [0.02, 0.1], [0.01, 0.2, 0.4], duration=20.0)
    assert theory.dims == ("friction", "noise", "layer")
    cells = diagram(SMALL, [0.02, 0.1], [0.01, 0.2, 0.4])
    np.testing.assert_array_equal(theory, cells.separation_theory)
    first = theory_diagram(SMALL, [0.1], [0.4], duration=20.0, overdamped=True)
    curve = relaxed_curve(in_units(SMALL, 0.1, 0.4), 20.0, overdamped=True)
    np.testing.assert_array_equal(first[0, 0], curve.mean)
    assert curve.measure == "distance"


def test_all_diagrams_are_those_of_both_orders_kinds_of_noise_and_all_asymmetries():
    settings = {"trajectories": 2, "root": 3, "progress": False}
    cells = all_diagrams([0.02, 0.1], [0.3], [0.05, 0.3], **settings)
    dims = ("order", "shaking", "friction_left", "friction", "noise", "layer")
    assert cells.separation.dims == dims
    assert cells.order.values.tolist() == ["first", "second"]
    assert cells.shaking.values.tolist() == ["common", "independent"]
    assert cells.friction_left.values.tolist() == [0.05, 0.3]
    one = cells.sel(order="second", shaking="independent", friction_left=0.3, drop=True)
    chain = SpringBlockChain(friction_left=0.03, common_noise=False)
    xr.testing.assert_equal(one, mechanical_diagram(chain, [0.02, 0.1], [0.3], **settings))
    one = cells.sel(order="first", shaking="common", friction_left=0.05, drop=True)
    chain = SpringBlockChain(spring_constant=1.0, friction_left=0.05, noise_decay=0.0)
    overdamped = {"duration": 100.0, "dt": 0.01, "overdamped": True}
    first = mechanical_diagram(chain, [0.02, 0.1], [0.3], **overdamped, **settings)
    xr.testing.assert_equal(one, first)


@pytest.mark.parametrize(
    ("friction", "noise", "settings", "message"),
    [
        ([], [0.1], {}, "friction, noise: give at least one level of each"),
        ([0.1], [], {}, "friction, noise: give at least one level of each"),
        ([0.1], [0.1], {"trajectories": 1}, "trajectories=1: a spread needs at least 2"),
        ([0.1], [0.1], {"duration": 0.0}, "duration=0.0: give at least one step"),
        ([0.1], [0.1], {"dt": 9.0}, "dt=9.0: give a step above 0 and below"),
        ([-0.1], [0.1], {}, "friction_right=-0.06.*: give a finite number of at least 0"),
        ([0.1], [np.nan], {}, "noise=nan: give a finite number"),
        ([0.1], [-0.1], {}, "noise=-0.0.*: give a finite number of at least 0"),
    ],
)
def test_bad_arguments_name_argument_value_and_remedy(friction, noise, settings, message):
    with pytest.raises(ValueError, match=message):
        diagram(SMALL, friction, noise, **settings)


def test_the_end_is_held_in_one_place():
    moved = replace(SMALL, end=[(0, 0.0), (1, 1.0)])
    for function in (diagram, theory_diagram):
        with pytest.raises(ValueError, match="end: a closed form needs one position"):
            function(moved, [0.1], [0.1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dt": 0}, "dt=0.0: give a step above 0"),
        ({"dt": "0.1"}, "dt='0.1': give a number"),
        ({"duration": np.inf}, "duration=inf: give at least one step"),
        ({"duration": 1e308}, r"duration=1e\+308: give at least one step, dt=0.05, and up to 1e15"),
        ({"root": -1}, r"seeds=\[-1, .*: give an integer of at least 0"),
    ],
)
def test_steps_and_roots_out_of_range_are_named(settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mechanical_diagram(SMALL, [0.1], [0.1], trajectories=2, progress=False, **settings)
