"""Models that are made of a class and a checkpoint, and those at fault."""

import pytest
import torch
from checkpoint_files import assert_equal, saved
from torch import nn

from sbt_utils.reporting.model_files import load_model
from sbt_utils.training.networks import MLP

NETWORK = "sbt_utils.training.networks:MLP"
SMALL = {"inputs": 4, "width": 5, "hidden_layers": 2, "classes": 3}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MLP(**SMALL)


def test_a_model_computes_what_the_saved_one_did(network, tmp_path):
    network.eval()
    images = torch.randn(6, 4)
    path = saved(network.state_dict(), tmp_path)
    for arguments in (SMALL, [4, 5, 2, 3]):
        model = load_model(NETWORK, path, arguments).eval()
        assert torch.equal(model(images), network(images))


def test_a_function_or_a_nested_name_makes_a_model_as_well(tmp_path, monkeypatch):
    (tmp_path / "zoo.py").write_text(
        "from torch import nn\n\n"
        "def small():\n    return nn.Linear(2, 1)\n\n"
        "class Family:\n    member = staticmethod(small)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = saved(nn.Linear(2, 1).state_dict(), tmp_path)
    for target in ("zoo:small", "zoo:Family.member"):
        assert_equal(load_model(target, path).state_dict(), torch.load(path, weights_only=True))


def test_half_precision_weights_fit_a_full_model(network, tmp_path):
    path = saved(
        {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()},
        tmp_path,
    )
    assert load_model(NETWORK, path, SMALL).readout.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("target", "arguments", "message"),
    [
        ("MLP", None, "^model=MLP: give package.module:ClassOrFunction$"),
        (":MLP", None, "give package.module:ClassOrFunction$"),
        ("sbt_utils.training.networks:", None, "give package.module:ClassOrFunction$"),
        ("no_such_package:MLP", None, r"cannot be imported \(ModuleNotFoundError: No module named"),
        ("sbt_utils.training.networks:MPL", None, r"cannot be imported \(AttributeError: .*'MPL'"),
        ("sbt_utils.measuring.curves:MEASURES", None, "tuple given; name a class or a function"),
        ("builtins:dict", None, "gives a dict; name a torch.nn.Module"),
        (NETWORK, {"depth": 3}, r"arguments \{'depth': 3\} fails \(TypeError: .*'depth'"),
        (
            NETWORK,
            {"width": 0},
            r"fails \(ValueError: width=0: give an integer of at least 1\); give those it",
        ),
        ("torch.nn:Linear", None, "the call with no arguments fails"),
    ],
)
def test_models_that_cannot_be_made(network, tmp_path, target, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_model(target, saved(network.state_dict(), tmp_path), arguments)


def test_weights_that_do_not_fit_are_named(network, tmp_path):
    path = saved(network.state_dict(), tmp_path)
    with pytest.raises(ValueError, match="does not fit") as error:
        load_model(NETWORK, path, SMALL | {"hidden_layers": 3, "width": 6})
    assert str(error.value) == (
        f"checkpoint={path}: does not fit MLP, lacks linear3.weight, linear3.bias, norm3.weight "
        "and 4 more; has in other shapes linear1.weight (5, 4) for (6, 4), linear1.bias (5,) for "
        "(6,), norm1.weight (5,) for (6,) and 10 more; give the model and the arguments it was "
        "saved from"
    )
    with pytest.raises(ValueError, match=r"does not fit MLP, has besides linear2\.weight, linear2"):
        load_model(NETWORK, path, SMALL | {"hidden_layers": 1})


@pytest.mark.parametrize(
    ("target", "arguments", "error", "message"),
    [
        (
            nn.Linear,
            [3, 2],
            TypeError,
            r"model=<class .*Linear'>: give package\.module:C.*, as text",
        ),
        ("torch.nn:Linear", "32", TypeError, "arguments='32': give a mapping or a sequence"),
        ("torch.nn:Linear", 3, TypeError, "arguments=3: give a mapping or a sequence"),
        (
            "torch.nn:Linear",
            ["\x1b[31m" * 1000],
            ValueError,
            r"the call with arguments \['.* fails",
        ),
        ("torch.nn:" + "x" * 9999, None, ValueError, r"model=torch\.nn:x.*: cannot be imported"),
        ("a\x1b[31m\nb", None, ValueError, r"model=a\\x1b\[31m\\nb: give package"),
        ("a\x1b[31m\nb:c", None, ValueError, r"model=a\\x1b\[31m\\nb:c: cannot be imported"),
    ],
)
def test_what_names_no_model_is_shown_fit_for_a_terminal(
    tmp_path, target, arguments, error, message
):
    with pytest.raises(error, match=message) as raised:
        load_model(target, tmp_path / "none.pt", arguments)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1000


def test_complex_weights_are_not_cut_to_real_ones(tmp_path):
    state = {"weight": torch.ones(2, 3, dtype=torch.complex64), "bias": torch.ones([1] * 60)}
    message = r"\(1, 1.*1, 1\) for \(2,\); has complex numbers in weight; give the model"
    with pytest.raises(ValueError, match=message) as error:
        load_model("torch.nn:Linear", saved(state, tmp_path), [3, 2])
    assert len(str(error.value)) < 400


def test_names_from_a_checkpoint_are_cut_and_cannot_steer_a_terminal(tmp_path):
    state = {"\x1b[2J\nweight": torch.ones(2), "bias" * 200: torch.ones(1)}
    with pytest.raises(ValueError, match="has besides") as error:
        load_model("torch.nn:Linear", saved(state, tmp_path), [3, 2])
    assert str(error.value).isprintable()
    assert r"has besides \x1b[2J\nweight, biasbias" in str(error.value)
    assert len(str(error.value)) < 400


def test_weights_without_values_are_refused(tmp_path):
    state = nn.Linear(3, 2, device="meta").state_dict()
    with pytest.raises(ValueError, match=r"its weights cannot be copied into Linear \(.*meta"):
        load_model("torch.nn:Linear", saved(state, tmp_path), [3, 2])
