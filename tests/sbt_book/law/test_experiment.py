"""The law across networks: against training and measuring the same networks by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from data_parts import parts

from sbt_book.law.experiment import (
    LEARNING_RATES,
    Kind,
    linearity,
    linearity_of,
    linearity_table,
    uneven_classes,
)
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

NAMES = ["linearity_trace", "linearity_fuzziness", "accuracy_test"]


@pytest.fixture(scope="module")
def digits():
    return load_data("mnist", train=60, test=50)


pytestmark = pytest.mark.usefixtures("one_thread")


def network():
    return MLP(width=12, hidden_layers=3)


def test_learning_rates():
    assert set(LEARNING_RATES) == {"sgd", "momentum", "adam"}
    for rates in LEARNING_RATES.values():
        assert len(set(rates)) > 1
        assert all(rate > 0 for rate in rates)


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_linearity_equals_training_each_network_by_itself(digits, optimizer):
    seeds = [3, 5]
    result = linearity(network(), digits, optimizer, seeds, epochs=2, batch_size=20)
    assert sorted(result) == sorted(NAMES)
    assert result.learning_rate.values.tolist() == list(LEARNING_RATES[optimizer])
    assert result.seed.values.tolist() == seeds
    training, _ = parts(digits)
    for rate in LEARNING_RATES[optimizer]:
        for seed in seeds:
            settings = {"seeds": seed, "learning_rate": rate, "optimizer": optimizer}
            settings |= {"batch_size": 20, "epochs": 2, "progress": False}
            alone = train(network(), *training, **settings).network(0)
            cell = result.sel(learning_rate=rate, seed=seed)
            with torch.no_grad():
                right = (alone(digits.test_images).argmax(1) == digits.test_labels).sum().item()
            assert cell.accuracy_test.item() == pytest.approx(right / 50, abs=1e-12)
            for measure in ("trace", "fuzziness"):
                curve = evaluate([alone], *training, measure).separation[0].values
                pearson = np.corrcoef(range(4), curve)[0, 1]
                assert cell[f"linearity_{measure}"].item() == pytest.approx(pearson, abs=1e-9)
                assert LoadCurve(curve).linearity == pytest.approx(pearson)


def test_batches_are_no_larger_than_the_training_set(digits):
    found = linearity(network(), digits, "adam", [0], epochs=1, batch_size=128)
    full = linearity(network(), digits, "adam", [0], epochs=1, batch_size=60)
    xr.testing.assert_equal(found, full)


def test_a_collapsed_network_is_nan_and_leaves_the_others_alone(digits, monkeypatch):
    monkeypatch.setitem(LEARNING_RATES, "sgd", (0.1,))
    healthy = linearity(network(), digits, "sgd", [0], epochs=1)
    monkeypatch.setitem(LEARNING_RATES, "sgd", (0.1, 1e30))
    both = linearity(network(), digits, "sgd", [0], epochs=1)
    xr.testing.assert_equal(both.isel(learning_rate=[0]), healthy)
    collapsed = both.isel(learning_rate=1, seed=0)
    assert np.isnan(collapsed.linearity_trace)
    assert np.isnan(collapsed.linearity_fuzziness)
    assert 0 <= collapsed.accuracy_test <= 1
    both = both.assign(accuracy_test=both.accuracy_test + 0.5)
    table = linearity_table([{}], [both.isel(seed=[0, 0])])
    assert not table["|r|, any rate"].str.contains("nan").any()


def test_an_unknown_optimizer(digits):
    with pytest.raises(ValueError, match="optimizer='newton': choose one of"):
        linearity(network(), digits, "newton", [0])


# Kinds ---------------------------------------------------------------------------------------


def test_linearity_of_trains_what_the_kind_says():
    kind = Kind(
        layers=3, width=12, optimizer="adam", images=60, epochs=2, learning_rates=(0.002, 0.01)
    )
    found = linearity_of(kind, [3, 5])
    assert found.learning_rate.values.tolist() == [0.002, 0.01]
    data = load_data("mnist", train=60)
    assert found.source.item() == data.source
    training, _ = parts(data)
    for rate in kind.learning_rates:
        settings = {"learning_rate": rate, "batch_size": 60, "epochs": 2, "progress": False}
        alone = train(network(), *training, seeds=[3, 5], **settings)
        curves = evaluate(alone.networks, *training).separation.values
        pearson = [np.corrcoef(range(4), curve)[0, 1] for curve in curves]
        assert found.linearity_trace.sel(learning_rate=rate).values == pytest.approx(pearson)


def test_a_kind_says_which_data_it_is_measured_on(digits):
    asked = []

    def loader(name, images):
        asked.append((name, images))
        return replace(
            load_data("gaussian_mixture", train=images, test=20, size=4), source="a loader"
        )

    kind = Kind(layers=2, width=8, data="anything", images=120, epochs=1, learning_rates=(0.01,))
    assert linearity_of(kind, [0], loader=loader).source.item() == "a loader"
    linearity_of(replace(kind, class_ratio=2.0), [0], loader=loader)
    assert asked == [("anything", 120), ("anything", 5000)]


@pytest.mark.parametrize(("ratio", "images"), [(1, 300), (3, 301), (10, 299), (2.5, 400)])
def test_uneven_classes(ratio, images):
    data = load_data("gaussian_mixture", train=1500, test=10, size=3)
    chosen = uneven_classes(data, ratio, images)
    sizes = np.bincount(chosen.train_labels, minlength=10)
    assert sizes.sum() == images
    # The fractions of a geometric series, each rounded to a whole image.
    exact = ratio ** (-np.arange(10) / 9)
    assert sizes == pytest.approx(images * exact / exact.sum(), abs=1)
    for label in range(10):
        first = data.train_images[data.train_labels == label][: sizes[label]]
        torch.testing.assert_close(chosen.train_images[chosen.train_labels == label], first)
    assert chosen.test_images is data.test_images
    # In the order of the data set: no class comes first.
    assert len(set(chosen.train_labels[:20].tolist())) > 4


@pytest.mark.parametrize(
    ("ratio", "images", "message"),
    [
        (0.5, 100, "ratio=0.5: give the largest class over the smallest, at least 1"),
        (float("nan"), 100, "ratio=nan: give"),
        (10, 500, "images=500: of class 0, 122 images are wanted and 100 are there"),
        (1000, 400, "images=400: of class 0, 214 images are wanted"),
        (100, 100, "images=100: of class 7, 1 images are wanted and 100 are there"),
    ],
)
def test_classes_that_cannot_be_so_uneven(ratio, images, message):
    data = load_data("gaussian_mixture", train=1000, test=10, size=3)
    with pytest.raises(ValueError, match=message):
        uneven_classes(data, ratio, images)


# The table -----------------------------------------------------------------------------------


def result(trace, fuzziness, accuracy):
    dims = ("learning_rate", "seed")
    values = dict(zip(NAMES, (trace, fuzziness, accuracy), strict=True))
    rates = [0.0003, 0.001, 0.1][: len(accuracy)]
    return xr.Dataset({k: (dims, v) for k, v in values.items()}, {"learning_rate": rates})


def test_linearity_table():
    first = result(
        trace=[[-0.9, -0.9], [-0.99, -0.97], [-1, -1]],
        fuzziness=[[-0.5, -0.7], [-0.8, -0.8], [-0.95, -0.97]],
        # The best mean, though not the best network, at the second rate.
        accuracy=[[0.5, 0.99], [0.875, 0.877], [0.9, 0.8]],
    )
    # A curve that rises: the magnitude of its r, as in the paper of the law.
    second = result([[0.25, 0.25]], [[0.5, 0.5]], [[0.1, 0.1]])
    table = linearity_table([{"width": 50, "depth": 4}, {"width": 9, "depth": 2}], [first, second])
    measures = ["|r|, trace", "|r|, fuzziness", "|r|, any rate"]
    assert table.columns.tolist() == ["width", "depth", "rate", *measures, "accuracy"]
    assert table.values.tolist() == [
        [50, 4, "0.001", "0.980 ± 0.014", "0.800 ± 0.000", "0.600 to 0.960", "87.6%"],
        [9, 2, "0.0003", "0.250 ± 0.000", "0.500 ± 0.000", "0.500 to 0.500", "10.0%"],
    ]


def test_the_table_leaves_its_arguments_alone_and_takes_one_result_a_kind():
    kind, one = {"width": 50}, result([[-0.9, -0.8]], [[-0.9, -0.8]], [[0.5, 0.5]])
    before = one.copy(deep=True)
    linearity_table([kind], [one])
    assert kind == {"width": 50}
    xr.testing.assert_identical(one, before)
    with pytest.raises(ValueError, match="zip"):
        linearity_table([kind, kind], [one])
