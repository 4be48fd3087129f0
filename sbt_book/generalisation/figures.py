"""The shape of load curves beside the accuracy on images never seen, as figures."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from sbt_book.common.noise_axes import NOISES, level_name
from sbt_book.common.panels import MARKERS, panels, series_look, shade_equiseparated
from sbt_book.common.statistics import spearman
from sbt_utils.drawing import COLOURS, STYLE
from sbt_utils.measuring.curves import REGIME_TOLERANCE


def correlations_held_fixed(correlations: Mapping[str, xr.Dataset]) -> Figure:
    """Draw rank correlations with their intervals, one panel for each of the things held fixed.

    `correlations`: by what is held fixed, in words, `correlations_at` of every source of noise,
    along the dimension ``source``.
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(correlations), width=4.2, height=2.4)
        for axes, (words, table) in zip(grid, correlations.items(), strict=True):
            count = table.sizes["predictor"]
            rows = np.arange(table.sizes["source"])
            axes.axvline(0, color="0.6", lw=1)
            for index, predictor in enumerate(table.predictor.values):
                estimate = table.sel(predictor=predictor)
                ends = abs(np.stack([estimate.low, estimate.high]) - estimate.value.values)
                height = rows + 0.5 * (index - (count - 1) / 2) / count
                look = series_look(index) | {"ls": "", "capsize": 2, "label": predictor}
                axes.errorbar(estimate.value, height, xerr=ends, **look)
            labels = [NOISES[source].label for source in table.source.values]
            axes.set(title=words, xlim=(-1.05, 0.4), xlabel="rank correlation with the accuracy")
            axes.set_yticks(rows, labels)
            axes.yaxis.set_inverted(True)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def within_cells(networks: Mapping[str, xr.Dataset]) -> Figure:
    """Draw, for each cell, how its networks' convexities go with their accuracies.

    If straight curves made networks better, the correlation would be positive in lazy cells, where
    the more convex of two curves is the straighter, and negative in active ones.

    One panel per source of noise, with its `networks_of`, and one dot per cell: the rank
    correlation over its seeds. Bars: two standard errors about the mean over the cells of a regime.
    The 2 % of cells with the highest convexity lie outside of the figure.
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(networks), width=4.2, height=2.7)
        for axes, (name, family) in zip(grid, networks.items(), strict=True):
            shapes = family.convexity.transpose(..., "seed")
            cells = shapes.mean("seed").values.ravel()
            accuracies = family.accuracy.transpose(*shapes.dims)
            correlation = spearman(shapes.values, accuracies.values).ravel()
            shade_equiseparated(axes.axvspan)
            axes.axhline(0, color="0.6", lw=1)
            axes.plot(cells, correlation, "o", ms=3.5, alpha=0.6, color=COLOURS[0])
            edges = [-np.inf, -REGIME_TOLERANCE, REGIME_TOLERANCE, np.inf]
            for low, high in pairwise(edges):
                here = (cells > low) & (cells <= high) & np.isfinite(correlation)
                if here.sum() > 1:
                    regime = correlation[here]
                    error = 2 * regime.std(ddof=1) / np.sqrt(len(regime))
                    style: Any = {"color": COLOURS[1], "capsize": 4, "marker": "D", "lw": 2.5}
                    axes.errorbar(np.median(cells[here]), regime.mean(), yerr=error, **style)
            axes.set(title=NOISES[name].label, ylim=(-1.08, 1.08))
            axes.set(xlabel="convexity of the cell", ylabel="rank correlation")
            if np.isfinite(cells).any():
                axes.set_xlim(right=np.nanquantile(cells, 0.98) + 0.05)
    return figure


def accuracy_and_shape(
    networks: Mapping[str, xr.Dataset], label: str, images: int | None = None
) -> Figure:
    """Draw the accuracy of networks against their convexity, along the levels of a noise.

    Dots are networks, the line joins the levels' means. Written: the levels with the straightest
    curve and with the highest accuracy, and the strongest.

    Parameters
    ----------
    networks : mapping of str to xarray.Dataset
        ``convexity`` and ``accuracy`` (noise, seed), by the title of the panel.
    label : str
        Of the noise.
    images : int, optional
        How many images the accuracies are measured on: bars then show one binomial standard error.
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(networks), width=4.2, height=3.2)
        for axes, (words, family) in zip(grid, networks.items(), strict=True):
            family = family.sortby("noise").transpose("noise", "seed", ...)
            colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, family.sizes["noise"]))
            shade_equiseparated(axes.axvspan)
            mean = family.mean("seed")
            axes.plot(mean.convexity, 100 * mean.accuracy, color="0.5", lw=1.2, zorder=1)
            for index, colour in enumerate(colours):
                level = family.isel(noise=index)
                error = np.sqrt(level.accuracy * (1 - level.accuracy) / (images or np.inf))
                style: Any = {"ls": "", "marker": "o", "color": colour, "elinewidth": 1}
                axes.errorbar(level.convexity, 100 * level.accuracy, yerr=100 * error, **style)
            named = [int(abs(mean.convexity).fillna(np.inf).argmin("noise"))]
            named += [int(mean.accuracy.fillna(-np.inf).argmax("noise")), len(colours) - 1]
            for index in dict.fromkeys(named):
                level = mean.isel(noise=index)
                if np.isfinite(level.convexity):
                    where = level.convexity.item(), 100 * level.accuracy.item()
                    text = level_name(level.noise.item())
                    place: Any = {"xytext": (6, -12), "textcoords": "offset points"}
                    halo = [withStroke(linewidth=3, foreground="white")]  # dots lie close
                    axes.annotate(text, where, **place, path_effects=halo)
            axes.set(title=words, xlabel="convexity", ylabel="test accuracy, %")
            axes.margins(y=0.12)  # a name below the lowest point stays inside
        handle = mpl.lines.Line2D(
            [], [], color="0.5", marker="o", lw=1.2, label=f"levels of {label}"
        )
        figure.legend(handles=[handle], loc="outside lower center")
    return figure


def shape_in_time(networks: xr.Dataset, label: str) -> Figure:
    """Draw convexity and test accuracy over the epochs, one line per level of the noise `label`.

    `networks` has ``convexity`` and ``accuracy`` (noise, seed, checkpoint). Lines: means over the
    seeds; bands: from the lowest to the highest network. Levels without any load curve are left
    out; convexities below -1 lie outside of the figure.
    """
    networks = networks.sortby("noise")
    mean = networks.mean("seed").dropna("noise", how="all")
    ends = [end.sel(noise=mean.noise) for end in (networks.min("seed"), networks.max("seed"))]
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, mean.sizes["noise"]))
    with mpl.rc_context(STYLE):
        figure, (left, right) = panels(2, width=4.2, height=3.4)
        shade_equiseparated(left.axhspan)
        for index, colour in enumerate(colours):
            level = mean.isel(noise=index)
            look: Any = {"color": colour, "marker": MARKERS[index % 6], "ms": 3, "lw": 1.2}
            look["label"] = level_name(level.noise.item())
            left.plot(level.checkpoint, level.convexity, **look)
            right.plot(level.checkpoint, 100 * level.accuracy, **look)
            low, high = (end.isel(noise=index) for end in ends)
            band: Any = {"color": colour, "alpha": 0.2, "lw": 0}
            left.fill_between(level.checkpoint, low.convexity, high.convexity, **band)
            right.fill_between(level.checkpoint, 100 * low.accuracy, 100 * high.accuracy, **band)
        left.set(xlabel="epoch", ylabel="convexity", ylim=(max(-1.0, left.get_ylim()[0]), None))
        right.set(xlabel="epoch", ylabel="test accuracy, %")
        handles = left.get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=4, title=label)
    return figure


def prediction_in_time(correlations: Mapping[str, xr.Dataset]) -> Figure:
    """Draw how well predictors put networks in the order of their final accuracy, over the epochs.

    Of a predictor that orders them perfectly the correlation is 1 or -1. Bands: the intervals.
    `correlations`: by the title of the panel, `correlations_at` of every epoch, along
    ``checkpoint``.
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(correlations), width=4.2, height=2.7)
        for axes, (words, table) in zip(grid, correlations.items(), strict=True):
            axes.axhline(0, color="0.6", lw=1)
            for index, predictor in enumerate(table.predictor.values):
                estimate, look = table.sel(predictor=predictor), series_look(index)
                axes.plot(estimate.checkpoint, estimate.value, label=predictor, **look)
                band: Any = {"color": look["color"], "alpha": 0.15, "lw": 0}
                axes.fill_between(estimate.checkpoint, estimate.low, estimate.high, **band)
            ticks = table.checkpoint.values
            axes.set(title=words, xscale="log", ylim=(-1.05, 1.05), xlabel="epoch")
            axes.set_xticks(ticks, [str(epoch) for epoch in ticks])
            axes.minorticks_off()
            axes.set_ylabel("rank correlation")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
