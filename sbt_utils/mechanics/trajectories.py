"""Trajectories of spring-block chains: one, or one for each of many seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sbt_utils.measuring.curves import LoadCurve


def curve_of(loads: np.ndarray) -> LoadCurve:
    """Return the load curve of a chain with given loads, for instance those of a closed form.

    Parameters
    ----------
    loads : ndarray, shape (L + 1,) or (repeats, L + 1)
        d_1..d_{L+1}, from the wall to the end.

    Returns
    -------
    LoadCurve
        D_l = d_{l+1} + ... + d_{L+1} for l = 0..L: the last load is the height that is left.

    Examples
    --------
    >>> from sbt_utils.mechanics.chain import SpringBlockChain
    >>> chain = SpringBlockChain()
    >>> curve_of(chain.static_loads()).regime, curve_of(chain.mean_field_loads()).regime
    ('lazy', 'equiseparated')
    """
    return LoadCurve(np.cumsum(loads[..., ::-1], axis=-1)[..., ::-1], measure="distance")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The kept states of a chain, of one trajectory or of one for each seed.

    Parameters
    ----------
    times : ndarray, shape (kept,)
        From the start; the last state is always there.
    positions : ndarray, shape (kept, L) or (seeds, kept, L)
        x_1..x_L.
    ends : ndarray, shape (kept,) or (seeds, kept)
        y, the position of the pulled end.
    velocities : ndarray, optional
        As the positions; None in first order, where they are no part of the state.
    """

    times: np.ndarray
    positions: np.ndarray
    ends: np.ndarray
    velocities: np.ndarray | None

    @property
    def separation(self) -> np.ndarray:
        """D_l = y - x_l of l = 0..L at every kept time, shape (..., kept, L + 1)."""
        ends = np.broadcast_to(self.ends, self.positions.shape[:-1])[..., None]
        return np.concatenate([ends, ends - self.positions], axis=-1)

    @property
    def loads(self) -> np.ndarray:
        """Final loads d_l = x_l - x_{l-1} of l = 1..L + 1, shape (..., L + 1); their sum is y."""
        return -np.diff(self.separation[..., -1, :], append=0.0)

    @property
    def load_curve(self) -> LoadCurve:
        """Final load curve; each trajectory of several is a repeat."""
        return LoadCurve(self.separation[..., -1, :], measure="distance")

    def average_load_curve(self, after: float = 0.0) -> LoadCurve:
        """Return the load curve averaged over the kept times.

        Parameters
        ----------
        after : float
            Leave out what was before.

        Returns
        -------
        LoadCurve
            Each trajectory of several is a repeat.

        Raises
        ------
        ValueError
            If no state was kept from then on.

        Examples
        --------
        >>> from sbt_utils.mechanics.chain import SpringBlockChain
        >>> trajectory = SpringBlockChain().simulate(every=20)
        >>> trajectory.average_load_curve(after=350.0).regime
        'equiseparated'
        """
        late = self.times >= after
        if not late.any():
            raise ValueError(f"after={after}: the last kept time is {self.times[-1]:g}; give less")
        return LoadCurve(self.separation[..., late, :].mean(axis=-2), measure="distance")
