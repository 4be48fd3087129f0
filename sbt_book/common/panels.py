"""What figures of several chapters draw alike."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from sbt_book.common.noise_axes import NOISES, level_name
from sbt_utils.drawing import COLOURS
from sbt_utils.measuring.curves import REGIME_TOLERANCE

MARKERS = "osD^vP"

REGIME_LINES = ((-REGIME_TOLERANCE, ":"), (0.0, "-"), (REGIME_TOLERANCE, ":"))
"""Convexity and line style of the straight load curve and of the edges of its regime."""


def series_look(index: int) -> dict[str, Any]:
    """Return the marker and the colour of the index-th of several series."""
    return {"marker": MARKERS[index % len(MARKERS)], "color": COLOURS[index % len(COLOURS)]}


def shade_equiseparated(span: Callable[..., Any]) -> None:
    """Shade the equiseparated regime with the ``axhspan`` or ``axvspan`` of the axes."""
    span(-REGIME_TOLERANCE, REGIME_TOLERANCE, color="0.9", lw=0, zorder=0)


def panels(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels, two in a row, of a width and height in inches."""
    rows, columns = -(-count // 2), min(count, 2)
    figure = Figure(figsize=(width * columns, height * rows))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.remove()
    return figure, list(grid[:count])


def cell_image(axes: Axes, name: str, cells: xr.DataArray, **style: Any) -> AxesImage:
    """Draw cells (slope, noise), ordered by `in_order`, as an image with its axes named.

    `name` is the source of noise, a key of `NOISES`.
    """
    axes.set_facecolor("white")
    image = axes.imshow(cells.values, aspect="auto", interpolation="nearest", **style)
    levels = cells.noise.values
    step = 1 if len(levels) <= 8 else 2
    axes.set_xticks(range(0, len(levels), step), [level_name(level) for level in levels[::step]])
    axes.set_yticks(range(len(cells.slope)), [f"{slope:g}" for slope in cells.slope.values])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel=NOISES[name].label, ylabel="negative slope α")
    return image


def add_curves(axes: Axes, curves: xr.DataArray, **style: Any) -> None:
    """Draw scaled curves (slope, noise, layer), each within its cell of a `cell_image`.

    Undefined curves are left out.
    """
    curves = curves.transpose("slope", "noise", "layer")
    across = np.linspace(-0.38, 0.38, curves.sizes["layer"])
    lines = [
        np.column_stack([column + across, row + 0.36 - 0.72 * curve])
        for row, cells in enumerate(curves.values)
        for column, curve in enumerate(cells)
        if np.isfinite(curve).all()
    ]
    # One collection: a line for each of hundreds of cells takes seconds.
    axes.add_collection(LineCollection(lines, **style), autolim=False)


def add_contours(axes: Axes, convexity: np.ndarray, colour: str) -> None:
    """Draw the equiseparated line and the edges of its regime, where they cross the diagram."""
    if min(convexity.shape) < 2:
        return
    for level, style in REGIME_LINES:
        if np.nanmin(convexity) < level < np.nanmax(convexity):
            axes.contour(convexity, [level], colors=colour, linestyles=style, linewidths=1.6)
