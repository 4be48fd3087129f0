"""Chains that behave like networks: planted ones are found, published ones agree."""

from dataclasses import replace

import numpy as np
import pytest
from chains import LAST
from curves import scaled

from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.matching import GOOD_MATCH, PoorMatch, fit_chain
from sbt_utils.mechanics.published_chains import SECOND_ORDER, in_units

FALLING = LoadCurve([2.0, 1.5, 1.1, 0.8, 0.6, 0.5])


def planted(friction, noise, blocks=7, seeds=200):
    chain = in_units(replace(SECOND_ORDER, blocks=blocks), friction, noise)
    return chain.simulate(every=LAST, seeds=[[9, n] for n in range(seeds)]).load_curve


PLANTED = [(0.0705, 0.0045), (0.03, 0.0105), (0.08, 0.02), (0.0929, 0.0281), (0.0463, 0.0697)]


@pytest.mark.parametrize(("friction", "noise"), PLANTED)
def test_a_planted_noise_is_found_for_a_given_friction(friction, noise):
    match = fit_chain(planted(friction, noise), friction)
    assert (match.friction, match.friction_interval) == (friction, (friction, friction))
    assert match.noise == pytest.approx(noise, rel=0.1)
    assert match.residual < 0.003
    assert match.chain == in_units(SECOND_ORDER, friction, match.noise)


@pytest.mark.parametrize(("friction", "noise"), [(0.1, 0.0176), (0.0705, 0.0045)])
def test_planted_friction_is_found_where_the_curve_tells_it_from_noise(friction, noise):
    match = fit_chain(planted(friction, noise))
    assert match.friction == pytest.approx(friction, rel=0.1)
    assert match.residual < 0.005


@pytest.mark.parametrize(("friction", "noise"), PLANTED)
def test_the_interval_contains_the_planted_noise_and_the_estimate(friction, noise):
    for curve in (planted(friction, noise), LoadCurve(planted(friction, noise).mean)):
        match = fit_chain(curve, friction)
        low, high = match.noise_interval
        assert low <= match.noise <= high
        assert low <= noise <= high
        assert high < 1.5 * low  # it says something


@pytest.mark.parametrize(("friction", "noise"), PLANTED)
def test_both_intervals_contain_the_estimates(friction, noise):
    match = fit_chain(planted(friction, noise))
    for estimate, (low, high) in (
        (match.friction, match.friction_interval),
        (match.noise, match.noise_interval),
    ):
        assert low <= estimate <= high


@pytest.mark.parametrize("friction", [None, 0.05])
def test_the_residual_is_that_of_the_chain_simulated_again(friction):
    match = fit_chain(FALLING, friction, trajectories=6)
    ends = match.chain.simulate(700.0, 0.05, seeds=range(6)).positions[:, -1]
    mean = np.append(1.0, 1.0 - ends.mean(axis=0))
    np.testing.assert_allclose(match.curve.mean, mean, rtol=0, atol=1e-14)
    assert match.curve.separation.shape == (6, 6)
    off = scaled(mean) - (np.array([2.0, 1.5, 1.1, 0.8, 0.6, 0.5]) - 0.5) / 1.5
    assert match.residual == pytest.approx(np.sqrt((off**2).mean()), rel=1e-9)
    assert match.chain.friction_right == pytest.approx(0.1 * match.friction)
    assert match.chain.amplitude == pytest.approx(0.1 * match.noise)


@pytest.mark.filterwarnings("ignore:no match")  # in a duration of 100
@pytest.mark.parametrize("layers", [4, 12])
def test_the_chain_has_a_block_for_each_layer_and_keeps_its_other_parameters(layers):
    curve = planted(0.05, 0.02, blocks=layers)
    match = fit_chain(curve, 0.05, trajectories=10)
    assert match.chain.blocks == layers
    assert match.curve.separation.shape == (10, layers + 1)
    assert match.noise == pytest.approx(0.02, rel=0.15)
    altered = replace(SECOND_ORDER, damping=2.0, common_noise=False, end=3.0, friction_left=0.06)
    other = fit_chain(curve, 0.05, chain=altered, duration=100.0, trajectories=2)
    given = replace(altered, blocks=layers)
    assert other.chain == in_units(given, 0.05, other.noise)


def test_a_planted_driven_chain_is_matched_with_its_drive_and_not_without():
    driven = replace(SECOND_ORDER, drive=0.02)
    curve = in_units(driven, 0.05, 0.02).simulate(every=LAST, seeds=range(100)).load_curve
    match = fit_chain(curve, 0.05, chain=driven)
    assert match.chain.drive == 0.02
    assert match.residual < 0.003
    assert match.noise_interval[0] <= 0.02 <= match.noise_interval[1]
    assert fit_chain(curve, 0.05).residual > GOOD_MATCH


@pytest.mark.filterwarnings("ignore:no match")
def test_frictions_and_noises_stay_within_the_range_of_the_fit():
    for curve in (np.linspace(1, 0, 8) ** 6, 1 - np.linspace(0, 1, 8) ** 6):
        match = fit_chain(LoadCurve(curve), trajectories=2)
        assert 0 <= match.friction_interval[0] <= match.friction_interval[1] <= 0.2
        assert 0 <= match.friction <= 0.2
        assert 0.003 <= match.noise_interval[0] <= match.noise_interval[1] <= 0.2 + 1e-12
        assert 0.003 <= match.noise <= 0.2


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "curve: its end is not below its beginning"),
        ([1.0, 0.5, 0.2, 0.5, 0.7, 1.0], "curve: its end is not below its beginning"),
        ([3.0, 2.0, 1.0, 0.0], "curve: 3 layers; a fit of friction and noise needs at least 4"),
    ],
)
def test_curves_without_a_shape_are_refused(curve, message):
    with pytest.raises(ValueError, match=message):
        fit_chain(LoadCurve(curve))


def test_a_friction_out_of_range_is_refused():
    for friction in (-0.1, np.nan):
        with pytest.raises(ValueError, match=r"^friction=.*: give a finite number of at least"):
            fit_chain(FALLING, friction)


@pytest.mark.parametrize("points", [101, 1001])
def test_curves_of_too_many_layers_are_refused_at_once(points):
    with pytest.raises(
        ValueError, match=rf"curve: {points - 1} layers; a fit takes at most 50: ke"
    ):
        fit_chain(LoadCurve(np.linspace(1, 0, points)))


def test_a_chain_too_long_for_its_duration_is_a_poor_match_and_says_so():
    curve = LoadCurve(np.linspace(1, 0, 41))
    with pytest.warns(
        PoorMatch, match=r"no match: the .* by 0\.1..; the pull takes about 1\.7e\+03"
    ):
        short = fit_chain(curve, 0.002, trajectories=2)
    assert short.residual > GOOD_MATCH
    assert short.verdict == f"no match: the scaled curves differ by {short.residual:.3f}"
    patient = replace(SECOND_ORDER, noise_decay=0.0, friction_left=0.0003)
    long = fit_chain(curve, 0.002, chain=patient, duration=7000.0, trajectories=4)  # no warning
    assert long.verdict == f"a match: the scaled curves differ by {long.residual:.3f}"


def test_a_shape_that_no_chain_has_is_a_poor_match_and_says_so():
    with pytest.warns(PoorMatch, match="no match: .*; do not rely on it, or try another chain"):
        match = fit_chain(LoadCurve(np.linspace(1, 0, 8) ** 6), trajectories=2)
    assert match.residual > 0.1


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"duration": 1e6}, ValueError, "duration=1000000.0: too many steps for a fit to 5 layers"),
        ({"duration": np.nan}, ValueError, "duration=nan: give a positive finite number"),
        (
            {"duration": 1e-300},
            ValueError,
            "duration=1e-300: the pull has not moved the chain by th",
        ),
        ({"duration": 0}, ValueError, "duration=0: give a positive finite number"),
        (
            {"chain": replace(SECOND_ORDER, damping=1e-9)},
            ValueError,
            "damping=1e-09 .*more damping",
        ),
        ({"friction": []}, (TypeError, ValueError), "friction"),
        ({"chain": None}, TypeError, "chain: a NoneType; give a SpringBlockChain"),
        ({"trajectories": 0}, ValueError, "trajectories=0: give an integer of at least 1"),
        ({"trajectories": 10**19}, ValueError, "trajectories=1000.*: .* at most 1,000,000$"),
        ({"trajectories": 2.0}, ValueError, r"trajectories=2\.0: give an integer"),
        ({"trajectories": True}, ValueError, "trajectories=True: give an integer"),
    ],
)
def test_settings_out_of_range_are_named(settings, error, message):
    with pytest.raises(error, match=message):
        fit_chain(FALLING, **settings)


def test_what_is_no_load_curve_is_named():
    with pytest.raises(TypeError, match="curve: a list; give a LoadCurve"):
        fit_chain([2.0, 1.5, 1.1, 0.8, 0.6, 0.5])
