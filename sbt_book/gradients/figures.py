"""Kicks and gradients in pictures."""

from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.common.noise_axes import NOISES
from sbt_book.common.panels import MARKERS, panels, series_look, shade_equiseparated
from sbt_book.gradients.comparison import convexity_left, matched, predicted_convexity
from sbt_utils.drawing import STYLE


def skewness_against_convexity(gradients: xr.Dataset) -> Figure:
    """Draw the skewness of the kicks, and the convexity that it would leave, for every cell.

    Left: the skewness, mean over layers and seeds, against the convexity at the end of training,
    with bars of two standard deviations of symmetrised kicks. Right: the predicted convexity, and
    the line on which it would be all of the measured one. `gradients` is
    ``load_committed("gradients")``.
    """
    left, predicted = convexity_left(gradients), predicted_convexity(gradients)
    skewness = gradients.skewness.mean(("layer", "seed"))
    chance = 2 * np.sqrt((gradients.skewness_chance**2).mean("seed") / gradients.sizes["seed"])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.9))
        first, second = figure.subplots(1, 2)
        for index, source in enumerate(gradients.source.values):
            look: dict[str, Any] = series_look(index) | {"ls": "none", "ms": 5}
            cells = [v.sel(source=source).values.ravel() for v in (left, skewness, chance)]
            bars: dict[str, Any] = {"yerr": cells[2], "elinewidth": 0.8}
            first.errorbar(*cells[:2], **bars, **look, label=NOISES[source].label)
            second.plot(cells[0], predicted.sel(source=source).values.ravel(), **look)
        ends = np.array([float(left.min()), float(left.max())])
        second.plot(ends, ends, color="0.5", lw=1, ls="--", zorder=0)
        for axes in (first, second):
            shade_equiseparated(axes.axvspan)
            axes.axhline(0, color="0.5", lw=1, zorder=0)
            axes.set(xlabel="convexity that is left")
        first.set(ylabel="skewness of kicks", title="as measured")
        second.set(ylabel="convexity that skewness leaves", title="dashed: if it did all")
        figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def shares_against_drive(gradients: xr.Dataset, drive: xr.DataArray) -> Figure:
    """Draw the drive fitted to a cell against the share of the gradient, one panel per source.

    Parameters
    ----------
    gradients : xarray.Dataset
        ``load_committed("gradients")``.
    drive : xarray.DataArray
        As `sbt_book.gradients.comparison.drive_table` takes it.
    """
    sources = list(gradients.source.values)
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(sources), width=4.2, height=3.0)
        for axes, source in zip(grid, sources, strict=True):
            share, fitted = matched(gradients, drive, source)
            colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, share.sizes["slope"]))
            for index, slope in enumerate(share.slope.values):
                look = {"marker": MARKERS[index], "color": colours[index], "ls": "none", "ms": 6}
                row = share.sel(slope=slope), fitted.sel(slope=slope)
                axes.plot(*row, **look, label=f"α = {slope:g}")
            axes.set(title=NOISES[source].label, xlabel="share of the gradient", ylabel="drive κ/k")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
