"""Members as plain networks, how they start, and what an ensemble cannot be made of."""

import copy
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from architectures import CLASSES, SLOPES, batch, random_state
from torch import nn

from sbt_utils.ensembles.ensemble import Ensemble, initial_state, member_network, stock_layers
from sbt_utils.ensembles.noise import seed_words
from sbt_utils.training.networks import MLP

pytestmark = pytest.mark.usefixtures("one_thread")


def test_initial_state_is_the_default_start_of_pytorch():
    network = MLP(inputs=6, width=5, hidden_layers=2, classes=CLASSES)
    seeds = [3, 0, int(seed_words(11)[0])]
    state = initial_state(network, seeds)
    for m, seed in enumerate(seeds):
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            expected = MLP(inputs=6, width=5, hidden_layers=2, classes=CLASSES).state_dict()
        assert set(state) == set(expected)
        for name, tensor in expected.items():
            assert torch.equal(state[name][m], tensor)


def test_initial_state_depends_on_the_seed_alone():
    network = MLP(inputs=6, width=5, hidden_layers=2, classes=CLASSES)
    together = initial_state(network, range(5))
    torch.rand(3)
    # Nor does a network's present state count.
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(3.0)
        network.input_norm.running_mean.fill_(2.0)
        network.input_norm.num_batches_tracked.fill_(9)
    alone = initial_state(network, [3])
    for name, tensor in together.items():
        assert torch.equal(alone[name][0], tensor[3])
        if name.startswith("linear"):
            assert not torch.equal(tensor[0], tensor[3])
    assert (network.readout.weight == 3).all()


def test_initial_state_leaves_the_global_generator_alone():
    network = MLP()
    before = torch.random.get_rng_state()
    initial_state(network, range(2))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_member_is_a_plain_network_of_its_state():
    network = MLP(inputs=6, width=5, hidden_layers=2, classes=CLASSES).double()
    state = random_state(network)
    images = batch(9, (2, 3))[0][0]
    for m, slope in enumerate(SLOPES.tolist()):
        arrays = {name: tensor[m].numpy() for name, tensor in state.items()}

        def normalised(h, name, arrays=arrays):
            mean, variance = arrays[f"{name}.running_mean"], arrays[f"{name}.running_var"]
            h = (h - mean) / np.sqrt(variance + 1e-5)
            return h * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]

        h = normalised(images.numpy().reshape(9, 6), "input_norm")
        for layer in "12":
            h = h @ arrays[f"linear{layer}.weight"].T + arrays[f"linear{layer}.bias"]
            h = normalised(h, f"norm{layer}")
            h = np.where(h > 0, h, slope * h)
        expected = h @ arrays["readout.weight"].T + arrays["readout.bias"]
        member = member_network(network, state, m, slope, 0.25)
        np.testing.assert_allclose(member(images).detach(), expected, rtol=1e-12, atol=1e-12)
        assert not any(module.training for module in member.modules())
        assert (member.dropout1.p, member.dropout2.p) == (0.25, 0.25)
        assert [type(layer) for layer in member] == [type(layer) for layer in network]


def test_a_member_shares_nothing_with_ensemble_and_architecture():
    network = MLP(inputs=6, width=5, hidden_layers=1, classes=CLASSES)
    state = initial_state(network, range(2))
    given = {name: tensor.clone() for name, tensor in state.items()}
    before = copy.deepcopy(network.state_dict())
    member = member_network(network, state, 1, 0.5, 0.5)
    with torch.no_grad():
        for tensor in member.state_dict().values():
            tensor.fill_(5)
    assert all(torch.equal(state[name], tensor) for name, tensor in given.items())
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())
    assert (network.activation1.negative_slope, network.dropout1.p) == (0.0, 0.0)
    assert network.training


def test_unknown_layers_are_refused_by_name_and_type():
    network = nn.Sequential(nn.Linear(6, 5), nn.Sequential(nn.Sigmoid()), nn.Linear(5, 2))
    message = r"layer '1\.0' is a Sigmoid; ensembles know BatchNorm1d, BatchNorm2d, Conv2d, Dr"
    with pytest.raises(TypeError, match=message):
        stock_layers(network)
    with pytest.raises(TypeError, match=message):
        Ensemble(network, initial_state(network, [0]))


def test_a_subclass_of_a_stock_layer_is_refused():
    class Scaled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    with pytest.raises(TypeError, match="layer '0' is a Scaled"):
        stock_layers(nn.Sequential(Scaled(6, 5)))


def test_only_sequential_networks():
    with pytest.raises(TypeError, match=r"network is a Linear: .* torch\.nn\.Sequential"):
        stock_layers(nn.Linear(6, 5))


def test_a_layer_used_twice_is_refused():
    activation = nn.LeakyReLU(0.5)
    network = nn.Sequential(nn.Linear(6, 6), activation, nn.Linear(6, 6), activation)
    with pytest.raises(TypeError, match="a layer stands in it twice; give each place a layer of"):
        Ensemble(network, initial_state(network, [0]))


@pytest.mark.parametrize(
    "layers",
    [
        (nn.BatchNorm1d(6, affine=False), nn.Linear(6, CLASSES)),
        (nn.BatchNorm1d(6, momentum=None), nn.Linear(6, CLASSES)),
        (nn.BatchNorm1d(6, track_running_stats=False), nn.Linear(6, CLASSES)),
        (nn.Flatten(start_dim=2), nn.Linear(6, CLASSES)),
        (nn.Flatten(),),
    ],
    ids=["affine", "momentum", "track_running_stats", "start_dim", "no parameters"],
)
def test_options_that_stacked_layers_do_not_know_are_refused(layers):
    # If they become known, they belong in ARCHITECTURES instead.
    with pytest.raises((TypeError, ValueError), match="network"):
        Ensemble(nn.Sequential(*layers), initial_state(nn.Sequential(*layers), [0]))


class Unhurried(nn.Linear):
    """Lets other threads run between the choice of a seed and the draws."""

    def reset_parameters(self):
        time.sleep(0.01)
        super().reset_parameters()


def test_weights_depend_on_no_other_thread():
    network = nn.Sequential(Unhurried(3, 2), Unhurried(2, 2))
    seeds = range(4)
    alone = [initial_state(network, [seed])["0.weight"] for seed in seeds]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: initial_state(network, [seed])["0.weight"], seeds))
    assert all(map(torch.equal, together, alone))
