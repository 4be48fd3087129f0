"""The passes over features on a GPU: for one layer of many networks at once, in few kernels.

Differences, to a common origin and then to the class means, are of the features' own type; those
of half precision are float32. They are summed in that type over blocks alone, of at most `BLOCK`
samples or `PIECE` values of one sample, and the sums of the blocks in float64: a card with slow
float64 does not crawl. Scatter within the classes below 2^-36 of the whole is therefore rounding
where features are float32. The squares of their differences must fit in float32.

Results repeat bit for bit on one card: sums over the samples of a class are products with a matrix
of zeros and ones, for ``index_add_`` would add in any order. TF32 and autocast are off meanwhile,
whatever the user has set.

Where not said otherwise, ``x`` (M, n, d) are features of M networks, ``origin`` (M, d) what they
are taken relative to, ``rows`` (n,) the class of each sample, the same for all, ``counts`` (C,) the
samples of each class, and ``means`` (M, C, d) their means relative to the origin.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import RLock
from typing import Any

import torch
from torch import Tensor

BLOCK = 256
"""The most samples that are summed in float32."""

PIECE = 1024
"""The most values of one sample that are summed in float32."""

_ELEMENTS = 2**27  # of x at once: 512 MB of float32
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


def add_block(
    x: Tensor, origin: Tensor, rows: Tensor, counts: Tensor, means: Tensor
) -> tuple[Tensor, Tensor]:
    """Update counts and means in place by at most `BLOCK` samples.

    Returns the added scatter (M,), as `sbt_utils.measuring.scatter_passes.add_samples` defines it,
    and the squared residuals (M, n).
    """
    away = _relative(x, origin)
    hot = _one_hot(rows, len(counts), away.dtype)
    new = hot.sum(1, dtype=torch.float64)
    with exact_products(x.device):
        sums = torch.bmm(hot.expand(len(x), -1, -1), away).double()
        step = sums.addcmul_(means, new[:, None], value=-1)
        step /= (counts + new).clamp(min=1)[:, None]
        # Residuals of earlier samples grow as their class mean moves away from them.
        within = step.square().sum(2) @ counts
        means += step
        counts += new
        _recentre(away, means, hot)
    squares = _squares(away)
    return within + squares.sum(1), squares


def residuals(x: Tensor, origin: Tensor, means: Tensor, rows: Tensor) -> Tensor:
    """Return the samples relative to the means of their classes, (M, n, d)."""
    away = _relative(x, origin)
    with exact_products(x.device):
        return _recentre(away, means, _one_hot(rows, means.shape[1], away.dtype))


def spoilt(x: Tensor) -> Tensor:
    """Tell which samples (..., n, d) hold NaN or infinite values, bool (..., n)."""
    if not x.is_floating_point():
        return torch.zeros(x.shape[:-1], dtype=torch.bool, device=x.device)
    return ~torch.linalg.vector_norm(x, torch.inf, dim=-1).isfinite()


def projected_squares(residuals: Tensor, projection: Tensor) -> Tensor:
    """Return the sum of squares (M,), over the samples, of residuals @ projection (M, d, K)."""
    with exact_products(residuals.device):
        return _squares(torch.bmm(residuals, projection.to(residuals.dtype))).sum(1)


def products_with_class(vectors: Tensor, rows: Tensor, directions: Tensor) -> Tensor:
    """Return the scalar product of vectors (n, d) with the direction (C, d) of their class."""
    with exact_products(vectors.device):
        products = vectors @ directions.to(vectors.dtype).T
    return products.gather(1, rows[:, None])[:, 0].double()


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


def _relative(x: Tensor, origin: Tensor) -> Tensor:
    """Return the samples relative to the origin, which has their own type's digits."""
    return x - origin.to(working_type(x.dtype))[:, None]


def _one_hot(rows: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Return a matrix (C, n) with a one at the class of each sample."""
    return (rows == torch.arange(classes, device=rows.device)[:, None]).to(dtype)


def _recentre(away: Tensor, means: Tensor, hot: Tensor) -> Tensor:
    """Take from samples relative to the origin the mean of their class, in place."""
    near, places = means.to(away.dtype), hot.T.expand(len(away), -1, -1)
    return away.baddbmm_(places, near, alpha=-1)


def _squares(vectors: Tensor) -> Tensor:
    """Return the sums of squares of vectors (..., d), float64 (...)."""
    parts = vectors.split(vectors.shape[-1] // PIECE * PIECE or PIECE, dim=-1)
    total = vectors.new_zeros((), dtype=torch.float64)
    for part in parts:
        pieces = part.unflatten(-1, (-1, min(PIECE, part.shape[-1])))
        total = total + torch.linalg.vector_norm(pieces, dim=-1).double().square_().sum(-1)
    return total
