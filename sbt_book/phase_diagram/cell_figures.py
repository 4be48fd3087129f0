"""Single cells of a phase diagram, large: beside the published curves, and seed by seed."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbt_book.common.noise_axes import NOISES, in_order, level_name
from sbt_book.common.panels import panels
from sbt_book.common.selections import failed, whole_curves
from sbt_utils.drawing import COLOURS, STYLE, draw_curve
from sbt_utils.measuring.curves import LoadCurve

Cell = Mapping[str, float]
"""The ``noise`` and ``slope`` of a cell."""


def diagram_excerpt(ours: xr.Dataset, published: xr.Dataset) -> Figure:
    """Lay measured load curves over the published ones, one panel per cell.

    Noise falls from left to right and α rises from top to bottom, as in the paper; the lower the
    accuracy, the darker the background.

    Parameters
    ----------
    ours : xarray.Dataset
        ``separation_train`` (slope, noise, seed, layer) and ``accuracy_test`` (slope, noise, seed).
    published : xarray.Dataset
        ``curve`` (slope, noise, layer), from `published_diagram`.
    """
    slopes, levels = np.sort(ours.slope.values), np.sort(ours.noise.values)[::-1]
    accuracy = ours.accuracy_test.mean("seed")
    darkest, lightest = float(accuracy.min()), float(accuracy.max())
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure = Figure(figsize=(0.98 * len(levels) + 0.5, 1.15 * len(slopes) + 0.9))
        grid = figure.subplots(len(slopes), len(levels), squeeze=False, sharex=True, sharey=True)
        for row, slope in zip(grid, slopes, strict=True):
            for axes, noise in zip(row, levels, strict=True):
                cell = {"slope": slope, "noise": noise}
                bright = (float(accuracy.sel(cell)) - darkest) / max(lightest - darkest, 1e-12)
                axes.set_facecolor(str(0.72 + 0.28 * bright))
                _draw_cell(axes, ours.separation_train.sel(cell), published.curve.sel(cell))
                axes.set_title(f"{accuracy.sel(cell).item():.1%}", fontsize=10, pad=2)
            row[0].set_ylabel(f"α = {slope:g}")
        for axes, noise in zip(grid[-1], levels, strict=True):
            axes.set_xlabel(f"p = {noise:g}")
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def worst_cells(comparison: xr.Dataset, count: int = 4) -> list[dict[str, float]]:
    """Return ``noise``, ``slope`` and ``deviation`` of the worst cells, the worst first.

    `comparison` is from `compare`; at most `count` cells, none of them nan.
    """
    cells = comparison.deviation.to_series().dropna().sort_values(ascending=False).head(count)
    rows = cells.reset_index()[["noise", "slope", "deviation"]]
    return [{str(name): float(value) for name, value in row.items()} for _, row in rows.iterrows()]


def cells_compared(
    name: str, ours: xr.Dataset, published: xr.Dataset, cells: Sequence[Cell]
) -> Figure:
    """Draw some cells large: every seed's curve, our mean with its spread, the published curve.

    Seeds are grey, in the scale of the mean curve, which runs from 1 to 0. `name` is a key of
    `NOISES`, `ours` and `published` are as in `diagram_excerpt`.
    """
    with mpl.rc_context(STYLE | {"axes.titlesize": 10}):
        figure, grid = panels(len(cells), width=4.2, height=3.0)
        for axes, cell in zip(grid, cells, strict=True):
            _draw_large(axes, name, ours, published, cell)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def worst_of_each(
    ours: Mapping[str, xr.Dataset],
    published: Mapping[str, xr.Dataset],
    comparisons: Mapping[str, xr.Dataset],
) -> Figure:
    """Draw the cell of each diagram that deviates most, as `cells_compared` does.

    All three by source of noise, a key of `NOISES`; the comparisons are from `compare`, and one
    panel is drawn for each.
    """
    with mpl.rc_context(STYLE | {"axes.titlesize": 10}):
        figure, grid = panels(len(comparisons), width=4.2, height=3.0)
        for axes, (name, comparison) in zip(grid, comparisons.items(), strict=True):
            (cell,) = worst_cells(comparison, 1)
            _draw_large(axes, name, ours[name], published[name], cell)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def train_and_test(name: str, diagram: xr.Dataset, cells: Sequence[Cell]) -> Figure:
    """Draw the load curves of some cells on the training and on the test images.

    Means over the seeds, with bands of one standard deviation; D as measured. `name` is a key of
    `NOISES`, `diagram` has ``separation_train`` and ``separation_test`` (noise, slope, seed,
    layer).
    """
    with mpl.rc_context(STYLE | {"axes.titlesize": 10}):
        figure, grid = panels(len(cells), width=4.2, height=3.0)
        for axes, cell in zip(grid, cells, strict=True):
            where = {"noise": cell["noise"], "slope": cell["slope"]}
            for part, marker, style in (("training", "o", "-"), ("test", "s", "--")):
                curves = whole_curves(diagram.sel(where), part.removesuffix("ing")).dropna("seed")
                if curves.size:
                    curve = LoadCurve(curves.values)
                    look = {"marker": marker, "ls": style, "label": f"{part} images"}
                    draw_curve(axes, curve.mean, curve.spread, **look)
            axes.set(title=_title(name, cell), xlabel="layer l", ylabel="data separation D")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def seeds_apart(name: str, diagram: xr.Dataset) -> Figure:
    """Draw the test accuracy of every network, with means and medians, one panel per slope.

    Crosses are networks that failed (`sbt_book.common.selections.failed`), with their number above.

    Parameters
    ----------
    name : str
        Source of noise, a key of `NOISES`.
    diagram : xarray.Dataset
        ``separation_train`` (noise, slope, seed, layer); ``accuracy_train`` and ``accuracy_test``
        (noise, slope, seed), fractions.
    """
    cells = in_order(name, diagram)
    lost = failed(cells).transpose("slope", "noise", "seed")
    accuracy = (100 * cells.accuracy_test).transpose("slope", "noise", "seed")
    columns = np.arange(cells.sizes["noise"])
    jitter = np.linspace(-0.25, 0.25, cells.sizes["seed"]) + columns[:, None]
    names = [level_name(level) for level in cells.noise.values]
    with mpl.rc_context(STYLE | {"axes.titlesize": 10}):
        figure, grid = panels(cells.sizes["slope"], width=4.2, height=2.4)
        for axes, slope in zip(grid, cells.slope.values, strict=True):
            row, out = accuracy.sel(slope=slope), lost.sel(slope=slope).values
            axes.plot(jitter[~out], row.values[~out], "o", ms=3, color="0.6", label="a network")
            axes.plot(jitter[out], row.values[out], "x", color=COLOURS[1], label="one that failed")
            axes.plot(columns, row.median("seed"), "-", color=COLOURS[0], label="median")
            axes.plot(columns, row.mean("seed"), "--", color="black", label="mean")
            for column in np.flatnonzero(out.any(1)).tolist():
                axes.text(column, 103, f"{out[column].sum()}", ha="center", color=COLOURS[1])
            axes.set(title=f"α = {slope:g}", ylabel="test accuracy, %", ylim=(0, 112))
            axes.set_xticks(columns[::2], names[::2])
            axes.set_xlabel(NOISES[name].label)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _draw_cell(
    axes: Axes, separation: xr.DataArray, published: xr.DataArray, seeds: bool = False
) -> None:
    """Draw a cell's curves: ours with its seeds' spread in its mean's scale, and the published."""
    axes.plot(published, "--", color="black", lw=1.4, label="published", zorder=3)
    defined = separation.transpose("seed", "layer").dropna("seed").values
    if len(defined):
        curve = LoadCurve(defined)
        lowest, height = curve.mean.min(), np.ptp(curve.mean)
        if seeds:
            lines = axes.plot((defined.T - lowest) / height, color="0.65", lw=0.8, zorder=0)
            lines[0].set_label("its seeds")
        spread = None if curve.spread is None else curve.spread / height
        draw_curve(axes, curve.scaled, spread, color=COLOURS[1], label="this companion")
    if not seeds:
        axes.set(xticks=[], yticks=[], ylim=(-0.08, 1.08))
        axes.spines[:].set_visible(False)


def _draw_large(axes: Axes, name: str, ours: xr.Dataset, published: xr.Dataset, cell: Cell) -> None:
    """Draw a cell with its seeds, its title and labels."""
    where = {"noise": cell["noise"], "slope": cell["slope"]}
    _draw_cell(axes, ours.separation_train.sel(where), published.curve.sel(where), seeds=True)
    axes.set(title=_title(name, cell), xlabel="layer l", ylabel="D, scaled")


def _title(name: str, cell: Cell) -> str:
    words = f"{NOISES[name].label} = {level_name(cell['noise'])}, α = {cell['slope']:g}"
    return words + (f": {cell['deviation']:.3f}" if "deviation" in cell else "")
