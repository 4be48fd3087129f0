"""Pulls of the folding ruler: slow and steady, or quick and with a shaking hand."""

import numpy as np

from sbt_utils.mechanics.hand import LARGEST, Hand
from sbt_utils.mechanics.ruler import FoldingRuler
from sbt_utils.mechanics.trajectories import check_seed
from sbt_utils.numbers import as_number

JERKS = np.arange(2.0, 10.0)
"""Frequencies of the sinusoids of a jerky hand, in Hz."""
SAMPLING = 1e-3
"""Interval between positions of the hand, in s."""
LONGEST_PULL = 5000.0
"""How long the hand may move, in s: its positions take memory."""
REST = 1.0
"""How long the hand stays at its end, in s, so that the ruler comes to rest."""
_SHORTEST_PULL = 1e-50  # so that the times of a `Hand` can be told apart
_AT_ONCE = 2**14


def slow_and_steady(ruler: FoldingRuler, reach: float = 0.55, speed: float = 0.05) -> Hand:
    """Pull straight at constant speed, with a soft start and stop, then rest for a second.

    Parameters
    ----------
    ruler : FoldingRuler
        Where to start.
    reach : float
        Where to end: extension along the pull as a fraction of the ruler's full length.
    speed : float
        In m/s.

    Raises
    ------
    ValueError
        A reach no longer than the folded ruler, a speed that is not positive or with which the pull
        would last for more than `LONGEST_PULL`.

    Examples
    --------
    >>> slow_and_steady(FoldingRuler(), reach=0.5).positions[-1].round(9)
    array([0.5, 0. ])
    """
    return quick_and_jerky(ruler, reach, speed, amplitude=0.0)


def quick_and_jerky(
    ruler: FoldingRuler,
    reach: float = 0.55,
    speed: float = 2.0,
    amplitude: float = 0.003,
    seed: int = 0,
) -> Hand:
    """Pull while the hand trembles along and across the pull.

    The tremble is a sum of sinusoids of 2, 3, ..., 9 Hz with random phases in each direction. It
    fades in and out with the pull.

    Parameters
    ----------
    ruler, reach, speed
        As in `slow_and_steady`.
    amplitude : float
        Of each sinusoid, in m.
    seed : int
        Of the phases, non-negative.

    Raises
    ------
    ValueError
        As in `slow_and_steady`; a negative amplitude or seed.

    Examples
    --------
    >>> ruler = FoldingRuler()
    >>> steady, jerky = slow_and_steady(ruler, speed=0.5), quick_and_jerky(ruler, speed=0.5)
    >>> bool(jerky.speeds.max() > steady.speeds.max())
    True
    """
    reach, speed = float(as_number("reach", reach)), float(as_number("speed", speed))
    amplitude = float(as_number("amplitude", amplitude))
    for name, value in (("reach", reach), ("amplitude", amplitude)):
        if value > LARGEST / max(1.0, ruler.section_length):
            raise ValueError(f"{name}: {value}; no ruler is so long, give less")
    start = ruler.end
    distance = float(reach * ruler.sections * ruler.section_length - start[0])
    if not distance > 0 or not np.isfinite(distance):
        shortest = start[0] / (ruler.sections * ruler.section_length)
        raise ValueError(f"reach: {reach}; give more than {shortest:.3f}, the folded ruler's")
    if not 0 < speed < np.inf:
        raise ValueError(f"speed: {speed}; give a positive number of m/s")
    if not 0 <= amplitude < np.inf:
        raise ValueError(f"amplitude: {amplitude}; give metres, 0 for a steady hand")
    if not _SHORTEST_PULL < distance / speed < LONGEST_PULL:
        raise ValueError(
            f"speed: {speed}; that takes {distance / speed:.3g} s, give m/s for more than "
            f"{_SHORTEST_PULL:g} s and less than {LONGEST_PULL:,.0f} s"
        )
    soft = min(0.1, 0.25 * distance / speed)
    duration = distance / speed + soft
    times = np.linspace(0.0, duration, max(2, round(duration / SAMPLING)) + 1)
    ramp = np.clip(np.minimum(times, duration - times) / soft, 0.0, 1.0)
    ramp = ramp**2 * (3.0 - 2.0 * ramp)  # smooth at both ends
    path = np.concatenate([[0.0], np.cumsum(ramp[1:] + ramp[:-1])])
    positions = np.tile(start, (len(times), 1))
    positions[:, 0] += distance * path / path[-1]
    phases = tremble_phases(seed)[:, :, None]
    for first in range(0, len(times), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        waves = np.sin(2.0 * np.pi * JERKS[:, None] * times[part] + phases).sum(axis=1)
        positions[part] += amplitude * (ramp[part] * waves).T
    rest = times[-1] + REST * np.array([0.5, 1.0])
    return Hand(np.append(times, rest), np.append(positions, positions[[-1, -1]], axis=0))


def tremble_phases(seed: int) -> np.ndarray:
    """Draw phases in radians, shape (2, 8): along and across the pull, for each of `JERKS`."""
    return np.random.default_rng(check_seed(seed)).uniform(0.0, 2.0 * np.pi, (2, len(JERKS)))
