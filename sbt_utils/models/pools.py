"""What is measured of features that have a value for each token: where tokens count, and pools."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from sbt_utils.models.calls import first_tensor
from sbt_utils.text import shown

Pool = str | Callable[..., Tensor]
"""What to measure of a layer's features: ``"mean"`` over the tokens that count, the first of them
(``"cls"``, a class token), the ``"last"``, or a function of the features, or of them and the mask,
such as ``lambda h: h[:, 0]``."""

POOLS = ("mean", "cls", "last")


def check_pool(pool: Any) -> None:
    """Raise unless a pool is one of the names, a function, or None."""
    if not (pool is None or callable(pool) or (isinstance(pool, str) and pool in POOLS)):
        raise TypeError(
            f"pool: {shown(repr(pool))} given; give one of {', '.join(map(repr, POOLS))}, or a "
            "function of features (N, ...)"
        )


def features_in(output: Any, mask: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Return the features in the output of a layer, (N, ...), and the mask of those that count.

    Packed sequences are padded, and know which of their tokens count.
    """
    packed = output[0] if isinstance(output, tuple) and output else output
    packed = output if isinstance(output, PackedSequence) else packed
    if not isinstance(packed, PackedSequence):
        return first_tensor(output), mask
    tokens = len(packed.batch_sizes)
    if mask is not None:
        tokens = max(tokens, mask.shape[1])
    features, lengths = pad_packed_sequence(packed, batch_first=True, total_length=tokens)
    if mask is not None and mask.shape == features.shape[:2]:
        return features, mask
    return features, first_tokens(lengths.to(features.device), tokens)


def first_tokens(lengths: Tensor, tokens: int) -> Tensor:
    """Return the mask (N, tokens) of sequences of given lengths (N,)."""
    return torch.arange(tokens, device=lengths.device) < lengths[:, None]


def pooled(features: Tensor, pool: Pool | None, mask: Tensor | None) -> Tensor:
    """Return what to measure of features (N, ...), with the mask (N, tokens) of those that count.

    A pool by name, and the mean that a mask alone asks for, are for features (N, tokens, ...);
    others are returned as they are.
    """
    if callable(pool):
        features = pool(features, mask) if takes_mask(pool) else pool(features)
        if not isinstance(features, Tensor):
            kind = type(features).__name__
            raise TypeError(f"pool: returns {kind}; give a function that returns a tensor")
        return features
    if not has_tokens(features, mask) or (pool is None and mask is None):
        return features
    if mask is None:
        mask = features.new_ones(features.shape[:2], dtype=torch.bool)
    if pool in ("cls", "last"):
        return features[torch.arange(len(features)), _place(mask, last=pool == "last")]
    return _mean(features, mask)


def has_tokens(features: Tensor, mask: Tensor | None) -> bool:
    """Tell whether features are (N, tokens, ...): of the mask's length, or else of three axes."""
    if mask is None:
        return features.dim() == 3
    return features.dim() > 2 and features.shape[:2] == mask.shape


def takes_mask(pool: Callable[..., Any]) -> bool:
    """Tell whether a pool needs a second argument."""
    try:
        parameters = inspect.signature(pool).parameters.values()
    except (TypeError, ValueError):  # of a function in C
        return False
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in places and one.default is one.empty for one in parameters) > 1


def checked_mask(mask: Any, samples: int) -> Tensor:
    """Return a mask (N, tokens) as booleans; raise where it is none, or hides a whole sample."""
    if not isinstance(mask, Tensor) or mask.dim() != 2 or len(mask) != samples:
        what = f"shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(
            f"mask: {what} given for {samples} samples; give a tensor (N, tokens), True where a "
            "token counts"
        )
    mask = mask != 0
    if len(hidden := (~mask.any(1)).nonzero()):
        raise ValueError(
            f"mask: sample {int(hidden[0])} of a batch has no token that counts; leave it out"
        )
    return mask


def _place(mask: Tensor, last: bool) -> Tensor:
    """Return the first or last place that counts, (N,)."""
    if last:
        return mask.shape[1] - 1 - mask.flip(1).byte().argmax(1)
    return mask.byte().argmax(1)


def _mean(features: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the tokens that count; others may be anything, also NaN."""
    wide = torch.float32 if features.device.type == "mps" else torch.float64
    hidden = ~mask.reshape(*mask.shape, *[1] * (features.dim() - 2))
    total = features.masked_fill(hidden, 0).sum(1, dtype=wide)
    counts = mask.sum(1).reshape(-1, *[1] * (features.dim() - 2))
    return (total / counts).to(features.dtype)
