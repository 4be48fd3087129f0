"""Models from files: a class or a function that is imported, with the weights of a checkpoint."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from torch import nn

from sbt_utils.reporting.model_files.checkpoints import read_tensors
from sbt_utils.reporting.model_files.regular import LONGEST, given, reason
from sbt_utils.reporting.model_files.weights import model_weights
from sbt_utils.text import quoted, shown


def load_model(
    target: str,
    checkpoint: str | PathLike[str],
    arguments: Mapping[str, Any] | Sequence[Any] | None = None,
    weights: str | None = None,
) -> nn.Module:
    """Make a model of an importable class and load its weights from a checkpoint.

    Importing and calling the class runs its code: use only a class that you trust. Reading the
    checkpoint runs no code, whoever made it.

    Parameters
    ----------
    target : str
        ``"package.module:Name"``, a class or a function that returns the model.
    checkpoint : path-like
        Written by ``torch.save``, in the safetensors format, or by Lightning, timm or others: what
        counts is that it holds tensors under the names that the model gives them. Dictionaries may
        hold other dictionaries; whatever else lies beside the weights is left out. A folder, or an
        index of several files, as Hugging Face writes them, will do.
    arguments : mapping or sequence, optional
        Keyword or positional arguments for the call.
    weights : str, optional
        Which weights, where the checkpoint has several that fit: a key of its dictionaries, such as
        ``"model_ema"``, a prefix of names, such as ``"net"``, or a word in either, such as
        ``"ema"`` for those averaged while the model was trained. By default those under the usual
        names (``model``, ``net``, ``state_dict`` and the like), with a warning that there are
        others. What DataParallel, ``torch.compile``, Lightning modules and averages put before the
        names need not be told.

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
        fit, with the first few of their names; several that do, none of them under the usual names;
        a file that is no checkpoint, or that was written by PyTorch before 1.6, whose format has
        let code in (CVE-2025-32434).
    ImportError
        A file in the safetensors format without the package that reads it.

    Examples
    --------
    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save(nn.Linear(3, 2).state_dict(), f"{folder}/model.pt")
    ...     load_model("torch.nn:Linear", f"{folder}/model.pt", [3, 2])
    Linear(in_features=3, out_features=2, bias=True)
    """
    make, named = _imported(target), f"model={shown(target)}"
    if not isinstance(arguments, Mapping | Sequence | None) or isinstance(arguments, str | bytes):
        raise TypeError(f"arguments={quoted(arguments)}: give a mapping or a sequence")
    keywords = arguments if isinstance(arguments, Mapping) else {}
    positional = [] if arguments is None or keywords else list(arguments)
    try:
        model = make(*positional, **keywords)
    except Exception as error:
        called = f"arguments {quoted(arguments)}" if arguments else "no arguments"
        raise ValueError(
            f"{named}: the call with {called} fails ({reason(error)}); give those it was trained "
            "with"
        ) from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"{named}: gives a {type(model).__name__}; name a torch.nn.Module")
    state = model_weights(read_tensors(checkpoint), model, checkpoint, weights)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:  # tensors without values, of a kind that cannot be copied
        raise ValueError(
            f"{given(checkpoint)}: its weights cannot be copied into {type(model).__name__} "
            f"({shown(error, LONGEST)}); save those of a model in use"
        ) from error
    return model


def _imported(target: str) -> Any:
    """Return the class or function that a target names."""
    form = "give package.module:ClassOrFunction"
    if not isinstance(target, str):
        raise TypeError(f"model={quoted(target)}: {form}, as text")
    module, _, name = target.partition(":")
    if not (module and name):
        raise ValueError(f"model={shown(target)}: {form}")
    try:
        make = pkgutil.resolve_name(target)
    except Exception as error:
        raise ValueError(
            f"model={shown(target)}: cannot be imported ({reason(error)}); {form}, from the "
            "folder that holds the package"
        ) from error
    if not callable(make):
        raise ValueError(
            f"model={shown(target)}: {type(make).__name__} given; name a class or a function"
        )
    return make
