"""Chunks of members that are trained together, and who trains them when."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sbt_utils.measuring.device_passes import exact_products

# Elements of one layer's activations, all members of a chunk together: large enough that PyTorch
# calls cost little, small enough that a step's working set stays near the processor's cache. On a
# GPU with little memory there are fewer: a step of the published networks takes 80 to 130 bytes for
# each element.
_CHUNK_ELEMENTS = {"cpu": 2**17, "cuda": 2**27}
_BYTES = 192
# More members than this would gain nothing; their weights would only leave the cache.
_CHUNK_MEMBERS = {"cpu": 32, "cuda": 1024}

Train = Callable[[np.ndarray], tuple[dict[str, Any], np.ndarray]]
"""Trains a chunk of members; returns their state at the end, and loss and accuracy."""


def divided(going: np.ndarray, sizes: np.ndarray, width: int, device: str) -> list[np.ndarray]:
    """Divide the members into chunks of one batch size, those with most steps first."""
    chunks = []
    kind = torch.device(device).type
    elements = _CHUNK_ELEMENTS[kind]
    if kind == "cuda":
        elements = min(elements, torch.cuda.mem_get_info(device)[0] // _BYTES)
    for size in np.unique(sizes[going]):
        alike = going[sizes[going] == size]
        most = min(max(1, elements // int(size * width)), _CHUNK_MEMBERS[kind])
        if device == "cpu":  # a chunk for each thread, if there are so many members
            most = min(most, -(-len(alike) // torch.get_num_threads()))
        chunks += np.array_split(alike, -(-len(alike) // most))
    return chunks


def in_turn(
    train: Train, chunks: list[np.ndarray], sizes: np.ndarray, device: torch.device
) -> tuple[list[np.ndarray], list[Any]]:
    """Train chunks on a GPU, divided further where its memory asks for that; return both."""
    done, outcomes, waiting = [], [], chunks
    with exact_products(device):
        while waiting:
            chunk, *waiting = waiting
            try:
                outcomes.append(train(chunk))
                done.append(chunk)
                continue
            except torch.OutOfMemoryError as error:
                if len(chunk) == 1:
                    raise MemoryError(
                        f"batch_size={sizes[chunk[0]]}: not even one network's step fits into the "
                        f"GPU's free memory; give less, or train on the CPU ({error})"
                    ) from None
            # Its memory is free again only now that the error is forgotten.
            torch.cuda.empty_cache()
            most, size = len(chunk) // 2, sizes[chunk[0]]
            warnings.warn(
                f"the GPU's memory does not hold {len(chunk)} networks with batch_size={size} at "
                f"once: they are trained {most} at a time, which takes longer and changes nothing",
                stacklevel=3,
            )
            waiting = [
                part
                for large in [chunk, *waiting]
                for part in np.array_split(
                    large, -(-len(large) // most) if sizes[large[0]] >= size else 1
                )
            ]
    return done, outcomes
