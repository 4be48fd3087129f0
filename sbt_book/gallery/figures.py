"""Figures of the gallery: how noise bends the load curves of other architectures."""

from itertools import cycle

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.common.panels import MARKERS, panels, series_look, shade_equiseparated
from sbt_book.gallery.responses import along, shapes
from sbt_utils.drawing import STYLE, draw_curve
from sbt_utils.measuring.curves import scaled


def curves_by_kind(gallery: xr.Dataset) -> Figure:
    """Draw the load curves of every kind of a `gallery` at each dropout, scaled to their fall.

    One panel per kind: means over the seeds, scaled; dashed, equal loads.
    """
    varied = along(gallery, "dropout")
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.85, varied.sizes["noise"]))
    with mpl.rc_context(STYLE):
        figure, grid = panels(varied.sizes["kind"], width=4.2, height=2.6)
        for axes, kind in zip(grid, varied.kind.values, strict=True):
            curves = varied.separation_train.sel(kind=kind).dropna("layer", how="all").mean("seed")
            axes.plot([0, curves.sizes["layer"] - 1], [1, 0], color="0.5", lw=1, ls="--", zorder=0)
            for curve, colour, marker in zip(curves, colours, cycle(MARKERS), strict=False):
                label = f"p = {curve.noise.item():g}"
                draw_curve(axes, scaled(curve.values), marker=marker, color=colour, label=label)
            axes.set(title=kind, xlabel="block", ylabel="D, scaled to [0, 1]")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def convexity_by_kind(gallery: xr.Dataset) -> Figure:
    """Draw every kind's convexity against dropout and, where it was varied, the learning rate.

    Bars: one standard deviation over the seeds of a `gallery`. Grey: the equiseparated regime.
    """
    labels = {"dropout": "dropout p", "rate": "learning rate, in units of the usual one"}
    kinds = list(gallery.kind.values)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 4.2))
        for axes, (noise, label) in zip(
            figure.subplots(1, 2, sharey=True), labels.items(), strict=True
        ):
            shade_equiseparated(axes.axhspan)
            for shape in shapes(along(gallery, noise)):
                kind = shape.kind.item()
                look = series_look(kinds.index(kind)) | {"capsize": 2, "label": kind}
                axes.errorbar(shape.noise, shape.mean("seed"), shape.std("seed", ddof=1), **look)
            axes.set(xlabel=label, ylabel="convexity")
            axes.label_outer()
        axes.set_xscale("log")
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2
        )
    return figure
