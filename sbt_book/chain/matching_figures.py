"""Networks beside the chains that match them: their diagrams, their forces, their way there."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sbt_book.chain.diagram_matching import GOOD_MATCH
from sbt_book.chain.figures import BENDING, BENDING_BAR
from sbt_book.common.noise_axes import NOISES, in_order
from sbt_book.common.panels import add_curves, cell_image
from sbt_book.common.selections import convexity
from sbt_utils.drawing import COLOURS, STYLE


def side_by_side(matched: xr.Dataset) -> Figure:
    """Draw the networks' phase diagram of dropout beside that of the chains that match them.

    Scaled load curves, each on a ground of its convexity. Chains that are no `GOOD_MATCH` are
    hatched.

    Parameters
    ----------
    matched : xarray.Dataset
        From `fit_diagram` or `fit_cells`. Of its levels of noise those of the published panel are
        drawn; all of them if it has none of those.
    """
    cells = in_order("dropout", matched)
    shown = np.isin(cells.noise, NOISES["dropout"].shown)
    cells = cells.isel(noise=shown) if shown.any() else cells
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure = Figure(figsize=(9.6, 3.9))
        pair = figure.subplots(1, 2, sharey=True)
        sides = {"networks": cells.target, "chains": cells.curve}
        for axes, (title, curves) in zip(pair, sides.items(), strict=True):
            image = cell_image(axes, "dropout", convexity(curves), **BENDING)
            add_curves(axes, curves, color="black", lw=1.6)
            axes.set_title(title)
        for row, column in np.argwhere(cells.residual.values > GOOD_MATCH):
            corner = (column - 0.5, row - 0.5)
            pair[1].add_patch(Rectangle(corner, 1, 1, fill=False, hatch="///", ec="0.7", lw=0))
        pair[1].set_ylabel("")
        figure.colorbar(image, ax=pair, **BENDING_BAR)
    return figure


def matched_forces(cells: xr.Dataset) -> Figure:
    """Draw the friction that matches each nonlinearity, and the noise that matches each dropout.

    Parameters
    ----------
    cells : xarray.Dataset
        From `fit_cells`. Cells that are no `GOOD_MATCH` are left out of the right panel.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6))
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.6])
        left.plot(1 - cells.slope, cells.chain_friction, "o-", color="black")
        left.set(xlabel="nonlinearity 1 - α", ylabel=r"friction $\mu_\mathrm{right}$ / $k\,y$")
        left.set_ylim(bottom=0)
        fitting = cells.where(cells.residual <= GOOD_MATCH)
        for slope, colour in zip(cells.slope.values, COLOURS, strict=False):
            row = fitting.sel(slope=slope)
            low, high = row.chain_noise_low, row.chain_noise_high
            right.fill_between(row.noise, low, high, color=colour, alpha=0.2, lw=0)
            right.plot(row.noise, row.chain_noise, "o-", color=colour, label=f"α = {slope:g}")
        right.set(xlabel=NOISES["dropout"].label, yscale="log")
        right.set_ylabel(r"noise on a block / $k\,y$")
        right.legend(loc="lower right")
    return figure


def in_time(
    networks: Mapping[str, xr.DataArray], chains: Mapping[str, xr.DataArray], switched: float = 0.0
) -> Figure:
    """Draw load curves as they evolve: networks in the upper row, chains in the lower one.

    Early curves are dark, late ones light.

    Parameters
    ----------
    networks, chains : mapping of str to xarray.DataArray
        As many of each, by title: D_l over (time, layer), the time in epochs or in units of the
        chain's.
    switched : float
        A fraction of the time at which something was switched: later curves are dashed.
    """
    columns = len(networks)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * columns + 1.2, 5.6))
        grid = figure.subplots(2, columns, squeeze=False, sharex=True)
        rows = (networks, "epoch", "data separation $D_l$"), (chains, "t =", "$D_l = y - x_l$")
        for row, (panels, unit, label) in zip(grid, rows, strict=True):
            for axes, (name, curves) in zip(row, panels.items(), strict=True):
                times = curves.time.values
                late = times > switched * times[-1] if switched else np.zeros(len(times), bool)
                colours = mpl.colormaps["viridis"](np.linspace(0, 0.88, len(times)))
                for time, colour, dashed in zip(times, colours, late, strict=True):
                    line = "o--" if dashed else "o-"
                    curve = curves.sel(time=time)
                    axes.plot(curve, line, color=colour, label=f"{unit} {time:g}")
                axes.set_title(name, fontsize=10)
            row[0].set_ylabel(label)
            row[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
        for axes in grid[-1]:
            axes.set_xlabel("layer or block l")
    return figure
