"""The tensors in a checkpoint under their names, read without running anything that it holds."""

from __future__ import annotations

import json
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from os import PathLike, fspath, fstat
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from sbt_utils.reporting.model_files.regular import LONGEST, ZIP, check_path, check_regular, given
from sbt_utils.text import shown

_IN_FOLDERS = ["model.safetensors", "model.safetensors.index.json"]
_IN_FOLDERS += ["pytorch_model.bin", "pytorch_model.bin.index.json"]
_FOLDER = 0x10  # of what is marked so, PyTorch reads nothing and returns memory as it found it
_SAVE = "give a file that torch.save(model.state_dict(), path) wrote"
_LONGEST_WORD = 1000  # PyTorch's search through its own messages takes the square of it
_MOST_CLASSES = 200  # PyTorch goes through all of them for each object
_MOST_ENTRIES = 200_000  # in all, where dictionaries lie in several others
_DEEPEST = 4  # dictionaries inside each other
_LONGEST_TEXT = 2**24  # bytes of an index, and of what stands before the numbers in safetensors


def read_tensors(checkpoint: str | PathLike[str]) -> dict[str, Tensor]:
    """Return all tensors in a checkpoint.

    Keys of dictionaries inside each other are joined by dots, as the names of layers are.
    """
    found: dict[str, Tensor] = {}
    for path in files_of(checkpoint):
        with open(path, "rb") as file:
            start, size = file.read(9), fstat(file.fileno()).st_size
            if start.startswith(ZIP):
                file.seek(0)
                found |= _named(_read_archive(file, path), path)
            elif _header(start, size):
                found |= _read_safetensors(path, _header(start, size))
            else:
                # A file of PyTorch's older format may end like an archive, and would reach
                # another reader.
                raise ValueError(
                    f"{given(path)}: not a checkpoint; {_SAVE}, with PyTorch 1.6 or newer, or one "
                    "in the safetensors format"
                )
    if not found:
        raise ValueError(
            f"{given(checkpoint)}: holds no state_dict; save model.state_dict(), alone or under a "
            "key"
        )
    return found


def files_of(checkpoint: str | PathLike[str]) -> list[Path]:
    """Return the files that hold a checkpoint: itself, or those of a folder or of an index."""
    check_path(checkpoint, f"{given(checkpoint)}: not a checkpoint", _SAVE)
    path = Path(checkpoint)
    if path.is_dir():
        inside = [path / name for name in _IN_FOLDERS if (path / name).is_file()]
        if not inside:
            names = " nor ".join(_IN_FOLDERS[::2])
            raise ValueError(f"{given(path)}: a folder with neither {names}; name the file in it")
        path = inside[0]
    check_regular(path, f"{given(path)}: not a checkpoint", _SAVE)
    with open(path, "rb") as file:
        start, size = file.read(9), fstat(file.fileno()).st_size
        if start.lstrip()[:1] != b"{" or _header(start, size):
            return [path]
        file.seek(0)
        return [path.with_name(name) for name in _shards(file.read(_LONGEST_TEXT), path)]


def _shards(text: bytes, path: Path) -> list[str]:
    """Return the names of the files that an index lists, which lie beside it."""
    try:
        places = json.loads(text)["weight_map"]
        names = list(dict.fromkeys(places.values()))
        if not names or any(not name or Path(name).name != name for name in names):
            raise ValueError("its files do not lie beside it")
    except Exception as error:
        raise ValueError(
            f"{given(path)}: not an index of checkpoints ({shown(error, LONGEST)}); {_SAVE}"
        ) from None
    for name in names:
        if not path.with_name(name).is_file():
            raise ValueError(f"{given(path)}: {shown(name)} is not beside it; copy it there")
    return names


def _header(start: bytes, size: int) -> int:
    """Return how long the header of a safetensors file is; 0 for other files."""
    length = int.from_bytes(start[:8], "little")
    return length if start[8:9] == b"{" and length <= size - 8 else 0


def _read_safetensors(path: Path, header: int) -> dict[str, Tensor]:
    """Return the tensors of a file that can hold nothing else."""
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise ImportError(
            f"{given(path)}: in the safetensors format, which the package of this name reads; "
            "pip install safetensors"
        ) from error
    try:
        if header > _LONGEST_TEXT:
            raise ValueError(f"its header has {header:,} bytes")
        with safe_open(fspath(path), framework="pt", device="cpu") as file:
            names = list(file.keys())
            _check_words(names)
            return {name: file.get_tensor(name) for name in names}
    except Exception as error:
        raise ValueError(
            f"{given(path)}: not a whole checkpoint ({shown(error, LONGEST)}); copy or save it "
            "again, safetensors.torch.save_model(model, path)"
        ) from error


class _Unread:
    """What stands for every object that is no tensor: it takes all and keeps nothing."""

    def __new__(cls, *_: Any) -> _Unread:
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


def _read_archive(file: BinaryIO, path: Path) -> Any:
    """Return what a checkpoint holds, with `_Unread` for what is neither a tensor nor plain.

    PyTorch's reader of weights makes objects of those classes alone that it is told of. It is told
    that all others, whatever their names, are `_Unread`: settings and loops that Lightning, timm
    and others keep beside the weights do no harm, and none of their code is run.
    """
    try:
        _check_archive(file)
        file.seek(0)
        with warnings.catch_warnings(action="ignore"):  # of what is refused below
            names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
            if len(names) > _MOST_CLASSES:
                raise ValueError(f"it holds objects of {len(names):,} classes")
            file.seek(0)
            with torch.serialization.safe_globals([(_Unread, name) for name in names]):
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{given(path)}: holds more than tensors, which could run code, and is not read; where "
            "it was made, save the state_dict alone, torch.save(model.state_dict(), path)"
        ) from error
    except Exception as error:  # readers of damaged and of made-up files fail in every way
        # After its first sentence, PyTorch's advice is to read the file as code.
        first = shown(re.split(r"\n|\. ", str(error))[0] or type(error).__name__, LONGEST)
        raise ValueError(
            f"{given(path)}: not a whole checkpoint ({first}); copy or save it again, "
            "torch.save(model.state_dict(), path)"
        ) from error


def _check_archive(file: BinaryIO) -> None:
    """Raise ValueError where PyTorch would fill the memory, read nothing or search for hours."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > fstat(file.fileno()).st_size:
            raise ValueError("compressed; torch.save compresses nothing")
        for member in members:
            if member.external_attr & _FOLDER:
                raise ValueError(f"{member.filename} is marked as a folder")
            if member.filename.endswith("data.pkl"):
                texts = (text for _, text, _ in pickletools.genops(archive.read(member)))
                _check_words(
                    word for text in texts if isinstance(text, str) for word in text.split(" ")
                )
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"{damaged} is damaged, or was written without its checksum")


def _check_words(words: Iterator[str] | list[str]) -> None:
    if (longest := max(map(len, words), default=0)) > _LONGEST_WORD:
        raise ValueError(f"a name in it has {longest:,} characters")


def _named(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the tensors in dictionaries inside each other."""
    found: dict[str, Tensor] = {}
    level, entries = [("", content)], 0
    for _ in range(_DEEPEST):
        inner = []
        for prefix, part in level:
            if not isinstance(part, Mapping):
                continue
            entries += len(part)
            if entries > _MOST_ENTRIES:
                raise ValueError(
                    f"{given(path)}: holds more than {_MOST_ENTRIES:,} entries; {_SAVE}"
                )
            for name, value in part.items():
                if isinstance(name, str) and isinstance(value, Tensor):
                    found[prefix + name] = value
                elif isinstance(name, str):
                    inner.append((f"{prefix}{name}.", value))
        level = inner
    return found
