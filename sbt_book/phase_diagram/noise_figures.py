"""The sources of noise beside and over one another."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.common.noise_axes import MARKERS, NOISES, in_order
from sbt_book.common.panels import panels, shade_equiseparated
from sbt_utils.drawing import COLOURS, STYLE


def convexity_against_noise(summaries: Mapping[str, xr.Dataset]) -> Figure:
    """Draw convexity against the level of noise, a line for each slope.

    Parameters
    ----------
    summaries : mapping of str to xarray.Dataset
        From `sbt_book.phase_diagram.summaries.cell_summary`, by source of noise, a key of
        `sbt_book.common.noise_axes.NOISES`.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each source of noise, with noise falling from left to right. The bars are one
        standard deviation over the seeds; the grey band is the equiseparated regime.

    Examples
    --------
    >>> cells = xr.Dataset({"convexity": (("noise", "slope"), [[-0.1], [0.1]]),
    ...                     "convexity_spread": (("noise", "slope"), [[0.02], [0.03]])},
    ...                    {"noise": [0.0, 0.1], "slope": [0.0]})
    >>> figure = convexity_against_noise({"dropout": cells})
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(summaries), width=4.2, height=3.2)
        for axes, (name, summary) in zip(grid, summaries.items(), strict=True):
            cells, noise = in_order(name, summary), NOISES[name]
            shade_equiseparated(axes.axhspan)
            for place, slope in enumerate(cells.slope.values):
                own = cells.sel(slope=slope)
                style = {"marker": MARKERS[place % 6], "color": _slope_colour(place, cells)}
                bars = {"yerr": own.convexity_spread, "capsize": 2, "elinewidth": 1}
                axes.errorbar(own.noise, own.convexity, **bars, **style, label=f"α = {slope:g}")
            if noise.logarithmic:
                axes.set_xscale("log")
            if not noise.falls:
                axes.xaxis.set_inverted(True)
            axes.set(xlabel=noise.label, ylabel="convexity")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def shape_family(summaries: Mapping[str, xr.Dataset], layers: tuple[int, int] = (2, 5)) -> Figure:
    """Draw every cell's scaled curve at two layers against its convexity.

    If the sources of noise bend load curves in the same way, the cells of all diagrams lie on the
    same line.

    Parameters
    ----------
    summaries : mapping of str to xarray.Dataset
        From `sbt_book.phase_diagram.summaries.cell_summary`, by source of noise, a key of
        `sbt_book.common.noise_axes.NOISES`.
    layers : tuple of int
        Two inner layers.

    Returns
    -------
    matplotlib.figure.Figure
        The two per cent of cells with the highest convexity lie outside it.

    Examples
    --------
    >>> cells = xr.Dataset({"convexity": (("noise", "slope"), [[0.1]]),
    ...                     "curve": (("noise", "slope", "layer"), [[[1.0, 0.6, 0.2, 0.0]]])})
    >>> figure = shape_family({"dropout": cells}, layers=(1, 2))
    """
    shapes = np.concatenate([cells.convexity.values.ravel() for cells in summaries.values()])
    shapes = shapes[np.isfinite(shapes)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.9))
        for axes, layer in zip(figure.subplots(1, 2), layers, strict=True):
            shade_equiseparated(axes.axvspan)
            for place, (name, cells) in enumerate(summaries.items()):
                height = cells.curve.isel(layer=layer)
                convexity, height = xr.broadcast(cells.convexity, height)
                look = _source_look(place, name) | {"ls": "none"}
                axes.plot(convexity.values.ravel(), height.values.ravel(), **look)
            axes.set(xlabel="convexity of the cell", ylabel=f"scaled D at layer {layer}")
            if shapes.size:
                axes.set_xlim(right=np.quantile(shapes, 0.98) + 0.05)
        handles = figure.axes[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=4)
    return figure


def accuracy_against_convexity(summaries: Mapping[str, xr.Dataset], reach: float = 8) -> Figure:
    """Draw test accuracy against convexity along the levels of each source of noise.

    Parameters
    ----------
    summaries : mapping of str to xarray.Dataset
        From `sbt_book.phase_diagram.summaries.cell_summary`, by source of noise, a key of
        `sbt_book.common.noise_axes.NOISES`.
    reach : float
        Percentage points shown below the best cell.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each slope, a line for each source of noise, which rises along it. Ringed: the
        best level of each.

    Examples
    --------
    >>> cells = xr.Dataset({"convexity": (("noise", "slope"), [[-0.1], [0.1]]),
    ...                     "accuracy": (("noise", "slope"), [[0.91], [0.93]])},
    ...                    {"noise": [0.0, 0.1], "slope": [0.0]})
    >>> figure = accuracy_against_convexity({"dropout": cells})
    """
    slopes = next(iter(summaries.values())).slope.values
    best = 100 * max(float(cells.accuracy.max()) for cells in summaries.values())
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(slopes), width=4.2, height=2.5)
        for axes, slope in zip(grid, np.sort(slopes), strict=True):
            shade_equiseparated(axes.axvspan)
            for place, (name, summary) in enumerate(summaries.items()):
                row = in_order(name, summary).sel(slope=slope)
                convexity, accuracy = row.convexity.values, 100 * row.accuracy.values
                axes.plot(convexity, accuracy, **_source_look(place, name), lw=1.2)
                here = np.isfinite(convexity)
                if here.any():
                    top = np.where(here, accuracy, -np.inf).argmax()
                    ring: Any = {"ms": 11, "mfc": "none", "mec": COLOURS[place % len(COLOURS)]}
                    axes.plot(convexity[top], accuracy[top], "o", **ring)
            axes.set(title=f"α = {slope:g}", ylim=(best - reach, best + 0.5))
            axes.set(xlabel="convexity", ylabel="test accuracy, %")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _slope_colour(place: int, cells: xr.Dataset) -> Any:
    return mpl.colormaps["viridis"](0.9 * place / max(1, cells.sizes["slope"] - 1))


def _source_look(place: int, name: str) -> dict[str, Any]:
    colour = COLOURS[place % len(COLOURS)]
    return {"marker": MARKERS[place % 6], "ms": 4, "color": colour, "label": NOISES[name].label}
