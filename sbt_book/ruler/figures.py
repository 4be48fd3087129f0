"""The folding ruler in pictures: stills, hands and load curves, and regimes."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.common.panels import panels, shade_equiseparated
from sbt_book.ruler.pull_film import RulerPicture, bounding_box, frame_at_rest
from sbt_utils.drawing import COLOURS, STYLE, draw_curve
from sbt_utils.mechanics.ruler import GRAVITY, Motion

MARKERS = "osD^vP"


def stills(motions: Mapping[str, Motion], count: int = 5) -> Figure:
    """Show each motion as a column of stills from the start to the end of the hand's movement.

    Parameters
    ----------
    motions : mapping of str to Motion
        By the title of the column.
    count : int
        Stills in a column, at least 2.

    Returns
    -------
    matplotlib.figure.Figure
        The black dot is the pin, the ring the hand, the thin line the hand's way.

    Raises
    ------
    ValueError
        Fewer than two stills.

    Examples
    --------
    >>> from sbt_utils.mechanics.ruler import FoldingRuler
    >>> from sbt_utils.mechanics.hand import slow_and_steady
    >>> ruler = FoldingRuler(sections=3)
    >>> figure = stills({"slow": ruler.pull(slow_and_steady(ruler))}, count=2)
    >>> len(figure.axes)
    2
    """
    if count < 2:
        raise ValueError(f"count: {count}; give at least 2 stills")
    shown = {
        title: np.linspace(0, frame_at_rest(motion), count).round().astype(int)
        for title, motion in motions.items()
    }
    boxes = [
        np.concatenate([bounding_box(each, shown[title][row]) for title, each in motions.items()])
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
            for axes, now, box in zip(column, shown[title], boxes, strict=True):
                bottom, top = box[:, 1].min(), box[:, 1].max()
                RulerPicture(axes, motion, (left, right, bottom, top)).show(now)
                note = f"{motion.times[now] - motion.times[0]:.2f} s"
                axes.text(0.99, 0.98, note, ha="right", va="top", transform=axes.transAxes)
    return figure


def pulls(motions: Mapping[str, Motion]) -> Figure:
    """Draw the speed of the hand over time and, beside it, the load curve it leaves.

    Parameters
    ----------
    motions : mapping of str to Motion
        By the label in the legend.

    Returns
    -------
    matplotlib.figure.Figure
        The legend says how long the hand moves. Load curves as fractions of D_0; dashed: equal
        loads.

    Examples
    --------
    >>> from sbt_utils.mechanics.ruler import FoldingRuler
    >>> from sbt_utils.mechanics.hand import slow_and_steady
    >>> ruler = FoldingRuler(sections=3)
    >>> figure = pulls({"slow": ruler.pull(slow_and_steady(ruler))})
    >>> [axes.get_yscale() for axes in figure.axes]
    ['log', 'linear']
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6))
        left, right = figure.subplots(1, 2)
        for place, (label, motion) in enumerate(motions.items()):
            style: Any = {"color": COLOURS[place % 7], "label": label}
            moves = np.flatnonzero(motion.hand.speeds > 0)
            times, speeds = motion.hand.times[moves], motion.hand.speeds[moves]
            duration = times[-1] - times[0]
            style["label"] += f", {duration:.2g} s"
            left.plot((times - times[0]) / duration, speeds, lw=1.2, **style)
            curve = motion.load_curve.mean / motion.load_curve.mean[0]
            draw_curve(right, curve, marker=MARKERS[place % 6], **style)
            right.plot([0, len(curve) - 1], curve[[0, -1]], color="0.5", lw=1, ls="--", zorder=0)
        left.set(xlabel="time / duration", ylabel="speed of the hand (m/s)", yscale="log")
        slowest = min(motion.hand.speeds.max() for motion in motions.values())
        left.set_ylim(bottom=slowest / 5)
        right.set(xlabel="hinge l", ylabel="distance to the hand $D_l / D_0$", ylim=(0, None))
        figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def convexity_of_pulls(diagram: xr.Dataset) -> Figure:
    """Draw convexity against the speed of the pull and against the amplitude of its jerks.

    Parameters
    ----------
    diagram : xarray.Dataset
        From `sbt_book.ruler.diagram.ruler_diagram`.

    Returns
    -------
    matplotlib.figure.Figure
        The bars are one standard deviation over the seeds; the grey band is the equiseparated
        regime, above it the ruler is active, below lazy.

    Examples
    --------
    >>> from sbt_utils.mechanics.ruler import FoldingRuler
    >>> from sbt_book.ruler.diagram import ruler_diagram
    >>> cells = ruler_diagram(FoldingRuler(sections=3), [0.5, 1.0], [0.0, 0.001], seeds=[0])
    >>> len(convexity_of_pulls(cells).axes)
    2
    """
    mean, spread = diagram.convexity.mean("seed"), diagram.convexity.std("seed", ddof=1)
    if diagram.sizes["seed"] == 1:
        spread = xr.zeros_like(mean)
    millimetres = diagram.amplitude.values * 1e3
    with mpl.rc_context(STYLE):
        figure, (left, right) = panels(2, width=4.4, height=4.0)
        for axes, along, lines, notes in (
            (left, diagram.speed.values, "amplitude", millimetres),
            (right, millimetres, "speed", diagram.speed.values),
        ):
            shade_equiseparated(axes.axhspan)
            axes.axhline(0, color="0.6", lw=1, zorder=0)
            shown = np.unique(
                np.linspace(0, len(notes) - 1, min(len(notes), 5)).round().astype(int)
            )
            colours = mpl.colormaps["viridis"](np.linspace(0, 0.85, len(shown)))
            for each, colour in enumerate(colours):
                # A little aside, so that the bars do not hide one another.
                aside = each - (len(shown) - 1) / 2
                beside = along * 1.03**aside if lines == "amplitude" else along + 0.1 * aside
                pick = {lines: shown[each]}
                bars: Any = {"capsize": 2, "elinewidth": 1, "marker": MARKERS[each % 6]}
                note = f"{notes[shown[each]]:g} " + ("mm" if lines == "amplitude" else "m/s")
                y, half = mean.isel(pick).values, spread.isel(pick).values
                axes.errorbar(beside, y, yerr=half, color=colour, label=note, **bars)
            axes.set_ylabel("convexity")
            place: Any = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "columnspacing": 1}
            axes.legend(title=lines, fontsize="small", ncols=3, **place)
        left.set(xscale="log", xlabel="speed of the pull (m/s)")
        right.set(xlabel="amplitude of the shaking (mm)")
    return figure


def convexity_against_speed(rulers: Mapping[str, xr.Dataset]) -> Figure:
    """Draw convexity of steady pulls against the speed in units of friction, v / sqrt(μ g a).

    Parameters
    ----------
    rulers : mapping of str to xarray.Dataset
        From `sbt_book.ruler.diagram.ruler_diagram`, by the label in the legend; of each the
        smallest amplitude is drawn, the mean over its seeds.

    Returns
    -------
    matplotlib.figure.Figure

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
        for place, (label, diagram) in enumerate(rulers.items()):
            unit = np.sqrt(diagram.table_friction * GRAVITY * diagram.section_length)
            mean = diagram.convexity.mean("seed").isel(amplitude=0)
            style: Any = {"color": COLOURS[place % 7], "marker": MARKERS[place % 6]}
            axes.plot(diagram.speed / unit, mean, label=label, **style)
        axes.set_ylabel("convexity at rest")
        axes.set_xlabel(r"speed of the pull / $\sqrt{\mu g a}$")
        axes.legend(loc="upper left")
    return figure
