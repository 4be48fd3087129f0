"""What a reading leaves as it was: everybody's random numbers, mixed precision, and logs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import nn


@contextmanager
def seeded(device: torch.device | None = None) -> Iterator[None]:
    """Let all draw from seed 0, and put their generators back to where they were."""
    gpu = [device] if device is not None and device.type == "cuda" else []
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(gpu):
        # Not torch.manual_seed, which reaches the generators of all devices.
        torch.default_generator.manual_seed(0)
        for one in gpu:
            torch.cuda.default_generators[one.index].manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Let a model be measured in the midst of its training, and leave that as it was."""
    device = next((one.device for one in chain(model.parameters(), model.buffers())), None)
    kind = "cpu" if device is None else device.type
    # Without autocast, so that D is the same wherever in a step it is measured.
    with seeded(device), torch.autocast(kind, enabled=False), _unlogged(model):
        yield


@contextmanager
def _unlogged(model: nn.Module) -> Iterator[None]:
    """Let a LightningModule log nothing, such as the loss of its training_step."""
    if not any(kind.__name__ == "LightningModule" for kind in type(model).__mro__):
        yield
        return
    vars(model)["log"] = nothing
    try:
        yield
    finally:
        del vars(model)["log"]


def nothing(*_: Any, **__: Any) -> None:
    """Do nothing."""


def is_elsewhere() -> bool:
    """Tell whether another process of this training measures."""
    group = torch.distributed
    return group.is_available() and group.is_initialized() and group.get_rank() > 0


def check_is_whole(model: nn.Module) -> None:
    """Raise if a forward pass would wait for other processes, which hold parts of the model."""
    group = torch.distributed
    if not (group.is_available() and group.is_initialized() and group.get_world_size() > 1):
        return
    kinds = {type(one).__name__ for one in chain(model.parameters(), model.modules())}
    deepspeed = any(hasattr(one, "ds_id") for one in model.parameters())
    if deepspeed or kinds & {"DTensor", "FullyShardedDataParallel"}:
        raise ValueError(
            "model: its parameters are spread over several processes; measure a checkpoint of the "
            "whole model, with sbt.load_curve"
        )
