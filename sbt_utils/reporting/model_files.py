"""Models and images from files: an importable class, a saved state_dict, arrays in an npz file."""

from __future__ import annotations

import pickle
import pkgutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import nn

_WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys that checkpoints keep weights under
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile
_SHOWN = 3  # names in a message


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
        fit, with the first few of their names; a file that is not a checkpoint, that holds objects
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
    make = _imported(target)
    keywords = arguments if isinstance(arguments, Mapping) else {}
    positional = [] if arguments is None or keywords else list(arguments)
    try:
        model = make(*positional, **keywords)
    except Exception as error:
        given = "no arguments" if not arguments else f"arguments {arguments!r}"
        raise ValueError(
            f"model={target}: the call with {given} fails ({type(error).__name__}: {error}); give "
            "those it was trained with"
        ) from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"model={target}: gives a {type(model).__name__}; name a torch.nn.Module")
    state = load_state(checkpoint, model.state_dict())
    _check_fit(model, state, str(checkpoint))
    model.load_state_dict(state)
    return model


def load_state(
    checkpoint: str | PathLike[str], names: Iterable[str] = ()
) -> dict[str, torch.Tensor]:
    """Read a state_dict; only tensors and plain containers are ever unpickled.

    Prefixes of wrappers are removed, unless they belong to one of a model's own `names`.
    """
    with open(checkpoint, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(
                f"checkpoint={checkpoint}: not a checkpoint; give a file that "
                "torch.save(model.state_dict(), path) wrote, with PyTorch 1.6 or newer"
            )
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"checkpoint={checkpoint}: holds more than tensors, which could run code, and is not "
            "read; save the state_dict alone, torch.save(model.state_dict(), path)"
        ) from error
    except (RuntimeError, EOFError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"checkpoint={checkpoint}: not a whole checkpoint ({first})") from error
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    ):
        raise ValueError(
            f"checkpoint={checkpoint}: holds no state_dict; save model.state_dict(), alone or "
            f"under one of the keys {', '.join(_WRAPPERS)}"
        )
    state = dict(content)
    while state and not state.keys() & set(names):
        prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


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
        Another kind of file, arrays missing, or arrays of objects.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/images.npz", images=np.zeros((4, 1, 2, 2)), labels=[0, 0, 1, 1])
    ...     [array.shape for array in load_images(f"{folder}/images.npz")]
    [(4, 1, 2, 2), (4,)]
    """
    try:
        with open(path, "rb") as file:
            if not zipfile.is_zipfile(file):
                raise ValueError("no archive of arrays")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                if missing := {"images", "labels"} - set(arrays.files):
                    raise ValueError(f"it has no array {min(missing)!r}")
                return arrays["images"], arrays["labels"]
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path}: not an npz file of images ({error}); write it by "
            "numpy.savez(path, images=..., labels=...)"
        ) from error


def _imported(target: str) -> Any:
    """Return the class or function that a target names."""
    module, _, name = target.partition(":")
    if not (module and name):
        raise ValueError(f"model={target}: give package.module:ClassOrFunction")
    try:
        make = pkgutil.resolve_name(target)
    except Exception as error:
        raise ValueError(
            f"model={target}: cannot be imported ({type(error).__name__}: {error}); give "
            "package.module:ClassOrFunction, from the folder that holds the package"
        ) from error
    if not callable(make):
        raise ValueError(f"model={target}: {type(make).__name__} given; name a class or a function")
    return make


def _check_fit(model: nn.Module, state: Mapping[str, torch.Tensor], checkpoint: str) -> None:
    """Raise if weights are missing, unknown or of other shapes; name the first few."""
    expected = model.state_dict()
    faults = {
        "lacks": [name for name in expected if name not in state],
        "has besides": [name for name in state if name not in expected],
        "has in other shapes": [
            f"{name} {tuple(state[name].shape)} for {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in state
            and not nn.parameter.is_lazy(tensor)
            and state[name].shape != tensor.shape
        ],
    }
    phrases = []
    for fault, names in faults.items():
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            phrases.append(f"{fault} {', '.join(names[:_SHOWN])}{more}")
    if phrases:
        raise ValueError(
            f"checkpoint={checkpoint}: does not fit {type(model).__name__}, "
            f"{'; '.join(phrases)}; give the model and the arguments it was saved from"
        )
