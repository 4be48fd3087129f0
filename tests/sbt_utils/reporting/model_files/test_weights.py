"""Which weights of a checkpoint are the model's: those under the prefix where its names fit."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from sbt_utils.reporting.model_files import load_model
from sbt_utils.training.networks import MLP

NETWORK = "sbt_utils.training.networks:MLP"
SMALL = {"inputs": 4, "width": 5, "hidden_layers": 2, "classes": 3}


def network(seed=0):
    torch.manual_seed(seed)
    return MLP(**SMALL)


def prefixed(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def loaded(content, folder, weights=None, target=NETWORK, arguments=SMALL):
    torch.save(content, folder / "model.pt")
    return load_model(target, folder / "model.pt", arguments, weights).state_dict()


def assert_of(seed, state):
    """Assert that weights are those of the network of a seed."""
    for name, tensor in network(seed).state_dict().items():
        assert torch.equal(state[name], tensor), name


PREFIXES = ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "net.", "model."]
PREFIXES += ["_orig_mod.module._orig_mod.", "module.module.", "model.encoder.net.module.", "any.0."]


@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict", "model", "generator"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_whatever_stands_before_all_names_is_taken_off(tmp_path, key, prefix):
    content = prefixed(prefix, network().state_dict())
    content = {key: content, "epoch": 7, "optimizer": {"state": {0: {}}}} if key else content
    assert_of(0, loaded(content, tmp_path))


class Lit(nn.Module):
    """As Lightning modules are made: a network, its average, and more that has weights."""

    def __init__(self, averaged=copy.deepcopy):
        super().__init__()
        self.net = network()
        self.ema = averaged(self.net)
        self.ema.load_state_dict(averaged(network(1)).state_dict())
        self.loss = nn.CrossEntropyLoss(weight=torch.ones(3))


@pytest.mark.parametrize("averaged", [copy.deepcopy, AveragedModel])
def test_a_module_beside_its_average(tmp_path, averaged):
    content = {"state_dict": Lit(averaged).state_dict(), "pytorch-lightning_version": "2.6"}
    beside = "state_dict.ema" + ".module" * (averaged is AveragedModel)
    message = (
        rf"model\.pt: the weights under state_dict\.net are taken; weights= .* under {beside}$"
    )
    with pytest.warns(UserWarning, match=message):
        assert_of(0, loaded(content, tmp_path))
    for name in ("net", "state_dict.net"):
        assert_of(0, loaded(content, tmp_path, name))
    for name in ("ema", "state_dict.ema", beside):
        assert_of(1, loaded(content, tmp_path, name))


STATE, AVERAGE = network().state_dict(), network(1).state_dict()
IN_MODULE = {"n_averaged": torch.tensor(9)} | prefixed("module.", AVERAGE)
SEVERAL = {
    "timm": {"state_dict": STATE, "state_dict_ema": AVERAGE},
    "torchvision": {"model": STATE, "model_ema": IN_MODULE, "optimizer": {"state": {}}},
    "a key": {"model_state_dict": STATE, "ema_state_dict": AVERAGE},
    "a short key": {"net": STATE, "ema": IN_MODULE},
    "BasicSR": {"params": STATE, "params_ema": AVERAGE},
    "ema_pytorch": prefixed("online_model.", STATE) | prefixed("ema_model.", AVERAGE),
    "wrapped alike": {"state_dict": prefixed("unet.", STATE) | prefixed("unet_ema.", AVERAGE)},
    "a network that has its average": STATE | prefixed("ema.", AVERAGE),
    "compiled": {"model": prefixed("_orig_mod.", STATE), "ema": prefixed("_orig_mod.", AVERAGE)},
    "another precision": {"model": STATE, "EMA": {"ema": network(1).double().state_dict()}},
}


@pytest.mark.parametrize("case", SEVERAL)
def test_averages_are_taken_where_they_are_asked_for(tmp_path, case):
    with pytest.warns(UserWarning, match=r"weights= takes those under .*ema"):
        assert_of(0, loaded(SEVERAL[case], tmp_path))
    assert_of(1, loaded(SEVERAL[case], tmp_path, "ema"))


def test_an_average_alone_need_not_be_named(tmp_path):
    assert_of(1, loaded(IN_MODULE, tmp_path))
    averaged = AveragedModel(network(1))
    assert_of(1, loaded({"ema": averaged.state_dict()}, tmp_path))


def test_an_average_that_began_as_a_copy_is_no_other(tmp_path):
    with warnings.catch_warnings(action="error"):
        assert_of(0, loaded({"teacher": STATE, "student": prefixed("net.", STATE)}, tmp_path))


def test_what_lightning_keeps_of_the_moment_is_not_taken(tmp_path):
    content = {"state_dict": prefixed("net.", AVERAGE)}
    content |= {"current_model_state": prefixed("net.", STATE)}
    with pytest.warns(UserWarning, match=r"under state_dict\.net are taken"):
        assert_of(1, loaded(content, tmp_path))
    assert_of(0, loaded(content, tmp_path, "current_model_state"))


def test_weights_between_which_no_name_decides(tmp_path):
    content = {"teacher": STATE, "student": AVERAGE, "ema": network(2).state_dict()}
    message = "has weights that fit under teacher and student and ema; name one of them as weights"
    with pytest.raises(ValueError, match=message):
        loaded(content, tmp_path)
    for seed, name in enumerate(["teacher", "student", "ema"]):
        assert_of(seed, loaded(content, tmp_path, name))


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (
            "swa",
            ValueError,
            r"^weights='swa': no weights .*; .* names under state_dict and state_di",
        ),
        ("ma", ValueError, "^weights='ma': no weights of the model have this name"),
        ("\x1b[2J" * 9999, ValueError, r"^weights='.*': no weights of the model have this name"),
        ("", TypeError, "^weights: '' given; give the name of a key or a prefix"),
        (3, TypeError, "^weights: 3 given; give the name"),
    ],
)
def test_weights_that_are_not_there(tmp_path, weights, error, message):
    with pytest.raises(error, match=message) as caught:
        loaded(SEVERAL["timm"], tmp_path, weights)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_weights_of_that_name_that_are_not_whole(tmp_path):
    part = {name: tensor for name, tensor in AVERAGE.items() if "running" not in name}
    with pytest.raises(
        ValueError, match=r"does not fit MLP, lacks input_norm\.running_mean, input_norm\.runn"
    ):
        loaded({"model": STATE, "ema": part}, tmp_path, "ema")
    assert_of(0, loaded({"model": STATE, "ema": part}, tmp_path))


def test_shapes_decide_where_names_do_not(tmp_path):
    torch.manual_seed(0)
    rows = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(2, 2), nn.Linear(2, 3))
    find = {"target": "torch.nn:Linear", "arguments": [3, 2]}
    found = loaded(rows.state_dict(), tmp_path, **find)
    assert torch.equal(found["weight"], rows[1].weight)
    with pytest.raises(ValueError, match=r"has in other shapes weight \(3, 4\) for \(9, 9\)"):
        loaded(rows.state_dict(), tmp_path, **find | {"arguments": [9, 9]})


def test_what_lies_beside_the_names_is_left_out_if_no_weight(tmp_path):
    beside = {"linear1.position_ids": torch.arange(3), "steps": torch.tensor(7)}
    assert_of(0, loaded(STATE | beside, tmp_path))
    with pytest.raises(ValueError, match=r"does not fit MLP, has besides linear9\.weight; give"):
        loaded(STATE | beside | {"linear9.weight": torch.ones(2)}, tmp_path)


def test_the_closest_names_are_compared_where_none_fit(tmp_path):
    larger = MLP(**SMALL | {"hidden_layers": 3}).state_dict()
    content = {"model": larger, "optimizer": {"exp_avg": torch.ones(3)}}
    with pytest.raises(ValueError, match=r"MLP, has besides linear3\.weight, .* and \d more; give"):
        loaded(content, tmp_path)
    with pytest.raises(
        ValueError, match=r"lacks input_norm\.weight, .*has besides optimizer\.exp_avg;"
    ):
        loaded({"optimizer": content["optimizer"]}, tmp_path)


class Tied(nn.Module):
    """A readout that shares its weights with an embedding."""

    def __init__(self):
        super().__init__()
        self.embedding, self.readout = nn.Embedding(5, 3), nn.Linear(3, 5)
        self.readout.weight = self.embedding.weight


@pytest.mark.parametrize("kept", ["embedding.weight", "readout.weight"])
def test_one_of_two_names_of_a_shared_weight_will_do(tmp_path, monkeypatch, kept):
    monkeypatch.setattr(nn, "Tied", Tied, raising=False)
    torch.manual_seed(3)
    state = Tied().state_dict()
    content = {name: state[name] for name in (kept, "readout.bias")}
    found = loaded(prefixed("model.", content), tmp_path, target="torch.nn:Tied", arguments=None)
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor)


def test_many_names_are_soon_compared(tmp_path):
    deep = {".".join(["x"] * 400) + f".{i}": torch.ones(1) for i in range(1000)}
    assert_of(0, loaded({"a": STATE} | deep, tmp_path))
    rows = {f"{i}.weight": torch.full((1, 1), i) for i in range(5000)}
    with pytest.raises(ValueError, match=r"fit under 0 and 1 and 2; name one of them as weights"):
        loaded(rows, tmp_path, target="torch.nn:Linear", arguments=[1, 1, False])
