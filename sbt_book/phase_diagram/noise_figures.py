"""The sources of noise beside and over one another."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.common.noise_axes import NOISES, in_order
from sbt_book.common.panels import MARKERS, panels, series_look, shade_equiseparated
from sbt_book.common.selections import convexity
from sbt_utils.drawing import STYLE


def convexity_against_noise(summaries: Mapping[str, xr.Dataset]) -> Figure:
    """Draw convexity against the level of noise, one panel per source and one line per slope.

    Noise falls from left to right. Bars: one standard deviation over the seeds. Grey: the
    equiseparated regime. The summaries are from `cell_summary`, by source of noise.
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(summaries), width=4.2, height=3.2)
        for axes, (name, summary) in zip(grid, summaries.items(), strict=True):
            cells, noise = in_order(name, summary), NOISES[name]
            shade_equiseparated(axes.axhspan)
            colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, cells.sizes["slope"]))
            for index, slope in enumerate(cells.slope.values):
                line = cells.sel(slope=slope)
                style = {"marker": MARKERS[index % len(MARKERS)], "color": colours[index]}
                bars = {"yerr": line.convexity_spread, "capsize": 2, "elinewidth": 1}
                axes.errorbar(line.noise, line.convexity, **bars, **style, label=f"α = {slope:g}")
            if noise.logarithmic:
                axes.set_xscale("log")
            if not noise.falls:
                axes.xaxis.set_inverted(True)
            axes.set(xlabel=noise.label, ylabel="convexity")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def with_fewer_images(
    summaries: Mapping[str, xr.Dataset], published: xr.Dataset, slopes: tuple[float, ...] = (0, 0.4)
) -> Figure:
    """Draw the convexity and the accuracy of data-noise diagrams beside the published ones.

    A row of two panels for each slope; noise falls from left to right. Bars: one standard deviation
    over the seeds. Grey: the equiseparated regime. The summaries are from `cell_summary`, by what
    to call them; `published` is from `published_diagram`, for ``"data_noise"``.
    """
    theirs = published.assign(convexity=convexity(published.curve))
    with mpl.rc_context(STYLE):
        figure, grid = panels(2 * len(slopes), width=4.2, height=2.9)
        for place, slope in enumerate(slopes):
            for axes, column in zip(grid[2 * place :], ("convexity", "accuracy"), strict=False):
                scale = 100 if column == "accuracy" else 1
                for index, (name, summary) in enumerate(summaries.items()):
                    line = summary.sel(slope=slope).sel(noise=theirs.noise)
                    bars: Any = {
                        "yerr": scale * line[f"{column}_spread"],
                        "capsize": 2,
                        "elinewidth": 1,
                    }
                    look: Any = series_look(index) | {"ms": 5, "label": name}
                    axes.errorbar(line.noise, scale * line[column], **bars, **look)
                dashed: Any = {"color": "black", "ls": "--", "label": "published", "zorder": 3}
                axes.plot(theirs.noise, theirs[column].sel(slope=slope), **dashed)
                axes.xaxis.set_inverted(True)
                words = "convexity" if scale == 1 else "test accuracy, %"
                axes.set(title=f"α = {slope:g}", xlabel="data noise", ylabel=words)
            shade_equiseparated(grid[2 * place].axhspan)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def shape_family(summaries: Mapping[str, xr.Dataset], layers: tuple[int, int] = (2, 5)) -> Figure:
    """Draw every cell's scaled curve at two inner layers against its convexity.

    If the sources of noise bend load curves in the same way, the cells of all diagrams lie on the
    same line. The 2 % of cells with the highest convexity lie outside of the figure. The summaries
    are from `cell_summary`, by source of noise.
    """
    shapes = np.concatenate([cells.convexity.values.ravel() for cells in summaries.values()])
    shapes = shapes[np.isfinite(shapes)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.9))
        for axes, layer in zip(figure.subplots(1, 2), layers, strict=True):
            shade_equiseparated(axes.axvspan)
            for index, (name, cells) in enumerate(summaries.items()):
                convexity, height = xr.broadcast(cells.convexity, cells.curve.isel(layer=layer))
                look = series_look(index) | {"ls": "none", "ms": 4, "label": NOISES[name].label}
                axes.plot(convexity.values.ravel(), height.values.ravel(), **look)
            axes.set(xlabel="convexity of the cell", ylabel=f"scaled D at layer {layer}")
            if shapes.size:
                axes.set_xlim(right=np.quantile(shapes, 0.98) + 0.05)
        handles = figure.axes[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=4)
    return figure


def accuracy_against_convexity(summaries: Mapping[str, xr.Dataset]) -> Figure:
    """Draw test accuracy against convexity along the levels of each source, one panel per slope.

    Noise rises along a line. Ringed: the best level of each. The summaries are from `cell_summary`,
    by source of noise.
    """
    slopes = next(iter(summaries.values())).slope.values
    best = 100 * max(float(cells.accuracy.max()) for cells in summaries.values())
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(slopes), width=4.2, height=2.5)
        for axes, slope in zip(grid, np.sort(slopes), strict=True):
            shade_equiseparated(axes.axvspan)
            for index, (name, summary) in enumerate(summaries.items()):
                row = in_order(name, summary).sel(slope=slope)
                convexity, accuracy = row.convexity.values, 100 * row.accuracy.values
                look = series_look(index)
                axes.plot(convexity, accuracy, **look, ms=4, lw=1.2, label=NOISES[name].label)
                defined = np.isfinite(convexity)
                if defined.any():
                    top = np.where(defined, accuracy, -np.inf).argmax()
                    ring: Any = {"ms": 11, "mfc": "none", "mec": look["color"]}
                    axes.plot(convexity[top], accuracy[top], "o", **ring)
            axes.set(title=f"α = {slope:g}", ylim=(best - 8, best + 0.5))
            axes.set(xlabel="convexity", ylabel="test accuracy, %")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
