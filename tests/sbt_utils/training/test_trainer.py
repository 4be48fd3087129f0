"""Training as a whole: its result, its progress, its failures, the published curves."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import fit, network, problem
from torch import nn

from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.probe import load_curve
from sbt_utils.training.networks import MLP
from sbt_utils.training.steps import Steps
from sbt_utils.training.trainer import train

REFERENCE = Path(__file__).parents[3] / "results/reference/published_phase_diagrams.json"


@pytest.fixture(scope="module")
def digits():
    return load_data("mnist")


def test_history_names_the_members_by_their_settings():
    images, labels = problem()
    history = fit(
        network(negative_slope=0.3), images, labels, seeds=[4, 5], dropout=[0.0, 0.1], epochs=3
    ).history
    assert history.loss.dims == ("member", "epoch")
    assert history.epoch.values.tolist() == [1, 2, 3]
    for name, values in {
        "seed": [4, 5],
        "negative_slope": [0.3, 0.3],
        "dropout": [0.0, 0.1],
        "learning_rate": [1e-3, 1e-3],
        "data_noise": [0.0, 0.0],
        "weight_noise": [0.0, 0.0],
        "batch_size": [60, 60],
    }.items():
        assert history[name].dims == ("member",)
        assert history[name].values.tolist() == values
    for name in ("loss", "accuracy", "epochs"):
        assert history[name].attrs["long_name"]


def test_a_training_is_shown_without_its_tensors():
    images, labels = problem()
    assert "tensor" not in repr(fit(network(), images, labels, epochs=1))


def test_networks_are_the_members_in_order():
    images, labels = problem()
    members = {"seeds": [0, 1, 2], "dropout": [0.0, 0.1, 0.2], "batch_size": [60, 20, 60]}
    result = fit(network(), images, labels, epochs=2, **members)
    networks = list(result.networks)
    assert [each.dropout1.p for each in networks] == members["dropout"]
    for m, each in enumerate(networks):
        assert not each.training
        for name, tensor in each.state_dict().items():
            assert torch.equal(tensor, result.state["networks"][name][m])


def test_a_network_without_activations_and_dropout():
    images, labels = problem()
    result = fit(nn.Sequential(nn.Flatten(), nn.Linear(8, 4)), images, labels, epochs=20)
    assert result.history.loss[0, -1] < result.history.loss[0, 0]
    assert np.isnan(result.history.dropout.item())
    assert result.network(0)(images).shape == (60, 4)


@pytest.mark.parametrize("measure", ["trace", "fuzziness"])
def test_evaluate(measure):
    images, labels = problem()
    trained = fit(network(), images, labels, seeds=range(2), epochs=5)
    result = evaluate(trained.networks, images, labels, measure)
    assert result.separation.dims == ("member", "layer")
    for m, each in enumerate(trained.networks):
        curve = load_curve(each, images, labels, measure=measure)
        np.testing.assert_allclose(result.separation[m], curve.separation, rtol=1e-6)
        right = sum(int(each(x[None]).argmax() == y) for x, y in zip(images, labels, strict=True))
        assert result.accuracy[m].item() == right / 60


@pytest.mark.parametrize("number", [1, 2], ids=["alone", "beside a healthy one"])
def test_evaluate_a_collapsed_network(number):
    images, labels = problem()
    collapsed, healthy = network(), network()
    with torch.no_grad():
        collapsed.linear1.weight.fill_(torch.nan)
    result = evaluate([collapsed, healthy][:number], images, labels)
    assert result.separation.dims == ("member", "layer")
    assert result.separation[0, 1:].isnull().all()
    assert result.separation[1:].notnull().all()


def test_progress(capsys):
    images, labels = problem()
    train(network(), images, labels, epochs=2, progress=False)
    assert capsys.readouterr() == ("", "")
    train(network(), images, labels, seeds=range(3), epochs=2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "6/6" in err


def test_the_bar_is_full_when_members_stop_early(capsys):
    images, labels = problem()
    train(network(), images, labels, seeds=range(2), learning_rate=[1e-30, 1e-3], epochs=9)
    assert "18/18" in capsys.readouterr().err


@pytest.mark.parametrize("failing", [0, 1], ids=["first chunk", "last chunk"])
def test_a_failing_chunk_cancels_the_others(monkeypatch, threads, failing):
    threads(2)
    images, labels = problem()
    epochs, rates = 3000, [1e-3, 2e-3]
    started, done = threading.Event(), []
    train_epoch = Steps.epoch

    def failing_epoch(steps, epoch):
        if steps.loop.rates[0][0] == rates[failing]:
            assert started.wait(30)
            raise RuntimeError("boom")
        done.append(epoch)
        started.set()
        return train_epoch(steps, epoch)

    monkeypatch.setattr(Steps, "epoch", failing_epoch)
    with pytest.raises(RuntimeError, match="boom"):
        fit(network(), images, labels, seeds=[0, 1], learning_rate=rates, epochs=epochs)
    assert len(done) < epochs / 2
    assert torch.get_num_threads() == 2


@pytest.mark.slow
def test_the_published_dropout_diagram(digits, threads):
    threads(2)
    panel = json.loads(REFERENCE.read_text())["panels"]["dropout"]
    cells = [(0.2, 0.12), (1.0, 0.2), (0.0, 0.28)]
    slopes, rates = zip(*cells, strict=True)
    result = fit(
        MLP(),
        digits.train_images,
        digits.train_labels,
        seeds=range(3),
        negative_slope=slopes,
        dropout=rates,
    )
    curves = evaluate(result.networks, digits.train_images, digits.train_labels).separation
    accuracy = evaluate(result.networks, digits.test_images, digits.test_labels).accuracy
    for m, (slope, rate) in enumerate(cells):
        row, column = panel["slope"].index(slope), panel["noise"].index(rate)
        scaled = (curves[m] - curves[m].min()) / (curves[m].max() - curves[m].min())
        deviation = np.abs(scaled - panel["curve"][row][column]).mean()
        assert deviation < 0.03, (slope, rate)
        published = panel["accuracy"][row][column]
        assert 100 * accuracy[m].item() == pytest.approx(published, abs=1.2), (slope, rate)
