"""Spring-block chains as figures: the chain on its table, its drift, its diagrams."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sbt_book.common.panels import REGIME_LINES, panels
from sbt_book.common.selections import convexity
from sbt_utils.drawing import COLOURS, STYLE, draw_curve
from sbt_utils.measuring.curves import LoadCurve, scaled
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_theory import drift
from sbt_utils.mechanics.trajectories import Trajectory

EXTREME = 0.3
"""Convexity at the ends of the colour scale; a few cells bend further."""
BENDING: Any = {"cmap": "PuOr", "vmin": -EXTREME, "vmax": EXTREME}
"""Colours of convexity."""
BENDING_BAR: Any = {"extend": "both", "label": "convexity: lazy < 0 < active"}


def chains_and_curves(
    trajectories: Mapping[str, Trajectory], theory: Mapping[str, LoadCurve] | None = None
) -> Figure:
    """Draw the last states of chains, and beside each its load curve.

    Parameters
    ----------
    trajectories : mapping of str to Trajectory
        By title. Of several trajectories the first is drawn; the curve is their mean, with a band
        of one standard deviation.
    theory : mapping of str to LoadCurve, optional
        Drawn dashed over the curves.
    """
    rows = len(trajectories)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 1.75 * rows + 0.3))
        grid = figure.subplots(rows, 2, squeeze=False, width_ratios=[2.6, 1], sharex="col")
        for row, (name, trajectory) in zip(grid, trajectories.items(), strict=True):
            positions = trajectory.positions.reshape(-1, *trajectory.positions.shape[-2:])[0, -1]
            end = trajectory.loads.reshape(-1, trajectory.loads.shape[-1])[0].sum()
            _draw_chain(row[0], positions, float(end))
            row[0].set_title(name, loc="left", fontsize=10)
            curve = trajectory.load_curve
            draw_curve(row[1], curve.mean, curve.spread, marker="o", color=COLOURS[0])
            if theory and name in theory:
                row[1].plot(theory[name].mean, "--", color="black", lw=1.2)
            row[1].plot([0, len(curve.mean) - 1], curve.mean[[0, -1]], ":", color="0.5", lw=1)
            row[1].set(ylabel="$D_l = y - x_l$", ylim=(0, None))
        grid[-1, 1].set(xlabel="block l", xticks=range(len(curve.mean)))
    return figure


def _draw_chain(axes: Axes, positions: np.ndarray, end: float) -> None:
    """Draw wall, blocks at positions (L,) and the end on their table."""
    # Springs have a length under no load, which the positions of the theory leave out.
    x = np.concatenate([[0.0], positions, [end]]) + 0.06 * end * np.arange(len(positions) + 2)
    side, depth = 0.04 * x[-1], 0.03 * x[-1]
    axes.add_patch(Rectangle((-depth, -0.62), 1.1 * x[-1], 0.12, fc="0.85"))
    axes.add_patch(Rectangle((-depth, -0.5), depth, 1.0, fc="0.6"))
    for left, right in pairwise(x):
        start, stop = left + side / 2 * (left > 0), right - side / 2 * (right < x[-1])
        across = 0.22 * np.tile([1, -1], 7)
        across[[0, -1]] = 0
        axes.plot(np.linspace(start, stop, 14), across, color="0.35", lw=1)
    style: Any = {"fc": COLOURS[0], "ec": "white", "lw": 0.8, "zorder": 3}
    for middle in x[1:-1]:
        axes.add_patch(Rectangle((middle - side / 2, -0.5), side, 0.9, **style))
    axes.plot(x[-1], 0, ">", color=COLOURS[1], ms=9, clip_on=False)
    axes.set(xlim=(-depth, 1.05 * x[-1]), ylim=(-0.7, 0.8))
    axes.set_axis_off()


def drift_curves(chain: SpringBlockChain, noises: Sequence[float], reach: float) -> Figure:
    """Draw the mean velocity of a block against the force on it, for different strengths of noise.

    The vertical line is F*, where every curve with noise vanishes.

    Parameters
    ----------
    chain : SpringBlockChain
        Its frictions bound the shaded range of forces, in which a quiet block rests.
    noises : sequence of float
        Of the chain, one curve each; the first may be 0.
    reach : float
        Forces from minus to plus this.
    """
    right, left = (friction[0] for friction in chain.frictions)
    forces = np.linspace(-reach, reach, 201)
    unit = chain.pull
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6))
        axes = figure.add_subplot()
        axes.axvspan(-left / unit, right / unit, color="0.92")
        axes.axvline((right - left) / 2 / unit, color="0.5", ls=":", lw=1.2)
        colours = ["black", *mpl.colormaps["viridis"](np.linspace(0.1, 0.85, len(noises) - 1))]
        for noise, colour in zip(noises, colours, strict=True):
            shaken = replace(chain, noise=noise)
            velocities = [drift(shaken, force) for force in forces]
            label = f"noise {shaken.amplitude / unit:.2g} $k\\,y$"
            axes.plot(forces / unit, np.divide(velocities, unit), color=colour, label=label)
        axes.set(xlabel=r"force F of the springs on the block / $k\,y$")
        axes.set(ylabel=r"mean velocity / ($k\,y/\gamma$)")
        axes.legend(loc="upper left")
    return figure


def mechanical_diagrams(
    diagrams: Mapping[str, xr.DataArray],
    theories: Mapping[str, xr.DataArray],
    with_curves: bool = False,
) -> Figure:
    """Draw the convexity over friction and noise, with the theory's skeleton over it.

    Noise falls from left to right and friction from top to bottom, as in the diagrams of networks.
    Solid: where theory puts the straight curve; dotted: the edges of its regime.

    Parameters
    ----------
    diagrams : mapping of str to xarray.DataArray
        D_l over (friction, noise, layer), by title.
    theories : mapping of str to xarray.DataArray
        Likewise, of the mean field, on any finer grid.
    with_curves : bool
        Draw the load curve of every other cell into it.
    """
    with mpl.rc_context(STYLE | {"font.size": 11}):
        if len(diagrams) == 1:
            figure, grid = panels(1, width=8.0, height=5.2)
        else:
            figure, grid = panels(len(diagrams), width=4.6, height=3.0)
        for index, (axes, (name, diagram)) in enumerate(zip(grid, diagrams.items(), strict=True)):
            bent = convexity(diagram).transpose("friction", "noise")
            style = BENDING | {"shading": "nearest", "rasterized": True}
            image = axes.pcolormesh(bent.noise, bent.friction, bent, **style)
            _add_skeleton(axes, theories[name])
            if with_curves:
                _add_curves(axes, diagram)
            if len(diagrams) > 1:
                axes.set_title(name, fontsize=11)
            low, high = np.exp(_outer_edges(np.log(bent.noise.values)))
            axes.set(xscale="log", xlim=(high, low), ylim=_outer_edges(bent.friction.values))
            if index >= len(grid) - 2:
                axes.set_xlabel(r"noise on a block / $k\,y$")
            if index % 2 == 0:
                axes.set_ylabel(r"friction $\mu_\mathrm{right}$ / $k\,y$")
        figure.colorbar(image, ax=grid, aspect=30, **BENDING_BAR)
    return figure


def _add_skeleton(axes: Axes, theory: xr.DataArray) -> None:
    """Draw where the mean field's load curve is straight, and the edges of that regime."""
    bent = convexity(theory).transpose("friction", "noise")
    for level, style in REGIME_LINES:
        if bent.min() < level < bent.max():
            axes.contour(bent.noise, bent.friction, bent, [level], colors="black", linestyles=style)


def _add_curves(axes: Axes, curves: xr.DataArray) -> None:
    """Draw every other load curve at its friction and noise."""
    curves = curves.transpose("friction", "noise", "layer")
    decades, frictions = np.log10(curves.noise.values), curves.friction.values
    across = np.linspace(-0.72, 0.72, curves.sizes["layer"]) * (decades[1] - decades[0])
    height = 1.44 * (frictions[1] - frictions[0])
    curves, decades, frictions = curves[1::2, 1::2], decades[1::2], frictions[1::2]
    lines = [
        # The axis of the noise runs backwards, and so do the layers in its units.
        np.column_stack([10 ** (decade - across), friction + height * (curve - 0.5)])
        for friction, row in zip(frictions, scaled(curves.values), strict=True)
        for decade, curve in zip(decades, row, strict=True)
    ]
    axes.add_collection(LineCollection(lines, color="black", lw=1.2), autolim=False)


def _outer_edges(levels: np.ndarray) -> tuple[float, float]:
    """Return the outer edges of cells centred on levels."""
    half = (levels[1] - levels[0]) / 2 if len(levels) > 1 else 0.5
    return float(levels[0] - half), float(levels[-1] + half)


def skewed_noise(
    chain: SpringBlockChain,
    skewnesses: Sequence[float],
    noises: Sequence[float],
    simulated: Mapping[tuple[float, float], float],
) -> Figure:
    """Draw the force F* and the load curve to which noise that is skewed leads a chain.

    Parameters
    ----------
    chain : SpringBlockChain
        Of first order, its frictions alike on both sides; in whose units of friction F* is drawn.
    skewnesses : sequence of float
        One line each.
    noises : sequence of float
        From weak to strong, in units of friction; the load curves are those of the middle one.
    simulated : mapping of (skewness, noise) to float
        F* of simulated chains, drawn as points.
    """
    friction = chain.frictions[0][0]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6))
        left, right = figure.subplots(1, 2, width_ratios=[1.3, 1])
        for number, skewness in enumerate(skewnesses):
            shaken = [replace(chain, skewness=skewness, noise=n * friction) for n in noises]
            look: Any = {"color": COLOURS[number], "label": f"skewness {skewness:g}"}
            forces = [one.net_forces[0] / friction for one in shaken]
            left.plot(noises, forces, **look)
            points = [(n, force) for (skew, n), force in simulated.items() if skew == skewness]
            left.plot(*zip(*points, strict=True), "o", color=COLOURS[number])
            ends = np.cumsum(shaken[len(noises) // 2].mean_field_loads())
            curve = np.concatenate([[0.0], ends[:-1]])
            right.plot(scaled(-curve), "osD^"[number] + "-", **look)
        left.axhline(0, color="0.5", lw=1, ls=":")
        left.set(xlabel="noise / friction", ylabel=r"force $F^\ast$ / friction")
        right.plot([0, chain.blocks], [1, 0], color="0.5", lw=1, ls=":")
        right.set(xlabel="block l", ylabel="$D_l$, scaled", xticks=range(chain.blocks + 1))
        right.legend(loc="upper right")
    return figure
