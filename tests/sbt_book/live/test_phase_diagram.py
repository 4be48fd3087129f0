"""The phase diagram explorable: its page against the module, its traits against the results."""

import json

import numpy as np
import pytest
import traitlets
from node import functions_of

from sbt_book.chain.diagram_matching import GOOD_MATCH
from sbt_book.common.committed import RESULTS
from sbt_book.common.noise_axes import NOISES
from sbt_book.live.diagram_cells import cell_curve, matched_cells, packed_diagram
from sbt_book.live.phase_diagram import PhaseDiagramExplorable
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.published_chains import SECOND_ORDER, in_units
from sbt_utils.results import load

run = functions_of("phase_diagram/phase_diagram.js")


def cells_of(source):
    return [(r, c) for r in range(6) for c in range(len(packed_diagram(source)["noise"]))]


@pytest.mark.parametrize("source", NOISES)
def test_the_page_names_the_regime_that_python_finds(source):
    networks = load(RESULTS / f"{source}.nc")
    packed = packed_diagram(source)
    found = run(
        """cells.map(([r, c]) => {
          const curve = packed.separation[r][c];
          return [regime(curve), convexity(curve), cellVerdict(packed, r, c)];
        })""",
        packed=packed,
        cells=cells_of(source),
    )
    for (r, c), (regime, convexity, words) in zip(cells_of(source), found, strict=True):
        level, slope = packed["noise"][c], packed["slope"][r]
        seeds = networks.separation_train.sel(noise=level, slope=slope)
        curve = LoadCurve(seeds.dropna("seed").transpose("seed", "layer").values)
        assert regime == curve.regime
        assert words.startswith(f"{NOISES[source].label} = {packed['noise_names'][c]}, α = ")
        assert curve.regime in words
        if regime != "unresolved":
            assert convexity == pytest.approx(curve.convexity, rel=0.01, abs=1e-3)


def test_the_page_has_the_chain_of_the_fit():
    explorable = PhaseDiagramExplorable()
    sent = json.loads(explorable.cells)
    for source in NOISES:
        places = cells_of(source)[::5]
        found = run(
            "cells.map(([r, c]) => chainInUnits(chain, packed.chain_friction[r],"
            " packed.chain_noise[r][c]))",
            packed=sent["diagrams"][source],
            chain=sent["chain"],
            cells=places,
        )
        for (r, c), chain in zip(places, found, strict=True):
            explorable.noise_axis = source
            explorable.noise = packed_diagram(source)["noise"][c]
            explorable.slope = packed_diagram(source)["slope"][r]
            assert chain.pop("force") is explorable.chain.force is None
            expected = {**vars(explorable.chain)}
            del expected["force"]
            assert chain == pytest.approx(expected, rel=2e-3, abs=1e-6)
    right = run("chainInUnits(chain, 0.02, 0.1).friction_right", chain=sent["chain"])
    assert in_units(SECOND_ORDER, 0.02, 0.1).friction_right == pytest.approx(right)


def test_the_live_chain_ends_where_the_fit_says():
    sent = json.loads(PhaseDiagramExplorable().cells)
    packed = sent["diagrams"]["data_noise"]
    places = cells_of("data_noise")
    curves = run(
        """cells.map(([r, c]) => {
          const own = chainInUnits(chain, packed.chain_friction[r], packed.chain_noise[r][c]);
          const states = pullChain(own, standardNormal(0, 14000));
          const final = chainSeparation(own, states.at(-1));
          return laidOver(packed.separation[r][c], final)(final);
        })""",
        packed=packed,
        chain=sent["chain"],
        cells=places,
    )
    for (r, c), curve in zip(places, curves, strict=True):
        networks = np.array(packed["separation"][r][c])
        assert max(curve) == pytest.approx(networks.max())
        assert min(curve) == pytest.approx(networks.min())
        apart = (curve - networks) / np.ptp(networks)
        # A single chain, shaken once; the fit is of the mean of fifty.
        jitter = 0.01 + 0.25 * packed["chain_noise"][r][c]
        expected = pytest.approx(packed["residual"][r][c], abs=jitter)
        assert np.sqrt((apart**2).mean()) == expected


def test_a_chain_at_the_start_has_separated_nothing():
    start = run("laidOver([2, 1, -1], [1, 0.6, 0.2])([1, 1, 1])")
    assert start == pytest.approx([2, 2, 2])


def test_the_border_lies_between_convex_and_concave():
    convex, concave, rising = [1, 0.2, 0], [1, 0.8, 0], [0, 0.5, 1]
    separation = [[convex, concave, rising], [convex, convex, concave]]
    border = run("regimeBorder(separation)", separation=separation)
    assert border == "M1 0v1M1 1h1M2 1v1"


def test_the_words_hide_nothing():
    packed = packed_diagram("learning_rate")
    cells = cells_of("learning_rate")
    found = run(
        "cells.map(([r, c]) => [networkWords(packed, r, c), chainWords(packed, r, c, 0.03)])",
        packed=packed,
        cells=cells,
    )
    for (r, c), (networks, chain) in zip(cells, found, strict=True):
        assert f"{packed['accuracy'][r][c]:.1f} %" in networks
        assert ("published" in networks) == (packed["published"][r][c] is not None)
        count = packed["failed"][r][c]
        assert (f"{count} of the 10 failed" in networks) == (count > 0)
        assert ("poor match" in chain) == (packed["residual"][r][c] > 0.03)
        assert f"{packed['residual'][r][c]:.3f}" in chain
    assert any("failed" in networks for networks, _ in found)

    for c, level in enumerate(packed_diagram("dropout")["noise"]):
        verdict = PhaseDiagramExplorable(noise=level).load_curve.verdict
        words = run("networkWords(packed, 0, c)", packed=packed_diagram("dropout"), c=c)
        assert ("at the edge" in words) == ("at the edge" in verdict), level


def test_the_traits_choose_a_cell():
    explorable = PhaseDiagramExplorable(noise_axis="batch_size", noise=40, slope=0.4)
    seeds = load(RESULTS / "batch_size.nc").separation_train.sel(noise=40, slope=0.4)
    expected = seeds.transpose("seed", "layer").values
    np.testing.assert_array_equal(explorable.load_curve.separation, expected)
    explorable.noise_axis = "data_noise"
    assert explorable.noise == 0.4
    explorable.noise_axis = "dropout"
    assert explorable.noise == 0.14
    explorable.set_state({"noise_axis": "learning_rate", "noise": 0.02, "slope": 1})  # by a page
    assert (explorable.noise_axis, explorable.noise, explorable.slope) == ("learning_rate", 0.02, 1)


def test_a_value_that_is_no_level_is_refused():
    with pytest.raises(
        traitlets.TraitError, match=r"noise=0\.13: .* choose one of 0, 0\.02, 0\.04"
    ):
        PhaseDiagramExplorable(noise=0.13)
    with pytest.raises(traitlets.TraitError, match=r"slope=0\.5: .* choose one of 0, 0\.2, 0\.4"):
        PhaseDiagramExplorable(slope=0.5)
    with pytest.raises(traitlets.TraitError, match=r"noise_axis.*'dropout'.*'width'"):
        PhaseDiagramExplorable(noise_axis="width")
    explorable = PhaseDiagramExplorable()
    with pytest.raises(traitlets.TraitError, match="noise=nan"):
        explorable.noise = float("nan")
    assert explorable.noise == 0.12


def test_all_four_diagrams_are_small_enough_for_a_page():
    assert len(PhaseDiagramExplorable().cells) < 60_000


def test_the_still_picture_names_its_noise():
    figure = PhaseDiagramExplorable(noise_axis="batch_size", noise=40).still()
    assert figure.axes[0].get_xlabel() == "batch size"


def test_the_tour_says_what_is_there():
    tour = run("DIAGRAM_TOUR")
    shown = [PhaseDiagramExplorable(**step["set"]) for step in tour]
    regimes = [each.load_curve.regime for each in shown]
    assert regimes == ["lazy", "equiseparated", "active", "active", "equiseparated"]
    lazy, straight, active, linear, _ = [matched_cells(each.noise_axis).sel(
        noise=each.noise, slope=each.slope) for each in shown]  # fmt: skip
    assert lazy.chain_noise < straight.chain_noise
    accuracies = [cell.accuracy_test.mean() for cell in (lazy, straight, active)]
    assert accuracies[2] < min(accuracies[:2])
    assert linear.residual > GOOD_MATCH > max(lazy.residual, straight.residual, active.residual)
    for source in ("dropout", "data_noise"):
        cells = matched_cells(source).sel(slope=0)
        row = [cell_curve(cells.sel(noise=noise)).regime for noise in cells.noise.values]
        assert list(dict.fromkeys(row)) == ["active", "equiseparated", "lazy"]
