"""A reader's own load curve beside a chain: what is taken, what the page shows, what it sends."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import traitlets
from node import functions_of

from sbt_book import live
from sbt_utils.measuring.curves import LoadCurve, scaled
from sbt_utils.mechanics.matching import fit_chain
from sbt_utils.mechanics.published_chains import SECOND_ORDER, in_units
from sbt_utils.reporting.stress_map import StressMap

run = functions_of("comparison/comparison.js")
CURVE = [2.0, 1.9, 1.7, 1.4, 1.0, 0.5]


@pytest.fixture(scope="module")
def lazy():
    return live.compare(LoadCurve(CURVE))


def test_the_chain_is_that_of_the_fit(lazy):
    match = fit_chain(LoadCurve(CURVE))
    assert (lazy.friction, lazy.noise, lazy.drive) == (match.friction, match.noise, 0.0)
    assert lazy.chain == match.chain
    assert lazy.residual == pytest.approx(match.residual)


@pytest.mark.parametrize(
    "given",
    [
        CURVE,
        np.array([CURVE, CURVE]),
        torch.tensor(CURVE, dtype=torch.float64),
        StressMap(LoadCurve([CURVE, CURVE])),
    ],
    ids=["a list", "repeats", "a tensor", "a report"],
)
def test_a_load_curve_is_taken_in_any_form(given, lazy):
    found = live.compare(given)
    np.testing.assert_array_equal(found.curve.mean, CURVE)
    assert found.match.friction == lazy.match.friction


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (CURVE[:4], ValueError, r"curve: 4 points; .* 5 to 51 of them: watch more layers"),
        (np.linspace(1, 0, 52), ValueError, "curve: 52 points; .* every second one"),
        ([3, 2, np.nan, 1, 0.5], ValueError, r"curve: no finite D at layer \[2\]; leave out"),
        (CURVE[::-1], ValueError, r"curve: D goes from 0\.5 to 2, .* train the network"),
        ([1.0] * 6, ValueError, "curve: D goes from 1 to 1"),
        (np.ones((2, 2, 6)), ValueError, r"curve: shape \(2, 2, 6\); give \(L \+ 1,\)"),
        (StressMap(None), ValueError, "curve: fewer than two layers"),
        ("digits", TypeError, "curve: a str; give a LoadCurve, a report or the numbers"),
        (torch.nn.Linear(2, 2), TypeError, "curve: a Linear; give"),
    ],
)
def test_what_is_no_load_curve_of_a_network_is_refused(given, error, words):
    with pytest.raises(error, match=words):
        live.compare(given)


def test_a_curve_beyond_the_chain_is_shown_without_a_warning_as_no_match():
    steep = live.compare(0.6 ** np.arange(8))
    assert steep.residual > 0.03
    settings = json.loads(steep.settings)
    traits = {"friction": steep.friction, "noise": steep.noise, "drive": 0.0}
    words = run(
        """(() => {
          const chain = comparedChain(settings, traits);
          const end = pullChain(chain, standardNormal(0, 14000)).at(-1);
          return comparisonWords(settings.separation, chainSeparation(chain, end), 0.03);
        })()""",
        settings=settings,
        traits=traits,
    )
    assert words.startswith(f"The network is active, convexity +{steep.curve.convexity:.2f}")
    assert words.endswith(": no match.")


def test_the_page_turns_the_chain_that_python_has(lazy):
    traits = {"friction": 0.05, "noise": 0.04, "drive": 0.3}
    chain = run(
        "comparedChain(settings, traits)", settings=json.loads(lazy.settings), traits=traits
    )
    turned = live.ComparisonExplorable(lazy.curve, lazy.match, **traits)
    driven = replace(SECOND_ORDER, blocks=5, drive=0.03)
    assert turned.chain == in_units(driven, 0.05, 0.04)
    del chain["force"]
    expected = {name: vars(turned.chain)[name] for name in chain}
    assert chain == pytest.approx(expected)


def test_curves_are_compared_to_one_scale():
    network, chain = [3.0, 1.0, 0.0, -1.0], [1.0, 0.7, 0.1, 0.2]
    laid = run("laidOver(network, chain)(chain)", network=network, chain=chain)
    np.testing.assert_allclose(scaled(np.array(laid)), scaled(np.array(chain)))
    assert (max(laid), min(laid)) == pytest.approx((3.0, -1.0))
    off = run("scaledDifference(network, chain)", network=network, chain=chain)
    apart = scaled(np.array(network)) - scaled(np.array(chain))
    assert off == pytest.approx(np.sqrt((apart**2).mean()))


def test_the_page_and_python_set_the_same_traits(lazy):
    turned = live.ComparisonExplorable(lazy.curve, lazy.match)
    turned.set_state({"friction": 0.1, "drive": 0.25})  # by a page
    assert turned.chain.friction_right == pytest.approx(0.01)
    assert turned.chain.drive == pytest.approx(0.025)
    assert turned.residual > lazy.residual
    with pytest.raises(traitlets.TraitError, match=r"noise.*0\.3"):
        turned.noise = 0.3


def test_the_still_picture_has_both_curves(lazy):
    first, second = lazy.still().axes[0].lines
    np.testing.assert_array_equal(first.get_ydata(), CURVE)
    assert np.ptp(second.get_ydata()) == pytest.approx(1.5)
    assert lazy._repr_mimebundle_()[0]["text/plain"] == lazy.words
