"""The published chains, and the theory of their phase diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import relaxation
from sbt_utils.mechanics.trajectories import curve_of
from sbt_utils.numbers import as_levels, as_number

if TYPE_CHECKING:
    import xarray as xr

SECOND_ORDER = SpringBlockChain(friction_left=0.015)
"""The published chain, but for a friction to the left of 0.15 k y, with which noise can bend its
load curve as far as the networks' bend."""
FIRST_ORDER = SpringBlockChain(
    spring_constant=1.0, friction_left=0.15, noise_decay=0.0, common_noise=False
)
"""The published chain of first order, with the same friction to the left."""
DURATION = 700.0
"""How long the published chain was simulated."""
DURATION_OVERDAMPED = 100.0
"""How long the published chain of first order was simulated."""


def in_units(chain: SpringBlockChain, friction_right: float, noise: float) -> SpringBlockChain:
    """Return a chain with its friction to the right and its noise given in units of k y.

    Parameters
    ----------
    chain : SpringBlockChain
        With a held end.
    friction_right : float
        μ_right / (k y).
    noise : float
        Amplitude on each block, over k y (common noise of ε has an amplitude of sqrt(L) ε).

    Raises
    ------
    ValueError
        If the end is not held, or not to the right of the wall.

    Examples
    --------
    >>> in_units(SpringBlockChain(blocks=4), 0.05, 0.25).noise
    0.0125
    """
    if chain.force is not None or not chain.pull > 0:
        raise ValueError("chain: forces in units of k y need a held end; give end > 0 and no force")
    friction_right, noise = as_number("friction_right", friction_right), as_number("noise", noise)
    per_noise = replace(chain, noise=1.0).amplitude
    noise = noise * chain.pull / per_noise
    return replace(chain, friction_right=friction_right * chain.pull, noise=noise)


def relaxed_curve(
    chain: SpringBlockChain, duration: float = DURATION, overdamped: bool = False
) -> LoadCurve:
    """Return the load curve of the mean field after some time: the theory of a diagram's cell.

    Parameters
    ----------
    chain : SpringBlockChain
        With a held end.
    duration : float
        Since the pull.
    overdamped : bool
        First order instead of second.

    Examples
    --------
    >>> quiet = SpringBlockChain(noise=0.0)
    >>> relaxed_curve(quiet, duration=1e4).loads.round(3)  # but for the last load
    array([0.02, 0.05, 0.08, 0.11, 0.14, 0.17, 0.2 ])
    """
    duration = as_number("duration", duration)
    if not 0 <= duration < np.inf:
        raise ValueError(f"duration={duration}: give a finite number, 0 or more")
    (loads,) = relaxation(chain, np.array([duration], dtype=np.float64), overdamped)
    return curve_of(loads)


def theory_diagram(
    chain: SpringBlockChain,
    friction: Sequence[float],
    noise: Sequence[float],
    duration: float = DURATION,
    overdamped: bool = False,
) -> xr.DataArray:
    """Return the mean field's load curves over friction and noise, without a simulation.

    Parameters
    ----------
    chain : SpringBlockChain
        What all cells have in common; with a held end.
    friction, noise : sequence of float
        Frictions to the right and noise amplitudes on each block, in units of k y.
    duration, overdamped
        As in `relaxed_curve`.

    Returns
    -------
    xarray.DataArray
        D_l over (friction, noise, layer).

    Examples
    --------
    >>> theory = theory_diagram(SECOND_ORDER, [0.02, 0.1], [0.01, 0.3])
    >>> [LoadCurve(curve).regime for curve in theory.sel(friction=0.1).values]
    ['lazy', 'active']
    """
    friction, noise = as_levels("friction", friction), as_levels("noise", noise)
    import xarray as xr  # here: it takes longer to load than all else in this module

    curves = [
        [relaxed_curve(in_units(chain, mu, level), duration, overdamped).mean for level in noise]
        for mu in friction
    ]
    axes = {"friction": np.array(friction, float), "noise": np.array(noise, float)}
    return xr.DataArray(np.array(curves), axes, ("friction", "noise", "layer"))
