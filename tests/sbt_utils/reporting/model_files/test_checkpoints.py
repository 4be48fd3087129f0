"""Checkpoints of all kinds, read without running anything in them, and files at fault."""

import argparse
import functools
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import archive, assert_equal, saved
from safetensors.torch import save_file
from torch import nn

from sbt_utils.reporting.model_files.checkpoints import files_of, read_tensors
from sbt_utils.training.networks import MLP


@pytest.fixture
def state():
    torch.manual_seed(0)
    return MLP(inputs=4, width=5, hidden_layers=2, classes=3).state_dict()


# What torch.save wrote -----------------------------------------------------------------------


def test_keys_of_dictionaries_are_joined_by_dots(state, tmp_path):
    content = {"epoch": 7, "model": {"module": state}, "best": {1: torch.ones(1), "D": 0.5}}
    expected = {f"model.module.{name}": tensor for name, tensor in state.items()}
    assert_equal(read_tensors(saved(content, tmp_path)), expected)


def test_dictionaries_within_many_others_are_not_searched_for_hours(tmp_path):
    content = {"weight": torch.ones(1)}
    for _ in range(3):
        content = dict.fromkeys([f"key{i}" for i in range(500)], content)
    with pytest.raises(ValueError, match=r"holds more than 200,000 entries; give a file that"):
        read_tensors(saved(content, tmp_path))


class Spy:
    """What a hostile pickle would do on being read."""

    called = False

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return (spied, self.arguments)


def spied(*_):
    Spy.called = True


class Settings:
    """An object as trainers keep them, with a state."""

    def __init__(self):
        self.rate, self.path = 0.1, Path("/data")


OBJECTS = {
    "a call": Spy(),
    "a call with a tensor": Spy(torch.ones(1)),
    "an object with a state": Settings(),
    "settings of timm": argparse.Namespace(model="resnet18", lr=0.1),
    "what makes an optimizer": functools.partial(torch.optim.SGD, lr=0.1),
    "a module": nn.Sequential(nn.Linear(3, 2), nn.ReLU()),
    "a number of NumPy": np.float64(0.5),
    "an array": np.arange(3),
    "a function": functools.partial,
}


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_beside_the_weights_are_left_out_and_never_made(state, tmp_path, name, monkeypatch):
    Spy.called, allowed = False, torch.serialization.get_safe_globals()
    content = {"hyper_parameters": {"one": [OBJECTS[name]]}, "state_dict": state, "args": None}
    path = saved(content | {"args": OBJECTS[name]}, tmp_path)
    monkeypatch.setattr(Settings, "__setattr__", lambda *_: pytest.fail("an object was made"))
    expected = {f"state_dict.{key}": tensor for key, tensor in state.items()}
    assert_equal(read_tensors(path), expected)
    assert not Spy.called
    assert set(torch.serialization.get_safe_globals()) == set(allowed)


@pytest.mark.parametrize("content", [Spy(), {"model": Spy()}, [Spy(), Spy()], nn.Linear(3, 2)])
def test_objects_alone_are_no_checkpoint(tmp_path, content):
    Spy.called = False
    with pytest.raises(
        ValueError, match=r"holds no state_dict; save model\.state_dict\(\), alone or"
    ):
        read_tensors(saved(content, tmp_path))
    assert not Spy.called


class Grown(list):
    """A list of a kind of its own, which PyTorch's reader of weights does not fill."""


class Command:
    """What would run a command of the system."""

    def __reduce__(self):
        return (os.system, ("touch trace",))


@pytest.mark.parametrize("extra", [Grown([1]), Command()])
def test_what_the_reader_of_weights_refuses_has_a_remedy(state, tmp_path, monkeypatch, extra):
    monkeypatch.chdir(tmp_path)
    path = saved({"state_dict": state, "extra": extra}, tmp_path)
    remedy = r"holds more than tensors, .* save the state_dict alone, torch\.save\(model\.state_d"
    with pytest.raises(ValueError, match=remedy) as error:
        read_tensors(path)
    assert "False" not in str(error.value)
    assert os.listdir(tmp_path) == ["model.pt"]


def test_objects_of_many_classes_are_refused(tmp_path):
    body = b"".join(b"cmine\nKind%d\n" % number for number in range(300))
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/data.pkl", b"\x80\x02(" + body + b"t.")
        file.writestr("model/version", "3")
    with pytest.raises(
        ValueError, match=r"not a whole checkpoint \(it holds objects of 300 classes"
    ):
        read_tensors(path)


def test_the_format_of_old_is_refused(state, tmp_path):
    path = tmp_path / "old.pt"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"not a checkpoint; .* with PyTorch 1\.6 or newer, or"):
        read_tensors(path)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_an_older_format_that_ends_like_an_archive_is_refused(tmp_path, monkeypatch, protocol):
    path = tmp_path / "old.pt"
    kind = {"_use_new_zipfile_serialization": False, "pickle_protocol": protocol}
    torch.save({"weight": torch.ones(2)}, path, **kind)
    path.write_bytes(path.read_bytes() + archive(notes="weights"))
    assert zipfile.is_zipfile(path)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("PyTorch was asked to read it"))
    with pytest.raises(ValueError, match=r"not a checkpoint; .* with PyTorch 1\.6 or newer, or"):
        read_tensors(path)


def test_a_checkpoint_that_unpacks_to_more_than_itself_is_refused(tmp_path, monkeypatch):
    path = saved({"weight": torch.zeros(10**6)}, tmp_path)
    with zipfile.ZipFile(path) as file:
        path.write_bytes(archive(**{name: file.read(name) for name in file.namelist()}))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("PyTorch was asked to read it"))
    with pytest.raises(ValueError, match=r"not a whole checkpoint \(compressed; torch\.save"):
        read_tensors(path)


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
            assert_equal(read_tensors(path), state)
        except ValueError:
            refused += 1
    assert refused > len(flips) / 3


def test_a_script_is_no_checkpoint(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/version", "3")
        for name in ("data.pkl", "constants.pkl"):
            file.writestr(f"model/{name}", pickle.dumps(3, 2))
    with pytest.raises(ValueError, match=r"not a whole checkpoint \(.*torchscript") as error:
        read_tensors(path)
    assert "False" not in str(error.value)  # PyTorch would have its reader run what it holds


@pytest.mark.parametrize("length", [10, 900, 10**6])  # PyTorch alone takes hours for the last
def test_the_name_of_a_class_in_a_checkpoint_is_not_shown(tmp_path, length):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/data.pkl", b"\x80\x02cevil\n\x1b[2J" + b"x" * length + b"\n)R.")
        file.writestr("model/version", "3")
    with pytest.raises(ValueError, match="checkpoint=") as error:
        read_tensors(path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "content", [b"", b"weights", pickle.dumps({"weight": 1}), b"\x93NUMPY\x01\x00"]
)
def test_other_files_are_no_checkpoints(tmp_path, content):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^checkpoint={path}: not a checkpoint; give a file that"):
        read_tensors(path)


def test_a_zip_file_of_something_else_is_no_checkpoint(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("notes.txt", "weights")
    with pytest.raises(ValueError, match=r"not a whole checkpoint \(.+\)$"):
        read_tensors(path)


def test_a_damaged_checkpoint(state, tmp_path):
    path = saved(state, tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"not a (whole )?checkpoint"):
        read_tensors(path)


@pytest.mark.parametrize(
    "content", [torch.ones(3), [torch.ones(3)], {"epoch": 3}, {3: torch.ones(1)}]
)
def test_tensors_that_are_no_state_dict(tmp_path, content):
    with pytest.raises(ValueError, match=r"holds no state_dict; save model\.state_dict\(\), alone"):
        read_tensors(saved(content, tmp_path))


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        message = rf"{path}: not a checkpoint \(it is no regular file\); "
        with pytest.raises(ValueError, match=message):
            read_tensors(path)
    for path in (3, None, b"model.pt"):
        with pytest.raises(TypeError, match=rf": not a .* \({type(path).__name__} given\); "):
            read_tensors(path)


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.pt"):
        read_tensors(tmp_path / "model.pt")


@pytest.mark.parametrize("content", ["", "text", "PK\3\4text", "{", "{}"])
def test_names_of_files_steer_no_terminal(tmp_path, content):
    path = tmp_path / "a\x1b[31m\n"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"a\\x1b\[31m\\n: not an? ") as error:
        read_tensors(path)
    assert str(error.value).isprintable()


# Safetensors ---------------------------------------------------------------------------------


def header(text, length=None):
    """Return the start of a file in the safetensors format."""
    return (len(text) if length is None else length).to_bytes(8, "little") + text


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "x", "α \x1b[2J"])
def test_safetensors_are_known_by_their_bytes(state, tmp_path, name):
    state = state | {"half": torch.ones(2, dtype=torch.bfloat16), "none": torch.ones(0, 3)}
    path = tmp_path / name
    save_file(state, tmp_path / "model", metadata={"format": "pt"})
    (tmp_path / "model").rename(path)
    found = read_tensors(path)
    assert_equal({name: found[name] for name in state}, state)
    assert len(found) == len(state)


ENTRY = b'{"%s":{"dtype":"F32","shape":%s,"data_offsets":[0,8]}}'


def test_a_header_whose_length_begins_as_an_index_would(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(header((ENTRY % (b"w", b"[2]")).ljust(123)) + bytes(8))
    assert path.read_bytes().startswith(b"{")
    assert torch.equal(read_tensors(path)["w"], torch.zeros(2))


FAULTY = {
    "cut": header(ENTRY % (b"w", b"[2]")) + bytes(7),
    "more than it says": header(ENTRY % (b"w", b"[2]")) + bytes(9),
    "other shape": header(ENTRY % (b"w", b"[3]")) + bytes(8),
    "huge shape": header(ENTRY % (b"w", b"[4294967296, 4294967296, 4294967296]")) + bytes(8),
    "other number type": header(ENTRY.replace(b"F32", b"X99") % (b"w", b"[2]")) + bytes(8),
    "no JSON": header(b"{weights}") + bytes(8),
    "twice": header(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        b'"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    )
    + bytes(8),
    "name of a megabyte": header(ENTRY % (b"\\u001b[2J" * 100_000, b"[2]")) + bytes(8),
    "half a letter": header(ENTRY % (b"\\ud800", b"[2]")) + bytes(8),
    "only braces": header(b"{" * 3000),
    "a header of many megabytes": header(b"{}" + b" " * 2**24),
}


@pytest.mark.parametrize("case", FAULTY)
def test_safetensors_at_fault(tmp_path, case):
    path = tmp_path / "model.safetensors"
    path.write_bytes(FAULTY[case])
    remedy = r"not a whole checkpoint \(.*\); copy or save it again, safetensors\.torch\.save_model"
    with pytest.raises(ValueError, match=remedy) as error:
        read_tensors(path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600


def test_a_header_longer_than_its_file_is_none(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(header(b"{}", length=2**60))
    with pytest.raises(ValueError, match="not a checkpoint; give a file that"):
        read_tensors(path)


def test_without_the_package_the_message_says_what_to_install(state, tmp_path, monkeypatch):
    save_file(state, tmp_path / "model.safetensors")
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"model\.safetensors: .*; pip install safetensors$"):
        read_tensors(tmp_path / "model.safetensors")


# Several files -------------------------------------------------------------------------------


def index(folder, places, name="model.safetensors.index.json"):
    (folder / name).write_text(json.dumps({"metadata": {}, "weight_map": places}, indent=1))
    return folder / name


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_a_folder_and_an_index_of_several_files(state, tmp_path, kind):
    stem = {"safetensors": "model", "bin": "pytorch_model"}[kind]
    places, save = {}, save_file if kind == "safetensors" else torch.save
    for number, name in enumerate(state):
        places[name] = f"{stem}-{number:05}.{kind}"
        save({name: state[name]}, tmp_path / places[name])
    path = index(tmp_path, places, f"{stem}.{kind}.index.json")
    for checkpoint in (path, tmp_path, str(tmp_path)):
        assert_equal(read_tensors(checkpoint), state)
        assert [file.name for file in files_of(checkpoint)] == list(places.values())
    save(state, tmp_path / f"{stem}.{kind}")
    assert [file.name for file in files_of(tmp_path)] == [f"{stem}.{kind}"]
    assert {name: t.sum() for name, t in read_tensors(tmp_path).items()} == {
        name: t.sum() for name, t in state.items()
    }


def test_a_folder_without_any_is_told(tmp_path):
    (tmp_path / "weights.safetensors").touch()
    message = "a folder with neither model.safetensors nor pytorch_model.bin; name the file in it$"
    with pytest.raises(ValueError, match=message):
        read_tensors(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not an index of checkpoints"),
        ("{}", r"not an index of checkpoints \('weight_map'\)"),
        ('{"weight_map": []}', "not an index of checkpoints"),
        ('{"weight_map": {}}', "its files do not lie beside it"),
        ('{"weight_map": {"w": 3}}', "not an index of checkpoints"),
        ('{"weight_map": {"w": "../model.pt"}}', "its files do not lie beside it"),
        ('{"weight_map": {"w": "/etc/passwd"}}', "its files do not lie beside it"),
        ('{"weight_map": {"w": ".."}}', r"\.\. is not beside it"),
        ('{"weight_map": {"w": ""}}', "its files do not lie beside it"),
        ('{"weight_map": {"w": "a\\u0000b"}}', "not beside it|not an index"),
        ('{"weight_map": {"w": "none.bin"}}', r"none\.bin is not beside it; copy it there"),
        ('{"weight_map": {"w": "\\u001b[2J"}}', r"\\x1b\[2J is not beside it"),
        ('{"weight_map": ' + "[" * 100_000, "not an index of checkpoints"),
        ('{"weight_map": {"w": "index"}}', "not a checkpoint; give a file that"),  # no circle
    ],
)
def test_an_index_at_fault(tmp_path, text, message):
    (tmp_path / "index").write_text(text)
    torch.save({"w": torch.ones(1)}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=message) as error:
        read_tensors(tmp_path / "index")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600
