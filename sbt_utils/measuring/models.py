"""Models, checked before they are measured and kept in evaluation mode meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from threading import Lock, RLock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

_LOCKS: WeakKeyDictionary[nn.Module, RLock] = WeakKeyDictionary()
_NEW_LOCK = Lock()


def check_model(model: nn.Module) -> None:
    """Raise unless a model can be run: a module with all its values, on one device."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: {type(model).__name__} given; give a torch.nn.Module")
    tensors = list(chain(model.parameters(), model.buffers()))
    if any(nn.parameter.is_lazy(tensor) for tensor in tensors):
        raise ValueError("model: has lazy parameters without a shape; run it once on a batch")
    devices = sorted({str(tensor.device) for tensor in tensors})
    if len(devices) > 1:
        raise ValueError(f"model: lies on {' and '.join(devices)}; move it to one device")
    if devices == ["meta"]:
        raise ValueError("model: its parameters are on 'meta', without values; load them first")


def run_model(model: nn.Module, inputs: Tensor) -> Any:
    """Return the output of a model; say so where it may have wanted numbers of another type."""
    try:
        return model(inputs)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if inputs.is_floating_point():
            error.add_note(f"in the model, with inputs of {tuple(inputs.shape)} and {inputs.dtype}")
            raise
        raise TypeError(
            f"data: inputs of {inputs.dtype} do not suit the model ({error}); give floating ones, "
            "of images for instance images.float() / 255"
        ) from error


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Keep a model in evaluation mode, and put every module back into its own mode afterwards.

    One thread at a time: others that want a module of the model meanwhile wait.
    """
    with ExitStack() as stack:
        # Of every module, since models may share some; in one order, lest two wait for each other.
        for module in sorted(model.modules(), key=id):
            with _NEW_LOCK:
                lock = _LOCKS.setdefault(module, RLock())
            stack.enter_context(lock)
        stack.enter_context(_evaluation_mode(model))
        yield


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    # Not by eval() and train(), which a model may override to do more. Where tokens are masked, an
    # encoder may hand on nested tensors, which have no shape.
    flags = [(module, "training") for module in model.modules()]
    encoders = (module for module in model.modules() if isinstance(module, nn.TransformerEncoder))
    flags += [(encoder, "use_nested_tensor") for encoder in encoders]
    set_flags = [(module, name) for module, name in flags if getattr(module, name)]
    try:
        for module, name in set_flags:
            setattr(module, name, False)
        yield
    finally:
        for module, name in set_flags:
            setattr(module, name, True)
