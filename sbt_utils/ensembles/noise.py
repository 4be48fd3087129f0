"""Counter-based random numbers: the training noise of many networks at once.

A draw is a pure function of (seed, step, purpose, position): no generator carries state from one
draw to the next. A network therefore meets the same noise whether it is trained alone, in
company, in chunks, after a pause, on a CPU or on a GPU, and a checkpoint need not save any
generator. The hash is a few passes of 32-bit integer arithmetic over the array, about ten times
cheaper on a CPU than PyTorch's Bernoulli generator.
"""

import functools
from collections.abc import Sequence

import numpy as np
import torch

# SplitMix64 (Steele, Lea & Flood 2014) mixes keys; the 32-bit multipliers and shifts of the array
# hash are Wellons' "lowbias32", found by search to have an avalanche bias near the optimum.
_WEYL = np.uint64(0x9E3779B97F4A7C15)
_MIX64 = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))
_MIX32 = ((16, 0x7FEB352D), (15, 0x846CA68B - (1 << 32)))
# Arrays start at multiples of this many elements, so that the vectorised and the scalar part of a
# CPU kernel treat an element alike whatever stands beside it (vector logarithms differ from
# scalar ones in the last bit).
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


def draw_keys(words: np.ndarray, steps: Sequence[int], purposes: int) -> torch.Tensor:
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


def random_bits(keys: torch.Tensor, count: int) -> torch.Tensor:
    """Return `count` uniformly distributed 32-bit integers for each key.

    Parameters
    ----------
    keys : Tensor, shape (members,), int32
        From `draw_keys`; the result is on their device.
    count : int
        Numbers wanted for each member.

    Returns
    -------
    Tensor, shape (members, count), int32
        Uniform over all 2**32 values.

    Examples
    --------
    >>> keys = draw_keys(seed_words(0)[1:], [0], 1)[:, 0, 0]
    >>> random_bits(keys, 5).shape
    torch.Size([1, 5])
    """
    bits = torch.empty(len(keys), count, dtype=torch.int32, device=keys.device)
    return _random_bits(keys, bits, torch.empty_like(bits))


def dropout_limits(dropout: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what `keep_mask` needs to know of p.

    Parameters
    ----------
    dropout : Tensor, shape (members,), floating point
        Each member's p in [0, 1); rounded to a multiple of 2**-15, below 1.

    Returns
    -------
    limits : Tensor, shape (members, 1), int16
        A signed 15-bit number below its limit means that a unit is kept.
    scales : Tensor, shape (members, 1), dtype of `dropout`
        -1 / (1 - p).

    Examples
    --------
    >>> dropout_limits(torch.tensor([0.0, 0.5]))[1]
    tensor([[-1.],
            [-2.]])
    """
    kept = ((1 - dropout.double()) * 2**15).round().clamp_(min=1)  # of 2**15
    limits = (kept - 2**14).to(torch.int16)
    return limits[:, None], (-(2.0**15) / kept).to(dropout.dtype)[:, None]


def keep_mask(
    keys: torch.Tensor,
    limits: tuple[torch.Tensor, torch.Tensor],
    out: torch.Tensor,
    bits: torch.Tensor,
    scratch: torch.Tensor,
) -> torch.Tensor:
    """Write the factors of inverted dropout: 0 with probability p, else 1 / (1 - p).

    Parameters
    ----------
    keys : Tensor, shape (members,), int32
        From `draw_keys`.
    limits : tuple of Tensor
        From `dropout_limits`.
    out : Tensor, shape (members, count), floating point
        Written and returned.
    bits, scratch : Tensor, shape (members, ceil(count / 2)), int32
        Working memory. It comes from outside because a fresh megabyte costs more than the
        arithmetic on it.

    Returns
    -------
    Tensor
        `out`.

    References
    ----------
    Srivastava et al., Dropout, JMLR 15 (2014) 1929.

    Examples
    --------
    >>> keys = draw_keys(seed_words(0)[1:], [0], 1)[:, 0, 0]
    >>> out, bits, scratch = torch.empty(1, 5), *torch.empty(2, 1, 3, dtype=torch.int32)
    >>> keep_mask(keys, dropout_limits(torch.tensor([0.0])), out, bits, scratch)
    tensor([[1., 1., 1., 1., 1.]])
    """
    limit, scale = limits
    # Each word serves two units. Halved, 16 bits lie in [-2**14, 2**14): the difference to the
    # limit cannot overflow, and its sign, spread over the bits, is -1 with probability 1 - p.
    halves = _random_bits(keys, bits, scratch).view(torch.int16)
    halves.__irshift__(1).sub_(limit).__irshift__(15)
    return out.copy_(halves[:, : out.shape[1]]).mul_(scale)


def standard_normal(keys: torch.Tensor, count: int) -> torch.Tensor:
    """Return `count` standard normal numbers for each pair of keys (Box & Muller 1958).

    Parameters
    ----------
    keys : Tensor, shape (members, 2), int32
        From `draw_keys`.
    count : int
        Numbers wanted for each member.

    Returns
    -------
    Tensor, shape (members, count), float32

    Examples
    --------
    >>> keys = draw_keys(seed_words(0)[1:], [0], 2)[:, 0]
    >>> standard_normal(keys, 5).shape
    torch.Size([1, 5])
    """
    padded = -(-count // _ALIGNMENT) * _ALIGNMENT
    radius, angle = (uniform(keys[:, i], padded) for i in (0, 1))
    radius = radius.log_().mul_(-2).sqrt_()
    return radius.mul_(angle.mul_(2 * np.pi).cos_())[:, :count]


def uniform(keys: torch.Tensor, count: int) -> torch.Tensor:
    """Return `count` numbers uniform in (0, 1] for each key.

    Parameters
    ----------
    keys : Tensor, shape (members,), int32
        From `draw_keys`.
    count : int
        Numbers wanted for each member.

    Returns
    -------
    Tensor, shape (members, count), float32

    Examples
    --------
    >>> keys = draw_keys(seed_words(0)[1:], [0], 1)[:, 0, 0]
    >>> bool((uniform(keys, 100) > 0).all())
    True
    """
    fraction = random_bits(keys, count).to(torch.float32)
    return fraction.mul_(2.0**-32).add_(0.5).clamp_(min=2.0**-33)


def permutations(keys: torch.Tensor, count: int) -> torch.Tensor:
    """Return a random order of 0..count-1 for each key.

    Parameters
    ----------
    keys : Tensor, shape (members,), int32
        From `draw_keys`.
    count : int
        Numbers to put in order.

    Returns
    -------
    Tensor, shape (members, count), int64

    Examples
    --------
    >>> keys = draw_keys(seed_words(0)[1:], [0], 1)[:, 0, 0]
    >>> sorted(permutations(keys, 4)[0].tolist())
    [0, 1, 2, 3]
    """
    return random_bits(keys, count).argsort(dim=1, stable=True)


def _random_bits(keys: torch.Tensor, bits: torch.Tensor, scratch: torch.Tensor) -> torch.Tensor:
    count = bits.shape[1]
    counters = _counters(1 << (count - 1).bit_length(), keys.device)[:count]
    torch.add(counters, keys[:, None], out=bits)
    return _mix32(bits, scratch)


@functools.lru_cache(maxsize=32)
def _counters(count: int, device: torch.device) -> torch.Tensor:
    """Mixed, so that neighbouring positions start far apart and two keys' streams never overlap."""
    counters = torch.arange(count, dtype=torch.int32, device=device)
    return _mix32(counters, torch.empty_like(counters))


def _mix32(x: torch.Tensor, scratch: torch.Tensor) -> torch.Tensor:
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
