"""The rules for what stands out, exactly at their edges."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from sbt_utils.measuring.curves import REGIME_TOLERANCE, LoadCurve, interval, load_draws, shares
from sbt_utils.reporting.advice import PERCEPTRON, SEVERITY, advise
from sbt_utils.reporting.generalisation import OVERFITTED
from sbt_utils.reporting.states import (
    BARELY_USED,
    IDLE,
    OVERLOADED,
    ROUNDING,
    layer_states,
    resolved_shares,
)
from sbt_utils.results import load

RESULTS = Path(__file__).parents[3] / "results"
STEP = 2.0**-10  # a difference that is exact in binary


def curve(loads, spread=0.0):
    """Return a curve of given loads, each of which varies by ± spread in its draws by itself."""
    loads = np.asarray(loads, float)
    draws = [loads]
    for layer in range(len(loads)):
        for sign in (1, -1):
            draws += [loads + sign * spread * (np.arange(len(loads)) == layer)] * 2
    falls = np.cumsum(np.array(draws), axis=1)
    start = 8.0
    return LoadCurve(np.column_stack([np.full(len(draws), start), start - falls]))


def findings(*curves, **known):
    return [advice.finding for advice in advise(*curves, **known)]


# Numbers -------------------------------------------------------------------------------------


def test_loads_shares_and_intervals():
    one = curve([2, 1, 1], spread=0.5)
    np.testing.assert_array_equal(one.loads, [2, 1, 1])
    np.testing.assert_array_equal(shares(one), [0.5, 0.25, 0.25])
    low, high = interval(load_draws(one))
    np.testing.assert_array_equal([low, high], [[1.5, 0.5, 0.5], [2.5, 1.5, 1.5]])
    assert np.isnan(shares(curve([-1, 0.5, 0.5]))).all()


@pytest.fixture(scope="module")
def published():
    """Return the loads of published networks, (noise, slope, seed, layer), and their results."""
    diagram = load(RESULTS / "dropout.nc")
    loads = {part: -np.diff(diagram[f"separation_{part}"]) for part in ("train", "test")}
    return loads, diagram


def test_thresholds_set_the_published_networks_apart(published):
    loads, diagram = published
    states = []
    for slope in (0, 1):
        networks = diagram.sel(slope=slope)
        curves = (networks[f"separation_{part}"].values.reshape(-1, 8) for part in loads)
        pairs = zip(*curves, strict=True)
        states.append([layer_states(LoadCurve(train), LoadCurve(test)) for train, test in pairs])
    over, idle = (
        [np.mean([state in network for network in networks]) for networks in states]
        for state in ("overloaded", "barely used")
    )
    np.testing.assert_allclose(over, [0.01, 0.96], atol=0.005)
    np.testing.assert_allclose(idle, [0, 0.54], atol=0.005)
    kept = loads["test"].sum(axis=-1) / loads["train"].sum(axis=-1)
    np.testing.assert_allclose([kept.min(), kept.max()], [0.60, 0.94], atol=0.005)
    assert kept.min() > OVERFITTED
    gap = diagram.accuracy_train - diagram.accuracy_test
    assert spearmanr(kept.ravel(), gap.values.ravel()).statistic == pytest.approx(-0.85, abs=0.005)


# States --------------------------------------------------------------------------------------


def test_overloaded_from_so_many_even_shares_on():
    even = 1.0
    rest = (4 - OVERLOADED * even) / 3
    assert layer_states(curve([rest, rest, rest, OVERLOADED])) == ["", "", "", "overloaded"]
    less = (4 - OVERLOADED + STEP) / 3
    assert layer_states(curve([less, less, less, OVERLOADED - STEP])) == [""] * 4


def test_layers_without_a_load_do_not_overload_the_others():
    # Three of seven layers of little use: an even share of all is 4/7, twice of it 8/7.
    little = 0.01
    states = layer_states(curve([1.2, 0.9, little, little, little, 0.9, 1]))
    assert states == ["", "", *["barely used"] * 3, "", ""]
    # As many times what the other used layers carry on average, here 1.
    most = OVERLOADED * 1
    assert layer_states(curve([most, 1, little, little, 0, 1, 1]))[0] == "overloaded"
    assert layer_states(curve([most - STEP, 1, little, little, 0, 1, 1]))[0] == ""
    assert layer_states(curve([0, little, 1])) == ["idle", "barely used", "overloaded"]


def test_overloaded_only_if_surely_above_an_even_share():
    # A draw of the last load at 3 - s leaves an even share of (6 - s) / 4 : equal at s = 2.
    assert layer_states(curve([1, 1, 1, 3], spread=2 - STEP))[3] == "overloaded"
    assert layer_states(curve([1, 1, 1, 3], spread=2))[3] != "overloaded"


def test_overloaded_only_if_the_load_is_surely_larger_than_on_unseen_images():
    train = curve([1, 1, 1, 5])
    assert layer_states(train, curve([1, 1, 1, 5]))[3] == ""
    assert layer_states(train, curve([1, 1, 1, 5 - STEP]))[3] == "overloaded"
    assert layer_states(train, curve([-1, 0, 0, 4], spread=1 - STEP))[3] == "overloaded"
    assert layer_states(train, curve([-1, 0, 0, 4], spread=1))[3] == ""


@pytest.mark.parametrize("sign", [1, -1])
def test_barely_used_up_to_a_part_of_an_even_share_however_sure(sign):
    part = sign * BARELY_USED
    rest = (4 - part) / 3
    assert layer_states(curve([part, rest, rest, rest]))[0] == "barely used"
    part += sign * STEP
    rest = (4 - part) / 3
    assert layer_states(curve([part, rest, rest, rest]))[0] == ("" if sign > 0 else "reversed")


def test_barely_used_is_not_told_from_zero_but_surely_below_an_even_share():
    # The even share is 1; the spread of the first load moves it by a quarter.
    loads = [0.25, 1.25, 1.25, 1.25]
    assert layer_states(curve(loads, spread=0.25 - STEP))[0] == ""
    assert layer_states(curve(loads, spread=0.25))[0] == "barely used"
    assert layer_states(curve(loads, spread=1 - STEP))[0] == "barely used"
    assert layer_states(curve(loads, spread=1))[0] == "unclear"


def test_idle_if_no_draw_has_a_load():
    assert layer_states(curve([1, 0, 0, 1, 1])) == ["", "idle", "idle", "", ""]
    for sign in (1, -1):  # an even share is next to 1
        for part, state in ((0.99, "idle"), (1.01, "barely used")):
            assert layer_states(curve([sign * part * IDLE, 4 / 3, 4 / 3, 4 / 3]))[0] == state
    # One draw with a load is enough; so are unseen inputs.
    assert layer_states(curve([0, 1.5, 1.5], spread=2 * IDLE))[0] == "barely used"
    assert layer_states(curve([0, 1.5, 1.5]), curve([0.1, 1, 1]))[0] == "barely used"
    assert layer_states(curve([0, 1.5, 1.5]), curve([0, 1, 1]))[0] == "idle"


def test_idle_layers_are_named_where_d_does_not_fall_at_all():
    assert layer_states(curve([0, 0.9 * ROUNDING, -0.9 * ROUNDING])) == ["idle"] * 3
    assert layer_states(curve([0, 0.5, -0.5])) == ["idle", "", ""]
    assert findings(curve([0, 0, 0])) == ["unresolved", "idle"]


def test_reversed_if_surely_below_zero():
    assert layer_states(curve([2, -1, 2, 2], spread=1 - STEP)) == ["", "reversed", "", ""]
    assert layer_states(curve([2, -1, 2, 2], spread=1)) == ["", "barely used", "", ""]


def test_a_curve_that_does_not_fall_has_no_states():
    assert layer_states(curve([1, -1, -STEP])) == ["", "", ""]


def test_a_curve_that_does_not_surely_fall_has_neither_states_nor_shares():
    # The draws of the whole fall, 4, go down to 4 - spread.
    sure, unsure = (curve([6, -3, 1], spread=spread) for spread in (4 - STEP, 4))
    assert "overloaded" in layer_states(sure)
    assert layer_states(unsure) == ["", "", ""]
    np.testing.assert_array_equal(resolved_shares(sure), [1.5, -0.75, 0.25])
    assert np.isnan(resolved_shares(unsure)).all()
    assert "overloaded" in findings(sure)
    assert findings(unsure) == ["unresolved"]


# Advice --------------------------------------------------------------------------------------


def bent(convexity, spread=0.0):
    """Two layers: the convexity is that of the middle point alone."""
    return curve([2 + 4 * convexity, 2 - 4 * convexity], spread)


@pytest.mark.parametrize(("sign", "finding"), [(1, "active"), (-1, "lazy")])
def test_the_shape_is_named_outside_the_tolerance(sign, finding):
    assert findings(bent(sign * (REGIME_TOLERANCE + STEP))) == [finding]
    assert findings(bent(sign * (REGIME_TOLERANCE - STEP))) == []
    # Regime beyond doubt or none: an interval that reaches over the edge is no ground for advice.
    assert findings(bent(sign * 0.1, spread=0.2)) == [finding]
    assert findings(bent(sign * 0.1, spread=0.4)) == []


def test_what_the_theory_suggests_for_the_shape():
    (lazy,), (active,) = (advise(bent(sign * 0.2), network=PERCEPTRON) for sign in (-1, 1))
    assert "More noise" in lazy.text
    assert "less nonlinear" in lazy.text
    assert "Less noise" in active.text
    assert "more nonlinear" in active.text
    assert lazy.evidence == "convexity -0.200 (-0.200 to -0.200), threshold 0.05 either way"
    assert lazy.basis == active.basis
    assert "perceptrons" in lazy.basis


@pytest.mark.parametrize("sign", [1, -1])
def test_no_noise_is_suggested_for_networks_in_which_it_was_not_measured(sign):
    (shape,) = advise(bent(sign * 0.2))
    assert "was not measured in this kind of network" in shape.text
    assert "dropout" not in shape.text
    assert shape.kind == "observation"
    overloaded = curve([1, 1, 1, 5])
    for network in ("", PERCEPTRON):
        found = {each.finding: each for each in advise(overloaded, network=network)}
        assert ("noise" in found["overloaded"].text) == (network == PERCEPTRON)
        unseen = curve([0.25, 0.25, 0.25, 0.25])
        found = {
            each.finding: each for each in advise(curve([1, 1, 1, 1.5]), unseen, network=network)
        }
        assert ("dropout" in found["overfitted"].text) == (network == PERCEPTRON)


def test_overfitted_below_a_part_of_the_fall():
    train = curve([1, 1, 1, 1])
    unseen = np.array([1, 1, 1, 1]) * OVERFITTED
    assert findings(train, curve(unseen)) == []
    less = unseen - STEP
    assert findings(train, curve(less)) == ["overfitted"]
    assert findings(train, curve(less - 0.125, spread=0.25)) == ["overfitted"]
    assert findings(train, curve(less - 0.125, spread=0.75)) == []
    (advice,) = advise(train, curve([0.25, 0.25, 0.25, 0.25]))
    assert advice.evidence == (
        "D falls by 4.00 on the training inputs, by 1.00 on unseen ones: 0.25 (0.25 to 0.25) of "
        "it, threshold 0.5"
    )
    assert advice.kind == "advice"


def test_no_more_noise_is_suggested_for_an_active_curve():
    train = curve([3, 0.75, 0.5])
    found = advise(train, curve([0.75, 0.25, 0.125]), network=PERCEPTRON)
    assert [each.finding for each in found] == ["overfitted", "overloaded", "active"]
    assert "noise" not in found[0].text


def test_layers_are_named_with_their_evidence():
    train = curve([1, 0.01, 1, 0.01, 5.98])
    names = ("images", "stem", "block1", "block2", "block3", "block4")
    train = LoadCurve(train.separation, layers=names)
    unseen = curve([1, 0.01, 1, 0.01, 3.98])
    advice = {each.finding: each for each in advise(train, unseen)}
    assert set(advice) == {"lazy", "overloaded", "barely used"}
    assert advice["barely used"].layers == ("block1", "block3")
    assert "block1, block3" in advice["barely used"].text
    assert advice["overloaded"].layers == ("block4",)
    alone = {each.finding: each for each in advise(train)}
    assert alone["overloaded"].evidence == (
        "loads block4: 5.98 (5.98 to 5.98), 75% of the fall; an even share is 20% (at least 2 even "
        "shares; no unseen data to compare with)"
    )
    assert advice["overloaded"].evidence == (
        "loads block4: 5.98 (5.98 to 5.98), 75% of the fall, 66% on unseen data; an even share is "
        "20% (at least 2 even shares; more than on unseen data)"
    )


def test_layers_without_names_go_by_their_number():
    advice = advise(curve([1, 0, 1, 1, 1]))
    assert [each.layers for each in advice if each.finding == "idle"] == [("l = 2",)]


def test_a_curve_that_does_not_fall():
    (advice,) = advise(curve([1, -1, 0], spread=0.5))
    assert advice.finding == "unresolved"
    assert "falls by 0.00 (-0.50 to 0.50)" in advice.evidence
    assert findings(curve([1, -1, 0]), curve([1, 1, 1])) == ["unresolved"]
    (unsure,) = advise(curve([0.5, 0.125], spread=1))
    assert "unless the network is untrained" in unsure.text
    assert unsure.evidence == "D falls by 0.62 (-0.38 to 1.62) in all"


def test_findings_come_in_order_of_severity():
    known = {"undefined": {"a": "collapsed", "b": "dead"}, "sizes": [(20, 10), (20, 10)]}
    found = advise(curve([-0.5, 0, 6, 0.125]), curve([-0.5, 0, 1, -0.5]), **known)
    names = [each.finding for each in found]
    assert names == sorted(names, key=SEVERITY.index)
    assert names[:4] == ["dead", "few samples", "overfitted", "idle"]
    kinds = [each.kind for each in found]
    assert kinds[:4] == ["advice"] * 4
    assert set(kinds[4:]) == {"observation"}


def test_an_even_network_has_a_clean_bill():
    assert advise(curve([1, 1, 1, 1], spread=0.125)) == ()
    assert advise(curve([1, 1, 1, 1], spread=0.125), curve([0.75, 0.75, 0.75, 0.75])) == ()


def test_few_samples_tell_nothing_of_their_labels():
    rng = np.random.default_rng(0)
    train, test = (
        LoadCurve(np.array([first, 0.4, 0.0]) + 1e-3 * rng.standard_normal((100, 3)))
        for first in (0.9, 0.5)
    )
    many, few = ([(samples, 10), (1000, 10)] for samples in (1000, 40))
    assert "random" in " ".join(advice.evidence for advice in advise(train, test, sizes=many))
    found = advise(train, test, sizes=few)
    assert found[0].finding == "few samples"
    assert "random" not in " ".join(advice.evidence for advice in found)
