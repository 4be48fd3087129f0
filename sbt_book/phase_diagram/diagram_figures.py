"""Phase diagrams as figures: noise falls from left to right, α rises from top to bottom."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from sbt_book.common.noise_axes import NOISES, in_order
from sbt_book.common.panels import add_contours, add_curves, cell_image, panels
from sbt_book.common.selections import scaled_curves
from sbt_utils.drawing import STYLE

GROUND = LinearSegmentedColormap.from_list("ground", ["0.66", "1.0"])
"""Greys light enough for a curve to show on them."""

RED = "#B3200E"


def phase_diagram(
    diagrams: Mapping[str, xr.Dataset], published: Mapping[str, xr.Dataset] | None = None
) -> Figure:
    """Draw phase diagrams as the paper does: every cell's load curve on a shade of its accuracy.

    Of more than eight levels, those that `NOISES` shows. Curves are scaled from 1 to 0 after the
    mean over the seeds. Each panel has its own scale of accuracy, of at most 12 points.

    Parameters
    ----------
    diagrams : mapping of str to xarray.Dataset
        By source of noise, a key of `NOISES`: ``separation_train`` (noise, slope, seed, layer),
        ``accuracy_test`` (noise, slope, seed), a fraction.
    published : mapping of str to xarray.Dataset, optional
        From `published_diagram`, drawn dashed over ours.
    """
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure, grid = panels(len(diagrams), width=4.6, height=3.4)
        for axes, (name, diagram) in zip(grid, diagrams.items(), strict=False):
            cells = in_order(name, diagram)
            shown = np.isin(cells.noise, NOISES[name].shown)
            cells = cells.isel(noise=shown) if len(shown) > 8 and shown.any() else cells
            accuracy = 100 * cells.accuracy_test.mean("seed")
            image = cell_image(axes, name, accuracy, cmap=GROUND, vmin=_floor(accuracy))
            _bar(figure, axes, image, "test accuracy, %")
            add_curves(axes, scaled_curves(cells), color=RED, lw=1.8)
            if published and name in published:
                others = published[name].curve.reindex_like(cells[["noise", "slope"]])
                add_curves(axes, others, color="black", lw=1.1, ls=(0, (2, 4)))
    return figure


def shape_and_accuracy(summaries: Mapping[str, xr.Dataset]) -> Figure:
    """Draw convexity and test accuracy as heat maps, one row (a `cell_summary`) per source.

    Solid: convexity zero, the equiseparated line; dotted: the edges of the equiseparated regime.
    The star marks the cell with the highest accuracy.
    """
    # Few cells bend further; they would leave the others no colour.
    extreme = max(float(abs(cells.convexity).quantile(0.85)) for cells in summaries.values())
    percent = {name: 100 * cells.accuracy for name, cells in summaries.items()}
    floor = min(_floor(accuracy, reach=6) for accuracy in percent.values())
    best = max(float(accuracy.max()) for accuracy in percent.values())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 2.6 * len(summaries) + 0.9))
        grid = figure.subplots(len(summaries), 2, squeeze=False)
        for row, (name, cells) in zip(grid, summaries.items(), strict=True):
            convexity = in_order(name, cells.convexity)
            accuracy = in_order(name, percent[name])
            shape = cell_image(row[0], name, convexity, cmap="PuOr", vmin=-extreme, vmax=extreme)
            height = cell_image(row[1], name, accuracy, cmap="cividis", vmin=floor, vmax=best)
            for axes, colour in zip(row, ("black", "white"), strict=True):
                add_contours(axes, convexity.values, colour)
                best_row, best_column = np.unravel_index(np.nanargmax(accuracy), accuracy.shape)
                axes.plot(best_column, best_row, "*", ms=13, mfc="white", mec="black", mew=1)
        bar: Any = {"location": "bottom", "aspect": 30}
        words = "convexity: lazy < 0 < active"
        figure.colorbar(shape, ax=grid[:, 0], extend="both", label=words, **bar)
        figure.colorbar(height, ax=grid[:, 1], extend="min", label="test accuracy, %", **bar)
    return figure


def cell_values(
    values: Mapping[str, xr.DataArray], label: str, limits: Mapping[str, float] | None = None
) -> Figure:
    """Draw a number for each cell as a heat map, and write it there.

    Parameters
    ----------
    values : mapping of str to xarray.DataArray
        (noise, slope), by source of noise, a key of `NOISES`; `label` says what they are.
    limits : mapping of str to float, optional
        Cells with a higher value are framed.
    """
    highest = max(float(cells.max()) for cells in values.values())
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure = Figure(figsize=(6.4, 3.1 * len(values)))
        panels = figure.subplots(len(values), squeeze=False)[:, 0]
        for axes, (name, cells) in zip(panels, values.items(), strict=True):
            cells = in_order(name, cells)
            image = cell_image(axes, name, cells, cmap="Oranges", vmin=0, vmax=max(highest, 1e-12))
            for (row, column), value in np.ndenumerate(cells.values):
                dark = value > 0.6 * highest
                text = f"{value:.3f}".removeprefix("0") if np.isfinite(value) else "–"
                axes.text(
                    column, row, text, ha="center", va="center", color="w" if dark else "k", size=9
                )
                if limits and value > limits.get(name, np.inf):
                    axes.add_patch(
                        mpl.patches.Rectangle(
                            (column - 0.46, row - 0.44), 0.92, 0.88, fill=False, lw=2, ec="black"
                        )
                    )
        figure.colorbar(image, ax=panels, label=label, aspect=30)
    return figure


def _floor(accuracy: xr.DataArray, reach: float = 12) -> float:
    """Return the lowest accuracy of a scale, which one bad cell must not stretch."""
    return max(float(accuracy.min()), float(accuracy.max()) - reach)


def _bar(figure: Figure, axes: Axes, image: AxesImage, label: str) -> None:
    """Put a scale beside a panel, pointed where values lie below it."""
    lowest = np.nanmin(np.asarray(image.get_array(), np.float64))
    below = lowest < image.get_clim()[0]
    figure.colorbar(image, ax=axes, label=label, extend="min" if below else "neither", pad=0.02)
