"""The chain explorable: JavaScript against the module, traits against the dataclass."""

from dataclasses import replace

import numpy as np
import pytest
from node import functions_of
from scipy.stats import gamma, kstest

from sbt_book.live.chain import ChainExplorable
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.trajectories import curve_of

run = functions_of("chain/chain.js")
CHAINS = {
    "published": {},
    "independent": {"common_noise": False, "friction_left": 0.015},
    "strong": {"noise": 0.01, "noise_decay": 0.0, "spring_constant": 0.5, "blocks": 20},
    "quiet": {"noise": 0.0, "friction_right": 0.02},
    "driven": {"drive": 0.02, "common_noise": False},
    "driven, the first unmoved": {"drive": 0.01, "friction_right": 0.012, "noise": 0.001},
    "skewed": {"skewness": 3.0, "friction_left": 0.003},
    "skewed to the left": {"skewness": -0.5, "common_noise": False, "damping": 2.0, "drive": 0.1},
    "one block": {"blocks": 1, "mass": 2.0, "damping": 0.5, "end": 3.0},
}


def traits_of(settings):
    return dict(vars(SpringBlockChain(**settings)))


@pytest.mark.parametrize("settings", CHAINS.values(), ids=CHAINS)
def test_javascript_follows_the_same_noise(settings):
    chain = SpringBlockChain(**settings)
    columns = 1 if chain.common_noise else chain.blocks
    rng = np.random.default_rng(3)
    normals = rng.standard_normal(14_000 * columns)
    if chain.skewness:
        shape = 4 / chain.skewness**2 * 0.05 * chain.damping / chain.mass
        drawn = np.random.default_rng(3).standard_gamma(shape, 14_000 * columns)
        normals = np.sign(chain.skewness) * (drawn - shape) / np.sqrt(shape)
    kept = run(
        "pullChain(chain, new Float64Array(normals)).map(each => Array.from(each))",
        chain=traits_of(settings),
        normals=normals,
    )
    expected = chain.simulate(seed=3, every=40).positions
    assert np.shape(kept) == expected.shape
    np.testing.assert_allclose(kept, expected, rtol=0, atol=1e-9)
    assert np.ptp(expected[-1]) > 0 or chain.blocks == 1


@pytest.mark.parametrize("settings", CHAINS.values(), ids=CHAINS)
def test_closed_forms_agree(settings):
    static, mean_field = run(
        "[staticCurve(chain), meanFieldCurve(chain)]", chain=traits_of(settings)
    )
    chain = SpringBlockChain(**settings)
    np.testing.assert_allclose(static, curve_of(chain.static_loads()).mean, atol=1e-12)
    symmetric = replace(chain, skewness=0.0)
    np.testing.assert_allclose(mean_field, curve_of(symmetric.mean_field_loads()).mean, atol=1e-12)


def test_shape_is_that_of_the_load_curve():
    chains = [SpringBlockChain(**settings) for settings in CHAINS.values()]
    curves = [chain.simulate(seed=1, every=100).load_curve for chain in chains]
    found = run(
        "curves.map(each => [convexity(each), regime(each), verdict(each)])",
        curves=[curve.mean for curve in curves],
    )
    for curve, (convexity, regime, verdict) in zip(curves, found, strict=True):
        assert regime == curve.regime
        if regime != "unresolved":
            assert convexity == pytest.approx(curve.convexity, abs=1e-12)
            words = curve.verdict.rsplit(" ", 1)[0]
            assert verdict.startswith(words)


@pytest.mark.parametrize("seed", [0, 7, 2**31 + 5, 2**40 + 77])
def test_uniform_numbers_are_those_of_sfc32(seed):
    a, b, c, counter = seed % 2**32, seed >> 32, 0x9E3779B9, 1  # Doty-Humphrey's, in PractRand
    expected = []
    for _ in range(12 + 200):
        total = (a + b + counter) % 2**32
        counter += 1
        a, b = b ^ (b >> 9), (c + (c << 3)) % 2**32
        c = ((c << 21 | c >> 11) + total) % 2**32
        expected.append(total / 2**32)
    found = run("(draw => Array.from({ length: 200 }, draw))(uniform(seed))", seed=seed)
    assert found == expected[12:]


def test_normal_numbers_are_normal():
    normals = np.array(run("Array.from(standardNormal(seed, 40001))", seed=5))
    assert len(normals) == 40_001
    assert abs(normals.mean()) < 4 / 200
    assert abs(normals.var() - 1) < 4 * np.sqrt(2) / 200
    assert abs((normals**4).mean() - 3) < 4 * np.sqrt(96) / 200
    assert abs(np.corrcoef(normals[1:], normals[:-1])[0, 1]) < 4 / 200
    other = np.array(run("Array.from(standardNormal(seed, 40001))", seed=6))
    assert abs(np.corrcoef(normals, other)[0, 1]) < 4 / 200


@pytest.mark.parametrize(("skewness", "damping"), [(4.0, 1.0), (-1.0, 1.0), (0.5, 10.0)])
def test_skewed_numbers_are_gamma_numbers(skewness, damping):
    chain = traits_of({"skewness": skewness, "damping": damping})
    shape = 4 / skewness**2 * 0.05 * damping
    drawn, numbers = np.array(
        run(
            "[chainNoise(chain, 5, 40001, 0.05), standardGamma(5, 40001, shape)]"
            ".map(each => Array.from(each))",
            chain=chain,
            shape=shape,
        )
    )
    assert kstest(numbers, gamma(shape).cdf).pvalue > 0.01
    expected = np.sign(skewness) * (numbers - shape) / np.sqrt(shape)
    np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-9)
    assert abs(drawn.mean()) < 4 / 200
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 4 / 200
    plain, normal = run(
        "[chainNoise(chain, 5, 99, 0.05), standardNormal(5, 99)].map(each => Array.from(each))",
        chain=traits_of({}),
    )
    assert plain == normal


def test_the_traits_are_the_chain():
    settings = {"friction_right": 0.01, "noise": 0.001, "blocks": 5, "drive": 0.03, "skewness": 1.5}
    explorable = ChainExplorable(**settings)
    assert explorable.chain == SpringBlockChain(**settings)
    simulated = explorable.chain.simulate(every=100).load_curve
    assert explorable.load_curve.mean == pytest.approx(simulated.mean)
    assert ChainExplorable().chain == SpringBlockChain()


def test_the_load_curve_is_that_of_the_page():
    explorable = ChainExplorable(blocks=3)
    explorable.positions = [0.2, 0.4, 0.7]  # as a page would send it
    assert explorable.load_curve.mean == pytest.approx([1.0, 0.8, 0.6, 0.3])
