"""Narrow variants of figures, for the screens of phones."""

import pickle
import warnings
from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from sbt_book.pictures.legends import fold_legends, points_behind_legend, put_legend_below
from sbt_book.pictures.texts import break_lines, enlarge, overlaps, thin_levels

SHOWN = 3.75
"""Inches that a phone of 390 px leaves to a figure: 360 px, at 96 in an inch."""

WIDTHS = (3.9, 4.4, 5.0)
"""Widths in inches that are tried one after the other, until no text lies on another."""

HIGHEST = 11.0
"""Inches of panels above one another from which on they are made lower."""

MOST = 8
"""More panels than these keep their grid, small as they are."""

SLIMMEST = 1.2
"""The least width of a panel in inches."""

THICKNESS = 0.16
"""The thickness of an upright colour bar in inches."""

SMALLEST = 7.0
"""The least size of text in points, as a phone shows it."""


def narrowed(figure: Figure) -> Figure | None:
    """Return a copy of a figure for a phone, its panels below one another, if there can be one.

    There is none of figures without constrained layout, with panels of several grids or with many
    small ones, nor where texts would lie on one another.
    """
    wide = copied(figure)
    if wide is None or not _is_restackable(wide):
        return None
    _arrange(wide)
    before, sizes = overlaps(wide), [_size(axes) for axes in panels_of(wide)]
    hidden = [points_behind_legend(axes) for axes in panels_of(wide)]
    for columns, width in product(_columns(wide), WIDTHS):
        narrow = copied(figure)
        assert narrow is not None
        _restack(narrow, width, columns, sizes)
        for axes, count in zip(panels_of(narrow), hidden, strict=True):
            if points_behind_legend(axes) > count:
                put_legend_below(axes)
                _arrange(narrow)
        slimmest = min(_size(axes)[0] for axes in panels_of(narrow))
        kept = columns == _grid(wide).ncols
        if slimmest > (0.3 if kept else SLIMMEST) and overlaps(narrow) <= before:
            return narrow
    return None


def copied(figure: Figure) -> Figure | None:
    """Return a copy of a figure, or nothing where it holds what cannot be copied."""
    try:
        copy: Figure = pickle.loads(pickle.dumps(figure))  # noqa: S301 (what we wrote ourselves)
    except (AttributeError, TypeError, pickle.PicklingError):
        return None
    return copy


def panels_of(figure: Figure) -> list[Axes]:
    """Return the axes of a figure that are no colour bars."""
    return [axes for axes in figure.axes if not hasattr(axes, "_colorbar")]


def _bars(figure: Figure) -> list[dict[str, Any]]:
    """Return what the layout knows of the colour bars of a figure: their panels and distances."""
    return [axes._colorbar_info for axes in figure.axes if hasattr(axes, "_colorbar_info")]


def _grid(figure: Figure) -> Any:
    """Return the grid of the first panel."""
    spec = panels_of(figure)[0].get_subplotspec()
    assert spec is not None
    return spec.get_gridspec()


def _place(axes: Axes) -> tuple[int, int]:
    """Return the row and the column of axes in their grid."""
    spec = axes.get_subplotspec()
    assert spec is not None
    return spec.rowspan.start, spec.colspan.start


def _is_restackable(figure: Figure) -> bool:
    """Tell whether all panels have a cell each of one grid, which constrained layout arranges."""
    engine = figure.get_layout_engine()
    specs = [axes.get_subplotspec() for axes in panels_of(figure)]
    if not specs or figure.subfigs or engine is None or engine.colorbar_gridspec:
        return False
    if any(spec is None or spec.num1 != spec.num2 for spec in specs):
        return False
    grids = {id(spec.get_gridspec()) for spec in specs if spec}
    return len(grids) == 1 and isinstance(_grid(figure), GridSpec)


def _columns(figure: Figure) -> list[int]:
    """Return in how many columns panels may stand on a phone; many keep their grid.

    Pictures, with axes of equal units, would be too small in it.
    """
    columns = _grid(figure).ncols
    panel = figure.get_figwidth() / columns
    if len(panels_of(figure)) > MOST:
        return [columns] * all(axes.get_aspect() == "auto" for axes in panels_of(figure))
    if columns == 1 or panel > 2.7:
        return [1]
    return [2, 1] if panel > 1.6 else [columns]


def _size(axes: Axes) -> tuple[float, float]:
    """Return the size of arranged axes in inches."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    width, height = axes.get_position().size * figure.get_size_inches()
    return float(width), float(height)


def _arrange(figure: Figure) -> None:
    """Let the layout place everything, which drawing does as well, but more slowly."""
    engine = figure.get_layout_engine()
    assert engine is not None
    with warnings.catch_warnings():  # of panels without a size, which `narrowed` refuses
        warnings.simplefilter("ignore", UserWarning)
        engine.execute(figure)
    for axes in figure.axes:
        axes.apply_aspect()


def _restack(figure: Figure, width: float, columns: int, sizes: list[tuple[float, float]]) -> None:
    """Put the panels of a figure, which had these sizes, below one another in columns."""
    panels = panels_of(figure)
    order = sorted(range(len(panels)), key=lambda index: _place(panels[index]))
    if _grid(figure).ncols != columns:
        _complete(panels)
        if _have_bars_of_columns(figure):
            order.sort(key=lambda index: _place(panels[index])[::-1])
    heights = [_height(panels[index], *sizes[index], width / columns - 0.6) for index in order]
    rows = [max(heights[start : start + columns]) for start in range(0, len(heights), columns)]
    if width == WIDTHS[0] and all(axes.get_aspect() == "auto" for axes in panels):
        rows = [row * min(max(0.75, HIGHEST / sum(rows)), 1) for row in rows]
    grid = GridSpec(len(rows), columns, figure=figure, height_ratios=rows)
    for cell, index in enumerate(order):
        panels[index].set_subplotspec(grid[cell])
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(h_pad=0.1)  # type: ignore[call-arg]
    for bar in _bars(figure):
        if bar["location"] in ("left", "right"):
            bar["aspect"] = max(bar["aspect"], sum(rows) / THICKNESS)
        else:
            bar["pad"] /= len(rows)  # a share of the height of all its panels
    figure.set_size_inches(width, sum(rows) + 0.6 * len(rows) + 0.5)
    enlarge(figure, SMALLEST * width / SHOWN)
    for _ in range(2):  # what stands around the axes takes its room from them
        _arrange(figure)
        break_lines(figure)
        thin_levels(figure)
        fold_legends(figure)
        lacking = sum(rows) - sum(_size(panels[index])[1] for index in order[::columns])
        figure.set_figheight(figure.get_figheight() + lacking)
    _arrange(figure)


def _height(axes: Axes, width: float, height: float, new_width: float) -> float:
    """Return how high axes of a size are when they have another width."""
    if axes.get_aspect() != "auto":
        return height * new_width / width
    return height * min(max(new_width / width, 0.85), 1.0)


def _have_bars_of_columns(figure: Figure) -> bool:
    """Tell whether a colour bar stands for a column of panels, which then stays together."""
    parents = [bar["parents"] for bar in _bars(figure)]
    return any(len(of) > 1 and len({_place(axes)[1] for axes in of}) == 1 for of in parents)


def _complete(panels: list[Axes]) -> None:
    """Give each panel the labels and the title that it had from others of its row and column."""
    for axes in panels:
        row, column = _place(axes)
        below = [other for other in panels if _place(other)[1] == column and _place(other)[0] > row]
        left = [other for other in panels if _place(other)[0] == row and _place(other)[1] < column]
        _complete_axis(axes, "x", below)
        _complete_axis(axes, "y", left)
        for top in (other for other in panels if _place(other) == (0, column)):
            if top.get_title() and not axes.get_title():
                axes.set_title(top.get_title(), fontsize=top.title.get_fontsize())


def _complete_axis(axes: Axes, name: str, others: list[Axes]) -> None:
    """Give an axis the numbers and the label that it had from others of its row or column."""
    axis, shared = getattr(axes, f"{name}axis"), getattr(axes, f"get_shared_{name}_axes")()
    if len(shared.get_siblings(axes)) > 1:
        axis.set_tick_params(which="both", **{{"x": "labelbottom", "y": "labelleft"}[name]: True})
    labels = [getattr(other, f"{name}axis").get_label_text() for other in others]
    if any(labels) and not axis.get_label_text() and len(axis.get_majorticklocs()):
        axis.set_label_text(next(filter(None, labels)))
