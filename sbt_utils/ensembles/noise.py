"""Counter-based random numbers: the training noise of many networks at once.

A draw is a pure function of (seed, step, purpose, position): no generator carries state from one
draw to the next. A network therefore meets the same noise whether it is trained alone, in
company, in chunks, after a pause, on a CPU or on a GPU, and a checkpoint need not save any
generator. No library serves: PyTorch's generators draw for all members in turn and differ between
CPU and GPU; NumPy's Philox knows no GPU, and no compiled loop can ask it for a part of a mask.

Keys have 32 bits, so they repeat rarely, not never: any two draws have the same key, and then the
same numbers, with probability 2**-32. Of n draws n**2 / 2**33 pairs are expected to be alike.
"""

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# SplitMix64 (Steele, Lea & Flood 2014) mixes keys; the 32-bit multipliers and shifts of the array
# hash are Wellons' "lowbias32", found by search to have an avalanche bias near the optimum.
_WEYL = np.uint64(0x9E3779B97F4A7C15)
_MIX64 = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))
_MIX32 = ((16, 0x7FEB352D), (15, 0x846CA68B - (1 << 32)))
# Arrays start at multiples of this many elements, so that an element is in the vectorised part of a
# CPU kernel whatever stands beside it (scalar logarithms differ from vector ones in the last bit).
_ALIGNMENT = 64


def seed_words(seed: int) -> np.ndarray:
    """Return two independent 64-bit words for a seed: one to start weights, one for the noise.

    Parameters
    ----------
    seed : int
        Non-negative.

    Returns
    -------
    ndarray, shape (2,), uint64
        ``numpy.random.SeedSequence(seed).generate_state(2)``.

    Examples
    --------
    >>> seed_words(3).shape
    (2,)
    """
    return np.random.SeedSequence(seed).generate_state(2, np.uint64)


def draw_keys(words: np.ndarray, steps: Sequence[int], purposes: int) -> Tensor:
    """Return one 32-bit key for each (member, step, purpose).

    Parameters
    ----------
    words : ndarray, shape (members,), uint64
        The members' noise words (`seed_words`).
    steps : sequence of int
        Numbers of the training steps, counted from the start of training.
    purposes : int
        How many different draws a step makes; at most 2**16.

    Returns
    -------
    Tensor, shape (members, steps, purposes), int32
        On the CPU.

    Examples
    --------
    >>> draw_keys(seed_words(0)[1:], range(2), 3).shape
    torch.Size([1, 2, 3])
    """
    counter = np.asarray(steps, np.uint64)[:, None] << np.uint64(16)
    counter = counter | np.arange(purposes, dtype=np.uint64)
    mixed = _mix64(words[:, None, None] ^ _mix64(counter * _WEYL + _WEYL))
    return torch.from_numpy((mixed >> np.uint64(32)).astype(np.uint32).view(np.int32))


def uniform(keys: Tensor, count: int) -> Tensor:
    """Return numbers uniform in (0, 1], float32 (members, count), for keys (members,)."""
    fraction = random_bits(keys, count).to(torch.float32)
    return fraction.mul_(2.0**-32).add_(0.5).clamp_(min=2.0**-33)


def standard_normal(keys: Tensor, count: int) -> Tensor:
    """Return standard normal numbers, float32 (members, count), for keys (members, 2)."""
    # Box & Muller 1958.
    padded = -(-count // _ALIGNMENT) * _ALIGNMENT
    radius, angle = (uniform(keys[:, i], padded) for i in (0, 1))
    radius = radius.log_().mul_(-2).sqrt_()
    return radius.mul_(angle.mul_(2 * np.pi).cos_())[:, :count]


def permutations(keys: Tensor, count: int) -> Tensor:
    """Return a random order of 0..count-1, int64 (members, count), for each key (members,)."""
    return random_bits(keys, count).argsort(dim=1, stable=True)


def random_bits(keys: Tensor, count: int) -> Tensor:
    """Return integers uniform over all 32 bits, int32 (members, count), for keys (members,)."""
    bits = torch.empty(len(keys), count, dtype=torch.int32, device=keys.device)
    return _fill_bits(keys, bits, torch.empty_like(bits))


def dropout_limits(dropout: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `keep_mask` needs to know of p (members,), rounded to a multiple of 2**-15.

    A signed 15-bit number below its limit, int16 (members, 1), means that a unit is kept. The
    scale, of the dtype of p, is -1 / (1 - p).
    """
    kept = ((1 - dropout.double()) * 2**15).round().clamp_(min=1)  # of 2**15
    limits = (kept - 2**14).to(torch.int16)
    return limits[:, None], (-(2.0**15) / kept).to(dropout.dtype)[:, None]


def keep_mask(
    keys: Tensor, limits: tuple[Tensor, Tensor], out: Tensor, bits: Tensor, scratch: Tensor
) -> Tensor:
    """Write the factors of inverted dropout, 0 or 1 / (1 - p), to `out` (members, count).

    `bits` and `scratch`, int32 (members, ceil(count / 2)), come from outside because a fresh
    megabyte costs more than the arithmetic on it. Srivastava et al., Dropout, JMLR 15 (2014) 1929.
    """
    limit, scale = limits
    # Each word serves two units. Halved, 16 bits lie in [-2**14, 2**14): the difference to the
    # limit cannot overflow, and its sign, spread over the bits, is -1 with probability 1 - p.
    halves = _fill_bits(keys, bits, scratch).view(torch.int16)
    halves.__irshift__(1).sub_(limit).__irshift__(15)
    return out.copy_(halves[:, : out.shape[1]]).mul_(scale)


def _fill_bits(keys: Tensor, bits: Tensor, scratch: Tensor) -> Tensor:
    count = bits.shape[1]  # the next power of two serves many sizes of batches and layers
    counters = _counters(1 << (count - 1).bit_length(), keys.device)[:count]
    torch.add(counters, keys[:, None], out=bits)
    return _mix32(bits, scratch)


@functools.lru_cache(maxsize=32)
def _counters(count: int, device: torch.device) -> Tensor:
    # Mixed positions lie far apart. Unmixed, position + key would give two neighbouring keys the
    # same numbers, one place apart.
    counters = torch.arange(count, dtype=torch.int32, device=device)
    return _mix32(counters, torch.empty_like(counters))


def _mix32(x: Tensor, scratch: Tensor) -> Tensor:
    for shift, multiplier in _MIX32:
        # PyTorch shifts arithmetically; the mask clears the copies of the sign bit.
        torch.bitwise_right_shift(x, shift, out=scratch)
        x ^= scratch.bitwise_and_((1 << (32 - shift)) - 1)
        x *= multiplier
    torch.bitwise_right_shift(x, 16, out=scratch)
    x ^= scratch.bitwise_and_(0xFFFF)
    return x


def _mix64(z: np.ndarray) -> np.ndarray:
    for shift, multiplier in _MIX64:
        z = (z ^ (z >> np.uint64(shift))) * multiplier
    return z ^ (z >> np.uint64(31))
