"""The passes over features on a GPU: for one layer of many networks at once, in few kernels.

Differences, to a sample of the same class or to a common origin and then to the class means, are of
the features' own type; those of half precision are float32. They are summed in that type over
blocks alone, of at most `BLOCK` samples or `PIECE` values of one sample, and the sums of the blocks
in float64: a card with slow float64 does not crawl. Scatter within the classes below 2^-36 of the
whole is therefore rounding where features are float32.

Squares of differences beyond 2^59 or below 2^-63 would leave the range of float32, so that each
block is first multiplied by a power of two, see `unit`: exact, and free where differences are taken
anyway. Sums in float64 have room for all squares of float32 as they are; those of float64 must fit.

Results repeat bit for bit on one card: sums over the samples of a class are products with a matrix
of zeros and ones, for ``index_add_`` would add in any order. TF32 and autocast are off meanwhile,
whatever the user has set.

Where not said otherwise, ``x`` (M, n, d) are features of M networks, ``origin`` (M, d) what they
are taken relative to, ``rows`` (n,) the class of each sample, the same for all, ``counts`` (C,) the
samples of each class, and ``means`` (M, C, d) their means relative to the origin.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import prod
from threading import RLock
from typing import Any

import torch
from torch import Tensor

BLOCK = 512
"""The most samples that are summed in float32."""

PIECE = 1024
"""The most values of one sample that are summed in float32."""

_ELEMENTS = 2**28  # of x at once: 1 GB of float32
_LOOKED_AT = 2**16  # values that cost a GPU no more than to be asked for them
_TF32 = RLock()


def block_length(values: int) -> int:
    """Return how many samples to pass at once, of so many values each, all networks counted."""
    return max(1, min(BLOCK, _ELEMENTS // values))


def working_type(dtype: torch.dtype) -> torch.dtype:
    """Return the type of differences between features of a type: float32 or float64."""
    lower = dtype.is_floating_point and dtype != torch.float64
    return torch.float32 if lower else torch.float64


def rounding(dtype: torch.dtype) -> float:
    """Return the fraction of the total standard deviation below which all is rounding."""
    return 2.0**-18 if working_type(dtype) == torch.float32 else 2.0**-44


def unit(x: Tensor, origin: Tensor | None = None, means: Tensor | None = None) -> Tensor:
    """Return powers of two (M, 1, 1) that bring the differences between features to about 2^-20.

    So small for the sake of values that differ little: they may be 2^147 times their differences
    before they overflow. Of a block of more than 2^16 values only some samples are looked at,
    evenly spaced, at least 16: differences of others may be 2^75 times theirs before their squares
    overflow. NaN does not count. Of the type of the differences, whose range is meant.

    Differences are to the first sample, or else to the origin, the means (M, C, d) then among them.
    """
    step = max(1, min(x.shape[1] // 16, x.numel() // _LOOKED_AT))
    origin = x[:, 0] if origin is None else origin
    away = (x[:, ::step] - origin[:, None].to(working_type(x.dtype))).nan_to_num_()
    if means is None:
        return _powers(-20, _exponents(away), away.dtype)
    return _powers(-20, _exponents(away, means.to(away.dtype).nan_to_num_()), away.dtype)


def add_block(
    x: Tensor,
    origin: Tensor,
    rows: Tensor,
    counts: Tensor,
    means: Tensor,
    signs: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Update counts and means in place by at most `BLOCK` samples.

    Returns the added scatter (M,), as `sbt_utils.measuring.scatter_passes.add_samples` defines it;
    the squares (M, n) of the samples relative to the first of their class; these differences
    (M, n, d), times `signs` (d,), each plus or minus one power of two, or else times `unit`; and
    the first of each class (M, C, d).
    """
    hot = _one_hot(rows, len(counts), working_type(x.dtype))
    new = hot.sum(1)
    first = x.index_select(1, hot.argmax(1))
    scale = unit(x) if signs is None else signs
    away = (first * -scale).index_select(1, rows).addcmul_(x, scale)
    with exact_products(x.device):
        near = torch.bmm(hot.expand(len(x), -1, -1), away)
    near /= new.clamp(min=1)[:, None]
    back = scale.reciprocal()
    step = (first - origin[:, None]).sub_(means).addcmul_(near, back)
    counts += new
    weights, back = new / counts.clamp(min=1), back[..., 0]
    squares = _lengths(away).mul_(back).square_()
    means.addcmul_(step, weights[:, None])
    # Hardly a digit cancels: a sample is about as far from another as from the mean of both.
    near_squares, step_squares = _norms(near).mul_(back).square_(), _norms(step).square_()
    within = squares.sum(1) - near_squares @ new.double() + step_squares @ (new * (1 - weights))
    return within, squares, away, first


def fold(vectors: Tensor, length: int) -> Tensor:
    """Fold vectors (n, d) to (n, min(d, length)): sums of every `length`-th value."""
    count = vectors.shape[1]
    whole = count // length * length
    if count <= length:
        return vectors
    folded = vectors[:, :whole].view(len(vectors), count // length, length).sum(1)
    folded[:, : count - whole] += vectors[:, whole:]
    return folded


def few_at_once(*of_classes: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield tensors (C, ...) for some of the classes at a time, so that copies are small."""
    rows = max(1, 2**23 // max(prod(tensor.shape[1:]) for tensor in of_classes))
    if rows >= of_classes[0].shape[0]:
        return iter([of_classes])
    return zip(*(tensor.split(rows) for tensor in of_classes), strict=True)


def residuals(x: Tensor, origin: Tensor, means: Tensor, rows: Tensor) -> Tensor:
    """Return the samples relative to the means of their classes, (M, n, d).

    Differences must not overflow their type: features of float32 must lie within half its range.
    """
    away = x - origin.to(working_type(x.dtype))[:, None]
    places = _one_hot(rows, means.shape[1], away.dtype).T.expand(len(away), -1, -1)
    with exact_products(x.device):
        return away.baddbmm_(places, means.to(away.dtype), alpha=-1)


def projected_squares(residuals: Tensor, projection: Tensor) -> Tensor:
    """Return the sum of squares (M,), over the samples, of residuals @ projection (M, d, K)."""
    # As large as residuals are small, and the other way round: halfway there, all stay in range.
    half = _powers(0, _exponents(projection) // 2, residuals.dtype)
    with exact_products(residuals.device):
        projected = torch.bmm(residuals, (projection * half).to(residuals.dtype))
    return _lengths(projected.div_(half)).square_().sum(1)


def on_cpu(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return tensors (n,) of one type on the CPU, waiting for a GPU once."""
    together = torch.cat([tensor.to(tensors[0].device) for tensor in tensors]).cpu()
    return list(together.split([len(tensor) for tensor in tensors]))


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Keep matrix products and convolutions on a GPU from TF32 and from autocast."""
    if device.type != "cuda":
        yield
        return
    # Settings of the whole process: one thread at a time may change them.
    with _TF32, torch.autocast(device.type, enabled=False):
        put_back = _turn_off_tf32()
        try:
            yield
        finally:
            put_back()


def _turn_off_tf32() -> Callable[[], None]:
    """Turn TF32 off; return what puts back both the older and the newer of PyTorch's settings."""
    settings: Any = torch.backends
    owners = [settings.cuda.matmul, *(getattr(settings.cudnn, n, None) for n in ("conv", "rnn"))]
    newer = [(owner, owner.fp32_precision) for owner in owners if hasattr(owner, "fp32_precision")]
    older: list[Any] = [None, None]
    with suppress(RuntimeError):  # PyTorch lets nobody read these if the newer ones differ
        older[0] = torch.get_float32_matmul_precision()
    with suppress(RuntimeError):
        older[1] = settings.cudnn.allow_tf32

    def put_back() -> None:
        if older[0] is not None:
            torch.set_float32_matmul_precision(older[0])
        if older[1] is not None:
            settings.cudnn.allow_tf32 = older[1]
        for owner, precision in newer:
            owner.fp32_precision = precision

    settings.cuda.matmul.allow_tf32 = settings.cudnn.allow_tf32 = False
    return put_back


def _one_hot(rows: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Return a matrix (C, n) with a one at the class of each sample."""
    return (rows == torch.arange(classes, device=rows.device)[:, None]).to(dtype)


def _exponents(*parts: Tensor) -> Tensor:
    """Return the powers of two next above the largest values in (M, n, d), int32 (M, 1, 1)."""
    largest = [torch.linalg.vector_norm(x, torch.inf, dim=(1, 2), keepdim=True) for x in parts]
    return torch.cat(largest, 1).amax(1, keepdim=True).frexp().exponent


def _powers(exponent: int, less: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 2^(exponent - less) of a type, kept within what it and its reciprocal can be."""
    # Bit by bit, for the powers of a GPU are approximate.
    if dtype == torch.float32:
        return ((127 + exponent - less).clamp_(1, 253) << 23).view(dtype)
    return ((1023 + exponent - less.long()).clamp_(1, 2045) << 52).view(torch.float64)


def _lengths(vectors: Tensor) -> Tensor:
    """Return the lengths of vectors (..., d), float64 (...)."""
    parts = vectors.split(vectors.shape[-1] // PIECE * PIECE or PIECE, dim=-1)
    pieces = (part.unflatten(-1, (-1, min(PIECE, part.shape[-1]))) for part in parts)
    return _norms(torch.cat([torch.linalg.vector_norm(piece, dim=-1) for piece in pieces], -1))


def _norms(vectors: Tensor) -> Tensor:
    """Return the lengths of vectors (..., d), summed in float64."""
    return torch.linalg.vector_norm(vectors, dim=-1, dtype=torch.float64)
