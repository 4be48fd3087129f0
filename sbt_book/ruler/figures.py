"""The folding ruler in pictures: stills, hands and load curves, and regimes."""

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbt_book.common.panels import MARKERS, panels, series_look, shade_equiseparated
from sbt_book.ruler.pull_film import RulerPicture, bounding_box, frame_at_rest
from sbt_utils.drawing import STYLE, draw_curve
from sbt_utils.mechanics.ruler import GRAVITY, Motion


def stills(motions: Mapping[str, Motion], count: int = 5) -> Figure:
    """Show each motion as a column of stills from the start to the end of the hand's movement.

    The black dot is the pin, the ring the hand, the thin line its path.

    Parameters
    ----------
    motions : mapping of str to Motion
        By the title of the column.
    count : int
        Stills in a column, at least 2.
    """
    if count < 2:
        raise ValueError(f"count: {count}; give at least 2 stills")
    shown = {
        title: np.linspace(0, frame_at_rest(motion), count).round().astype(int)
        for title, motion in motions.items()
    }
    boxes = [
        np.concatenate(
            [bounding_box(motions[title], states[row]) for title, states in shown.items()]
        )
        for row in range(count)
    ]
    left, right = np.concatenate(boxes)[:, 0].min(), np.concatenate(boxes)[:, 0].max()
    heights = [np.ptp(box[:, 1]) for box in boxes]
    width = 8.4 if len(motions) > 1 else 5.6
    scale = width / len(motions) / (right - left)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, scale * sum(heights) + 0.12 * count + 0.4))
        grid = figure.subplots(count, len(motions), squeeze=False, height_ratios=heights)
        for column, (title, motion) in zip(grid.T, motions.items(), strict=True):
            column[0].set_title(title)
            for axes, state, box in zip(column, shown[title], boxes, strict=True):
                bottom, top = box[:, 1].min(), box[:, 1].max()
                RulerPicture(axes, motion, (left, right, bottom, top)).show(state)
                note = f"{motion.times[state] - motion.times[0]:.2f} s"
                axes.text(0.99, 0.98, note, ha="right", va="top", transform=axes.transAxes)
    return figure


def pulls(motions: Mapping[str, Motion]) -> Figure:
    """Draw the speed of the hand over time and, beside it, the load curve it leaves.

    The legend says how long the hand moves. Load curves as fractions of D_0; dashed: equal loads.

    Parameters
    ----------
    motions : mapping of str to Motion
        By the label in the legend.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6))
        left, right = figure.subplots(1, 2)
        for index, (label, motion) in enumerate(motions.items()):
            moves = np.flatnonzero(motion.hand.speeds > 0)
            times, speeds = motion.hand.times[moves], motion.hand.speeds[moves]
            duration = times[-1] - times[0]
            look = series_look(index) | {"label": f"{label}, {duration:.2g} s"}
            left.plot((times - times[0]) / duration, speeds, lw=1.2, **look | {"marker": ""})
            curve = motion.load_curve.mean / motion.load_curve.mean[0]
            draw_curve(right, curve, **look)
            right.plot([0, len(curve) - 1], curve[[0, -1]], color="0.5", lw=1, ls="--", zorder=0)
        left.set(xlabel="time / duration", ylabel="speed of the hand (m/s)", yscale="log")
        slowest = min(motion.hand.speeds.max() for motion in motions.values())
        left.set_ylim(bottom=slowest / 5)
        right.set(xlabel="hinge l", ylabel="distance to the hand $D_l / D_0$", ylim=(0, None))
        figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def convexity_of_pulls(diagram: xr.Dataset) -> Figure:
    """Draw convexity against the speed of the pull and against the amplitude of its jerks.

    At most five lines per panel. The bars are one standard deviation over the seeds; the grey band
    is the equiseparated regime, above it the ruler is active, below lazy.

    Parameters
    ----------
    diagram : xarray.Dataset
        From `ruler_diagram`.
    """
    diagram = diagram.assign_coords(amplitude=diagram.amplitude * 1e3)
    with mpl.rc_context(STYLE):
        figure, (left, right) = panels(2, width=4.4, height=4.0)
        # Lines are shifted a little against one another, lest their bars hide each other.
        _add_lines(left, diagram, "amplitude", "mm", lambda speed, shift: speed * 1.03**shift)
        _add_lines(right, diagram, "speed", "m/s", lambda amplitude, shift: amplitude + 0.1 * shift)
        left.set(xscale="log", xlabel="speed of the pull (m/s)")
        right.set(xlabel="amplitude of the shaking (mm)")
    return figure


def _add_lines(
    axes: Axes,
    diagram: xr.Dataset,
    name: str,
    unit: str,
    shifted: Callable[[np.ndarray, float], np.ndarray],
) -> None:
    """Draw convexity over one axis of the diagram, a line for each of some levels of the other."""
    mean, spread = diagram.convexity.mean("seed"), diagram.convexity.std("seed", ddof=1)
    if diagram.sizes["seed"] == 1:
        spread = xr.zeros_like(mean)
    (along,) = {"speed", "amplitude"} - {name}
    levels = diagram[name].values
    count = min(len(levels), 5)
    shown = np.unique(np.linspace(0, len(levels) - 1, count).round().astype(int))
    shade_equiseparated(axes.axhspan)
    axes.axhline(0, color="0.6", lw=1, zorder=0)
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.85, len(shown)))
    for index, (level, colour) in enumerate(zip(shown, colours, strict=True)):
        bars: Any = {"capsize": 2, "elinewidth": 1, "marker": MARKERS[index % len(MARKERS)]}
        axes.errorbar(
            shifted(diagram[along].values, index - (len(shown) - 1) / 2),
            mean.isel({name: level}).values,
            yerr=spread.isel({name: level}).values,
            color=colour,
            label=f"{levels[level]:g} {unit}",
            **bars,
        )
    axes.set_ylabel("convexity")
    above: Any = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "columnspacing": 1}
    axes.legend(title=name, fontsize="small", ncols=3, **above)


def convexity_against_speed(rulers: Mapping[str, xr.Dataset]) -> Figure:
    """Draw convexity of steady pulls against the speed in units of friction, v / sqrt(μ g a).

    Parameters
    ----------
    rulers : mapping of str to xarray.Dataset
        From `ruler_diagram`, by the label in the legend; of each the smallest amplitude is drawn,
        the mean over its seeds.

    Examples
    --------
    >>> from sbt_utils.mechanics.ruler import FoldingRuler
    >>> from sbt_book.ruler.diagram import ruler_diagram
    >>> cells = ruler_diagram(FoldingRuler(sections=3), [0.5, 1.0], [0.0], seeds=[0])
    >>> len(convexity_against_speed({"three sections": cells}).axes[0].lines)  # and zero
    2
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.8, 3.8))
        axes = figure.add_subplot()
        shade_equiseparated(axes.axhspan)
        axes.axhline(0, color="0.6", lw=1, zorder=0)
        for index, (label, diagram) in enumerate(rulers.items()):
            unit = np.sqrt(diagram.table_friction * GRAVITY * diagram.section_length)
            mean = diagram.convexity.mean("seed").isel(amplitude=0)
            axes.plot(diagram.speed / unit, mean, label=label, **series_look(index))
        axes.set_ylabel("convexity at rest")
        axes.set_xlabel(r"speed of the pull / $\sqrt{\mu g a}$")
        axes.legend(loc="upper left")
    return figure
