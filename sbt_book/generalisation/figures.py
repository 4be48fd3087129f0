"""The shape of load curves beside the accuracy on images never seen, as figures."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.common.noise_axes import MARKERS, NOISES, level_name
from sbt_book.common.panels import panels, shade_equiseparated
from sbt_book.common.statistics import spearman
from sbt_utils.drawing import COLOURS, STYLE
from sbt_utils.measuring.curves import REGIME_TOLERANCE


def correlations_held_fixed(correlations: Mapping[str, xr.Dataset]) -> Figure:
    """Draw rank correlations with their intervals, a panel for each of the things held fixed.

    Parameters
    ----------
    correlations : mapping of str to xarray.Dataset
        By what is held fixed, in words: `sbt_book.generalisation.correlations.correlations_at` of every source
        of noise, along the dimension ``source``.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> ends = {"value": -0.9, "low": -1.0, "high": -0.8}
    >>> every = xr.Dataset(ends).expand_dims(source=["dropout"], predictor=["bend"])
    >>> correlations_held_fixed({"nothing held fixed": every}).axes[0].get_title()
    'nothing held fixed'
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(correlations), width=4.2, height=2.4)
        for axes, (words, table) in zip(grid, correlations.items(), strict=True):
            count = table.sizes["predictor"]
            rows = np.arange(table.sizes["source"])
            axes.axvline(0, color="0.6", lw=1)
            for place, predictor in enumerate(table.predictor.values):
                own = table.sel(predictor=predictor)
                ends = abs(np.stack([own.low, own.high]) - own.value.values)
                style: Any = {"marker": MARKERS[place % 6], "color": COLOURS[place % 7], "ls": ""}
                height = rows + 0.5 * (place - (count - 1) / 2) / count
                axes.errorbar(own.value, height, xerr=ends, label=predictor, capsize=2, **style)
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

    Parameters
    ----------
    networks : mapping of str to xarray.Dataset
        From `sbt_book.generalisation.correlations.networks_of`, by source of noise, a key of
        `sbt_book.common.noise_axes.NOISES`.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each source of noise, a dot for each cell: the rank correlation over its seeds.
        The bars are the means over the cells of a regime, with two standard errors. The two per
        cent of cells with the highest convexity lie outside.

    Examples
    --------
    >>> cells = xr.Dataset({"convexity": (("noise", "slope", "seed"), [[[0.1, 0.2, 0.3]]]),
    ...                     "accuracy": (("noise", "slope", "seed"), [[[0.93, 0.92, 0.91]]])})
    >>> float(within_cells({"dropout": cells}).axes[0].lines[1].get_ydata()[0])
    -1.0
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(networks), width=4.2, height=2.7)
        for axes, (name, each) in zip(grid, networks.items(), strict=True):
            pairs = [each[name].transpose(..., "seed") for name in ("convexity", "accuracy")]
            cells = pairs[0].mean("seed").values.ravel()
            correlation = spearman(*(pair.values for pair in pairs)).ravel()
            shade_equiseparated(axes.axvspan)
            axes.axhline(0, color="0.6", lw=1)
            axes.plot(cells, correlation, "o", ms=3.5, alpha=0.6, color=COLOURS[0])
            edges = [-np.inf, -REGIME_TOLERANCE, REGIME_TOLERANCE, np.inf]
            for low, high in pairwise(edges):
                here = (cells > low) & (cells <= high) & np.isfinite(correlation)
                if here.sum() > 1:
                    own = correlation[here]
                    error = 2 * own.std(ddof=1) / np.sqrt(len(own))
                    style: Any = {"color": COLOURS[1], "capsize": 4, "marker": "D", "lw": 2.5}
                    axes.errorbar(np.median(cells[here]), own.mean(), yerr=error, **style)
            axes.set(title=NOISES[name].label, ylim=(-1.08, 1.08))
            axes.set(xlabel="convexity of the cell", ylabel="rank correlation")
            if np.isfinite(cells).any():
                axes.set_xlim(right=np.nanquantile(cells, 0.98) + 0.05)
    return figure


def accuracy_and_shape(
    networks: Mapping[str, xr.Dataset], label: str, images: int | None = None
) -> Figure:
    """Draw the accuracy of networks against their convexity, along the levels of a noise.

    Parameters
    ----------
    networks : mapping of str to xarray.Dataset
        ``convexity`` and ``accuracy`` (noise, seed), by the title of the panel.
    label : str
        Of the noise.
    images : int, optional
        How many images the accuracies are measured on: bars then show one binomial standard error.

    Returns
    -------
    matplotlib.figure.Figure
        Dots are networks, the line joins the levels' means. Written: the levels with the
        straightest curve and with the highest accuracy, and the strongest.

    Examples
    --------
    >>> family = xr.Dataset({"convexity": (("noise", "seed"), [[-0.2], [0.0]]),
    ...                      "accuracy": (("noise", "seed"), [[0.92], [0.93]])},
    ...                     {"noise": [0.0, 0.1]})
    >>> figure = accuracy_and_shape({"ReLU": family}, "dropout p")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['0.1']
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(networks), width=4.2, height=3.2)
        for axes, (words, each) in zip(grid, networks.items(), strict=True):
            each = each.sortby("noise").transpose("noise", "seed", ...)
            colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, each.sizes["noise"]))
            shade_equiseparated(axes.axvspan)
            mean = each.mean("seed")
            axes.plot(mean.convexity, 100 * mean.accuracy, color="0.5", lw=1.2, zorder=1)
            for place, colour in enumerate(colours):
                own = each.isel(noise=place)
                error = np.sqrt(own.accuracy * (1 - own.accuracy) / (images or np.inf))
                style: Any = {"ls": "", "marker": "o", "color": colour, "elinewidth": 1}
                axes.errorbar(own.convexity, 100 * own.accuracy, yerr=100 * error, **style)
            named = [int(abs(mean.convexity).fillna(np.inf).argmin("noise"))]
            named += [int(mean.accuracy.fillna(-np.inf).argmax("noise")), len(colours) - 1]
            for place in dict.fromkeys(named):
                cell = mean.isel(noise=place)
                if np.isfinite(cell.convexity):
                    where = cell.convexity.item(), 100 * cell.accuracy.item()
                    text = level_name(cell.noise.item())
                    axes.annotate(text, where, xytext=(6, -12), textcoords="offset points")
            axes.set(title=words, xlabel="convexity", ylabel="test accuracy, %")
            axes.margins(y=0.12)  # a name below the lowest point stays inside
        handle = mpl.lines.Line2D(
            [], [], color="0.5", marker="o", lw=1.2, label=f"levels of {label}"
        )
        figure.legend(handles=[handle], loc="outside lower center")
    return figure


def shape_in_time(networks: xr.Dataset, label: str) -> Figure:
    """Draw convexity and test accuracy over the epochs, a line for each level of noise.

    Parameters
    ----------
    networks : xarray.Dataset
        ``convexity`` and ``accuracy`` (noise, seed, checkpoint); means over the seeds are drawn.
    label : str
        Of the noise.

    Returns
    -------
    matplotlib.figure.Figure
        Levels without any load curve are left out; convexities below -1 lie outside.

    Examples
    --------
    >>> each = xr.Dataset({"convexity": (("noise", "seed", "checkpoint"), [[[-0.2, 0.1]]]),
    ...                    "accuracy": (("noise", "seed", "checkpoint"), [[[0.3, 0.4]]])},
    ...                   {"noise": [0.1], "checkpoint": [100, 200]})
    >>> len(shape_in_time(each, "dropout p").axes)
    2
    """
    mean = networks.sortby("noise").mean("seed").dropna("noise", how="all")
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, mean.sizes["noise"]))
    with mpl.rc_context(STYLE):
        figure, (left, right) = panels(2, width=4.2, height=3.4)
        shade_equiseparated(left.axhspan)
        for place, colour in enumerate(colours):
            own = mean.isel(noise=place)
            look: Any = {"color": colour, "marker": MARKERS[place % 6], "ms": 3, "lw": 1.2}
            look["label"] = level_name(own.noise.item())
            left.plot(own.checkpoint, own.convexity, **look)
            right.plot(own.checkpoint, 100 * own.accuracy, **look)
        left.set(xlabel="epoch", ylabel="convexity", ylim=(max(-1.0, left.get_ylim()[0]), None))
        right.set(xlabel="epoch", ylabel="test accuracy, %")
        handles = left.get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=4, title=label)
    return figure


def prediction_in_time(correlations: Mapping[str, xr.Dataset]) -> Figure:
    """Draw how well predictors put networks in the order of their final accuracy, over the epochs.

    Parameters
    ----------
    correlations : mapping of str to xarray.Dataset
        By the title of the panel: `sbt_book.generalisation.correlations.correlations_at` of every epoch, along
        the dimension ``checkpoint``.

    Returns
    -------
    matplotlib.figure.Figure
        Magnitudes below and above zero: -1 and 1 are perfect orders. Bands: the intervals.

    Examples
    --------
    >>> ends = {"value": -0.9, "low": -1.0, "high": -0.8}
    >>> loss = xr.Dataset(ends).expand_dims(predictor=["loss"], checkpoint=[1, 10])
    >>> prediction_in_time({"all": loss}).axes[0].get_xscale()
    'log'
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(correlations), width=4.2, height=2.7)
        for axes, (words, table) in zip(grid, correlations.items(), strict=True):
            axes.axhline(0, color="0.6", lw=1)
            for place, predictor in enumerate(table.predictor.values):
                own = table.sel(predictor=predictor)
                look: Any = {"color": COLOURS[place % 7], "marker": MARKERS[place % 6]}
                axes.plot(own.checkpoint, own.value, label=predictor, **look)
                band: Any = {"color": COLOURS[place % 7], "alpha": 0.15, "lw": 0}
                axes.fill_between(own.checkpoint, own.low, own.high, **band)
            ticks = table.checkpoint.values
            axes.set(title=words, xscale="log", ylim=(-1.05, 1.05), xlabel="epoch")
            axes.set_xticks(ticks, [str(epoch) for epoch in ticks])
            axes.minorticks_off()
            axes.set_ylabel("rank correlation")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
