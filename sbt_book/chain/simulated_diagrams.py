"""The chain's own phase diagram: simulated chains over friction and noise, beside the theory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from sbt_utils.measuring.curves import curve_statistics
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.published_chains import (
    DURATION,
    DURATION_OVERDAMPED,
    FIRST_ORDER,
    SECOND_ORDER,
    in_units,
    relaxed_curve,
)
from sbt_utils.numbers import as_number


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
    friction, noise : sequence of float
        Frictions to the right and noise amplitudes on each block, in units of k y.
    trajectories : int
        In each cell, at least 2.
    duration, dt : float
        As in `SpringBlockChain.simulate`.
    overdamped : bool
        First order instead of second.
    root : int
        Another root gives other noise throughout. A cell's noise depends on its root and levels
        alone: it is the same in every diagram that holds it.
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
    """
    if not len(friction) or not len(noise):
        raise ValueError("friction, noise: give at least one level of each")
    if trajectories < 2:
        raise ValueError(f"trajectories={trajectories}: a spread needs at least 2")
    ratio = as_number("duration", duration) / (as_number("dt", dt) or np.nan)
    every = max(1, round(ratio) // 100) if 1 < ratio < 1e15 else 1  # `simulate` refuses others
    run = SpringBlockChain.simulate_overdamped if overdamped else SpringBlockChain.simulate
    shape = (len(friction), len(noise), chain.blocks + 1)
    names = ("separation", "separation_spread", "separation_average", "separation_theory")
    curves = {name: np.empty(shape) for name in names}
    spread = np.empty(shape[:2])
    for cell in tqdm(list(np.ndindex(shape[:2])), unit="cell", disable=not progress):
        levels = np.array([friction[cell[0]], noise[cell[1]]], dtype=np.float64)
        cell_chain = in_units(chain, *levels.tolist())
        # The bits of the levels: any two levels that differ have noise of their own.
        words = [root, *levels.view(np.uint64).tolist()]
        seeds = [[*words, number] for number in range(trajectories)]
        trajectory = run(cell_chain, duration, dt, seeds=seeds, every=every)
        last = trajectory.load_curve
        curves["separation"][cell], curves["separation_spread"][cell] = last.mean, last.spread
        curves["separation_average"][cell] = trajectory.average_load_curve(duration / 2).mean
        curves["separation_theory"][cell] = relaxed_curve(cell_chain, duration, overdamped).mean
        spread[cell] = curve_statistics(last.separation, "convexity").std(ddof=1)
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
    """
    first = {"duration": DURATION_OVERDAMPED, "dt": 0.01, "overdamped": True}
    orders: dict[str, tuple[SpringBlockChain, Any]] = {
        "first": (FIRST_ORDER, first),
        "second": (SECOND_ORDER, {}),
    }
    shakings = ("common", "independent")

    def diagram(order: str, shaking: str, left: float) -> xr.Dataset:
        chain, protocol = orders[order]
        chain = replace(chain, common_noise=shaking == "common", friction_left=left * chain.pull)
        return mechanical_diagram(chain, friction, noise, **protocol, **settings)

    diagrams = [
        [[diagram(order, shaking, left) for left in friction_left] for shaking in shakings]
        for order in orders
    ]
    axes = {"order": list(orders), "shaking": list(shakings), "friction_left": list(friction_left)}
    return xr.combine_nested(diagrams, list(axes)).assign_coords(axes).transpose(*axes, ...)
