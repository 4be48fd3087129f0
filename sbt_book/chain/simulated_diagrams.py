"""The chain's own phase diagram: simulated chains over friction and noise, beside the theory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from sbt_book.common.selections import convexity
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.published_chains import (
    DURATION,
    DURATION_OVERDAMPED,
    FIRST_ORDER,
    SECOND_ORDER,
    in_units,
    relaxed_curve,
)


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
