"""Networks that the rivals are measured on, as trained and measured one by one."""

import json

import numpy as np
import pytest
import torch
import xarray as xr
from data_parts import parts

from sbt_book.generalisation import measures
from sbt_book.generalisation.minima import sharpness
from sbt_book.generalisation.rivals import LEVELS, follow, follow_rivals
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.results import load as read
from sbt_utils.sweeping.experiments import SLOPES, published
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")
SHORT = {"slopes": [0.0, 0.6], "shares": [0.5, 1.0], "epochs": 4, "validation": 120}


@pytest.fixture(scope="module")
def digits():
    return load_data("mnist", train=150, test=300)


@pytest.fixture(scope="module")
def followed(digits):
    return follow(digits, "data_noise", 3, [0.0, 0.4], **SHORT)


def test_a_network_followed_is_the_network_trained_at_once(digits, followed):
    assert followed.level.values.tolist() == [0.0, 0.4]
    seeds = np.random.SeedSequence([3, 2]).generate_state(4).tolist()
    training, _ = parts(digits)
    for place, (noise, slope) in enumerate(np.ndindex(2, 2)):
        cell = followed.isel(noise=noise, slope=slope)
        settings = {"data_noise": [0.0, 0.4][noise], "negative_slope": cell.slope.item()}
        for epochs, share in ((2, 0.5), (4, 1.0)):
            run = train(
                MLP(), *training, seeds=seeds[place], epochs=epochs, progress=False, **settings
            )
            network, here = run.network(0), cell.sel(share=share)
            measured = evaluate([network], *training).isel(member=0)
            assert here.separation.values == pytest.approx(measured.separation.values)
            assert here.accuracy_train == measured.accuracy
            assert here.loss_trained == pytest.approx(run.history.loss.values[0, -1])
            assert here.mixup_error == measures.mixup_error(network, *training)
            assert here.sharpness == pytest.approx(sharpness(network, *training), rel=0.05)
            third = measures.hidden_features(network, training[0])[2]
            expected = {
                "davies_bouldin": measures.davies_bouldin(third, training[1]),
                "effective_rank": measures.effective_rank(third),
                "probe_error": measures.probe_error(third, training[1]),
            }
            for name, value in expected.items():
                assert here[name][2] == pytest.approx(value, rel=1e-5)
            kept = evaluate([network], digits.test_images[:120], digits.test_labels[:120])
            assert here.validation_error == pytest.approx(1 - kept.accuracy.item())
        unseen = evaluate([network], digits.test_images[120:], digits.test_labels[120:])
        assert cell.accuracy_test == unseen.accuracy


def test_costs_count_forward_passes(followed):
    cost = followed.cost.median(("noise", "slope", "share"))
    assert cost.sel(measure="forward") == 1
    assert (cost > 0).all()
    # Every step of the eigenvalue's iteration goes through the network forwards and backwards.
    assert cost.sel(measure="sharpness") > 5
    assert (followed.epoch_cost > 0).all()


def test_the_cells_are_published_ones():
    for source, levels in LEVELS.items():
        assert set(levels) <= set(published(source).axes[source])
        assert len(levels) == 4
    assert 0.6 in SLOPES


def test_validation_leaves_something_to_test_on(digits):
    for count in (0, 300):
        with pytest.raises(ValueError, match=f"validation={count}: of 300 test images"):
            follow(digits, "dropout", 0, [0.0], validation=count)


def test_going_on_after_an_interruption(digits, tmp_path, monkeypatch):
    out, levels = tmp_path / "rivals.nc", {"dropout": [0.0], "batch_size": [50]}
    options = SHORT | {"slopes": [0.0], "shares": [1.0], "epochs": 1}
    calls = []

    def interrupted(data, source, seed, *rest, **settings):
        calls.append((source, seed))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return follow(data, source, seed, *rest, **settings)

    monkeypatch.setattr("sbt_book.generalisation.rivals.follow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        follow_rivals(digits, [0], out, levels, **options)
    assert not out.exists()
    with pytest.raises(ValueError, match=r"dropout_0\.nc holds results with validation = 120, not"):
        follow_rivals(digits, [0], out, levels, **options | {"validation": 100})
    whole = follow_rivals(digits, [0], out, levels, **options)
    assert calls == [("dropout", 0), ("batch_size", 0), ("batch_size", 0)]
    assert [path.name for path in tmp_path.iterdir()] == ["rivals.nc"]
    assert dict(whole.accuracy_test.sizes) == {"source": 2, "seed": 1, "noise": 1, "slope": 1}
    assert json.loads(whole.attrs["configuration"])["seeds"] == [0]
    assert whole.mixup_error.dtype == np.float32
    xr.testing.assert_identical(read(out), whole)
    assert torch.get_num_threads() == 1
