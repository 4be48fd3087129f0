"""The experiment on advice: what it keeps of a network, and that it goes on where it stopped."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from sbt_book.advice import experiment
from sbt_book.advice.experiment import (
    CONFIGURATION,
    RESAMPLES,
    SHUFFLES,
    STATES,
    STEP,
    all_cells,
    compact,
    everything,
    features_of,
    fresh_cells,
    measured,
    moved,
    separations,
    trained_and_measured,
)
from sbt_book.advice.faults import CONDITIONS
from sbt_book.advice.kinds import KINDS, data_of
from sbt_utils import results
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import data_separation
from sbt_utils.measuring.skipping import removal
from sbt_utils.reporting.stress_map import report

pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = {"sequence classifier": 1, "gated network": 1, "MLP": 2}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Train a few epochs, on data that come with the package."""
    for kind, epochs in QUICK.items():
        monkeypatch.setitem(KINDS, kind, replace(KINDS[kind], epochs=epochs))
    monkeypatch.setitem(experiment.DATA, "images", ("mnist",))


@pytest.mark.parametrize("kind", QUICK)
def test_what_is_kept_is_what_a_report_measures(kind):
    torch.manual_seed(0)
    network = KINDS[kind].build().eval()
    name = "grammar 0" if kind.startswith("sequence") else "mnist"
    data = data_of(name)
    train = data.train_images[:300], data.train_labels[:300]
    test = data.test_images[:200], data.test_labels[:200]
    found = measured(kind, network, train, test)
    stress = report(network, train, test, resamples=RESAMPLES)
    for part, curve in (("train", stress.train), ("test", stress.test)):
        draws = found[f"separation_{part}"].values
        assert draws == pytest.approx(curve.separation, abs=1e-5)
        assert (found[f"state_{part}"] == 0).all()
    with torch.no_grad():
        logits = network(test[0])
    right = (logits.argmax(1) == test[1]).double().mean().item()
    assert found.accuracy_test.item() == pytest.approx(right, abs=1e-12)
    loss = torch.nn.functional.cross_entropy(logits.double(), test[1]).item()
    assert found.loss_test.item() == pytest.approx(loss, abs=1e-6)
    if kind == "MLP":
        assert found.loss_without_test.isnull().all()
        return
    skipped = removal(network, *test)
    for column in ("loss_without", "influence", "angular_distance"):
        values = found[f"{column}_test"].values
        assert np.isnan(values[0])
        assert values[1:] == pytest.approx(getattr(skipped, column), abs=1e-5)


def test_states_of_layers():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    clouds = torch.randn(60, 4, generator=generator) + labels[:, None]
    layers = [
        clouds,
        clouds * 0 + 3.0,
        torch.nn.functional.one_hot(labels, 3).float(),
        torch.full((60, 2), float("nan")),
        torch.tensor([[1.0], [-1.0]]).repeat_interleave(3, 0).repeat(10, 1),  # the same means
        2 * clouds,
    ]
    found = separations(layers, labels, [5])
    assert [STATES[state] for state in found["state"].values] == [
        "defined",
        "constant",
        "no variance within",
        "not finite",
        "no variance between",
        "defined",
    ]
    draws = found["separation"].values
    assert draws.shape == (RESAMPLES, 6)
    assert np.isfinite(draws).all(0).tolist() == [True, False, False, False, False, True]
    assert draws.mean(0)[0] == pytest.approx(data_separation(clouds, labels))
    assert draws[:, 0] == pytest.approx(draws[:, 5])  # the same samples are drawn for all layers
    assert draws[:, 0].std() > 0.01
    assert found["floor"].shape == (SHUFFLES, 6)
    # With labels by chance, (C - 1) / (N - C) of the scatter lies between the classes.
    expected = np.log((60 - 3) / (3 - 1))
    assert found["floor"].values[:, 0].mean() == pytest.approx(expected, abs=1.0)
    assert found["floor"].values[:, 0].min() > draws[:, 0].mean()


def test_how_far_layers_move_features():
    first = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    layers = [first, first + 7.0, 3.0 * first, torch.zeros(2, 3)]
    assert moved(layers) == pytest.approx([np.nan, 0.0, 2.0, np.nan], nan_ok=True)


def test_features_are_those_of_the_load_curve():
    kind = "post-norm transformer"
    torch.manual_seed(0)
    network, data = KINDS[kind].build().eval(), data_of("mnist")
    images, labels = data.train_images[:600], data.train_labels[:600]
    features = features_of(kind, network, images, labels)
    curve = load_curve(network, images, labels, pool=KINDS[kind].pool)
    expected = [data_separation(layer, labels) for layer in features]
    assert curve.mean == pytest.approx(expected)
    assert [layer.shape[1] for layer in features[1:]] == [32] * 6


def test_a_network_with_random_labels():
    found = trained_and_measured(
        "50 % random, half memorised", "sequence classifier", "grammar 0", 0
    )
    assert found.wrong_labels.item() == pytest.approx(0.5 * 7 / 8, abs=0.05)
    # The fractions of the given labels, the true ones and the wrong ones hang together.
    among = found.wrong_labels.item()
    right = found.accuracy_train.item() - among * found.memorised.item()
    assert 0 <= right <= found.accuracy_clean.item() + 1e-9
    assert found.epochs <= 4
    assert found.planted.values.tolist()[1:] == [0] * 6


def test_everything_goes_on_where_it_stopped(tmp_path, monkeypatch):
    chosen = ("one block idle", "healthy, shallow")
    kept = {name: replace(CONDITIONS[name], seeds=1) for name in chosen}
    monkeypatch.setattr(experiment, "CONDITIONS", kept)
    calls = []
    compute = experiment.trained_and_measured

    def counted(*cell):
        calls.append(cell)
        return compute(*cell)

    monkeypatch.setattr(experiment, "trained_and_measured", counted)
    everything(tmp_path, all_cells(["gated network"]))
    assert len(calls) == 2
    found = everything(tmp_path, all_cells(["gated network", "MLP"]))
    assert len(calls) == len(set(calls)) == 4
    assert found.kind.values.tolist() == ["gated network", "MLP"] * 2
    assert found.condition.values.tolist() == [chosen[0]] * 2 + [chosen[1]] * 2
    assert found.fault.values.tolist() == ["idle"] * 2 + ["healthy"] * 2
    assert set(found.data.values) == {"mnist"}
    assert found.planted.sum("layer").values.tolist() == [1, 1, 0, 0]
    assert found.planted.notnull().sum("layer").values.tolist() == [6, 7, 3, 4]
    idle = found.isel(network=0)
    layer = int(idle.planted.argmax("layer"))
    before, after = idle.separation_train.isel(layer=[layer - 1, layer]).transpose("layer", ...)
    assert before.values == pytest.approx(after.values, abs=1e-6)
    assert idle.moved_train[layer] == 0
    assert isinstance(found, xr.Dataset)


def test_a_small_file_holds_the_same(tmp_path):
    draws = np.random.default_rng(0).normal(scale=0.03, size=(30, 60, 8)).astype("float32")
    draws[20:, :, 5:] = np.nan
    dims = ("network", "draw", "layer")
    networks = xr.Dataset({f"separation_{part}": (dims, draws) for part in ("train", "test")})
    networks["accuracy_test"] = "network", np.linspace(0, 1, 30)
    sizes = []
    for name, content in (("plain", networks), ("small", compact(networks))):
        sizes.append(
            results.save(content, tmp_path / f"{name}.nc", CONFIGURATION, 1).stat().st_size
        )
    assert sizes[1] < 0.5 * sizes[0]
    found = results.load(tmp_path / "small.nc")
    assert found.separation_train.dtype == "float32"
    assert found.separation_train.values == pytest.approx(draws, abs=STEP / 2, nan_ok=True)
    assert np.array_equal(found.accuracy_test, networks.accuracy_test)


def test_networks_that_were_trained_otherwise_are_not_reused(tmp_path, monkeypatch):
    monkeypatch.setattr(
        experiment, "CONDITIONS", {"healthy": replace(CONDITIONS["untrained"], fault="healthy")}
    )
    everything(tmp_path, all_cells(["gated network"]))
    monkeypatch.setitem(KINDS, "gated network", replace(KINDS["gated network"], batch_size=7))
    with pytest.raises(ValueError, match="holds results with batch_size = 100, not 7"):
        everything(tmp_path, all_cells(["gated network"]))


def test_fresh_networks_see_other_data():
    cells = fresh_cells()
    assert len(cells) == len(set(cells)) == 20 * 10
    assert not {data for _, _, data, _ in cells} & {data for _, _, data, _ in all_cells()}
    old, fresh = data_of("mnist"), data_of("fresh mnist")
    assert fresh.train_images.shape == old.train_images.shape
    assert fresh.test_labels.shape == old.test_labels.shape
    for one in (old.train_images, old.test_images):
        for other in (fresh.train_images, fresh.test_images):
            both = torch.cat([one, other]).flatten(1)
            assert len(both.unique(dim=0)) > 0.999 * len(both)  # a digit may be there twice
