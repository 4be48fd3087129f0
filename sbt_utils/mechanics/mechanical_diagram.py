"""The mechanical phase diagram: load curves of spring-block chains over friction and noise.

Friction to the right stands for nonlinearity: it holds back blocks that the pull would move.
Friction to the left holds what has been won, and is the same all over a diagram. Frictions and
noise are in units of k y, the force that stretches one spring by the whole length of the chain.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from sbt_book.common.diagrams import convexity
from sbt_utils.measuring.separation import LoadCurve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import relaxation
from sbt_utils.mechanics.trajectories import curve_of

SECOND_ORDER = SpringBlockChain(friction_left=0.015)
"""The published chain, but for a friction to the left of 0.15 k y, with which noise can bend its
load curve as far as the networks' bend."""

FIRST_ORDER = SpringBlockChain(
    spring_constant=1.0, friction_left=0.15, noise_decay=0.0, common_noise=False
)
"""The published chain of first order, with the same friction to the left."""

DURATION = 700.0
DURATION_OVERDAMPED = 100.0
"""How long the published chains were simulated."""


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

    Returns
    -------
    SpringBlockChain

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
    one = replace(chain, noise=1.0).amplitude
    return replace(
        chain, friction_right=friction_right * chain.pull, noise=noise * chain.pull / one
    )


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
        In first order; else in second.

    Returns
    -------
    LoadCurve

    Examples
    --------
    >>> quiet = SpringBlockChain(noise=0.0)
    >>> relaxed_curve(quiet, duration=1e4).loads.round(3)  # but for the last load
    array([0.02, 0.05, 0.08, 0.11, 0.14, 0.17, 0.2 ])
    """
    (loads,) = relaxation(chain, np.array([duration]), overdamped)
    return curve_of(loads)


def mechanical_diagram(
    chain: SpringBlockChain,
    friction: Sequence[float],
    noise: Sequence[float],
    *,
    trajectories: int = 50,
    duration: float = DURATION,
    dt: float = 0.05,
    overdamped: bool = False,
    root: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Simulate chains over friction and noise, and give each cell its theory.

    Parameters
    ----------
    chain : SpringBlockChain
        What all cells have in common; with a held end.
    friction : sequence of float
        Frictions to the right, in units of k y.
    noise : sequence of float
        Amplitudes on each block, in units of k y.
    trajectories : int
        In each cell, at least 2.
    duration, dt : float
        As in `SpringBlockChain.simulate`.
    overdamped : bool
        In first order; else in second.
    root : int
        Another root gives other noise throughout.
    progress : bool
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        Over (friction, noise, layer): ``separation`` D_l at the end, mean over the trajectories,
        with its sample standard deviation ``separation_spread``; ``separation_average`` over the
        second half of the time; ``separation_theory`` of the mean field at the end. Over (friction,
        noise): ``convexity_spread``, the standard deviation of the trajectories' own convexities at
        the end (nan where one does not fall).

    Raises
    ------
    ValueError
        No levels, fewer than two trajectories; what `SpringBlockChain.simulate` raises.

    Notes
    -----
    The noise of a trajectory is drawn from the bits of its cell's levels, the root and its number:
    a cell is the same in every diagram that holds it.

    Examples
    --------
    >>> cells = mechanical_diagram(SECOND_ORDER, [0.02, 0.1], [0.01, 0.3], trajectories=4,
    ...                            progress=False)
    >>> cells.separation.sizes["layer"]
    8
    """
    if not len(friction) or not len(noise):
        raise ValueError("friction, noise: give at least one level of each")
    if trajectories < 2:
        raise ValueError(f"trajectories={trajectories}: a spread needs at least 2")
    every = max(1, round(duration / dt) // 100)
    run = SpringBlockChain.simulate_overdamped if overdamped else SpringBlockChain.simulate
    shape = (len(friction), len(noise), chain.blocks + 1)
    names = ("separation", "separation_spread", "separation_average", "separation_theory")
    curves = {name: np.empty(shape) for name in names}
    spread = np.empty(shape[:2])
    for cell in tqdm(list(np.ndindex(shape[:2])), unit="cell", disable=not progress):
        levels = np.array([friction[cell[0]], noise[cell[1]]], dtype=np.float64)
        own = in_units(chain, *levels.tolist())
        words = [root, *levels.view(np.uint64).tolist()]
        seeds = [[*words, number] for number in range(trajectories)]
        trajectory = run(own, duration, dt, seeds=seeds, every=every)
        last = trajectory.load_curve
        curves["separation"][cell], curves["separation_spread"][cell] = last.mean, last.spread
        curves["separation_average"][cell] = trajectory.average_load_curve(duration / 2).mean
        curves["separation_theory"][cell] = relaxed_curve(own, duration, overdamped).mean
        each = xr.DataArray(last.separation, dims=("trajectory", "layer"))
        spread[cell] = convexity(each).std(ddof=1, skipna=False)
    dims = ("friction", "noise")
    unit = {"units": "k y"}
    return xr.Dataset(
        {name: ((*dims, "layer"), array) for name, array in curves.items()}
        | {"convexity_spread": (dims, spread)},
        {"friction": ("friction", list(friction), unit), "noise": ("noise", list(noise), unit)},
    )


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
    chain, friction, noise, duration, overdamped
        As in `mechanical_diagram`.

    Returns
    -------
    xarray.DataArray
        D_l over (friction, noise, layer).

    Examples
    --------
    >>> theory = theory_diagram(SECOND_ORDER, [0.02, 0.1], [0.01, 0.3])
    >>> convexity(theory).round(2).values
    array([[-0.03,  0.27],
           [-0.33,  0.12]])
    """
    curves = [
        [relaxed_curve(in_units(chain, mu, level), duration, overdamped).mean for level in noise]
        for mu in friction
    ]
    return xr.DataArray(
        np.array(curves),
        {"friction": list(friction), "noise": list(noise)},
        ("friction", "noise", "layer"),
    )


def all_diagrams(
    friction: Sequence[float],
    noise: Sequence[float],
    friction_left: Sequence[float] = (0.05, 0.15, 0.3),
    **settings: Any,
) -> xr.Dataset:
    """Simulate the diagrams of both orders, with common and independent noise, for asymmetries.

    Parameters
    ----------
    friction, noise : sequence of float
        As in `mechanical_diagram`.
    friction_left : sequence of float
        One diagram for each of these frictions to the left, in units of k y.
    **settings
        Of `mechanical_diagram`: ``trajectories``, ``root``, ``progress``.

    Returns
    -------
    xarray.Dataset
        That of `mechanical_diagram` over ``order`` (first, second), ``shaking`` (common,
        independent) and ``friction_left`` as well.

    Examples
    --------
    >>> cells = all_diagrams([0.1], [0.01, 0.3], [0.15], trajectories=2, progress=False)
    >>> dict(cells.convexity_spread.sizes)
    {'order': 2, 'shaking': 2, 'friction_left': 1, 'friction': 1, 'noise': 2}
    """
    first = {"duration": DURATION_OVERDAMPED, "dt": 0.01, "overdamped": True}
    orders: dict[str, tuple[SpringBlockChain, Any]] = {
        "first": (FIRST_ORDER, first),
        "second": (SECOND_ORDER, {}),
    }

    def diagram(order: str, shaking: str, left: float) -> xr.Dataset:
        chain, protocol = orders[order]
        own = replace(chain, common_noise=shaking == "common", friction_left=left * chain.pull)
        return mechanical_diagram(own, friction, noise, **protocol, **settings)

    def along(name: str, parts: Sequence[xr.Dataset], labels: Sequence[Any]) -> xr.Dataset:
        return xr.concat(parts, xr.Variable(name, list(labels)))

    shakings = ("common", "independent")
    of_orders = []
    for order in orders:
        of_shakings = [
            along(
                "friction_left", [diagram(order, s, left) for left in friction_left], friction_left
            )
            for s in shakings
        ]
        of_orders.append(along("shaking", of_shakings, shakings))
    return along("order", of_orders, list(orders))
