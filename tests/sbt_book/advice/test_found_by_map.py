"""How often the map is right: its findings are those of the library, and their rates are counts."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from sbt_book.advice.found_by_map import (
    deviations_of_grammars,
    is_faulty,
    map_rates,
    raised_by_condition,
    raised_by_map,
    rates_in_words,
    stress_of,
)
from sbt_book.advice.rates import GOAL_ALARMS
from sbt_utils.reporting import states
from sbt_utils.reporting.advice import SEVERITY
from sbt_utils.reporting.generalisation import DEVIATIONS
from sbt_utils.results import load

RESULTS = Path(__file__).parents[3] / "results"


@pytest.fixture(scope="module")
def networks():
    return load(RESULTS / "advice.nc").load()


def of(networks, condition, kind):
    chosen = (networks.condition == condition) & (networks.kind == kind)
    return networks.isel(network=chosen.values)


def test_a_map_is_that_of_the_draws(networks):
    network = of(networks, "one block idle", "mixer").isel(network=0)
    stress = stress_of(network)
    layers = len(stress.layers)
    draws = network.separation_train.transpose("draw", "layer").values[:, :layers]
    np.testing.assert_allclose(stress.train.separation, draws)
    assert stress.images == (1000, 1000)
    assert stress.classes == (10, 10)
    (idle,) = (advice for advice in stress.advice if advice.finding == "idle")
    assert idle.layers == tuple(f"l = {k}" for k in np.flatnonzero(network.planted == 1))


def test_dead_layers_have_no_d(networks):
    stress = stress_of(of(networks, "one block dead", "MLP").isel(network=0))
    assert set(stress.undefined.values()) == {"dead"}
    assert "dead" in [advice.finding for advice in stress.advice]


def test_few_samples_are_counted(networks):
    stress = stress_of(of(networks, "few samples", "sequence classifier").isel(network=0))
    assert stress.images == (96, 1000)
    assert stress.classes == (8, 8)


def test_rates_are_counts(networks):
    some = networks.isel(network=networks.kind.isin(["MLP", "mixer"]).values)
    rates = map_rates(some)
    found = raised_by_map(some)
    assert rates.index.tolist() == list(SEVERITY)
    idle = found["idle"].values[some.fault.values == "idle"]
    assert rates.detection_of["idle"] == len(idle) + 4  # and mixers with a dead branch
    healthy = some.fault.values == "healthy"
    alarms = int(found["overloaded"].values[healthy].sum())
    interval = binomtest(alarms, int(healthy.sum())).proportion_ci(method="exact")
    assert rates.alarms_of["overloaded"] == healthy.sum() == 36
    assert rates.loc["overloaded", ["alarms_low", "alarms_high"]].tolist() == [*interval]
    by_condition = raised_by_condition(some)
    assert by_condition.loc["healthy", "overloaded"] == pytest.approx(
        found["overloaded"].values[some.condition.values == "healthy"].mean()
    )


def test_faults_that_were_not_taken_on_count_as_none(networks):
    memorised = of(networks, "30 % random, memorised", "MLP").isel(network=[0])
    assert is_faulty(memorised, "overfitted").tolist() == [True]
    assert not is_faulty(memorised.assign(memorised=("network", [0.1])), "overfitted").any()
    dead = of(networks, "one block dead", "mixer")  # dead branches
    assert is_faulty(dead, "idle").all()
    assert not is_faulty(dead, "dead").any()


def test_right_labels_look_random_by_bad_luck_alone():
    deviations = deviations_of_grammars(range(20))
    assert np.flatnonzero(deviations > DEVIATIONS).tolist() == [1]
    assert 0.6 < deviations[[seed for seed in range(20) if seed != 1]].std() < 1.4


def test_rates_in_words(networks):
    text = rates_in_words(map_rates(networks.isel(network=(networks.kind == "MLP").values)))
    assert text.index.tolist() == ["dead", "unresolved", "overfitted", "idle", "overloaded"]
    assert text.loc["idle", "found"] == "100% (54% to 100%) of 6"
    assert text.loc["idle", "false alarms"] == "0% (0% to 19%) of 18"


def test_what_docstrings_say_of_rates_is_what_was_measured(networks):
    fresh = load(RESULTS / "advice_fresh.nc").load()
    first, later = (rates_in_words(map_rates(part)) for part in (networks, fresh))
    folder = Path(states.__file__).parent
    said = {name: " ".join((folder / f"{name}.py").read_text("utf-8").split())
            for name in ("states", "generalisation")}  # fmt: skip
    assert first.loc["overloaded", "found"] in said["states"]
    assert first.loc["overloaded", "false alarms"] in said["states"]
    assert later.loc["idle", "found"] in said["states"]
    assert later.loc["idle", "false alarms"] in said["states"]
    assert later.loc["overfitted", "found"] in said["generalisation"]
    assert later.loc["overfitted", "false alarms"] in said["generalisation"]


def test_what_reaches_the_goal_is_advice_and_the_rest_is_not(networks):
    fresh = load(RESULTS / "advice_fresh.nc").load()
    rates = map_rates(fresh)
    reached = (rates.detection >= 0.95) & (rates.alarms <= GOAL_ALARMS)
    kinds = {}
    for part in (networks, fresh):
        for number in range(0, part.sizes["network"], 7):
            stress = stress_of(part.isel(network=number))
            kinds |= {advice.finding: advice.kind for advice in stress.advice}
    for finding in ("dead", "idle", "overfitted", "overloaded", "reversed"):
        assert (kinds[finding] == "advice") == reached[finding]
