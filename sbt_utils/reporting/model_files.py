"""Models and images from files: an importable class, a saved state_dict, arrays in an npz file."""

from __future__ import annotations

import pickle
import pickletools
import pkgutil
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike, fstat, stat
from stat import S_ISREG
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import nn

from sbt_utils.text import shown

_WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys that checkpoints keep weights under
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile
_SHOWN = 3  # names in a message
_LONGEST = 300  # characters of an error of others in a message
_ZIP = b"PK\x03\x04"  # by these first bytes PyTorch takes a file for an archive
_FOLDER = 0x10  # of what is marked so, PyTorch reads nothing and returns memory as it found it
_SAVE = "give a file that torch.save(model.state_dict(), path) wrote"
_LONGEST_WORD = 1000  # PyTorch's search through its own messages takes the square of it


def load_model(
    target: str,
    checkpoint: str | PathLike[str],
    arguments: Mapping[str, Any] | Sequence[Any] | None = None,
) -> nn.Module:
    """Make a model of an importable class and load its weights from a checkpoint.

    Importing and calling the class runs its code: use only a class that you trust. Reading the
    checkpoint runs no code, whoever made it.

    Parameters
    ----------
    target : str
        ``"package.module:Name"``, a class or a function that returns the model.
    checkpoint : path-like
        Written by ``torch.save(model.state_dict(), path)``, or with the state_dict under one of
        the keys ``state_dict``, ``model_state_dict`` and ``model``. The prefixes that DataParallel
        and ``torch.compile`` put before the names, in any order, are removed.
    arguments : mapping or sequence, optional
        Keyword or positional arguments for the call.

    Returns
    -------
    torch.nn.Module
        On the CPU, in the mode in which the class makes it.

    Raises
    ------
    FileNotFoundError
        No such checkpoint.
    ValueError
        A target that cannot be imported or called, or that gives no module; weights that do not
        fit, with the first few of their names; a file that is no checkpoint, that holds objects
        other than tensors, or that was written by PyTorch before 1.6, whose format has let code in
        (CVE-2025-32434).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save(nn.Linear(3, 2).state_dict(), f"{folder}/model.pt")
    ...     load_model("torch.nn:Linear", f"{folder}/model.pt", [3, 2])
    Linear(in_features=3, out_features=2, bias=True)
    """
    make, named = _imported(target), f"model={shown(target)}"
    if not isinstance(arguments, Mapping | Sequence | None) or isinstance(arguments, str | bytes):
        raise TypeError(f"arguments={shown(repr(arguments))}: give a mapping or a sequence")
    keywords = arguments if isinstance(arguments, Mapping) else {}
    positional = [] if arguments is None or keywords else list(arguments)
    try:
        model = make(*positional, **keywords)
    except Exception as error:
        given = f"arguments {shown(repr(arguments))}" if arguments else "no arguments"
        raise ValueError(
            f"{named}: the call with {given} fails ({_reason(error)}); give those it was trained "
            "with"
        ) from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"{named}: gives a {type(model).__name__}; name a torch.nn.Module")
    state = load_state(checkpoint, model.state_dict())
    _check_fit(model, state, str(checkpoint))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:  # tensors without values, of a kind that cannot be copied
        raise ValueError(
            f"{_given(checkpoint)}: its weights cannot be copied into {type(model).__name__} "
            f"({shown(error, _LONGEST)}); save those of a model in use"
        ) from error
    return model


def load_state(
    checkpoint: str | PathLike[str], names: Iterable[str] = ()
) -> dict[str, torch.Tensor]:
    """Read a state_dict; only tensors and plain containers are ever unpickled.

    Prefixes of wrappers are removed, unless they belong to one of a model's own `names`.
    """
    _check_regular(checkpoint, f"{_given(checkpoint)}: not a checkpoint", _SAVE)
    with open(checkpoint, "rb") as file:
        content = _read_archive(file, checkpoint)
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    ):
        raise ValueError(
            f"{_given(checkpoint)}: holds no state_dict; save model.state_dict(), alone or "
            f"under one of the keys {', '.join(_WRAPPERS)}"
        )
    state = dict(content)
    while state and not state.keys() & set(names):
        prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _check_regular(path: str | PathLike[str], message: str, remedy: str) -> None:
    """Raise ValueError for what a path leads to if it is no file: a pipe would be waited for."""
    if not isinstance(path, str | PathLike):  # a number would be that of an open file
        raise TypeError(f"{message} ({type(path).__name__} given); {remedy}")
    if not S_ISREG(stat(path).st_mode):
        raise ValueError(f"{message} (it is no regular file); {remedy}")


def _read_archive(file: BinaryIO, checkpoint: str | PathLike[str]) -> Any:
    """Return what a checkpoint holds; the file is judged by the bytes that PyTorch judges it by.

    A file of an older format may end like an archive, and would reach another reader.
    """
    if file.read(len(_ZIP)) != _ZIP:
        raise ValueError(
            f"{_given(checkpoint)}: not a checkpoint; {_SAVE}, with PyTorch 1.6 or newer"
        )
    file.seek(0)
    try:
        _check_archive(file)
        file.seek(0)
        with warnings.catch_warnings(action="ignore"):  # of what is refused below
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{_given(checkpoint)}: holds more than tensors, which could run code, and is not "
            "read; save the state_dict alone, torch.save(model.state_dict(), path)"
        ) from error
    except Exception as error:  # readers of damaged and of made-up files fail in every way
        # After its first sentence, PyTorch's advice is to read the file as code.
        first = shown(re.split(r"\n|\. ", str(error))[0] or type(error).__name__, _LONGEST)
        raise ValueError(
            f"{_given(checkpoint)}: not a whole checkpoint ({first}); copy or save it again, "
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
                words = (
                    word for text in texts if isinstance(text, str) for word in text.split(" ")
                )
                if (longest := max(map(len, words), default=0)) > _LONGEST_WORD:
                    raise ValueError(f"a name in it has {longest:,} characters")
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"{damaged} is damaged, or was written without its checksum")


def load_images(path: str | PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read labelled images from an npz file, without pickle.

    Parameters
    ----------
    path : path-like
        Written by ``numpy.savez(path, images=..., labels=...)``.

    Returns
    -------
    images : ndarray, shape (N, ...)
    labels : ndarray, shape (N,)

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        No regular file, another kind of file, a damaged one, arrays missing, too large, or of
        objects.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/images.npz", images=np.zeros((4, 1, 2, 2)), labels=[0, 0, 1, 1])
    ...     [array.shape for array in load_images(f"{folder}/images.npz")]
    [(4, 1, 2, 2), (4,)]
    """
    remedy = "write it by numpy.savez(path, images=..., labels=...)"
    _check_regular(path, f"{_path(path)}: not an npz file of images", remedy)
    with open(path, "rb") as file:
        try:
            if file.read(len(_ZIP)) != _ZIP:
                raise ValueError("no archive of arrays")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                if missing := {"images", "labels"} - set(arrays.files):
                    raise ValueError(f"it has no array {min(missing)!r}")
                # NumPy reads what a header says, and no checksum unless that is all.
                if damaged := arrays.zip.testzip():
                    raise ValueError(f"{damaged} is damaged")
                images, labels = arrays["images"], arrays["labels"]
                for name, array in (("images", images), ("labels", labels)):
                    if not isinstance(array, np.ndarray):  # NumPy returns the bytes of others
                        raise ValueError(f"{name!r} is no array")
                return images, labels
        except Exception as error:  # damaged files fail in every way
            reason = shown(str(error) or type(error).__name__, _LONGEST)
            raise ValueError(
                f"{_path(path)}: not an npz file of images ({reason}); {remedy}"
            ) from error


def _imported(target: str) -> Any:
    """Return the class or function that a target names."""
    form = "give package.module:ClassOrFunction"
    if not isinstance(target, str):
        raise TypeError(f"model={shown(repr(target))}: {form}, as text")
    module, _, name = target.partition(":")
    if not (module and name):
        raise ValueError(f"model={shown(target)}: {form}")
    try:
        make = pkgutil.resolve_name(target)
    except Exception as error:
        raise ValueError(
            f"model={shown(target)}: cannot be imported ({_reason(error)}); {form}, from the "
            "folder that holds the package"
        ) from error
    if not callable(make):
        raise ValueError(
            f"model={shown(target)}: {type(make).__name__} given; name a class or a function"
        )
    return make


def _path(path: object) -> str:
    return shown(path, _LONGEST)


def _given(checkpoint: object) -> str:
    return f"checkpoint={_path(checkpoint)}"


def _reason(error: Exception) -> str:
    return shown(f"{type(error).__name__}: {error}", _LONGEST)


def _check_fit(model: nn.Module, state: Mapping[str, torch.Tensor], checkpoint: str) -> None:
    """Raise if weights are missing, unknown or of other shapes; name the first few."""
    expected = model.state_dict()
    faults = {
        "lacks": [shown(name) for name in expected if name not in state],
        "has besides": [shown(name) for name in state if name not in expected],
        "has in other shapes": [
            f"{shown(name)} {shown(tuple(state[name].shape))} for {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in state
            and not nn.parameter.is_lazy(tensor)
            and state[name].shape != tensor.shape
        ],
        "has complex numbers in": [
            shown(name)
            for name, tensor in expected.items()
            if name in state and state[name].is_complex() and not tensor.is_complex()
        ],
    }
    phrases = []
    for fault, names in faults.items():
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            phrases.append(f"{fault} {', '.join(names[:_SHOWN])}{more}")
    if phrases:
        raise ValueError(
            f"{_given(checkpoint)}: does not fit {type(model).__name__}, "
            f"{'; '.join(phrases)}; give the model and the arguments it was saved from"
        )
