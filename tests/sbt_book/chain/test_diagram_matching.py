"""Diagrams of networks laid over diagrams of chains."""

import numpy as np
import pytest
import xarray as xr
from curves import scaled
from diagram_data import mechanical_cells
from scipy.interpolate import RegularGridInterpolator

from sbt_book.chain.diagram_matching import fit_cells, fit_diagram
from sbt_book.common.committed import RESULTS
from sbt_book.common.selections import convexity
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.matching import fit_chain
from sbt_utils.mechanics.published_chains import SECOND_ORDER, theory_diagram
from sbt_utils.results import load

FRICTIONS, NOISES = np.linspace(0.0, 0.12, 11), np.geomspace(0.005, 0.3, 11)


@pytest.fixture(scope="module")
def theory():
    return theory_diagram(SECOND_ORDER, FRICTIONS, NOISES)


def networks_of(curves):
    """Return a phase diagram (noise, slope, seed, layer) of curves (friction, noise, layer)."""
    seeds = curves.rename(friction="slope").expand_dims("seed")
    return xr.Dataset({"separation_train": seeds.transpose("noise", "slope", "seed", "layer")})


@pytest.mark.parametrize("one_noise", [False, True])
def test_planted_axes_are_found(theory, one_noise):
    frictions, noises = FRICTIONS[[8, 2, 4]], NOISES[[1, 3, 5, 8]]
    curves = theory_diagram(SECOND_ORDER, frictions, noises)
    units = xr.DataArray([3.0, -0.5, 20.0], dims="friction")  # curves of any height and offset
    found = fit_diagram(networks_of((1 + abs(units)) * curves + units), theory, one_noise)
    np.testing.assert_allclose(found.chain_friction, frictions, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.chain_noise, np.broadcast_to(noises, (3, 4)), rtol=1e-12)
    assert found.residual.max() < 1e-12
    assert found.curve.dims == found.target.dims == ("slope", "noise", "layer")
    np.testing.assert_allclose(
        found.residual, np.sqrt(((found.curve - found.target) ** 2).mean("layer")), atol=1e-15
    )
    for n in range(4):
        target = scaled(curves.values[1, n])
        np.testing.assert_allclose(found.target[1, n], target, rtol=0, atol=1e-12)


def test_planted_axes_are_found_between_the_levels_of_the_mechanical_diagram():
    fine = theory_diagram(SECOND_ORDER, np.linspace(0.0, 0.12, 21), np.geomspace(0.005, 0.3, 25))
    frictions, noises = [0.021, 0.051, 0.093], [0.0081, 0.02, 0.05, 0.12]
    networks = networks_of(theory_diagram(SECOND_ORDER, frictions, noises))
    found = fit_diagram(networks, fine, one_noise=True)
    np.testing.assert_allclose(found.chain_friction, frictions, rtol=0, atol=0.0024)  # two steps
    np.testing.assert_allclose(found.chain_noise, [noises] * 3, rtol=0.085)  # two steps as well
    assert found.residual.max() < 0.004


def errors_of(networks, theory):
    """Return mean square residuals (slope, noise, chain's friction and noise), and its levels."""
    levels = np.linspace(0.0, 0.12, 101), np.linspace(np.log(0.005), np.log(0.3), 101)
    axes = theory.friction.values, np.log(theory.noise.values)
    points = np.stack(np.meshgrid(*levels, indexing="ij"), axis=-1)
    chains = RegularGridInterpolator(axes, theory.values)(points)
    chains = np.apply_along_axis(scaled, -1, chains)
    curves = networks.separation_train.mean("seed").transpose("slope", "noise", "layer").values
    targets = np.apply_along_axis(scaled, -1, curves)
    squares = ((targets[:, :, None, None] - chains) ** 2).mean(axis=-1)
    return squares, levels[0], np.exp(levels[1])


@pytest.fixture(scope="module")
def uneven(theory):
    """Three slopes and four noises that no chain matches exactly, three seeds each."""
    rng = np.random.default_rng(0)
    curves = theory_diagram(SECOND_ORDER, [0.1, 0.03, 0.06], [0.01, 0.03, 0.02, 0.1])
    seeds = xr.concat([curves + rng.normal(0, 0.02, curves.shape) for _ in range(3)], "seed")
    names = {"separation_train": seeds.rename(friction="slope")}
    return xr.Dataset(names).transpose("noise", "slope", "seed", "layer")


def test_each_slope_has_the_friction_that_fits_all_its_cells_best(theory, uneven):
    found = fit_diagram(uneven, theory)
    squares, frictions, noises = errors_of(uneven, theory)
    for slope in range(3):
        total = squares[slope].min(axis=-1).sum(axis=0)  # a noise of its own for each cell
        best = total.argmin()
        assert found.chain_friction[slope].item() == pytest.approx(frictions[best], abs=1e-12)
        for noise in range(4):
            cell = squares[slope, noise, best]
            assert found.chain_noise[slope, noise].item() == pytest.approx(noises[cell.argmin()])
            assert found.residual[slope, noise].item() == pytest.approx(np.sqrt(cell.min()))


def test_with_one_noise_no_other_friction_or_noise_alone_fits_better(theory, uneven):
    found = fit_diagram(uneven, theory, one_noise=True)
    squares, frictions, noises = errors_of(uneven, theory)
    chosen = [abs(frictions - level).argmin() for level in found.chain_friction.values]
    shared = [abs(np.log(noises / level)).argmin() for level in found.chain_noise.values[0]]
    np.testing.assert_allclose(found.chain_noise, noises[[shared] * 3], rtol=1e-12)
    for slope in range(3):
        total = squares[slope, range(4), :, shared].sum(axis=0)
        assert total[chosen[slope]] == pytest.approx(total.min(), rel=1e-9)
    for noise in range(4):
        total = squares[range(3), noise, chosen].sum(axis=0)
        assert total[shared[noise]] == pytest.approx(total.min(), rel=1e-9)
    assert (found.residual**2).sum() >= (fit_diagram(uneven, theory).residual ** 2).sum()


def test_cells_are_fitted_one_by_one_with_the_friction_of_their_slope(uneven):
    networks = uneven.isel(noise=[0, 3], slope=[0, 2]).copy(deep=True)
    networks.separation_train[0, 1, 2, 4] = np.nan  # a network that collapsed is left out
    frictions = xr.DataArray([0.1, 0.06], dims="slope")
    cells = fit_cells(networks, frictions, progress=False)
    assert cells.chain_friction.values.tolist() == [0.1, 0.06]
    for name in ("chain_noise", "chain_noise_low", "chain_noise_high", "residual"):
        assert cells[name].dims == ("slope", "noise")
        assert np.isfinite(cells[name]).all()
    for name in ("curve", "target"):
        assert cells[name].dims == ("slope", "noise", "layer")
        np.testing.assert_allclose(cells[name].max("layer"), 1.0)
    for slope, noise, seeds in ((0, 1, 3), (1, 0, 2)):
        curves = networks.separation_train.isel(noise=noise, slope=slope, seed=slice(seeds))
        match = fit_chain(LoadCurve(curves.values), float(frictions[slope]))
        cell = cells.isel(slope=slope, noise=noise)
        assert cell.chain_noise.item() == match.noise
        assert (cell.chain_noise_low.item(), cell.chain_noise_high.item()) == match.noise_interval
        np.testing.assert_array_equal(cell.curve, match.curve.scaled)
        assert cell.residual.item() == pytest.approx(match.residual, rel=1e-12)


# The committed results -----------------------------------------------------------------------


@pytest.mark.parametrize("one_noise", [False, True])
def test_the_published_diagram_of_networks_lies_over_the_mechanical_one(one_noise):
    found = fit_diagram(load(RESULTS / "dropout.nc"), mechanical_cells(), one_noise)
    assert found.residual.shape == (6, 16)
    of_chains, of_networks = convexity(found.curve), convexity(found.target)
    assert (np.sign(of_chains) == np.sign(of_networks)).mean() >= 0.9
    assert {-1.0, 1.0} <= set(np.sign(of_networks).values.ravel().tolist())
    # More linear networks (from left to right in slope) are chains with less friction.
    assert (found.chain_friction.diff("slope") <= 0).all()
    if not one_noise:
        assert (found.residual < 0.03).mean() > 0.5


def test_the_committed_diagrams_agree_with_their_theory():
    cells = load(RESULTS / "spring_block.nc")
    settings = {"order": 2, "shaking": 2, "friction_left": 3}
    assert cells.sizes == settings | {"friction": 20, "noise": 20, "layer": 8}
    assert np.isfinite(cells.to_array()).all()
    theory = convexity(cells.separation_theory.astype(float))
    agree = np.sign(convexity(cells.separation.astype(float))) == np.sign(theory)
    away = abs(theory) > 0.03
    assert (agree.where(away).mean(("friction", "noise")) >= 0.9).all()


def test_cells_without_a_curve_and_other_depths_are_refused(theory):
    seeds = theory.rename(friction="slope").expand_dims(seed=2)
    networks = xr.Dataset({"separation_train": seeds})
    missing = xr.Dataset({"separation_train": seeds.where(seeds.slope != seeds.slope[1])})
    for fit in (
        lambda: fit_diagram(missing, theory),
        lambda: fit_cells(missing, missing.slope, progress=False),
    ):
        with pytest.raises(ValueError, match=r"cell \(slope, noise\) = \(1, 0\), .* leave its row"):
            fit()
    with pytest.raises(ValueError, match="mechanical: 4 layers for networks of 8; simulate"):
        fit_diagram(networks, theory.isel(layer=slice(4)))
