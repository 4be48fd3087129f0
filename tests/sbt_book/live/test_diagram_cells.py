"""The cells of the phase diagrams: as committed, as published, as fitted."""

import json

import numpy as np
import pytest
from chains import LAST
from diagram_data import mechanical_cells

from sbt_book.chain.diagram_matching import GOOD_MATCH, fit_diagram
from sbt_book.common.committed import RESULTS
from sbt_book.common.noise_axes import NOISES
from sbt_book.live.diagram_cells import cell_chain, cell_curve, matched_cells, packed_diagram
from sbt_utils.measuring.curves import scaled
from sbt_utils.mechanics.published_chains import SECOND_ORDER
from sbt_utils.results import load


@pytest.mark.parametrize("source", NOISES)
def test_packed_cells_are_the_results(source):
    networks = load(RESULTS / f"{source}.nc")
    packed = packed_diagram(source)
    falling = packed["noise"] if source == "batch_size" else packed["noise"][::-1]
    assert falling == sorted(networks.noise.values.tolist())
    assert packed["slope"] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    for r, slope in enumerate(packed["slope"]):
        for c, noise in enumerate(packed["noise"]):
            cell = networks.sel(slope=slope, noise=noise)
            seeds = cell.separation_train.transpose("seed", "layer").values
            whole = seeds[np.isfinite(seeds).all(1)]
            np.testing.assert_allclose(packed["separation"][r][c], whole.mean(0), atol=6e-4)
            np.testing.assert_allclose(packed["spread"][r][c], whole.std(0, ddof=1), atol=6e-4)
            accuracy = 100 * cell.accuracy_test.values
            assert packed["accuracy"][r][c] == pytest.approx(accuracy.mean(), abs=0.06)
            assert packed["accuracy_spread"][r][c] == pytest.approx(accuracy.std(ddof=1), abs=0.06)
            bad = (cell.accuracy_train.values < 0.5) | ~np.isfinite(seeds).all(1)
            assert packed["failed"][r][c] == bad.sum()
            known = [None if not np.isfinite(end) else pytest.approx(end, abs=6e-5)
                     for end in cell_curve(cell).convexity_interval]  # fmt: skip
            assert packed["convexity_interval"][r][c] == known
    assert all(name.strip() for name in packed["noise_names"])


@pytest.mark.parametrize("source", NOISES)
def test_published_cells_are_those_of_the_reference(source):
    file = RESULTS / "reference" / "published_phase_diagrams.json"
    panel, packed = json.loads(file.read_text())["panels"][source], packed_diagram(source)
    found = 0
    for r, slope in enumerate(packed["slope"]):
        for c, noise in enumerate(packed["noise"]):
            curve, accuracy = packed["published"][r][c], packed["published_accuracy"][r][c]
            if noise not in panel["noise"]:
                assert curve is accuracy is None
                continue
            place = panel["slope"].index(slope), panel["noise"].index(noise)
            theirs = np.array(panel["curve"])[place]
            np.testing.assert_allclose(curve, theirs, atol=6e-4)
            assert accuracy == pytest.approx(np.array(panel["accuracy"])[place], abs=0.06)
            found += 1
    assert found == 48


@pytest.mark.parametrize("source", NOISES)
def test_chains_are_those_of_the_fit(source):
    networks = load(RESULTS / f"{source}.nc")
    chains = mechanical_cells()
    fit = fit_diagram(networks, chains.isel(noise=chains.noise.values <= 0.2))
    packed = packed_diagram(source)
    for r, slope in enumerate(packed["slope"]):
        friction = fit.chain_friction.sel(slope=slope).item()
        assert packed["chain_friction"][r] == pytest.approx(friction, abs=6e-6)
        for c, noise in enumerate(packed["noise"]):
            cell = fit.sel(slope=slope, noise=noise)
            assert packed["chain_noise"][r][c] == pytest.approx(cell.chain_noise.item(), abs=6e-6)
            assert packed["residual"][r][c] == pytest.approx(cell.residual.item(), abs=6e-4)
            chain = cell_chain(matched_cells(source).sel(slope=slope, noise=noise))
            # In units of k y = 0.1, and common to seven blocks.
            assert chain.friction_right == pytest.approx(0.1 * friction)
            assert chain.noise == pytest.approx(0.1 * cell.chain_noise.item() / np.sqrt(7))
            assert chain.friction_left == SECOND_ORDER.friction_left


@pytest.mark.parametrize(("noise", "slope"), [(0.0, 0.0), (0.12, 0.0), (0.3, 0.2), (0.3, 1.0)])
def test_a_simulated_chain_is_as_far_off_as_the_residual_says(noise, slope):
    cell = matched_cells("dropout").sel(noise=noise, slope=slope)
    simulated = cell_chain(cell).simulate(seeds=range(20), every=LAST).load_curve
    apart = simulated.scaled - scaled(cell.separation_train.mean("seed").values)
    assert np.sqrt((apart**2).mean()) == pytest.approx(cell.residual.item(), abs=0.005)


def test_most_chains_match_and_the_misfits_are_where_the_chapter_has_them():
    residual = matched_cells("dropout").residual
    assert (residual < GOOD_MATCH).mean() > 0.6
    assert (residual.sel(slope=[0.0, 0.2]) < GOOD_MATCH).all()
    assert (residual.sel(slope=1.0) > GOOD_MATCH).all()
