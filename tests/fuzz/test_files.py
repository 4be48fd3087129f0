"""Files damaged at random: read as they were written, or refused by their names, and soon."""

import faulthandler
import io
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from fuzzing import REFUSED, answer, tried
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from sbt_utils import results
from sbt_utils.reporting.model_files import load_inputs, load_model
from sbt_utils.reporting.model_files.checkpoints import read_tensors
from sbt_utils.sweeping.storage import finished_shards
from sbt_utils.sweeping.storage import save as save_shard

pytestmark = pytest.mark.usefixtures("one_thread")

RNG = np.random.default_rng(0)
CONFIGURATION = {"seeds": [5, 7], "name": "α"}
DATASET = xr.Dataset(
    {
        "separation": (("seed", "layer"), RNG.normal(size=(2, 40)), {"long_name": "D"}),
        "collapsed": ("seed", [np.nan, 1.0]),
    },
    {"seed": [5, 7], "optimizer": ("seed", ["adam", "sgd"])},
)
STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([1.0, -1.0])}
IMAGES, LABELS = RNG.random((30, 40)), np.arange(30) % 3


def written(write):
    """Return what a function writes into a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.nc"
        write(path)
        return path.read_bytes()


def npz(save, **arrays):
    content = io.BytesIO()
    save(content, **arrays)
    return content.getvalue()


RESULTS = written(lambda path: results.save(DATASET, path, CONFIGURATION, 1.0))
SHARD = written(lambda path: save_shard(DATASET, path, CONFIGURATION, 1.0))
CHECKPOINT = written(lambda path: torch.save({"state_dict": STATE, "epoch": 3}, path))
PLAIN = npz(np.savez, images=IMAGES, labels=LABELS)
COMPRESSED = npz(np.savez_compressed, images=IMAGES, labels=LABELS)
INDEX = b'{"metadata": {}, "weight_map": {"weight": "x.pt", "bias": "x.pt"}}'
SAFETENSORS = written(lambda path: save_file(STATE, path, {"format": "pt"}))
OLD = written(lambda path: torch.save(STATE, path, _use_new_zipfile_serialization=False))
WRITTEN = [RESULTS, SHARD, CHECKPOINT, PLAIN, COMPRESSED, OLD, SAFETENSORS, INDEX]


@contextmanager
def soon(seconds=60):
    """End the tests with a traceback if this takes longer: nothing else stops a loop in HDF5."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


class Content(bytes):
    """The bytes of a file, of which a failure shows the length alone."""

    def __repr__(self):
        return f"<{len(self)} bytes>"


@st.composite
def damages(draw, contents):
    """Draw what becomes of one of these contents: nothing, or up to three damages."""
    content = draw(st.sampled_from(contents))
    for _ in range(draw(st.integers(0, 3))):
        size = len(content)
        place = st.integers(0, size) | st.integers(0, min(size, 150))
        place |= place.map(lambda back, size=size: size - back)
        start, other = draw(place), draw(place)
        end = min(size, start + draw(st.integers(0, 40) | st.integers(0, size)))
        more = draw(st.binary(max_size=40))
        foreign = draw(st.sampled_from(WRITTEN))[: draw(st.integers(0, 600))]
        bit = bytes([content[start] ^ 1 << draw(st.integers(0, 7))]) if start < size else b""
        low, high = sorted([start, other])
        middle = min(high, low + end - start)
        content = draw(
            st.sampled_from(
                [
                    content[:start] + bit + content[start + 1 :],
                    content[:start] + content[end:],
                    content[:start],
                    content[start:],
                    content[:start] + more + content[start:],
                    content[:start] + more + content[start + len(more) :],
                    content[:start] + bytes(end - start) + content[end:],
                    content[:other] + content[start:end] + content[other:],
                    content[:low] + content[high:] + content[middle:high] + content[low:middle],
                    foreign + content,
                    foreign + content[len(foreign) :],
                    content + foreign,
                    content[: size - len(foreign)] + foreign,
                ]
            )
        )
    return Content(content)


@contextmanager
def file_of(content, name="x.nc"):
    with tempfile.TemporaryDirectory() as folder, soon():
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


@tried(8)
@given(content=damages([RESULTS]))
def test_results(content):
    with file_of(content) as path:
        found = answer(lambda: results.load(path), path.name)
    if found is REFUSED:
        assert content != RESULTS
        return
    xr.testing.assert_equal(found, DATASET)
    assert found.attrs["configuration"] == '{"seeds": [5, 7], "name": "\\u03b1"}'


@tried(3)
@given(content=damages([SHARD, RESULTS]), number=st.integers(0, 2))
def test_shards(content, number):
    with file_of(b"", "notes") as notes:
        for shard in range(3):
            path = notes.with_name(f"{shard:06}.nc")
            path.write_bytes(content if shard == number else SHARD)
        found = answer(lambda: finished_shards(notes.parent, CONFIGURATION), notes.parent.name)
        aside = notes.with_name(f"{number:06}.nc.damaged")
        if found is REFUSED:
            assert content == RESULTS  # of no sweep
            return
        assert len(found) == 3 - aside.exists()
        assert not aside.exists() or aside.read_bytes() == content != SHARD
    for shard in found:
        xr.testing.assert_equal(shard, DATASET)


def tensors_of(path, make):
    """Return what a checkpoint holds, by making a model of it or without."""
    if make:
        return load_model("torch.nn:Linear", path, [3, 2]).state_dict()
    return read_tensors(path)


@tried(7)
@given(content=damages([CHECKPOINT, CHECKPOINT, OLD]), make=st.booleans())
def test_checkpoints(content, make):
    with file_of(content, "x.pt") as path:
        found = answer(lambda: tensors_of(path, make), "checkpoint")
        if found is REFUSED:
            assert content != CHECKPOINT
            return
    found = {name.removeprefix("state_dict."): tensor for name, tensor in found.items()}
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


@tried(5)
@given(content=damages([SAFETENSORS, SAFETENSORS, INDEX]), make=st.booleans())
def test_files_without_a_checksum(content, make):
    with file_of(content, "x.safetensors") as path:
        found = answer(lambda: tensors_of(path, make), "checkpoint")
        if found is REFUSED:
            assert content != SAFETENSORS
            return
        # Numbers may be damaged; no memory is made up.
        assert sum(tensor.nbytes for tensor in found.values()) <= len(content)
    if content == SAFETENSORS:
        assert all(torch.equal(found[name], STATE[name]) for name in STATE)


@tried(5)
@given(content=damages([PLAIN, COMPRESSED]))
def test_images(content):
    with file_of(content, "x.npz") as path:
        found = answer(lambda: load_inputs(path), path.name)
    if found is REFUSED:
        assert content not in (PLAIN, COMPRESSED)
        return
    np.testing.assert_array_equal(found[0], IMAGES)
    np.testing.assert_array_equal(found[1], LABELS)


@tried(3)
@given(
    name=st.lists(
        st.sampled_from([*"~:#?%{}[]*;'\"&|$ \\é中-.=\n\x1b\udcff", "::", "~root", "http:", ".nc"])
        | st.text(max_size=3),
        min_size=1,
    )
    .map("".join)
    .filter(lambda name: name not in ("", ".", "..") and not set(name) & set("/\0"))
)
def test_names(name):
    name = os.fsdecode(os.fsencode(name)[:255])  # as long as there are
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, soon():
        os.chdir(folder)
        try:
            results.save(DATASET, name, CONFIGURATION, 1.0)
            xr.testing.assert_equal(results.load(name), DATASET)
            Path(name).write_bytes(CHECKPOINT)
            assert len(read_tensors(name)) == len(STATE)
            assert isinstance(load_model("torch.nn:Linear", name, [3, 2]), nn.Linear)
            Path(name).write_bytes(PLAIN)
            np.testing.assert_array_equal(load_inputs(name)[0], IMAGES)
            assert os.listdir() == [name]
        finally:
            os.chdir(before)
