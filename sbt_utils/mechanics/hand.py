"""The movement of the hand that pulls the folding ruler."""

from dataclasses import dataclass

import numpy as np


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
        Other shapes, non-finite values, times that do not increase.

    Examples
    --------
    >>> hand = Hand([0.0, 1.0, 2.0], [[0.1, 0.0], [0.3, 0.0], [0.3, 0.0]])
    >>> hand.speeds
    array([0.2, 0.1, 0. ])
    """

    times: np.ndarray
    positions: np.ndarray

    def __post_init__(self) -> None:
        times = np.array(self.times, np.float64)
        positions = np.array(self.positions, np.float64)
        if times.ndim != 1 or len(times) < 2:
            raise ValueError(f"times: shape {times.shape}; give (n,) with n >= 2")
        if positions.shape != (len(times), 2):
            raise ValueError(
                f"positions: shape {positions.shape}; give ({len(times)}, 2), x and y at each time"
            )
        for name, values in (("times", times), ("positions", positions)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name}: NaN or infinite values; leave such samples out")
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        late = np.diff(times) <= 0
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
