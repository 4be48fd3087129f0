"""What people type, and what they slip in: values for examples at random, and a clock for them."""

import signal
from contextlib import contextmanager

import numpy as np
from hypothesis import strategies as st

WRONG = [None, True, "1", "", "α\x1b[31m" * 99, b"a", 1j, [], [0.1] * 7, [[1]], [1, [2]], {}]
WRONG += [object(), np.array(0.5), np.ones(7), np.datetime64("2020-01-01"), np.ma.masked_all(2)]
NUMBERS = [0, 1, -1, 0.5, 1e-9, 5e-324, 1e-300, 1e-101, 1e-99, 1e-61, 1e99, 1e101, 1e300, -1e-9]
NUMBERS += [1.7e308, np.inf, -np.inf, np.nan, 10**19, 10**400, -(10**400), 2**63, -(2**63)]
NUMBERS += [np.float32(0.3), np.float16(2), np.int8(-1), np.int64(3), np.uint64(2**64 - 1)]
NUMBERS += [np.longdouble("1e4000"), np.float64(0.1), np.bool_(True)]

odd = st.sampled_from([*WRONG, *NUMBERS])
powers = st.floats(-99, 99).map(lambda power: 10.0**power)
odd_seeds = st.sampled_from(
    [*WRONG, -1, 1.5, 2**64, 10**400, np.int64(4), np.uint8(3), [1, 2], [-1], np.array([1, 2])]
)


def close_to(low, high):
    """Return numbers between two, as often small as large."""
    return st.floats(np.log(low), np.log(high)).map(lambda power: float(np.exp(power)))


@st.composite
def arguments(draw, usual, unusual=odd, most=2):
    """Return arguments of which most are as usual, and up to two are anything.

    `unusual` may be a dict, for those that have odd values of their own.
    """
    of = unusual if isinstance(unusual, dict) else {}
    others = odd if isinstance(unusual, dict) else unusual
    strange = draw(st.sets(st.sampled_from(sorted(usual)), max_size=draw(st.integers(0, most))))
    return {
        name: draw(of.get(name, others) if name in strange else values)
        for name, values in usual.items()
    }


@contextmanager
def within(seconds):
    """Fail where the body takes longer, instead of waiting for ever."""

    def late(*_):
        raise AssertionError(f"still at work after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
