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
    """Lay measured load curves over the published ones, a panel for each cell.

    Parameters
    ----------
    ours : xarray.Dataset
        ``separation_train`` (slope, noise, seed, layer) and ``accuracy_test`` (slope, noise, seed),
        a fraction.
    published : xarray.Dataset
        From `sbt_book.phase_diagram.published.published_diagram`.

    Returns
    -------
    matplotlib.figure.Figure
        Noise falls from left to right and α rises from top to bottom, as in the paper; the ground
        is the darker, the lower the accuracy.

    Examples
    --------
    >>> cell = {"slope": [0.0], "noise": [0.1]}
    >>> ours = xr.Dataset({
    ...     "separation_train": (("slope", "noise", "seed", "layer"), np.array([[[[1.0, 0.0]]]])),
    ...     "accuracy_test": (("slope", "noise", "seed"), np.array([[[0.9]]]))}, cell)
    >>> published = xr.Dataset({"curve": (("slope", "noise", "layer"), [[[1, 0]]])}, cell)
    >>> len(diagram_excerpt(ours, published).axes)
    1
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
    """Return the cells that deviate most from the published ones, the worst first.

    Parameters
    ----------
    comparison : xarray.Dataset
        From `sbt_book.phase_diagram.published.compare`.
    count : int
        How many, at most.

    Returns
    -------
    list of dict
        ``noise``, ``slope`` and ``deviation``. Cells without a curve of ours are left out.

    Examples
    --------
    >>> deviation = xr.DataArray([[0.01, 0.03]], {"slope": [0.2], "noise": [0.0, 0.1]})
    >>> worst_cells(xr.Dataset({"deviation": deviation}), count=1)
    [{'noise': 0.1, 'slope': 0.2, 'deviation': 0.03}]
    """
    cells = comparison.deviation.to_series().dropna().sort_values(ascending=False).head(count)
    rows = cells.reset_index()[["noise", "slope", "deviation"]]
    return [{str(name): float(value) for name, value in row.items()} for _, row in rows.iterrows()]


def cells_compared(
    name: str, ours: xr.Dataset, published: xr.Dataset, cells: Sequence[Cell]
) -> Figure:
    """Draw some cells large: every seed's curve, our mean with its spread, the published curve.

    Parameters
    ----------
    name : str
        Source of noise, a key of `sbt_book.common.noise_axes.NOISES`.
    ours : xarray.Dataset
        A phase diagram.
    published : xarray.Dataset
        From `sbt_book.phase_diagram.published.published_diagram`.
    cells : sequence of mapping
        ``noise`` and ``slope`` of each.

    Returns
    -------
    matplotlib.figure.Figure
        Seeds in grey, in the scale of the mean curve, which runs from 1 to 0.

    Examples
    --------
    >>> cell = {"slope": [0.0], "noise": [0.1]}
    >>> ours = xr.Dataset({"separation_train": (
    ...     ("slope", "noise", "seed", "layer"), [[[[1.0, 0.0], [1.2, 0.0]]]])}, cell)
    >>> published = xr.Dataset({"curve": (("slope", "noise", "layer"), [[[1, 0]]])}, cell)
    >>> figure = cells_compared("dropout", ours, published, [{"slope": 0.0, "noise": 0.1}])
    >>> figure.axes[0].get_title()
    'dropout p = 0.1, α = 0'
    """
    with mpl.rc_context(STYLE | {"axes.titlesize": 10}):
        figure, grid = panels(len(cells), width=4.2, height=3.0)
        for axes, cell in zip(grid, cells, strict=True):
            where = {"noise": cell["noise"], "slope": cell["slope"]}
            own = ours.separation_train.sel(where)
            _draw_cell(axes, own, published.curve.sel(where), seeds=True)
            axes.set(title=_title(name, cell), xlabel="layer l", ylabel="D, scaled")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def train_and_test(name: str, diagram: xr.Dataset, cells: Sequence[Cell]) -> Figure:
    """Draw the load curves of some cells on the training and on the test images.

    Parameters
    ----------
    name : str
        Source of noise, a key of `sbt_book.common.noise_axes.NOISES`.
    diagram : xarray.Dataset
        A phase diagram with ``separation_test`` beside ``separation_train``.
    cells : sequence of mapping
        ``noise`` and ``slope`` of each.

    Returns
    -------
    matplotlib.figure.Figure
        Means over the seeds, with bands of one standard deviation; D as measured.

    Examples
    --------
    >>> axes = "noise", "slope", "seed", "layer"
    >>> diagram = xr.Dataset({"separation_train": (axes, [[[[1.0, -1.0]]]]),
    ...                       "separation_test": (axes, [[[[1.0, 0.0]]]])},
    ...                      {"noise": [0.0], "slope": [1.0]})
    >>> figure = train_and_test("dropout", diagram, [{"noise": 0.0, "slope": 1.0}])
    >>> len(figure.axes[0].lines)
    2
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
    """Draw the test accuracy of every network, with means, medians and the failures.

    Parameters
    ----------
    name : str
        Source of noise, a key of `sbt_book.common.noise_axes.NOISES`.
    diagram : xarray.Dataset
        A phase diagram.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each slope. Crosses are networks that failed (`sbt_book.common.selections.failed`), with
        their number, if any, written above.

    Examples
    --------
    >>> cells = "noise", "slope", "seed"
    >>> diagram = xr.Dataset({"separation_train": ((*cells, "layer"), [[[[1.0, 0.0], [1.0, 0.9]]]]),
    ...                       "accuracy_train": (cells, [[[0.95, 0.1]]]),
    ...                       "accuracy_test": (cells, [[[0.9, 0.1]]])},
    ...                      {"noise": [0.5], "slope": [0.0]})
    >>> [text.get_text() for text in seeds_apart("learning_rate", diagram).axes[0].texts]
    ['1']
    """
    cells = in_order(name, diagram)
    lost = failed(cells).transpose("slope", "noise", "seed")
    accuracy = (100 * cells.accuracy_test).transpose("slope", "noise", "seed")
    places = np.arange(cells.sizes["noise"])
    jitter = np.linspace(-0.25, 0.25, cells.sizes["seed"]) + places[:, None]
    names = [level_name(level) for level in cells.noise.values]
    with mpl.rc_context(STYLE | {"axes.titlesize": 10}):
        figure, grid = panels(cells.sizes["slope"], width=4.2, height=2.4)
        for axes, slope in zip(grid, cells.slope.values, strict=True):
            own, out = accuracy.sel(slope=slope), lost.sel(slope=slope).values
            axes.plot(jitter[~out], own.values[~out], "o", ms=3, color="0.6", label="a network")
            axes.plot(jitter[out], own.values[out], "x", color=COLOURS[1], label="one that failed")
            axes.plot(places, own.median("seed"), "-", color=COLOURS[0], label="median")
            axes.plot(places, own.mean("seed"), "--", color="black", label="mean")
            for place in np.flatnonzero(out.any(1)).tolist():
                axes.text(place, 103, f"{out[place].sum()}", ha="center", color=COLOURS[1])
            axes.set(title=f"α = {slope:g}", ylabel="test accuracy, %", ylim=(0, 112))
            axes.set_xticks(places[::2], names[::2])
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
            each = axes.plot((defined.T - lowest) / height, color="0.65", lw=0.8, zorder=0)
            each[0].set_label("its seeds")
        spread = None if curve.spread is None else curve.spread / height
        draw_curve(axes, curve.scaled, spread, color=COLOURS[1], label="this companion")
    if not seeds:
        axes.set(xticks=[], yticks=[], ylim=(-0.08, 1.08))
        axes.spines[:].set_visible(False)


def _title(name: str, cell: Cell) -> str:
    words = f"{NOISES[name].label} = {level_name(cell['noise'])}, α = {cell['slope']:g}"
    return words + (f": {cell['deviation']:.3f}" if "deviation" in cell else "")
