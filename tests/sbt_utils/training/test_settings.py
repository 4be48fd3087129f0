"""The members' settings and the data, which are checked before anything is trained."""

import math

import numpy as np
import pytest
import torch
from small_training import assert_same_member, fit, network, problem
from torch import nn

from sbt_utils.training.ranges import check_range
from sbt_utils.training.settings import member_settings
from sbt_utils.training.trainer import train


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"negative_slope": -0.1}, r"negative_slope=-0\.1: give a number in \[0, 1\]"),
        ({"negative_slope": [0.0, 1.1]}, r"negative_slope=1\.1: give a number in \[0, 1\]"),
        ({"dropout": 1.0}, r"dropout=1\.0: give a number in \[0, 1\)"),
        ({"dropout": [0.2, -0.5]}, r"dropout=-0\.5: give a number in \[0, 1\)"),
        ({"dropout": math.nan}, r"dropout=nan: give a number in \[0, 1\)"),
        ({"learning_rate": 0.0}, r"learning_rate=0\.0: give a number in \(0, inf\)"),
        ({"learning_rate": -1e-3}, r"learning_rate=-0\.001: give a number in \(0, inf\)"),
        ({"learning_rate": math.inf}, r"learning_rate=inf: give a number in \(0, inf\)"),
        ({"learning_rate": math.nan}, r"learning_rate=nan: give a number in \(0, inf\)"),
        ({"data_noise": 1.5}, r"data_noise=1\.5: give a number in \[0, 1\]"),
        ({"data_noise": -0.1}, r"data_noise=-0\.1: give a number in \[0, 1\]"),
        ({"weight_noise": [0.0, 1.5]}, r"weight_noise=1\.5: give a number in \[0, 1\]"),
        ({"weight_noise": math.nan}, r"weight_noise=nan: give a number in \[0, 1\]"),
        ({"seeds": -1}, "seed=-1: give integers of at least 0"),
        ({"seeds": 2**63}, r"seed=9223372036854775808: give integers of at least 0, below 2\^63"),
        ({"seeds": [0, 2**64]}, r"seed=.*: give integers of at least 0, below 2\^63"),
        ({"seeds": np.uint64(2**64 - 1)}, r"seed=.*: give integers of at least 0, below 2\^63"),
        ({"seeds": 1.5}, r"seed=1\.5: give integers of at least 0"),
        ({"seeds": [0, -2]}, r"seed=\[0, -2\]: give integers of at least 0"),
        ({"batch_size": 0}, "batch_size=0: give integers of at least 1"),
        ({"batch_size": 4.0}, r"batch_size=4\.0: give integers of at least 1"),
        ({"batch_size": 61}, "batch_size=61: there are 60 images; give at most that"),
        ({"batch_size": 59}, "batch_size=59 leaves a batch of 1 of 60 images; batch norm"),
        ({"batch_size": [60, 1]}, "batch_size=1 leaves a batch of 1 of 60 images"),
        (
            {"seeds": range(3), "dropout": [0.0, 0.1]},
            r"seed \(3,\), .*dropout \(2,\), .*: give each one value, or one value for each member",
        ),
        ({"seeds": []}, r"seed.*: give"),
        ({"seeds": [1, [2]]}, r"seed=\[1, \[2\]\]: give integers of at least 0"),
        ({"seeds": np.ma.array([1, 2], mask=[0, 1])}, "seed=masked_array.*: give integers of at "),
        ({"batch_size": [20, [30]]}, r"batch_size=\[20, \[30\]\]: give integers of at least 1"),
        ({"learning_rate": [0.1, [0.1]]}, r"learning_rate=\[0\.1, \[0\.1\]\]: give a number in"),
        ({"data_noise": [0.1, [0.1]]}, r"data_noise=\[0\.1, \[0\.1\]\]: give a number in"),
        ({"dropout": [[0.1], [0.2]]}, r"dropout \(2, 1\), .*: give each one value"),
        ({"optimizer": "newton"}, "optimizer='newton': choose one of adam, sgd, momentum"),
        (
            {"optimizer": np.ones(2)},
            r"optimizer=array\(\[1\., 1\.\]\): choose one of adam, sgd, mom",
        ),
        ({"epochs": 0}, "epochs=0: give an integer"),
        ({"separation_every": 0}, "separation_every=0: give an integer"),
        ({"epochs": True}, "epochs=True: give an integer"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"device": None}, "device=None: choose 'cpu' or 'cuda'"),
        ({"device": 0}, "device=0: choose 'cpu' or 'cuda'"),
        ({"device": torch.device("meta")}, r"device=device\(type='meta'\): choose 'cpu' or 'cuda'"),
        ({"device": torch.device("cuda", 99)}, "this machine has no such GPU; choose 'cpu'"),
    ],
)
def test_settings_out_of_range(settings, message):
    images, labels = problem()
    with pytest.raises(ValueError, match=message):
        fit(network(), images, labels, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 2.5}, r"epochs=2\.5"),
        ({"epochs": "2"}, "epochs='2'"),
        ({"separation_every": 1.5}, r"separation_every=1\.5"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"seeds": True}, "seed=True"),
        ({"readings": 3}, "^readings: int given; give Readings$"),
    ],
)
def test_settings_of_wrong_types(settings, message):
    images, labels = problem()
    with pytest.raises((TypeError, ValueError), match=message):
        fit(network(), images, labels, **settings)


def test_settings_of_layers_that_the_network_does_not_have():
    images, labels = problem()
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 4))
    with pytest.raises(ValueError, match=r"dropout=0\.1: the network has no Dropout layer; omit"):
        fit(model, images, labels, dropout=0.1)
    with pytest.raises(ValueError, match=r"negative_slope=0\.1: the network has no LeakyReLU"):
        fit(model, images, labels, negative_slope=0.1)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(8, 4), nn.Dropout(0.1), nn.Linear(4, 4), nn.Dropout(0.2)
    )
    with pytest.raises(ValueError, match=r"dropout: the network's layers differ \(\[0\.1, 0\.2\]"):
        fit(model, images, labels)
    assert fit(model, images, labels, dropout=0.3, epochs=1).history.dropout.item() == 0.3


def test_member_settings_fill_in_what_is_one_for_all():
    model = network(negative_slope=0.3, dropout=0.1)
    members = member_settings(
        model,
        seed=[7, 8, 9],
        negative_slope=None,
        dropout=None,
        learning_rate=[1e-3, 1e-2, 1e-1],
        data_noise=0.0,
        weight_noise=0.1,
        batch_size=20,
    )
    assert {name: values.tolist() for name, values in members.items()} == {
        "seed": [7, 8, 9],
        "negative_slope": [0.3] * 3,
        "dropout": [0.1] * 3,
        "learning_rate": [1e-3, 1e-2, 1e-1],
        "data_noise": [0.0] * 3,
        "weight_noise": [0.1] * 3,
        "batch_size": [20] * 3,
    }


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("negative_slope", [0, 0.5, 1]),
        ("dropout", [0, 0.999]),
        ("learning_rate", [1e-300, 1e10]),
        ("data_noise", [0, 1]),
        ("weight_noise", [0, 1]),
    ],
)
def test_ranges_include_what_they_say(name, inside):
    check_range(name, inside)
    for value in inside:
        check_range(name, value)


IMAGES, LABELS = problem()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES.log(), LABELS, "images hold NaN or infinite values: remove or fix them"),
        (IMAGES / 0, LABELS, "images hold NaN or infinite values"),
        (IMAGES, LABELS[:59], r"labels: shape \(59,\) does not match .* \(60, 1, 2, 4\); give one"),
        (IMAGES, LABELS[:, None], r"labels of shape \(60, 1\) .* for 60 images"),
        (IMAGES, LABELS.float(), r"labels of shape \(60,\) and torch\.float32 for 60 images"),
        (IMAGES, LABELS > 1, r"labels of shape \(60,\) and torch\.bool for 60 images"),
        (IMAGES, LABELS - 1, "labels from -1 to 2: the network has classes 0 to 3"),
        (IMAGES, LABELS + 1, "labels from 1 to 4: the network has classes 0 to 3"),
        (IMAGES[..., :3], LABELS, r"images of shape \(60, 1, 2, 3\) do not fit the network: "),
        (IMAGES.double(), LABELS, r"images of torch\.float64, but the network is torch\.float32"),
        (IMAGES[:0], LABELS[:0], "images"),
    ],
    ids=[
        "nan",
        "infinite",
        "too few",
        "two axes",
        "float",
        "bool",
        "negative",
        "too large",
        "other pixels",
        "other dtype",
        "none",
    ],
)
def test_data_that_do_not_fit(images, labels, message):
    with pytest.raises(ValueError, match=message):
        fit(network(), images, labels)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int16])
def test_labels_may_be_any_integers(dtype):
    images, labels = problem()
    expected = fit(network(), images, labels, data_noise=0.2, epochs=2)
    found = fit(network(), images, labels.to(dtype), data_noise=0.2, epochs=2)
    assert_same_member(found, 0, expected, 0)


def as_given(images, labels):
    """Return the forms in which training data may be given."""
    whole = torch.utils.data.TensorDataset(images, labels)
    return {
        "a pair": ((images, labels),),
        "a loader": (torch.utils.data.DataLoader(whole, batch_size=7),),
        "arrays": (images.numpy(), labels.numpy()),
        "a pair of arrays": ([images.numpy(), labels.numpy()],),
    }


@pytest.mark.parametrize("form", as_given(*problem()))
def test_data_are_a_pair_a_loader_or_two_arguments(form):
    images, labels = problem()
    settings = {"batch_size": 20, "data_noise": 0.1, "epochs": 2, "progress": False}
    expected = train(network(), images, labels, **settings)
    assert_same_member(
        train(network(), *as_given(images, labels)[form], **settings), 0, expected, 0
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((IMAGES, None), "labels: None given; inputs in an array need labels"),
        (((IMAGES, LABELS), LABELS), "labels: given twice, also in data"),
        ((3, None), r"data: int given; give \(inputs, labels\) or a loader"),
    ],
)
def test_data_of_no_such_form(data, message):
    with pytest.raises(TypeError, match=message):
        fit(network(), *data)


def test_a_batch_of_1_is_fine_without_batch_norm():
    images, labels = problem(images=5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 4))
    assert fit(model, images, labels, batch_size=2, epochs=1).history.loss.notnull().all()


@pytest.mark.parametrize("model", [nn.Linear(8, 4), nn.ModuleList([nn.Linear(8, 4)])])
def test_networks_that_are_not_sequential(model):
    images, labels = problem()
    with pytest.raises(TypeError, match=r"network is a .*: ensembles train torch\.nn\.Sequential"):
        fit(model, images, labels)


@pytest.mark.parametrize("part", ["linear1", "norm2", "linear2"])
def test_a_network_of_mixed_types_is_refused(part):
    mixed = network()
    mixed.get_submodule(part).double()
    message = r"^network: holds numbers of torch\.float32 and torch\.float64; make all of one type"
    with pytest.raises(ValueError, match=message):
        fit(mixed, *problem())


def test_networks_with_unknown_layers():
    images, labels = problem()
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 4), nn.Tanh())
    with pytest.raises(TypeError, match="layer '2' is a Tanh; ensembles know"):
        fit(model, images, labels)


@pytest.mark.parametrize("frozen", ["linear1.weight", "norm2.bias"])
def test_parameters_that_are_not_to_be_trained_are_refused(frozen):
    images, labels = problem()
    model = network()
    model.get_parameter(frozen).requires_grad_(False)
    message = f"network: '{frozen}' has requires_grad=False, .* call network.requires_grad_"
    with pytest.raises(ValueError, match=message):
        fit(model, images, labels, epochs=1)
    fit(model.requires_grad_(True), images, labels, epochs=1)


@pytest.mark.parametrize(
    ("one", "other"),
    [("linear1.weight", "linear2.weight"), ("norm1.bias", "norm2.bias")],
)
def test_parameters_that_layers_share_are_refused(one, other):
    images, labels = problem(inputs=16)
    model = network(inputs=16)
    layer, name = other.split(".")
    setattr(model.get_submodule(layer), name, model.get_parameter(one))
    message = f"network: '{one}' and '{other}' are one tensor; .* give each layer its own"
    with pytest.raises(TypeError, match=message):
        fit(model, images, labels, epochs=1)


def test_buffers_that_layers_share_are_refused():
    images, labels = problem()
    model = network()
    model.norm2.running_mean = model.norm1.running_mean
    message = "'norm1.running_mean' and 'norm2.running_mean' are one tensor"
    with pytest.raises(TypeError, match=message):
        fit(model, images, labels, epochs=1)


def test_memory_that_layers_share_is_refused():
    images, labels = problem(inputs=16)
    for shared in (lambda weight: weight, lambda weight: weight.t(), lambda weight: weight[:, :]):
        model = network(inputs=16)
        model.linear2.weight = nn.Parameter(shared(model.linear1.weight.detach()))
        with pytest.raises(TypeError, match=r"'linear1\.weight' and 'linear2\.weight' are one te"):
            fit(model, images, labels, epochs=1)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda model: nn.utils.weight_norm(model.linear1), "linear1.weight_g"),
        (lambda model: nn.utils.spectral_norm(model.linear1), "linear1.weight_orig"),
        (lambda model: model.register_buffer("extra", torch.ones(3)), "extra"),
        (lambda model: model.register_buffer("extra", torch.ones(3), persistent=False), "extra"),
        (lambda model: model.linear1.register_parameter("x", nn.Parameter(torch.ones(3))), "x"),
    ],
)
def test_tensors_that_ensembles_do_not_know_are_refused(change, name):
    images, labels = problem()
    model = network()
    change(model)
    with pytest.raises(TypeError, match=rf"^network: '.*{name}' is no tensor of a stock layer; re"):
        fit(model, images, labels, epochs=1)


def test_numbers_and_devices_of_other_libraries():
    images, labels = problem()
    expected = fit(network(), images, labels, seeds=[3], epochs=1).history
    for settings in (
        {"seeds": np.int64(3), "epochs": np.int32(1), "device": torch.device("cpu")},
        {"seeds": torch.tensor([3]), "epochs": 1, "device": "cpu:0"},
    ):
        assert fit(network(), images, labels, **settings).history.equals(expected)


@pytest.mark.parametrize("part", ["linear1", "norm1"])
def test_a_network_on_another_device_is_refused(part):
    images, labels = problem()
    model = network()
    model.get_submodule(part).to("meta")  # as "cuda" is, where there is a GPU
    message = rf"network: '{part}\.weight' is on 'meta'; give the network on the CPU \(network\.cpu"
    with pytest.raises(ValueError, match=message):
        fit(model, images, labels, epochs=1)
