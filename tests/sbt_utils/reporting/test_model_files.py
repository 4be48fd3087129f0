"""Models from checkpoints and images from npz files, those at fault included."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from sbt_utils.reporting.model_files import load_images, load_model, load_state
from sbt_utils.training.networks import MLP

NETWORK = "sbt_utils.training.networks:MLP"
SMALL = {"inputs": 4, "width": 5, "hidden_layers": 2, "classes": 3}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MLP(**SMALL)


def saved(content, folder):
    path = folder / "model.pt"
    torch.save(content, path)
    return path


def assert_equal(state, expected):
    assert list(state) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(state[name], tensor), name


# Models --------------------------------------------------------------------------------------


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


# Checkpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize(
    "prefix",
    [
        *("", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."),
        *("_orig_mod.module._orig_mod.", "module.module."),
    ],
)
def test_usual_wrappings_are_taken_off(network, tmp_path, key, prefix):
    state = network.state_dict()
    content = {prefix + name: tensor for name, tensor in state.items()}
    content = {key: content, "epoch": 7} if key else content
    assert_equal(load_state(saved(content, tmp_path)), state)


def test_a_prefix_of_some_names_only_is_theirs(tmp_path):
    state = {"module.weight": torch.ones(2), "other.weight": torch.ones(1)}
    assert list(load_state(saved(state, tmp_path))) == list(state)


class Spy:
    """What a hostile pickle would do on being read."""

    called = False

    def __reduce__(self):
        return (spied, ())


def spied():
    Spy.called = True


@pytest.mark.parametrize("content", [Spy(), {"weight": torch.ones(2), "extra": Spy()}])
def test_pickled_objects_are_refused_and_never_run(tmp_path, content):
    Spy.called = False
    path = saved(content, tmp_path)
    with pytest.raises(ValueError, match="holds more than tensors, which could run code, and is"):
        load_state(path)
    assert not Spy.called


def test_a_whole_pickled_model_is_refused(network, tmp_path):
    with pytest.raises(ValueError, match=r"save the state_dict alone, torch\.save\(model\.state"):
        load_state(saved(network, tmp_path))


def test_the_format_of_old_is_refused(network, tmp_path):
    path = tmp_path / "old.pt"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"not a checkpoint; .* with PyTorch 1\.6 or newer"):
        load_state(path)


def archive(**files):
    """Return a zip archive of these files, compressed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in files.items():
            file.writestr(name, text)
    return content.getvalue()


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_an_older_format_that_ends_like_an_archive_is_refused(tmp_path, monkeypatch, protocol):
    path = tmp_path / "old.pt"
    kind = {"_use_new_zipfile_serialization": False, "pickle_protocol": protocol}
    torch.save({"weight": torch.ones(2)}, path, **kind)
    path.write_bytes(path.read_bytes() + archive(notes="weights"))
    assert zipfile.is_zipfile(path)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("PyTorch was asked to read it"))
    with pytest.raises(ValueError, match=r"not a checkpoint; .* with PyTorch 1\.6 or newer"):
        load_state(path)


def test_a_checkpoint_that_unpacks_to_more_than_itself_is_refused(tmp_path, monkeypatch):
    path = saved({"weight": torch.zeros(10**6)}, tmp_path)
    with zipfile.ZipFile(path) as file:
        path.write_bytes(archive(**{name: file.read(name) for name in file.namelist()}))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("PyTorch was asked to read it"))
    with pytest.raises(ValueError, match=r"not a whole checkpoint \(compressed; torch\.save"):
        load_state(path)


def test_no_flipped_bit_changes_what_is_read(tmp_path):
    state = nn.Linear(3, 2).state_dict()
    path = saved(state, tmp_path)
    whole, refused = path.read_bytes(), 0
    # One bit in 88 everywhere, and each of the first entry of the table at the end. What may still
    # be read has a flip where nothing is kept.
    flips = [(place, place % 8) for place in range(0, len(whole), 11)]
    table = whole.index(b"PK\x01\x02")
    flips += [(place, bit) for place in range(table, table + 60) for bit in range(8)]
    for place, bit in flips:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            assert_equal(load_state(path), state)
        except ValueError:
            refused += 1
    assert refused > len(flips) / 3


def test_a_script_is_no_checkpoint(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/version", "3")
        for name in ("data.pkl", "constants.pkl"):
            file.writestr(f"model/{name}", pickle.dumps(3, 2))
    with pytest.raises(ValueError, match="TorchScript archives passed") as error:
        load_state(path)
    assert "False" not in str(error.value)  # PyTorch would have its reader run what it holds


def test_names_from_a_checkpoint_are_cut_and_cannot_steer_a_terminal(tmp_path):
    state = {"\x1b[2J\nweight": torch.ones(2), "bias" * 200: torch.ones(1)}
    with pytest.raises(ValueError, match="has besides") as error:
        load_model("torch.nn:Linear", saved(state, tmp_path), [3, 2])
    assert str(error.value).isprintable()
    assert r"has besides \x1b[2J\nweight, biasbias" in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("length", [10, 900, 10**6])  # PyTorch alone takes hours for the last
def test_the_name_of_a_class_in_a_checkpoint_is_not_shown(tmp_path, length):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/data.pkl", b"\x80\x02cevil\n\x1b[2J" + b"x" * length + b"\n)R.")
        file.writestr("model/version", "3")
    with pytest.raises(ValueError, match="checkpoint=") as error:
        load_state(path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


def test_weights_without_values_are_refused(tmp_path):
    state = nn.Linear(3, 2, device="meta").state_dict()
    with pytest.raises(ValueError, match=r"its weights cannot be copied into Linear \(.*meta"):
        load_model("torch.nn:Linear", saved(state, tmp_path), [3, 2])


@pytest.mark.parametrize(
    "content", [b"", b"weights", pickle.dumps({"weight": 1}), b"\x93NUMPY\x01\x00"]
)
def test_other_files_are_no_checkpoints(tmp_path, content):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^checkpoint={path}: not a checkpoint; give a file that"):
        load_state(path)


def test_a_zip_file_of_something_else_is_no_checkpoint(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("notes.txt", "weights")
    with pytest.raises(ValueError, match=r"not a whole checkpoint \(.+\)$"):
        load_state(path)


def test_a_damaged_checkpoint(network, tmp_path):
    path = saved(network.state_dict(), tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"not a (whole )?checkpoint"):
        load_state(path)


@pytest.mark.parametrize(
    "content", [torch.ones(3), [torch.ones(3)], {"epoch": 3}, {3: torch.ones(1)}]
)
def test_tensors_that_are_no_state_dict(tmp_path, content):
    with pytest.raises(ValueError, match=r"holds no state_dict; save model\.state_dict\(\), alone"):
        load_state(saved(content, tmp_path))


@pytest.mark.parametrize("load", [load_state, load_images])
def test_what_is_no_regular_file_is_not_waited_for(tmp_path, load):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        message = rf"{path}: not an? (checkpoint|npz file of images) \(it is no regular file\); "
        with pytest.raises(ValueError, match=message):
            load(path)
    for path in (3, None, b"model.pt"):
        with pytest.raises(TypeError, match=rf": not an? .* \({type(path).__name__} given\); "):
            load(path)


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.pt"):
        load_state(tmp_path / "model.pt")


# Images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_images_come_back_as_they_were(tmp_path, save):
    images, labels = np.random.default_rng(0).random((6, 1, 2, 2)), np.arange(6) % 3
    save(tmp_path / "images.npz", images=images, labels=labels, more=1)
    found = load_images(tmp_path / "images.npz")
    np.testing.assert_array_equal(found[0], images)
    np.testing.assert_array_equal(found[1], labels)


def test_images_at_fault(tmp_path):
    path = tmp_path / "images.npz"
    with pytest.raises(FileNotFoundError):
        load_images(path)
    np.savez(path, images=np.zeros(3))
    with pytest.raises(ValueError, match=r"it has no array 'labels'\); write it by numpy\.savez"):
        load_images(path)
    np.savez(path, images=np.zeros(3), labels=np.array([Spy()], dtype=object))
    with pytest.raises(ValueError, match=r"not an npz file of images \(.*allow_pickle=False"):
        load_images(path)
    for content in (
        b"",
        b"images",
        path.read_bytes()[:-30],
        archive(**{"images.npy": b"\x93NUMPY"}),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not an npz file of images"):
            load_images(path)
    single = io.BytesIO()
    np.save(single, np.zeros(3))
    for more in (b"", archive(images="", labels="")):  # NumPy, too, looks at the first bytes
        path.write_bytes(single.getvalue() + more)
        with pytest.raises(ValueError, match="no archive of arrays"):
            load_images(path)


def test_images_larger_than_memory_are_refused(tmp_path):
    header = io.BytesIO()
    shape = {"shape": (10**15,), "fortran_order": False, "descr": "<f8"}
    np.lib.format.write_array_header_1_0(header, shape)
    arrays = {"images.npy": header.getvalue(), "labels.npy": header.getvalue()}
    (tmp_path / "images.npz").write_bytes(archive(**arrays))
    with pytest.raises(ValueError, match=r"not an npz file of images \(Unable to allocate"):
        load_images(tmp_path / "images.npz")


def test_no_flipped_bit_changes_images(tmp_path):
    path = tmp_path / "images.npz"
    expected = {"images": np.arange(40.0).reshape(10, 4), "labels": np.arange(10)}
    np.savez(path, **expected)
    whole = path.read_bytes()
    for place in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            images, labels = load_images(path)
        except ValueError:
            continue
        np.testing.assert_array_equal(images, expected["images"])
        np.testing.assert_array_equal(labels, expected["labels"])


def test_no_changed_byte_of_a_header_changes_images(tmp_path):
    """Of images that fill more than one block of reading: their end is not read by chance."""
    path = tmp_path / "images.npz"
    expected = np.random.default_rng(0).random((40, 1000))
    np.savez(path, images=expected, labels=np.arange(40))
    whole = path.read_bytes()
    shape = whole.index(b"(40, 1000)")
    for changed in (b"(4, 1000) ", b"(40, 0)   ", b"(0, 1000) ", b"(40, 999) "):
        path.write_bytes(whole[:shape] + changed + whole[shape + 10 :])
        with pytest.raises(ValueError, match=r"not an npz file of images \(images\.npy is damaged"):
            load_images(path)
    for place in range(shape - 50, shape + 50):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="not an npz file of images"):
            load_images(path)


@pytest.mark.parametrize("name", ["images", "labels"])
def test_members_that_are_no_arrays(tmp_path, name):
    path = tmp_path / "images.npz"
    arrays = io.BytesIO()
    np.savez(arrays, images=np.zeros(3), labels=np.zeros(3))
    with zipfile.ZipFile(arrays) as source, zipfile.ZipFile(path, "w") as archive:
        for member in source.namelist():
            text = b"text" if member == f"{name}.npy" else source.read(member)
            archive.writestr(member, text)
    with pytest.raises(ValueError, match=rf"not an npz file of images \('{name}' is no array\)"):
        load_images(path)


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


@pytest.mark.parametrize("load", [load_state, load_images])
@pytest.mark.parametrize("content", ["", "text", "PK\3\4text"])
def test_names_of_files_steer_no_terminal(tmp_path, load, content):
    path = tmp_path / "a\x1b[31m\n"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"a\\x1b\[31m\\n: not an? ") as error:
        load(path)
    assert str(error.value).isprintable()
