"""Load curves, accuracies and losses of networks in whatever mode they are."""

import copy
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import numpy as np
import pytest
import torch
from models import Broken, fingerprint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sbt_utils.measuring.evaluation import accuracy, evaluate, separation_or_nan
from sbt_utils.measuring.probe import load_curve
from sbt_utils.models.running import evaluation_mode
from sbt_utils.training.networks import MLP

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 3
    return torch.randn(90, 12, generator=generator) + labels[:, None], labels


def network(seed=0):
    torch.manual_seed(seed)
    made = MLP(inputs=12, width=8, hidden_layers=3, dropout=0.3)
    for _ in range(3):  # running statistics other than the initial ones
        made(torch.randn(40, 12) + 1)
    return made


def test_a_network_in_training_mode_is_measured_as_in_evaluation_mode(data):
    training = network()
    training.norm2.eval()  # a mixture of modes
    training.linear1.register_forward_hook(lambda *_: None)
    before = fingerprint(training)
    still = copy.deepcopy(training).eval()
    with torch.no_grad():
        logits = still(data[0])
    right = (logits.argmax(1) == data[1]).double().mean().item()
    loss = nn.functional.cross_entropy(logits.double(), data[1]).item()
    for _ in range(2):
        measured = evaluate([training], *data)
        assert measured.accuracy.item() == accuracy(training, *data) == right
        assert measured.loss.item() == loss
        np.testing.assert_array_equal(measured.separation[0], load_curve(still, *data).separation)
        np.testing.assert_array_equal(
            separation_or_nan(training, *data), load_curve(still, *data).separation
        )
    assert fingerprint(training) == before


def test_a_network_that_fails_is_left_as_it_was(data):
    failing = network().append(Broken())
    before = fingerprint(failing)
    for measure in (evaluate, accuracy):
        with pytest.raises(RuntimeError, match="broken layer"):
            measure(failing, data)
        assert fingerprint(failing) == before


def test_evaluation_mode_and_back():
    encoder = nn.TransformerEncoderLayer(4, 2, 4, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(encoder, 2), nn.Dropout().eval(), nn.Dropout())
    flags = [module.training for module in model.modules()]
    assert set(flags) == {True, False}
    with evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        assert not model[0].use_nested_tensor
    assert [module.training for module in model.modules()] == flags
    assert model[0].use_nested_tensor


def test_every_form_of_data_gives_the_same(data):
    inputs, labels = data
    networks = [network(seed) for seed in range(2)]
    expected = evaluate(networks, inputs, labels, "fuzziness")
    loader = DataLoader(TensorDataset(inputs, labels), batch_size=40)
    arrays = inputs.numpy(), labels.numpy().astype(np.uint8)
    for same in (data, loader, arrays, [(inputs.double(), labels.tolist())]):
        assert evaluate(iter(networks), same, measure="fuzziness").identical(expected)
        assert accuracy(networks[1], same) == expected.accuracy[1]


def test_one_network_and_networks_that_occur_twice(data):
    one, other = network(0), network(1)
    expected = evaluate([one, other], data)
    assert evaluate(one, data).identical(expected.isel(member=[0]))
    assert evaluate(nn.ModuleList([one, other]), data).identical(expected)
    assert evaluate([one, other, one], data).identical(expected.isel(member=[0, 1, 0]))


def test_networks_and_data_that_cannot_be_measured(data):
    with pytest.raises(ValueError, match=r"^networks: none given; give one network or more$"):
        evaluate([], *data)
    with pytest.raises(TypeError, match=r"^model: int given; give a torch\.nn\.Module$"):
        evaluate([3], *data)
    with pytest.raises(TypeError, match=r"^labels: None given; inputs in an array need labels"):
        evaluate(network(), data[0])


class Slow(nn.Module):
    """Leave time for another thread, and tell it that this one is at work."""

    def __init__(self):
        super().__init__()
        self.started = Event()

    def forward(self, x):
        self.started.set()
        time.sleep(0.05)
        return x


def test_two_threads_may_measure_one_model(data):
    slow = Slow()
    model = nn.Sequential(*network(), slow).train()
    before = fingerprint(model)
    expected = load_curve(copy.deepcopy(nn.Sequential(*model[:-1])), *data)
    slow.started.clear()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(load_curve, model, *data, batch_size=30)
        assert slow.started.wait(10)
        # The second shares its layers with the first, but is another model.
        others = [pool.submit(load_curve, m, *data) for m in (model, nn.Sequential(*model))]
        for curve in (first.result(), *(other.result() for other in others)):
            assert len(curve.layers) == len(expected.layers)
            np.testing.assert_allclose(curve.separation, expected.separation, rtol=1e-6)
    assert fingerprint(model) == before


def test_ctrl_c_ends_the_measuring_of_many_batches_and_leaves_all_as_it_was(data):
    slow = Slow()
    model = nn.Sequential(*network(), slow).train()
    before, threads = fingerprint(model), torch.get_num_threads()
    many = [tensor.repeat(4096 * 200 // 90, *[1] * (tensor.dim() - 1)) for tensor in data]

    def press():
        assert slow.started.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=press).start()
    start = time.monotonic()  # 200 batches of 0.05 s to go
    with pytest.raises(KeyboardInterrupt):
        evaluate([model, copy.deepcopy(network())], many)
    assert time.monotonic() - start < 3
    assert fingerprint(model) == before
    assert torch.get_num_threads() == threads


def test_a_collapsed_network_is_nan_alone_though_its_layers_run_again(data):
    act = nn.ReLU()
    sound, collapsed = (
        nn.Sequential(nn.Linear(12, 9), act, nn.Linear(9, 9), act, nn.Linear(9, 3)) for _ in "ab"
    )
    collapsed[0].weight.detach().zero_()
    alone = evaluate(sound, data)
    together = evaluate([sound, collapsed], data)
    assert together.isel(member=[0]).identical(alone)
    assert np.isnan(together.separation[1]).all()
    assert np.isfinite(together.loss[1])


def test_a_collapsed_network_whose_first_layer_is_chosen(data):
    sound, collapsed = network(), network()
    collapsed.linear1.weight.detach().fill_(torch.nan)
    curves = [separation_or_nan(m, *data, layers=nn.BatchNorm1d) for m in (sound, collapsed)]
    assert curves[0].shape == curves[1].shape == (4,)
    assert np.isnan(curves[1]).all()
