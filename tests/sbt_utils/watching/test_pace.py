"""Which steps are read, by a clock of their own."""

import numpy as np
import pytest

from sbt_utils.watching import pace
from sbt_utils.watching.pace import FIRST, SHARE, Pace


class Clock:
    """A training of so many seconds a step, whose readings take so many seconds each."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(pace, "perf_counter", lambda: self.now)

    def train(self, step_seconds, reading_seconds, steps, every=None):
        """Return the steps read, and the part of the time that went into reading."""
        chosen, spent, costs = Pace(every), 0.0, iter(reading_seconds)
        read = []
        begin = self.now
        for step in range(steps):
            self.now += step_seconds
            if chosen.is_due(step):
                began = self.now
                self.now += next(costs)
                spent += self.now - began
                chosen.read(step, began)
                read.append(step)
        return read, spent / (self.now - begin - spent)


def always(cost, first=None):
    yield cost if first is None else first
    while True:
        yield cost


@pytest.mark.parametrize(
    ("step_seconds", "cost"),
    [(1e-3, 0.02), (0.01, 0.05), (0.02, 0.2), (0.02, 2.0), (0.5, 0.1), (0.5, 10.0)],
)
def test_readings_take_less_than_three_per_cent_of_a_long_training(monkeypatch, step_seconds, cost):
    # Ten times as long as the first reading, which comes unasked and takes longest, is worth.
    steps = int(10 * 4 * cost / SHARE / step_seconds)
    read, part = Clock(monkeypatch).train(step_seconds, always(cost, 4 * cost), steps)
    assert part < 0.03
    assert read[0] == 0
    assert all(step % FIRST == 0 for step in read)
    if steps > 20 * FIRST:  # and are not fewer than that allows
        assert part > 0.005 or len(read) > steps / FIRST / 2


def test_readings_that_cost_nothing_come_at_each_hundredth_step(monkeypatch):
    read, _ = Clock(monkeypatch).train(0.5, always(1e-3), 1000)
    assert read == list(range(0, 1000, 100))


def test_slow_and_fast_runs_share_steps(monkeypatch):
    fast, _ = Clock(monkeypatch).train(0.01, always(0.2), 50_000)
    slow, _ = Clock(monkeypatch).train(0.03, always(0.2), 50_000)
    late = [step for step in fast if step > 10_000]
    assert len(late) > 10
    assert set(late) <= set(slow)
    assert len(slow) > len(fast)
    assert len(set(np.diff(late))) == 1


def test_a_fixed_interval_is_kept_whatever_it_costs(monkeypatch):
    read, _ = Clock(monkeypatch).train(1e-3, always(10.0), 50, every=7)
    assert read == [0, 7, 14, 21, 28, 35, 42, 49]


def test_a_step_is_read_once_and_a_resumed_training_at_its_next_multiple(monkeypatch):
    chosen = Pace(10)
    assert not chosen.is_due(15)
    assert chosen.is_due(20)
    chosen.read(20, 0.0)
    assert not chosen.is_due(20)
    assert chosen.is_due(30)
