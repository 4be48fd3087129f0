"""The rules for what stands out, exactly at their edges."""

from pathlib import Path

import numpy as np
import pytest

from sbt_utils.measuring.curves import REGIME_TOLERANCE, LoadCurve, interval, load_draws, shares
from sbt_utils.reporting.advice import PERCEPTRON, SEVERITY, advise, shape
from sbt_utils.reporting.generalisation import NOT_REPEATED, lost_part
from sbt_utils.reporting.states import (
    IDLE,
    OVERLOADED,
    REVERSED,
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


def test_few_published_networks_stand_out_but_linear_ones(published):
    loads, diagram = published
    over = []
    for slope in (0, 1):
        networks = diagram.sel(slope=slope)
        curves = (networks[f"separation_{part}"].values.reshape(-1, 8) for part in loads)
        pairs = zip(*curves, strict=True)
        states = [layer_states(LoadCurve(train), LoadCurve(test)) for train, test in pairs]
        over.append(np.mean(["overloaded" in network for network in states]))
    np.testing.assert_allclose(over, [0, 0], atol=0.005)
    assert lost_part(loads["train"], loads["test"]).max() < NOT_REPEATED


# States --------------------------------------------------------------------------------------


def test_overloaded_from_such_a_lead_on():
    for ahead, state in ((OVERLOADED + STEP, "overloaded"), (OVERLOADED - STEP, "")):
        rest = (1 - ahead) / 4
        assert layer_states(curve([rest, rest, rest, rest + ahead])) == ["", "", "", state]
    # Two that do it all together are not.
    assert layer_states(curve([0.125, 4, 4, 0.125])) == [""] * 4
    # What others undo counts, too.
    assert layer_states(curve([4, -2, 1]))[0] == ""


def test_overloaded_only_if_surely_above_an_even_share():
    # A draw of the last load at 9 - s leaves an even share of (12 - s) / 4: equal at s = 8.
    assert layer_states(curve([1, 1, 1, 9], spread=8 - STEP))[3] == "overloaded"
    assert layer_states(curve([1, 1, 1, 9], spread=8))[3] != "overloaded"


def test_idle_if_the_load_is_surely_next_to_none():
    assert layer_states(curve([1, 0, 0, 1, 1])) == ["", "idle", "idle", "", ""]
    for sign in (1, -1):  # an even share is next to 1
        for part, state in ((0.9, "idle"), (1.1, "")):
            assert layer_states(curve([sign * part * IDLE, 4 / 3, 4 / 3, 4 / 3]))[0] == state
    # The interval counts; so do unseen inputs.
    assert layer_states(curve([0, 1.5, 1.5], spread=2 * IDLE))[0] == ""
    assert layer_states(curve([0, 1.5, 1.5]), curve([0.1, 1, 1]))[0] == ""
    assert layer_states(curve([0, 1.5, 1.5]), curve([0, 1, 1]))[0] == "idle"


def test_idle_layers_are_named_where_d_does_not_fall_at_all():
    assert layer_states(curve([0, 0.9 * ROUNDING, -0.9 * ROUNDING])) == ["idle"] * 3
    assert layer_states(curve([0, 0.5, -0.5])) == ["idle", "", ""]
    assert findings(curve([0, 0, 0])) == ["unresolved", "idle"]


def test_reversed_if_d_surely_rises_by_some_of_the_fall():
    assert layer_states(curve([2, -1, 2, 2], spread=1 - STEP)) == ["", "reversed", "", ""]
    assert layer_states(curve([2, -1, 2, 2], spread=1)) == [""] * 4
    back = REVERSED * 4  # the loads of a fall of 4
    for step, state in ((STEP, "reversed"), (-STEP, "")):
        rest = (4 + back + step) / 3
        assert layer_states(curve([rest, rest, rest, -back - step]))[3] == state


def test_unclear_between_nothing_and_an_even_share():
    # The even share is 1; the spread of the first load moves it by a quarter.
    loads = [0.25, 1.25, 1.25, 1.25]
    assert layer_states(curve(loads, spread=1 - STEP))[0] == ""
    assert layer_states(curve(loads, spread=1))[0] == "unclear"


def test_a_curve_that_does_not_fall_has_no_states():
    assert layer_states(curve([1, -1, -STEP])) == ["", "", ""]


def test_a_curve_that_does_not_surely_fall_has_neither_states_nor_shares():
    # The draws of the whole fall, 4, go down to 4 - spread.
    sure, unsure = (curve([7, -2, -1], spread=spread) for spread in (4 - STEP, 4))
    assert "overloaded" in layer_states(sure)
    assert layer_states(unsure) == ["", "", ""]
    np.testing.assert_array_equal(resolved_shares(sure), [1.75, -0.5, -0.25])
    assert np.isnan(resolved_shares(unsure)).all()
    assert "overloaded" in findings(sure)
    assert findings(unsure) == ["unresolved"]


# Advice --------------------------------------------------------------------------------------


def bent(convexity, spread=0.0):
    """Two layers: the convexity is that of the middle point alone."""
    return curve([2 + 4 * convexity, 2 - 4 * convexity], spread)


@pytest.mark.parametrize(("sign", "part"), [(1, "shallow"), (-1, "deep")])
def test_a_bent_curve_is_described_and_no_finding(sign, part):
    train = bent(sign * (REGIME_TOLERANCE + STEP))
    assert findings(train) == []
    assert shape(train, "").startswith(f"the {part} layers do most")
    assert shape(bent(sign * (REGIME_TOLERANCE - STEP)), PERCEPTRON) == ""
    assert shape(curve([-1, -2]), PERCEPTRON) == shape(None, PERCEPTRON) == ""


def test_what_the_theory_suggests_for_the_shape():
    lazy, active = (shape(bent(sign * 0.2), PERCEPTRON) for sign in (-1, 1))
    assert "in perceptrons, more noise" in lazy
    assert "less nonlinear" in lazy
    assert "in perceptrons, less noise" in active
    assert "more nonlinear" in active


@pytest.mark.parametrize("sign", [1, -1])
def test_no_noise_is_suggested_for_networks_in_which_it_was_not_measured(sign):
    assert "would change is not known" in shape(bent(sign * 0.2), "")
    overloaded = curve([1, 1, 1, 7])
    for network in ("", PERCEPTRON):
        found = {each.finding: each for each in advise(overloaded, network=network)}
        assert ("noise" in found["overloaded"].text) == (network == PERCEPTRON)


def test_overfitted_above_a_part_that_is_not_repeated():
    train = curve([1, 1, 1, 1])
    unseen = np.array([1, 1, 1, 1]) * (1 - NOT_REPEATED)
    assert findings(train, curve(unseen + STEP)) == []
    assert findings(train, curve(unseen - STEP)) == ["overfitted"]
    # The interval counts, and what a layer does more for unseen inputs makes up for nothing.
    assert findings(train, curve(unseen - 0.0625, spread=1.5)) == []
    assert findings(train, curve([4, 0, 0, 0])) == ["overfitted"]
    assert findings(curve([4, 0.25, 0.25]), curve([4, -0.5, -0.5])) == ["overloaded"]
    (advice,) = advise(train, curve([0.25, 0.25, 0.25, 0.25]))
    assert advice.evidence == (
        "75% (75% to 75%) of the fall on the training inputs is not repeated on unseen ones, "
        "layer by layer; threshold 55%"
    )
    assert advice.kind == "observation"


def test_the_part_that_is_lost():
    assert lost_part(np.array([1.0, 3]), np.array([2.0, 1])) == 0.5
    assert lost_part(np.array([1.0, 1, -5]), np.array([-1.0, 1, 5])) == 1.0
    many = lost_part(np.array([[1.0, 1], [2, 2]]), np.array([[1.0, 1], [1, 0]]))
    assert many.tolist() == [0, 0.75]


def test_layers_are_named_with_their_evidence():
    names = ("images", "stem", "block1", "block2", "block3", "block4")
    train = LoadCurve(curve([1, 0, 1, 0, 6]).separation, layers=names)
    unseen = curve([1, 0, 1, 0, 4])
    advice = {each.finding: each for each in advise(train, unseen)}
    assert set(advice) == {"idle", "overloaded"}
    assert advice["idle"].layers == ("block1", "block3")
    assert "block1, block3" in advice["idle"].text
    assert advice["overloaded"].layers == ("block4",)
    alone = {each.finding: each for each in advise(train)}
    assert alone["overloaded"].evidence == (
        "loads block4: 6.00 (6.00 to 6.00), 75% of the fall; an even share is 20% (50% of the sum "
        "of all loads more than any other layer)"
    )
    assert advice["overloaded"].evidence == (
        "loads block4: 6.00 (6.00 to 6.00), 75% of the fall, 67% on unseen data; an even share is "
        "20% (50% of the sum of all loads more than any other layer)"
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
    assert kinds[:4] == ["advice", "advice", "observation", "advice"]
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
