"""The steering experiment: its arms, and its tables against numbers worked out by hand."""

import json

import numpy as np
import pytest
import xarray as xr
from data_parts import parts

from sbt_book.common.committed import RESULTS
from sbt_book.steering import experiment as steering_experiment
from sbt_book.steering.experiment import Problem, compare, problem, replay, run
from sbt_book.steering.tables import (
    comparison_table,
    join,
    paired_difference,
    picked,
    select,
    variations_table,
)
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.probe import load_curve
from sbt_utils.results import load as load_results
from sbt_utils.training.controllers import DropoutController, Schedule
from sbt_utils.training.networks import CNN, MLP
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def small():
    data = load_data("mnist", train=360, test=60)
    return Problem(MLP(width=12, hidden_layers=3), data, 260, 20, {"learning_rate": 0.01})


@pytest.fixture(scope="module")
def compared(small):
    return compare(small, [3, 4])


def test_the_arms_train_for_as_long_with_the_dropout_they_name(compared):
    fixed = [arm for arm in compared.arm.values if arm.startswith("fixed")]
    assert [*fixed, "steered", "replayed"] == compared.arm.values.tolist()
    for arm in fixed:
        assert (compared.dropout.sel(arm=arm) == float(arm.split()[1])).all()
    assert compared.reading.values.tolist() == list(range(2, 21, 2))
    steered, replayed = (compared.dropout.sel(arm=arm) for arm in ("steered", "replayed"))
    # With two seeds, the mean of the others is the other.
    np.testing.assert_array_equal(replayed[0], steered[1])
    assert (steered > 0).any()


def test_a_run_reports_what_its_networks_do(small):
    result, data = run(small, Schedule((0.1,)), [5]), small.data
    (images, labels), tests = parts(data, 260)
    settings = {"learning_rate": 0.01, "epochs": 20, "progress": False}
    network = train(small.network, images, labels, seeds=5, dropout=0.1, **settings).network(0)
    curve = load_curve(network, images, labels)
    unseen = data.train_images[260:], data.train_labels[260:]
    validated = evaluate([network], *unseen).accuracy.item()
    tested = evaluate([network], *tests).accuracy.item()
    assert result.convexity_end.item() == pytest.approx(curve.convexity, abs=1e-9)
    assert result.accuracy_validation[0, -1].item() == validated
    assert result.accuracy_test.item() == tested


def test_the_problems_are_those_described():
    data = load_data("mnist", train=3560, test=10)
    mlp, cnn = (problem(kind, data) for kind in ("MLP", "CNN"))
    assert (mlp.images, mlp.epochs, cnn.images, cnn.epochs) == (2560, 100, 800, 40)
    assert isinstance(mlp.network, MLP)
    assert isinstance(cnn.network, CNN)
    assert cnn.network(data.test_images).shape == mlp.network(data.test_images).shape == (10, 10)
    for each in (mlp, cnn):
        assert each.epochs % steering_experiment.READINGS == 0
    with pytest.raises(ValueError, match="architecture='RNN': choose one of MLP, CNN"):
        problem("RNN", data)


def test_the_results_are_of_these_problems():
    saved = json.loads(load_results(RESULTS / "steering.nc").attrs["configuration"])
    stated = json.loads(json.dumps(steering_experiment.CONFIGURATION))
    assert {name: saved[name] for name in stated} == stated


def test_every_case_of_the_chapter_is_run_and_found_again(monkeypatch, small):
    monkeypatch.setattr(steering_experiment, "problem", lambda kind, data: small)
    monkeypatch.setattr(steering_experiment, "CHANGES", {"narrow": {"epochs": 30}})
    asked = []

    def runs(problem, controllers, seeds):
        asked.append((problem.epochs, list(controllers), len(seeds)))
        shape = len(controllers), len(seeds), 10
        readings = np.linspace(0, problem.epochs, 11)[1:]
        coordinates = {"arm": list(controllers), "seed": list(seeds), "reading": readings}
        return xr.Dataset(
            {"dropout": (("arm", "seed", "reading"), np.random.default_rng(0).random(shape))},
            coordinates,
        )

    monkeypatch.setattr(steering_experiment, "run_all", runs)
    arms = steering_experiment.ARMS
    monkeypatch.setattr(steering_experiment, "compare", lambda p, seeds: runs(p, arms, seeds))
    joined = steering_experiment.everything()
    assert [count for _, _, count in asked] == [10, 10, 10, 10, 10, 10, 5, 5]
    assert asked[-1] == (30, ["fixed 0", "fixed 0.1", "steered"], 5)
    assert select(joined, "CNN, cifar10").identical(runs(small, arms, range(10)))
    assert select(joined, "narrow").reading[-1] == 30


def test_variations_differ_from_the_default_in_one_respect():
    default = DropoutController()
    for arm, controller in steering_experiment.VARIATIONS.items():
        if arm.startswith("fixed"):
            continue
        changed = {n for n, value in vars(controller).items() if value != getattr(default, n)}
        word = {"start": {"memory"}, "target": {"target"}, "gains": {"gain", "integral_gain"}}
        assert changed == (set() if arm == "start 0" else word[arm.split()[0]])


def test_cases_come_back_as_they_were_joined(compared):
    parts = {"first": compared, "second": compared.isel(arm=[0, 4], seed=[1])}
    joined = join(parts)
    assert joined.sizes["run"] == compared.sizes["arm"] * 2 + 2
    for case, part in parts.items():
        back = select(joined, case)
        xr.testing.assert_allclose(back, part.transpose("arm", "seed", ...))
        assert back.arm.values.tolist() == part.arm.values.tolist()


def test_the_interval_is_that_of_means_of_drawn_pairs():
    rng = np.random.default_rng(1)
    first, second = rng.normal(1, 1, 12), rng.normal(0, 1, 12)
    mean, low, high = paired_difference(first, second)
    means = [np.mean(rng.choice(first - second, 12)) for _ in range(20_000)]
    assert mean == pytest.approx((first - second).mean())
    assert (low, high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.02)
    assert paired_difference(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == (1, 1, 1)


def test_a_replay_averages_the_others():
    dropout = [[0.0, 0.1], [0.0, 0.2], [0.0, 0.4]]
    schedules = replay(xr.Dataset({"dropout": (("seed", "reading"), dropout)}))
    assert [schedule.levels for schedule in schedules] == [
        pytest.approx((0, level)) for level in (0.3, 0.25, 0.15)
    ]


def test_a_search_with_one_network_each_takes_the_best_of_a_seed():
    validated = [[[0.9], [0.7]], [[0.8], [0.8]], [[1.0], [1.0]]]
    compared = xr.Dataset(
        {
            "accuracy_validation": (("arm", "seed", "reading"), validated),
            "accuracy_test": (("arm", "seed"), [[0.91, 0.92], [0.93, 0.94], [0.5, 0.5]]),
        },
        {"arm": ["fixed 0", "fixed 0.1", "steered"], "seed": [0, 1]},
    )
    assert picked(compared).values.tolist() == [0.91, 0.94]


def test_an_unknown_case():
    with pytest.raises(ValueError, match="case='letters': choose one of digits"):
        select(xr.Dataset(coords={"case": ("run", ["digits"])}), "letters")


def test_the_table_says_who_is_best_how_soon_and_at_what_cost():
    arms = ["fixed 0", "fixed 0.1", "steered", "replayed"]
    validated = np.array(
        [
            [[0.5, 0.6], [0.5, 0.8]],  # without dropout: 0.7 in the end
            [[0.5, 0.8], [0.7, 0.9]],
            [[0.7, 0.7], [0.8, 0.9]],
            [[0.1, 0.2], [0.1, 0.9]],
        ]
    )
    tested = np.array([[0.60, 0.70], [0.80, 0.82], [0.81, 0.85], [0.5, 0.5]])
    case = xr.Dataset(
        {
            "accuracy_validation": (("arm", "seed", "reading"), validated),
            "accuracy_test": (("arm", "seed"), tested),
        },
        {"arm": arms, "seed": [0, 1], "reading": [10, 20]},
    )
    table = comparison_table({"digits": case}).set_index("dropout")
    names = "no dropout | best fixed 0.1 | best of one network each | steered | replayed"
    assert " | ".join(table.index) == names
    assert table["test accuracy, %"]["steered"] == "83.0 ± 2.8"
    points = "-16.0 (-20.0 to -12.0) |  |  | +2.0 (+1.0 to +3.0) | -31.0 (-32.0 to -30.0)"
    assert " | ".join(table["points above best fixed"]) == points
    epochs = "20 (1 of 2) | 15 (2 of 2) |  | 10 (2 of 2) | 20 (1 of 2)"
    assert " | ".join(table["epochs to reach"]) == epochs
    assert table["cost, epochs"].tolist() == ["20", "100", "40", "20", "40"]


def test_the_variations_are_averaged_over_seeds(compared):
    table = variations_table(compared).set_index("controller")
    accuracy = 100 * compared.accuracy_test.sel(arm="steered").values
    mean, spread = accuracy.mean(), accuracy.std(ddof=1)
    assert table["test accuracy, %"]["steered"] == f"{mean:.1f} ± {spread:.1f}"
    assert table["final dropout"]["fixed 0.2"] == "0.20"
