"""At which steps a network is read: every so many, or as often as costs little."""

from __future__ import annotations

import math
from time import perf_counter

FIRST = 100
"""Steps between two readings, where they cost little; else this number times a power of two."""

SHARE = 0.02
"""The part of the time since the first reading that all readings may take."""


class Pace:
    """Tells which steps are due: multiples of `every`, or of what costs no more than `SHARE`.

    Intervals are powers of two of one another, so that runs of different speed share steps.
    """

    def __init__(self, every: int | None) -> None:
        self.every = every
        self.first = self.latest = -1  # steps read
        self.began = self.last = self.spent = 0.0  # seconds: of the first, and of reading

    def is_due(self, step: int) -> bool:
        """Tell whether to read at this step, that of a batch that may have ended before."""
        if step % (self.every or FIRST) or step == self.latest:
            return False
        if self.every is not None or self.first < 0:
            return True
        elapsed = perf_counter() - self.began
        if self.spent + self.last > SHARE * elapsed:
            return False
        steps = self.last / (SHARE * elapsed / (step - self.first))  # worth of a reading
        return step % (FIRST * 2 ** math.ceil(math.log2(max(1.0, steps / FIRST)))) == 0

    def read(self, step: int, began: float) -> None:
        """Note that a step was read, since a time of `perf_counter`."""
        if self.first < 0:
            self.first, self.began = step, began
        self.latest, self.last = step, perf_counter() - began
        self.spent += self.last
