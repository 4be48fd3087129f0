"""Pictures of what lies beyond the diagram."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbt_book.common.noise_axes import NOISES, in_order
from sbt_book.common.panels import MARKERS, cell_image, series_look, shade_equiseparated
from sbt_book.common.selections import convexity, scaled_curves
from sbt_book.common.statistics import mean_interval
from sbt_utils.drawing import COLOURS, STYLE

EXTREME = 0.25
"""The convexity of the strongest colours."""


def two_measures(diagrams: Mapping[str, xr.Dataset]) -> Figure:
    """Draw the convexity of each cell by the ratio of traces and by the fuzziness, side by side.

    `diagrams` have ``separation_train`` and ``fuzziness_train`` (noise, slope, seed, layer), by
    source of noise. Cells whose curve does not fall are crossed out.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 2.3 * len(diagrams) + 0.9))
        grid = figure.subplots(len(diagrams), 2, squeeze=False)
        for row, (source, diagram) in zip(grid, diagrams.items(), strict=True):
            for axes, measure in zip(row, ("separation_train", "fuzziness_train"), strict=True):
                curves = scaled_curves(diagram.assign(separation_train=diagram[measure]))
                cells = in_order(source, convexity(curves))
                image = cell_image(axes, source, cells, cmap="PuOr", vmin=-EXTREME, vmax=EXTREME)
                places = np.argwhere(~np.isfinite(cells.values))
                axes.plot(places[:, 1], places[:, 0], "x", color="0.5", ms=5)
        for axes, title in zip(grid[0], ("ratio of traces", "fuzziness"), strict=True):
            axes.set_title(title)
        bar: Any = {"location": "bottom", "aspect": 40, "extend": "both"}
        figure.colorbar(image, ax=grid, label="convexity: lazy < 0 < active", **bar)
    return figure


def votes_by_measure(table: pd.DataFrame) -> Figure:
    """Draw shares of votes with their intervals, a panel for each source, a row for each measure.

    `table` is from `vote_table`, of diagrams named by measure and source; grey is what shuffled
    diagrams reach.
    """
    sources = list(dict.fromkeys(source for (_, source), _ in table.index))
    measures = list(dict.fromkeys(measure for (measure, _), _ in table.index))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 0.42 * len(measures) + 1.7))
        for axes, source in zip(
            figure.subplots(1, len(sources), sharey=True), sources, strict=True
        ):
            rows = table.loc[[((measure, source), table.index[0][1]) for measure in measures]]
            axes.axvspan(1 - rows.chance.max(), rows.chance.max(), color="0.9", lw=0)
            bars = np.stack([rows.votes - rows.low, rows.high - rows.votes]).clip(0)
            style: Any = {"fmt": "o", "color": COLOURS[0], "capsize": 3}
            axes.errorbar(rows.votes, range(len(measures)), xerr=bars, **style)
            axes.set(title=NOISES[source].label, xlim=(-0.05, 1.05))
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        figure.axes[0].set_yticks(range(len(measures)), measures)
        figure.axes[0].invert_yaxis()
        figure.supxlabel("share of votes for more nonlinear, less convex", size=11)
    return figure


def room_to_fall(kinds: xr.Dataset) -> Figure:
    """Draw the ratio of traces and the fuzziness of networks layer by layer, one line per slope.

    `kinds` (slope, layer) is from `measures_of`, of mean values. Dashed: the lowest fuzziness that
    linear maps of the images can have.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6))
        panels = figure.subplots(1, 2)
        colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, kinds.sizes["slope"]))
        for axes, measure in zip(panels, ("trace", "fuzziness"), strict=True):
            for index, slope in enumerate(kinds.slope.values):
                style: Any = {"marker": MARKERS[index % len(MARKERS)], "color": colours[index]}
                curve = kinds[measure].sel(slope=slope)
                axes.plot(kinds.layer, curve, label=f"α = {slope:g}", **style)
            axes.set(xlabel="layer l", ylabel=f"D, {measure}")
        least = float(kinds["least fuzziness"].isel(layer=0).mean())
        panels[1].axhline(least, color="black", ls="--", lw=1.2)
        words = "dashed: no linear\nnetwork gets lower"
        panels[1].text(0.03, 0.04, words, transform=panels[1].transAxes, size=9)
        handles = panels[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=6)
    return figure


def panel_of_weight_noise(curves: xr.DataArray) -> Figure:
    """Draw scaled mean load curves of every cell, and the convexities of the seeds.

    `curves` are (noise, slope, seed, layer). Bars: one standard deviation over the seeds.
    """
    mean = curves.mean("seed")
    of_seeds = convexity(curves)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.8))
        left, right = figure.subplots(1, 2)
        colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, curves.sizes["slope"]))
        shade_equiseparated(right.axhspan)
        place = np.arange(curves.sizes["noise"])[::-1]
        for index, slope in enumerate(curves.slope.values):
            style: Any = {"marker": MARKERS[index], "color": colours[index]}
            cells = convexity(mean).sel(slope=slope)
            spread = of_seeds.sel(slope=slope).std("seed", ddof=1)
            label = f"α = {slope:g}"
            right.errorbar(place, cells, yerr=spread, capsize=2, label=label, **style)
        lowest = mean.min("layer")
        scaled = ((mean - lowest) / (mean.max("layer") - lowest)).transpose("slope", "noise", ...)
        across = np.linspace(-0.38, 0.38, curves.sizes["layer"])
        for row, cells in enumerate(scaled.values):
            for column, curve in zip(place, cells, strict=True):
                left.plot([column - 0.38, column + 0.38], [row - 0.36, row + 0.36], "0.8", lw=0.8)
                left.plot(column + across, row + 0.36 - 0.72 * curve, color="#B3200E", lw=1.8)
        names = [f"{level:g}" for level in curves.noise.values]
        for axes in (left, right):
            axes.set_xticks(place, names)
            axes.set_xlabel("weight noise σ")
        left.set_yticks(range(len(scaled)), [f"{slope:g}" for slope in curves.slope.values])
        left.set(ylabel="negative slope α", ylim=(len(scaled) - 0.5, -0.5))
        right.set_ylabel("convexity")
        right.legend(fontsize=9)
    return figure


def depth_of(shapes: xr.Dataset, chain: Mapping[int, float], series: Mapping[str, str]) -> Figure:
    """Draw scaled curves of networks of different depths against l / L, and their convexities.

    A panel for each of `series`, names to titles, and one of the convexities against the depth:
    bars are 95 % intervals over the seeds, the dashed line is the chain's, by depth, the dotted one
    a collapse.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.7))
        panels = figure.subplots(1, len(series) + 1)
        for axes, (name, title) in zip(panels, series.items(), strict=False):
            group = shapes.isel(shape=shapes.series.values == name)
            for index in range(group.sizes["shape"]):
                one = group.isel(shape=index)
                depth = int(one.hidden_layers)
                curve = one.separation_train.mean("seed").values[: depth + 1]
                scaled = (curve - curve.min()) / np.ptp(curve)
                label = f"L = {depth}"
                look = series_look(index)
                axes.plot(np.arange(depth + 1) / depth, scaled, ms=3, label=label, **look)
            axes.plot([0, 1], [1, 0], color="0.6", lw=1, zorder=0)
            axes.set(title=title, xlabel="l / L", ylabel="D, scaled")
            axes.legend(fontsize=8)
        shade_equiseparated(panels[-1].axhspan)
        for index, (name, title) in enumerate(series.items()):
            group = shapes.isel(shape=shapes.series.values == name)
            _with_interval(panels[-1], group.hidden_layers, group.convexity, index, title)
        panels[-1].plot(list(chain), list(chain.values()), "k--", lw=1.2, label="chain")
        panels[-1].axhline(chain[7], color="black", ls=":", lw=1.2, label="collapse")
        panels[-1].set(xscale="log", xlabel="hidden layers L", ylabel="convexity")
        panels[-1].set_xticks(list(chain), [str(depth) for depth in chain])
        panels[-1].minorticks_off()
        panels[-1].legend(fontsize=8)
    return figure


def width_and_start(shapes: xr.Dataset, laws: Mapping[str, np.ndarray]) -> Figure:
    """Draw convexities against width, and against the scale of the initial weights.

    `shapes` has ``convexity`` (shape, seed); `laws` are values at the widths of the series, by
    label. Bars are 95 % intervals over the seeds.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6))
        left, right = figure.subplots(1, 2, sharey=True)
        for axes in (left, right):
            shade_equiseparated(axes.axhspan)
        for index, (name, label) in enumerate(
            {"width": "rate 0.001", "width, rate": "rate 0.1 / width"}.items()
        ):
            group = shapes.isel(shape=shapes.series.values == name)
            _with_interval(left, group.width, group.convexity, index, label)
        widths = shapes.width.values[shapes.series.values == "width"]
        for (label, law), style in zip(laws.items(), ("--", ":"), strict=False):
            left.plot(widths, law, color="black", ls=style, lw=1.2, label=label)
        left.set(xscale="log", xlabel="width", ylabel="convexity")
        left.set_xticks(widths, [str(width) for width in widths])
        for index, name in enumerate(("hidden scale", "rate", "readout scale")):
            group = shapes.isel(shape=shapes.series.values == name)
            scale = 1e-3 / group.learning_rate if name == "rate" else group[name.replace(" ", "_")]
            label = {"rate": "1 / learning rate", "readout scale": "read-out weights"}.get(
                name, "hidden weights"
            )
            _with_interval(right, scale, group.convexity, index, label)
        right.set(xscale="log", xlabel="times the usual")
        right.set_xticks([0.25, 0.5, 1, 2, 4], ["1/4", "1/2", "1", "2", "4"])
        for axes in (left, right):
            axes.minorticks_off()
            axes.legend(fontsize=8)
    return figure


def _with_interval(
    axes: Axes, places: xr.DataArray, of_seeds: xr.DataArray, index: int, label: str
) -> None:
    """Draw means over the seeds with their 95 % intervals, slightly apart from other series."""
    mean, low, high = np.transpose([mean_interval(values) for values in of_seeds.values])
    style: Any = {"capsize": 2, "ms": 5, "label": label} | series_look(index)
    axes.errorbar(places.values * 1.02**index, mean, yerr=[mean - low, high - mean], **style)
