"""Labelled inputs from npz files, those at fault included."""

import io
import os
import zipfile

import numpy as np
import pytest
from checkpoint_files import archive

from sbt_utils.reporting.model_files import load_inputs


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_images_come_back_as_they_were(tmp_path, save):
    images, labels = np.random.default_rng(0).random((6, 1, 2, 2)), np.arange(6) % 3
    save(tmp_path / "images.npz", images=images, labels=labels, more=1)
    found = load_inputs(tmp_path / "images.npz")
    np.testing.assert_array_equal(found[0], images)
    np.testing.assert_array_equal(found[1], labels)


def test_images_at_fault(tmp_path):
    path = tmp_path / "images.npz"
    with pytest.raises(FileNotFoundError):
        load_inputs(path)
    np.savez(path, images=np.zeros(3))
    with pytest.raises(ValueError, match=r"it has no array 'labels'\); write it by numpy\.savez"):
        load_inputs(path)
    np.savez(path, images=np.zeros(3), labels=np.array([print], dtype=object))
    with pytest.raises(ValueError, match=r"not an npz file of inputs \(.*allow_pickle=False"):
        load_inputs(path)
    for content in (
        b"",
        b"images",
        path.read_bytes()[:-30],
        archive(**{"images.npy": b"\x93NUMPY"}),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not an npz file of inputs"):
            load_inputs(path)
    single = io.BytesIO()
    np.save(single, np.zeros(3))
    for more in (b"", archive(images="", labels="")):  # NumPy, too, looks at the first bytes
        path.write_bytes(single.getvalue() + more)
        with pytest.raises(ValueError, match="no archive of arrays"):
            load_inputs(path)


def test_images_larger_than_memory_are_refused(tmp_path):
    header = io.BytesIO()
    shape = {"shape": (10**15,), "fortran_order": False, "descr": "<f8"}
    np.lib.format.write_array_header_1_0(header, shape)
    arrays = {"images.npy": header.getvalue(), "labels.npy": header.getvalue()}
    (tmp_path / "images.npz").write_bytes(archive(**arrays))
    with pytest.raises(ValueError, match=r"not an npz file of inputs \(Unable to allocate"):
        load_inputs(tmp_path / "images.npz")


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
            images, labels = load_inputs(path)
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
        with pytest.raises(ValueError, match=r"not an npz file of inputs \(images\.npy is damaged"):
            load_inputs(path)
    for place in range(shape - 50, shape + 50):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="not an npz file of inputs"):
            load_inputs(path)


@pytest.mark.parametrize("name", ["images", "labels"])
def test_members_that_are_no_arrays(tmp_path, name):
    path = tmp_path / "images.npz"
    arrays = io.BytesIO()
    np.savez(arrays, images=np.zeros(3), labels=np.zeros(3))
    with zipfile.ZipFile(arrays) as source, zipfile.ZipFile(path, "w") as archive:
        for member in source.namelist():
            text = b"text" if member == f"{name}.npy" else source.read(member)
            archive.writestr(member, text)
    with pytest.raises(ValueError, match=rf"not an npz file of inputs \('{name}' is no array\)"):
        load_inputs(path)


def test_arguments_of_a_model_come_back_by_their_names(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"input_ids": rng.integers(0, 9, (6, 5)), "attention_mask": np.ones((6, 5), int)}
    arrays |= {"labels": np.arange(6) % 3, "pixel_values": rng.random((6, 2), np.float32)}
    np.savez(tmp_path / "texts.npz", **arrays)
    found = load_inputs(tmp_path / "texts.npz")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_labels_alone_are_no_inputs(tmp_path):
    np.savez(tmp_path / "a.npz", labels=np.zeros(3))
    with pytest.raises(
        ValueError, match=r"a\.npz: not an npz file of inputs \(it has no array besi"
    ):
        load_inputs(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", input_ids=np.zeros(3))
    with pytest.raises(ValueError, match=r"it has no array 'labels'\); write it by numpy\.savez"):
        load_inputs(tmp_path / "a.npz")


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        message = rf"{path}: not an npz file of inputs \(it is no regular file\); "
        with pytest.raises(ValueError, match=message):
            load_inputs(path)
    for path in (3, None, b"images.npz"):
        with pytest.raises(TypeError, match=rf": not an .* \({type(path).__name__} given\); "):
            load_inputs(path)


@pytest.mark.parametrize("content", ["", "text", "PK\3\4text"])
def test_names_steer_no_terminal(tmp_path, content):
    path = tmp_path / "a\x1b[31m\n"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"a\\x1b\[31m\\n: not an ") as error:
        load_inputs(path)
    assert str(error.value).isprintable()
    np.savez(tmp_path / "b.npz", labels=np.zeros(1), **{"\x1b[2J" * 9999: np.array([print])})
    with pytest.raises(ValueError, match="allow_pickle=False") as error:
        load_inputs(tmp_path / "b.npz")
    (tmp_path / "b.npz").write_bytes(archive(**{"labels.npy": "", "\x1b[2J" * 9999 + ".npy": ""}))
    with pytest.raises(ValueError, match="is no array") as error:
        load_inputs(tmp_path / "b.npz")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600
