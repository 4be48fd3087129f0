"""Networks measured in company, run on the CPU, against each of them alone."""

import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from sbt_utils.ensembles.ensemble import initial_state
from sbt_utils.measuring import stacked as module
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.measuring.stacked import measured, stacked, stacked_state
from sbt_utils.training.networks import CNN, MLP

pytestmark = pytest.mark.usefixtures("one_thread")
SLOPES = (0.0, 0.3, 1.0)
KINDS = {
    "mlp": (lambda slope: MLP(75, 12, 3, 5, slope, dropout=0.4), None),
    "plain": (lambda slope: MLP(75, 12, 2, 5, slope, batch_norm=False), None),
    "cnn": (lambda slope: CNN(3, 4, 5, 2, 5, slope), nn.MaxPool2d),
    "nested": (
        lambda slope: nn.Sequential(
            nn.Conv2d(3, 4, 2, stride=2, groups=1, bias=False),
            nn.Sequential(nn.Identity(), nn.ReLU(inplace=True), nn.Dropout(0.2)),
            nn.Flatten(),
            nn.Linear(16, 9, bias=False),
            nn.BatchNorm1d(9, affine=False),
            nn.LeakyReLU(slope),
            nn.Linear(9, 5),
        ),
        None,
    ),
    "starts with a chosen dropout": (
        lambda slope: nn.Sequential(
            OrderedDict(
                drop=nn.Dropout(), flat=nn.Flatten(), norm=nn.BatchNorm1d(75), act=nn.ReLU(),
                readout=nn.Linear(75, 5),
            )
        ),
        ["drop", "act", "norm"],
    ),
}  # fmt: skip


def data(kind="mlp", count=300):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 5
    size = 4 if kind in ("cnn", "nested") else 5
    means = torch.rand(5, 3, size, size, generator=generator)
    return means[labels] + torch.rand(count, 3, size, size, generator=generator), labels


def networks(kind="mlp", dtype=torch.float32):
    torch.manual_seed(1)
    made = []
    for slope in SLOPES:
        network = KINDS[kind][0](slope).to(dtype)
        for _ in range(3):  # running statistics other than the initial ones
            network(data(kind)[0].to(dtype) + 0.5)
        made.append(network)
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_company_changes_nothing(kind, dtype, tolerance, measure):
    members, layers = networks(kind, dtype), KINDS[kind][1]
    expected = evaluate(members, data(kind), None, measure, layers)
    curves, accuracies, losses = measured(stacked(members, layers), *data(kind), measure)
    np.testing.assert_allclose(curves, expected.separation, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(accuracies, expected.accuracy)
    np.testing.assert_allclose(losses, expected.loss, rtol=tolerance)
    assert curves.dtype == losses.dtype == np.float64


def test_a_stacked_state_is_measured_as_its_networks(measure):
    members = networks()
    states = [member.state_dict() for member in members]
    state = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    stack = stacked_state(MLP(75, 12, 3, 5), state, torch.tensor(SLOPES, dtype=torch.float64))
    found = evaluate(stack, data(), None, measure)
    expected = evaluate(members, data(), None, measure)
    np.testing.assert_allclose(found.separation, expected.separation, rtol=0, atol=1e-5)
    assert list(found.data_vars) == list(expected.data_vars)
    assert found.separation.attrs == expected.separation.attrs


def test_chunks_of_members_and_of_images(measure, monkeypatch):
    stack = stacked(networks())
    whole = measured(stack, *data(), measure)
    monkeypatch.setattr(module, "_ELEMENTS", 2 * 75 * 100)
    for expected, found in zip(whole, measured(stack, *data(), measure), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_networks_that_collapsed_or_diverged_are_nan_alone(measure):
    members = networks()
    expected = measured(stacked(members), *data(), measure)
    torch.manual_seed(2)
    spoilt = networks() + networks()
    with torch.no_grad():
        spoilt[0].linear2.weight.fill_(torch.nan)
        spoilt[1].norm2.weight.zero_()  # the same features for every image
        spoilt[2].linear3.weight.fill_(torch.inf)
    for expected_values, found in zip(
        expected, measured(stacked(spoilt), *data(), measure), strict=True
    ):
        np.testing.assert_allclose(found[3:], expected_values, rtol=1e-6)
    curves = measured(stacked(spoilt), *data(), measure)[0]
    assert np.isnan(curves[:3]).all()
    alone = evaluate(spoilt, data(), None, measure)
    np.testing.assert_array_equal(np.isnan(alone.separation), np.isnan(curves))


def test_images_without_end_are_nan():
    images, labels = data()
    images[7, 0, 0, 0] = torch.inf
    assert np.isnan(measured(stacked(networks()), images, labels)[0]).all()


class Own(nn.Sequential):
    def forward(self, x):
        return super().forward(x).tanh()


@pytest.mark.parametrize(
    "change",
    [
        lambda n: n.append(nn.Tanh()),
        lambda n: n.append(nn.Flatten(2)),
        lambda n: n.append(nn.BatchNorm1d(5, track_running_stats=False)),
        lambda n: n.append(nn.Upsample(scale_factor=2, mode="bilinear")),
        lambda n: n.append(nn.Conv2d(1, 1, 3, padding_mode="circular")),
        lambda n: n.append(nn.MaxPool2d(2, return_indices=True)),
        lambda n: n.append(n.activation1),
        lambda n: n.register_forward_hook(lambda *_: None),
        lambda n: setattr(n, "norm1", nn.BatchNorm1d(12, eps=0.1)),
        lambda n: n.double(),
        lambda n: setattr(n, "readout", Own(nn.Linear(12, 5))),
    ],
)
def test_networks_that_are_not_alike_or_not_known_stay_alone(change):
    one, other = networks()[:2]
    assert stacked([one, other]) is not None
    change(other)
    assert stacked([one, other]) is None


def test_other_models_and_choices_of_layers_stay_alone():
    encoder = nn.TransformerEncoderLayer(4, 2, 4)
    assert stacked([encoder, encoder]) is None
    assert stacked([nn.Sequential(nn.ReLU())]) is None
    nested = networks("nested")
    assert stacked(nested, ["1"]) is None  # a row within the row
    assert stacked([nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))], ["0"]) is None


def test_labels_that_do_not_fit():
    stack, (images, labels) = stacked(networks()), data()
    with pytest.raises(ValueError, match="labels: class 5, but the networks tell 5 apart"):
        measured(stack, images, labels + 1)
    with pytest.raises(ValueError, match="labels: one class only"):
        measured(stack, images, labels * 0)
    with pytest.raises(ValueError, match="labels: class 1 has 1 sample"):
        measured(stack, images, (torch.arange(300) == 9).long())
    with pytest.raises(ValueError, match="measure: 'size' is unknown"):
        evaluate(stack, images, labels, "size")


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_measures_in_company_what_the_cpu_does_alone(kind, measure, monkeypatch):
    members, layers = networks(kind), KINDS[kind][1]
    expected = evaluate(members, data(kind), None, measure, layers)
    members = [member.cuda() for member in members]
    found = evaluate(members, data(kind), None, measure, layers)
    assert evaluate(members, data(kind), None, measure, layers).identical(found)
    monkeypatch.setattr("sbt_utils.measuring.evaluation.stacked", lambda *_: None)
    alone = evaluate(members, data(kind), None, measure, layers)
    for value in (found, alone):
        np.testing.assert_allclose(value.separation, expected.separation, rtol=0, atol=1e-4)
        np.testing.assert_allclose(value.accuracy, expected.accuracy, rtol=0, atol=0.01)
        np.testing.assert_allclose(value.loss, expected.loss, rtol=1e-4)


@pytest.mark.gpu
def test_many_networks_hardly_wait_for_a_gpu():
    state = {name: t.cuda() for name, t in initial_state(MLP(), range(20)).items()}
    stack = stacked_state(MLP(), state, torch.zeros(20))
    images = torch.rand(600, 1, 10, 10, device="cuda")
    with warnings.catch_warnings(record=True) as waits:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            found = evaluate(stack, images, torch.arange(600) % 10)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert len(waits) < 6  # to get labels there and results back, whatever the number of layers
    assert np.isfinite(found.separation).all()
