"""The movement of the hand that pulls the folding ruler."""

from dataclasses import dataclass

import numpy as np

from sbt_utils.numbers import as_array

LARGEST = 1e60
"""Of any number that a ruler or its hand is made of: beyond, products of them overflow."""


@dataclass(frozen=True, eq=False)
class Hand:
    """A movement of the hand: positions over time, in straight lines from one to the next.

    Parameters
    ----------
    times : array_like, shape (n,)
        In s, strictly increasing, n >= 2.
    positions : array_like, shape (n, 2)
        x along and y across the pull, in m, from the pin of the ruler. Both are kept as read-only
        float64 copies.

    Raises
    ------
    ValueError
        Other shapes, values that are no finite numbers, times that do not increase.

    Examples
    --------
    >>> hand = Hand([0.0, 1.0, 2.0], [[0.1, 0.0], [0.3, 0.0], [0.3, 0.0]])
    >>> hand.speeds
    array([0.2, 0.1, 0. ])
    """

    times: np.ndarray
    positions: np.ndarray

    def __post_init__(self) -> None:
        times = _numbers("times", self.times, "(n,)")
        positions = _numbers("positions", self.positions, "(n, 2)")
        if times.ndim != 1 or len(times) < 2:
            raise ValueError(f"times: shape {times.shape}; give (n,) with n >= 2")
        if positions.shape != (len(times), 2):
            raise ValueError(
                f"positions: shape {positions.shape}; give ({len(times)}, 2), x and y at each time"
            )
        for name, values in (("times", times), ("positions", positions)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name}: NaN or infinite values; leave such samples out")
            if np.abs(values).max() > LARGEST:
                raise ValueError(
                    f"{name}: {np.abs(values).max():g} is out of bounds; give at most {LARGEST:g}"
                )
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        late = np.diff(times) <= 1 / LARGEST
        if late.any():
            first = int(late.argmax())
            raise ValueError(
                f"times: {times[first + 1]:g} s after {times[first]:g} s; sort them, and keep one "
                "of equal ones"
            )

    @property
    def speeds(self) -> np.ndarray:
        """Speed at each time, from differences to its neighbours, shape (n,), in m/s."""
        return np.hypot(*np.gradient(self.positions, self.times, axis=0).T)


def _numbers(name: str, values: object, shape: str) -> np.ndarray:
    """Return a float64 copy of values that are real numbers and no ragged rows."""
    array = as_array(values)
    if not array.ndim:
        raise ValueError(f"{name}: give numbers, shape {shape}")
    return array
