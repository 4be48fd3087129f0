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
from sbt_utils.measuring.curves import REGIME_TOLERANCE


def shade_equiseparated(span: Callable[..., Any]) -> None:
    """Shade the convexities of the equiseparated regime.

    Parameters
    ----------
    span : callable
        ``axhspan`` or ``axvspan`` of the axes, whichever way the convexity runs.

    Examples
    --------
    >>> axes = Figure().add_subplot()
    >>> shade_equiseparated(axes.axhspan)
    >>> len(axes.patches)
    1
    """
    span(-REGIME_TOLERANCE, REGIME_TOLERANCE, color="0.9", lw=0, zorder=0)


def panels(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels, two in a row.

    Parameters
    ----------
    count : int
        How many.
    width, height : float
        Of a panel, in inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
    panels : list of matplotlib.axes.Axes

    Examples
    --------
    >>> figure, three = panels(3, width=4, height=3)
    >>> len(three), len(figure.axes)
    (3, 3)
    """
    rows, columns = -(-count // 2), min(count, 2)
    figure = Figure(figsize=(width * columns, height * rows))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.remove()
    return figure, list(grid[:count])


REGIME_LINES = ((-REGIME_TOLERANCE, ":"), (0.0, "-"), (REGIME_TOLERANCE, ":"))
"""Convexity and line style of the straight load curve and of the edges of its regime."""


def cell_image(axes: Axes, name: str, cells: xr.DataArray, **style: Any) -> AxesImage:
    """Draw cells as an image with its axes named.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where.
    name : str
        Source of noise, a key of `NOISES`.
    cells : xarray.DataArray
        (slope, noise), from `sbt_book.common.noise_axes.in_order`.
    **style
        Of the image.

    Returns
    -------
    matplotlib.image.AxesImage

    Examples
    --------
    >>> cells = xr.DataArray([[0.9]], {"slope": [0.0], "noise": [0.1]}, ("slope", "noise"))
    >>> cell_image(Figure().add_subplot(), "dropout", cells).get_array().shape
    (1, 1)
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
    """Draw curves, each within its cell of a `cell_image`.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where.
    curves : xarray.DataArray
        Scaled, (slope, noise, layer), from `sbt_book.common.noise_axes.in_order`; undefined ones are left
        out.
    **style
        Of the lines.

    Examples
    --------
    >>> axes = Figure().add_subplot()
    >>> add_curves(axes, xr.DataArray([[[1, 0.4, 0]]], dims=("slope", "noise", "layer")))
    >>> len(axes.collections)
    1
    """
    curves = curves.transpose("slope", "noise", "layer")
    across = np.linspace(-0.38, 0.38, curves.sizes["layer"])
    lines = [
        np.column_stack([column + across, row + 0.36 - 0.72 * curve])
        for row, cells in enumerate(curves.values)
        for column, curve in enumerate(cells)
        if np.isfinite(curve).all()
    ]
    axes.add_collection(LineCollection(lines, **style), autolim=False)


def _add_contours(axes: Axes, convexity: np.ndarray, colour: str) -> None:
    """Draw the equiseparated line and the edges of its regime, where they cross the diagram."""
    if min(convexity.shape) < 2:
        return
    for level, style in REGIME_LINES:
        if np.nanmin(convexity) < level < np.nanmax(convexity):
            axes.contour(convexity, [level], colors=colour, linestyles=style, linewidths=1.6)
