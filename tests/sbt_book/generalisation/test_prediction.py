"""Networks followed through training, and what is predicted from what was seen early."""

import json

import numpy as np
import pytest
import xarray as xr
from data_parts import parts

from sbt_book.common.statistics import spearman
from sbt_book.generalisation.minima import sharpness
from sbt_book.generalisation.prediction import SOURCES, early_prediction, follow, learned_elsewhere
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.results import load as read
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")
SHORT = {"slopes": [0.0, 0.5], "checkpoints": [2, 4], "validation": 120}
LEVELS = [0.0, 0.3]


@pytest.fixture(scope="module")
def digits():
    return load_data("mnist", train=150, test=300)


@pytest.fixture(scope="module")
def followed(digits):
    return follow(digits, "dropout", 3, LEVELS, **SHORT)


def test_a_network_followed_is_the_network_trained_at_once(digits, followed):
    assert followed.level.values.tolist() == LEVELS
    seeds = np.random.SeedSequence([3, 0]).generate_state(4).tolist()
    training, _ = parts(digits)
    for place, (noise, slope) in enumerate(np.ndindex(2, 2)):
        cell = followed.isel(noise=noise, slope=slope)
        options = {"dropout": LEVELS[noise], "negative_slope": cell.slope.item()}
        for epoch in SHORT["checkpoints"]:
            options |= {"seeds": seeds[place], "epochs": epoch, "progress": False}
            run = train(MLP(), *training, **options)
            (network,) = run.networks
            here = cell.sel(checkpoint=epoch)
            measured = evaluate([network], *training).isel(member=0)
            assert here.separation.values == pytest.approx(measured.separation.values)
            assert here.loss == pytest.approx(measured.loss.item())
            assert here.accuracy_train == measured.accuracy
            assert here.loss_trained == pytest.approx(run.history.loss.values[0, -1])
            kept = evaluate([network], digits.test_images[:120], digits.test_labels[:120])
            assert here.accuracy_validation == kept.accuracy
        unseen = evaluate([network], digits.test_images[120:], digits.test_labels[120:])
        assert cell.accuracy_test == unseen.accuracy
        assert here.sharpness == pytest.approx(sharpness(network, *training), rel=0.05)


def test_the_two_sources_have_networks_of_their_own(digits, followed):
    options = SHORT | {"checkpoints": [2]}
    other = follow(digits, "learning_rate", 3, [1e-3, 1e-2], **options)
    # Both train the same kind of network there: no dropout, a learning rate of 0.001.
    first, second = other.isel(noise=0, checkpoint=0), followed.isel(noise=0, checkpoint=0)
    assert not np.isclose(first.loss, second.loss).any()


def test_validation_leaves_something_to_test_on(digits):
    for count in (0, 300):
        with pytest.raises(ValueError, match=f"validation={count}: of 300 test images"):
            follow(digits, "dropout", 0, [0.0], validation=count)


def test_what_is_done_is_not_done_again(digits, tmp_path):
    out, sources = tmp_path / "early.nc", {"dropout": [0.0], "learning_rate": [1e-3]}
    options = SHORT | {"slopes": [0.0], "checkpoints": [1], "progress": False}
    whole = early_prediction(digits, [0, 1], out, sources, **options)
    assert dict(whole.accuracy_test.sizes) == {"source": 2, "seed": 2, "noise": 1, "slope": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["early.nc"]
    configuration = json.loads(whole.attrs["configuration"])
    assert configuration["seeds"] == [0, 1]
    assert configuration["data"] == digits.source
    xr.testing.assert_identical(read(out), whole)


def test_going_on_after_an_interruption(digits, tmp_path, monkeypatch):
    out, sources = tmp_path / "early.nc", {"dropout": [0.0]}
    options = SHORT | {"slopes": [0.0], "checkpoints": [1], "progress": False}
    calls = []

    def interrupted(data, source, seed, *rest, **settings):
        calls.append(seed)
        if calls == [0, 1]:
            raise KeyboardInterrupt
        return follow(data, source, seed, *rest, **settings)

    monkeypatch.setattr("sbt_book.generalisation.prediction.follow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        early_prediction(digits, [0, 1], out, sources, **options)
    assert not out.exists()
    with pytest.raises(ValueError, match=r"dropout_0\.nc holds results with validation = 120, not"):
        early_prediction(digits, [0], out, sources, **options | {"validation": 100})
    early_prediction(digits, [0, 1], out, sources, **options)
    assert calls == [0, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["early.nc"]
    early_prediction(digits, [0, 1], out, sources, **options)
    assert calls == [0, 1, 1]


def test_settings_may_be_tuples_and_what_is_no_setting_fails_before_training(digits, tmp_path):
    sources = {"dropout": (0.0,)}
    options = {"slopes": (0.0,), "checkpoints": (1,), "validation": 120, "progress": False}
    early = early_prediction(digits, (0,), tmp_path / "early.nc", sources, **options)
    assert early.slope.values.tolist() == [0.0]
    with pytest.raises(ValueError, match=r"configuration: .*ndarray is not JSON serializable"):
        early_prediction(digits, [0], tmp_path / "other.nc", **options | {"slopes": np.zeros(1)})
    assert [path.name for path in tmp_path.iterdir()] == ["early.nc"]


def groups_of(rule, count=4, networks=200, scatter=0.0, seed=0):
    """Return a predictor and an accuracy that follows a rule in each of several groups."""
    rng = np.random.default_rng(seed)
    x = xr.DataArray(np.tile(rng.uniform(-1, 1, size=networks), (count, 1)), dims=("slope", "seed"))
    offset = xr.DataArray(np.arange(count), dims="slope")  # groups differ in their mean accuracy
    return x, rule(x) + 5 * offset + scatter * rng.normal(size=x.shape)


def test_a_summit_in_between_is_learned():
    x, accuracy = groups_of(lambda x: -((x - 0.2) ** 2))
    assert (learned_elsewhere(x, accuracy, ["slope"]) > 0.98).all()
    assert (abs(learned_elsewhere(x, accuracy, ["slope"], degree=1)) < 0.6).all()
    assert abs(spearman(x.values, accuracy.values)).max() < 0.6


def test_any_increasing_function_of_the_predictor_serves_as_well():
    x, accuracy = groups_of(lambda x: -((x - 0.2) ** 2), scatter=0.1)
    found = learned_elsewhere(x, accuracy, ["slope"])
    xr.testing.assert_allclose(learned_elsewhere(np.exp(5 * x), accuracy, ["slope"]), found)


def test_nothing_to_learn_gives_no_order():
    x, accuracy = groups_of(lambda x: 0 * x, networks=2000, scatter=1.0)
    assert abs(learned_elsewhere(x, accuracy, ["slope"])).max() < 4 / np.sqrt(2000)


def test_a_group_that_does_the_opposite_is_told_wrongly():
    x, accuracy = groups_of(lambda x: x)
    accuracy[2] = -accuracy[2]
    scores = learned_elsewhere(x, accuracy, ["slope"], degree=1)
    assert scores.values == pytest.approx([1, 1, -1, 1])


def test_several_dimensions_and_gaps():
    x, accuracy = groups_of(lambda x: x**3, count=6)
    split = [
        each.coarsen(slope=3).construct(slope=("source", "slope")).assign_coords(source=["a", "b"])
        for each in (x, accuracy)
    ]
    split[0][0, 1, :50] = np.nan
    split[1][1, 2, 50:] = np.nan
    scores = learned_elsewhere(*split, ["source", "slope"], degree=1)
    assert scores.dims == ("source", "slope")
    assert scores.source.values.tolist() == ["a", "b"]
    assert scores.values == pytest.approx(np.ones((2, 3)))


def test_one_group_has_nothing_to_learn_from():
    x, accuracy = groups_of(lambda x: x, count=1)
    with pytest.raises(ValueError, match="make one group"):
        learned_elsewhere(x, accuracy, ["slope"])


def test_the_published_level_is_among_both_sources():
    assert 0.0 in SOURCES["dropout"]
    assert 1e-3 in SOURCES["learning_rate"]
