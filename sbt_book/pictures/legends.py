"""Legends that have less room."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.offsetbox import VPacker


def fold_legends(figure: Figure) -> None:
    """Take a column from each legend that is too broad."""
    legends = [(legend, figure.bbox.width) for legend in figure.legends]
    for axes in figure.axes:
        if isinstance(legend := axes.get_legend(), Legend):
            legends.append((legend, axes.get_window_extent().width))
    for legend, room in legends:
        # A legend cannot be told to change, and a new one would not have the same samples.
        box = legend._legend_handle_box  # type: ignore[attr-defined]
        columns = box.get_children()
        if len(columns) > 1 and legend.get_window_extent().width > room:
            items = [item for column in columns for item in column.get_children()]
            each = -(-len(items) // (len(columns) - 1))
            parts = [items[start : start + each] for start in range(0, len(items), each)]
            look = {"pad": 0, "sep": columns[0].sep, "align": columns[0].align}
            box._children = [VPacker(children=part, **look) for part in parts]
            box.set_figure(figure)


def points_behind_legend(axes: Axes) -> int:
    """Return how many points of the lines and dots of arranged axes lie behind their legend."""
    legend = axes.get_legend()
    if not isinstance(legend, Legend):
        return 0
    box, drawn = legend.get_window_extent(), []
    for line in axes.lines:
        drawn.append(line.get_transform().transform_path(line.get_path()).interpolated(8).vertices)
    for some in axes.collections:
        if isinstance(some, LineCollection):
            paths = [some.get_transform().transform_path(path) for path in some.get_paths()]
            drawn += [path.interpolated(8).vertices for path in paths]
        elif isinstance(some, PathCollection):
            drawn.append(some.get_offset_transform().transform(some.get_offsets()))
    points = np.concatenate([np.empty((0, 2)), *map(np.asarray, drawn)])
    return int(((points > box.min) & (points < box.max)).all(1).sum())


def put_legend_below(axes: Axes) -> None:
    """Put the legend of arranged axes below their horizontal axis, in a figure that much higher."""
    legend, figure = axes.get_legend(), axes.get_figure(root=True)
    box = axes.xaxis.get_tightbbox()
    if isinstance(legend, Legend) and figure is not None and box is not None:
        below = (box.y0 - axes.bbox.y0) / axes.bbox.height
        figure.set_figheight(
            figure.get_figheight() + legend.get_window_extent().height / figure.dpi
        )
        legend.set_loc("upper center")
        legend.set_bbox_to_anchor((0.5, below), axes.transAxes)
