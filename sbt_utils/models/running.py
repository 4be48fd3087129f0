"""Models, checked before they are measured and kept in evaluation mode meanwhile."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from threading import Lock, RLock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from sbt_utils.text import shown
from sbt_utils.threads import uncut

_LOCKS: WeakKeyDictionary[nn.Module, RLock] = WeakKeyDictionary()
_NEW_LOCK = Lock()
_STANCES: list[Any] = []  # by each that wants compiled code to run as it was written


def check_model(model: nn.Module) -> None:
    """Raise unless a model can be run: a module with all its values, on one device."""
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        if kind == "ExportedProgram":  # whose module takes a long import
            raise TypeError(f"model: {kind}, exported, keeps no layers; give the original module")
        raise TypeError(f"model: {kind} given; give a torch.nn.Module")
    tensors = list(chain(model.parameters(), model.buffers()))
    if any(nn.parameter.is_lazy(tensor) for tensor in tensors):
        raise ValueError("model: has lazy parameters without a shape; run it once on a batch")
    devices = sorted(map(str, {tensor.device for tensor in tensors}))
    if len(devices) > 1:
        raise ValueError(f"model: lies on {' and '.join(devices)}; move it to one device")
    if devices == ["meta"]:
        raise ValueError("model: its parameters are on 'meta', without values; load them first")


def run_model(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Return the output of a model; say so where it may have wanted other inputs."""
    try:
        return model(*args, **kwargs)
    except torch.OutOfMemoryError:
        raise
    except TypeError:
        try:
            inspect.signature(model.forward).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(
                f"data: these inputs are not what the model takes ({shown(error)}); give what its "
                "forward pass takes, or forward=, a function of model and batch"
            ) from error
        except ValueError:  # it has none, as a function in C
            pass
        raise
    except RuntimeError as error:
        if '"forward" function' in str(error):
            refusal = (
                f"model: {type(model).__name__} has no forward pass; give forward=, such as "
                "lambda model, batch: model.training_step(batch, 0)"
            )
        elif len(dtypes := _floating_dtypes(model)) > 1 and "dtype" in str(error):
            refusal = (
                f"model: parameters of {' and '.join(dtypes)} do not work together "
                f"({shown(error, 200)}); make all of one type, such as model.float() does"
            )
        elif kwargs or len(args) != 1 or not isinstance(inputs := args[0], Tensor):
            raise
        elif inputs.is_floating_point():
            error.add_note(f"in the model, with inputs of {tuple(inputs.shape)} and {inputs.dtype}")
            raise
        else:
            refusal = (
                f"data: inputs of {inputs.dtype} do not suit the model ({error}); give floating "
                "ones, of images for instance images.float() / 255"
            )
        raise TypeError(refusal) from error


def _floating_dtypes(model: nn.Module) -> list[str]:
    return sorted({str(one.dtype) for one in model.parameters() if one.is_floating_point()})


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Keep a model in evaluation mode, and put every module back into its own mode afterwards.

    One thread at a time: others that want a module of the model meanwhile wait.
    """
    stack = ExitStack()
    try:
        # Of every module, since models may share some; in one order, lest two wait for each other.
        modules = list(model.modules())
        with uncut(), _NEW_LOCK:
            locks = [_LOCKS.setdefault(module, RLock()) for module in sorted(modules, key=id)]
        while locks:  # in short turns, so that Ctrl-C ends the waiting
            with uncut():
                while locks and locks[0].acquire(timeout=0.1):
                    stack.callback(locks.pop(0).release)
        with uncut():
            stack.enter_context(_uncompiled())
            stack.enter_context(_evaluation_mode(modules))
        yield
    finally:
        try:
            with uncut():
                stack.close()
        finally:  # also if Ctrl-C came right here; what is closed stays closed
            stack.close()


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Run compiled models as they were written: hooks do not reach into compiled code."""
    if "torch._dynamo" not in sys.modules:  # slow to import, and nothing is compiled without it
        yield
        return
    with _NEW_LOCK:  # for all threads; the last one ends it
        _STANCES.append(None if _STANCES else torch.compiler.set_stance("force_eager"))
    try:
        yield
    finally:
        with _NEW_LOCK:
            if len(_STANCES) == 1:
                _STANCES[0].__exit__(None, None, None)
            _STANCES.pop()


@contextmanager
def _evaluation_mode(modules: Sequence[nn.Module]) -> Iterator[None]:
    # Not by eval() and train(), which a model may override to do more. Where tokens are masked, an
    # encoder may hand on nested tensors, which have no shape.
    flags = [(module, "training") for module in modules]
    encoders = (module for module in modules if isinstance(module, nn.TransformerEncoder))
    flags += [(encoder, "use_nested_tensor") for encoder in encoders]
    set_flags = [(module, name) for module, name in flags if getattr(module, name)]
    try:
        for module, name in set_flags:
            setattr(module, name, False)
        yield
    finally:
        for module, name in set_flags:
            setattr(module, name, True)
