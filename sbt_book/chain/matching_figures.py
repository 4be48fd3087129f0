"""Networks beside the chains that match them: their diagrams, their forces, their way there."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sbt_book.chain.figures import EXTREME
from sbt_book.common.noise_axes import NOISES, in_order
from sbt_book.common.panels import add_curves, cell_image
from sbt_book.common.selections import convexity
from sbt_utils.drawing import COLOURS, STYLE


def side_by_side(matched: xr.Dataset, limit: float = 0.03, source: str = "dropout") -> Figure:
    """Draw the networks' phase diagram beside that of the chains that match them.

    Parameters
    ----------
    matched : xarray.Dataset
        From `sbt_book.chain.diagram_matching.fit_diagram` or `fit_cells`.
    limit : float
        Chains with a larger residual are hatched.
    source : str
        Of the noise, a key of `NOISES`: of its levels, those that it shows are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Scaled load curves, each on a ground of its convexity.

    Examples
    --------
    >>> curve = xr.DataArray([[[1, 0.6, 0.4, 0]]], {"slope": [0.0], "noise": [0.0]},
    ...                      ("slope", "noise", "layer"))
    >>> cells = xr.Dataset({"curve": curve, "target": curve, "residual": 0 * curve[..., 0]})
    >>> len(side_by_side(cells).axes)  # and the colour bar
    3
    """
    cells = in_order(source, matched)
    shown = np.isin(cells.noise, NOISES[source].shown)
    cells = cells.isel(noise=shown) if shown.any() else cells
    style: Any = {"cmap": "PuOr", "vmin": -EXTREME, "vmax": EXTREME}
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure = Figure(figsize=(9.6, 3.9))
        pair = figure.subplots(1, 2, sharey=True)
        for axes, title, name in zip(
            pair, ("networks", "chains"), ("target", "curve"), strict=True
        ):
            image = cell_image(axes, source, convexity(cells[name]), **style)
            add_curves(axes, cells[name], color="black", lw=1.6)
            axes.set_title(title)
        for row, column in np.argwhere(cells.residual.values > limit):
            corner = (column - 0.5, row - 0.5)
            pair[1].add_patch(Rectangle(corner, 1, 1, fill=False, hatch="///", ec="0.7", lw=0))
        pair[1].set_ylabel("")
        figure.colorbar(image, ax=pair, extend="both", label="convexity: lazy < 0 < active")
    return figure


def matched_forces(cells: xr.Dataset, limit: float = 0.03, source: str = "dropout") -> Figure:
    """Draw the friction that matches each nonlinearity, and the noise that matches each noise.

    Parameters
    ----------
    cells : xarray.Dataset
        From `sbt_book.chain.diagram_matching.fit_cells`.
    limit : float
        Cells with a larger residual are left out of the right panel: no chain fits them.
    source : str
        Of the noise, a key of `NOISES`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> one = (("slope", "noise"), [[0.1]])
    >>> cells = xr.Dataset(
    ...     {"chain_friction": ("slope", [0.03]), "chain_noise": one, "chain_noise_low": one,
    ...      "chain_noise_high": one, "residual": one}, {"slope": [0.0], "noise": [0.1]})
    >>> len(matched_forces(cells).axes)
    2
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6))
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.6])
        left.plot(1 - cells.slope, cells.chain_friction, "o-", color="black")
        left.set(xlabel="nonlinearity 1 - α", ylabel=r"friction $\mu_\mathrm{right}$ / $k\,y$")
        left.set_ylim(bottom=0)
        fitting = cells.where(cells.residual <= limit)
        for slope, colour in zip(cells.slope.values, COLOURS, strict=False):
            row = fitting.sel(slope=slope)
            low, high = row.chain_noise_low, row.chain_noise_high
            right.fill_between(row.noise, low, high, color=colour, alpha=0.2, lw=0)
            right.plot(row.noise, row.chain_noise, "o-", color=colour, label=f"α = {slope:g}")
        right.set(xlabel=NOISES[source].label, ylabel=r"noise on a block / $k\,y$", yscale="log")
        right.legend(loc="lower right")
    return figure


def in_time(
    networks: Mapping[str, xr.DataArray], chains: Mapping[str, xr.DataArray], switched: float = 0.0
) -> Figure:
    """Draw load curves on their way: networks in the upper row, chains in the lower one.

    Parameters
    ----------
    networks, chains : mapping of str to xarray.DataArray
        As many of each, by what to call them: D_l over (time, layer), the time in epochs or in
        units of the chain's.
    switched : float
        A fraction of the time at which something was switched: curves from then on are dashed.

    Returns
    -------
    matplotlib.figure.Figure
        Early curves are dark, late ones light.

    Examples
    --------
    >>> curves = xr.DataArray([[1, 1, 1], [1, 0.6, 0]], {"time": [0, 9]}, ("time", "layer"))
    >>> len(in_time({"network": curves}, {"chain": curves}).axes)
    2
    """
    columns = len(networks)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * columns + 1.2, 5.6))
        grid = figure.subplots(2, columns, squeeze=False, sharex=True)
        rows = (networks, "epoch", "data separation $D_l$"), (chains, "t =", "$D_l = y - x_l$")
        for row, (curves, unit, label) in zip(grid, rows, strict=True):
            for axes, (name, course) in zip(row, curves.items(), strict=True):
                times = course.time.values
                late = times > switched * times[-1] if switched else np.zeros(len(times), bool)
                colours = mpl.colormaps["viridis"](np.linspace(0, 0.88, len(times)))
                for time, colour, dashed in zip(times, colours, late, strict=True):
                    axes.plot(
                        course.sel(time=time),
                        "o--" if dashed else "o-",
                        color=colour,
                        label=f"{unit} {time:g}",
                    )
                axes.set_title(name, fontsize=10)
            row[0].set_ylabel(label)
            row[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
        for axes in grid[-1]:
            axes.set_xlabel("layer or block l")
    return figure
