"""The landing page's live picture: its data against the results, its chains against Python's."""

import gzip
import json
from itertools import pairwise

import numpy as np
import pytest
from node import functions_of

from sbt_book.common.committed import RESULTS
from sbt_book.live import landing
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.results import load

run = functions_of("landing/landing.js")


@pytest.fixture(scope="module")
def data():
    return landing.landing_data()


@pytest.fixture(scope="module")
def states(data):
    """Return what the page draws of each cell, and what it says, over (slope, noise)."""
    return run(
        """(() => {
          const normals = standardNormal(0, DURATION / DT);
          return cells.slope.map((_, row) => cells.noise.map((_, column) => {
            const state = cellState(cells, normals, row, column);
            const words = landingWords(state.networks, state.chain, cells.good_match);
            return { ...state, words, off: scaledDifference(state.networks, state.chain) };
          }));
        })()""",
        cells=data,
    )


def each(rows):
    return [
        ((row, column), cell) for row, line in enumerate(rows) for column, cell in enumerate(line)
    ]


def test_curves_are_those_of_the_results(data):
    networks = load(RESULTS / "dropout.nc")
    assert data["slope"] == sorted(networks.slope.values, reverse=True)
    assert data["noise"] == sorted(networks.noise.values)
    for (row, column), curve in each(data["separation"]):
        cell = networks.sel(slope=data["slope"][row], noise=data["noise"][column])
        expected = LoadCurve(cell.separation_train.transpose("seed", "layer").values)
        np.testing.assert_allclose(curve, expected.mean, atol=5.1e-4)
        np.testing.assert_allclose(data["spread"][row][column], expected.spread, atol=5.1e-4)


def test_more_nonlinearity_is_more_friction_and_more_noise_more_shaking(data):
    assert (np.diff(data["friction"]) > 0).all()
    assert (np.diff(data["shaking"]) > 0).all()


def test_the_page_has_the_chains_of_the_fit(data):
    matched = landing.matched_chains()
    for (row, column), chain in each(
        run(
            "cells.slope.map((_, row) => cells.noise.map((_, c) => chainOfCell(cells, row, c)))",
            cells=data,
        )
    ):
        cell = matched.isel(slope=row, noise=column)
        expected = vars(
            landing.chain_of(*(cell[name].item() for name in ("friction", "shaking", "drive")))
        )
        assert chain.pop("force") is expected["force"] is None
        assert chain == pytest.approx({name: expected[name] for name in chain}, rel=1e-3, abs=1e-6)


def test_the_residual_is_that_of_chains_simulated_anew():
    networks, matched = load(RESULTS / "dropout.nc"), landing.matched_chains()
    for slope, noise in [(0.0, 0.0), (0.0, 0.2), (0.4, 0.04), (1.0, 0.3)]:
        cell = matched.sel(slope=slope, noise=noise)
        chain = landing.chain_of(*(cell[name].item() for name in ("friction", "shaking", "drive")))
        found = chain.simulate(every=10**9, seeds=range(100, 120)).load_curve.scaled
        separation = networks.separation_train.sel(slope=slope, noise=noise)
        target = LoadCurve(separation.transpose("seed", "layer").values).scaled
        off = np.sqrt(((found - target) ** 2).mean())
        assert off == pytest.approx(cell.residual.item(), abs=0.006)


def test_chains_match_three_cells_of_four(data, states):
    residual = landing.matched_chains().residual.values
    assert (residual <= data["good_match"]).mean() > 0.75
    assert residual.max() < 0.05
    off = np.array([[cell["off"] for cell in row] for row in states])
    # The page shows one chain, the fit is of ten.
    np.testing.assert_allclose(off, residual, atol=0.02)


def test_the_sentence_names_the_regimes_that_python_finds(data, states):
    work = {"lazy": "deep layers", "equiseparated": "all layers", "active": "shallow layers"}
    stretch = {"lazy": "near the hand", "equiseparated": "all springs", "active": "near the wall"}
    seen = set()
    for (row, column), cell in each(states):
        own = LoadCurve(data["separation"][row][column]).regime
        other = LoadCurve(cell["chain"]).regime
        first, second = cell["words"].split(", ", 1)
        assert work[own] in first
        assert f"({own})" in first
        assert stretch[other] in second
        assert second.startswith("and" if own == other else "but")
        assert ("fits poorly" in second) == (cell["off"] > 0.03)
        seen.add(own)
    assert seen == set(work)


def test_layers_stand_where_their_loads_put_them(data, states):
    for (row, column), cell in each(states):
        curve = np.array(data["separation"][row][column])
        loads = np.diff([0.0, *cell["layers"]])
        np.testing.assert_allclose(loads / loads.sum(), -np.diff(curve) / np.ptp(curve), atol=1e-9)
        assert cell["layers"][-1] == pytest.approx(cell["blocks"][-1])


def test_it_turns_both_knobs_and_passes_all_regimes(data, states):
    way = run("wayOf(cells, START, TURNS)", cells=data)
    assert all(abs(a - c) + abs(b - d) == 1 for (a, b), (c, d) in pairwise(way))
    regimes = [LoadCurve(data["separation"][row][column]).regime for row, column in way]
    assert list(dict.fromkeys(regimes)) == ["lazy", "equiseparated", "active"]
    assert regimes[-1] == "equiseparated"
    assert len({row for row, _ in way}) > 1
    assert run("way.length * PACE_OF_TURNS", way=way) < 5000  # what moves longer needs a pause


def test_it_is_light():
    texts = landing.landing_script() + landing.landing_styles()
    assert len(gzip.compress(texts.encode())) < 40_000
    assert json.dumps(landing.landing_data()["separation"]) not in texts  # packed, without spaces
