"""Load curves and stress maps as matplotlib figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.reporting.comparison import Comparison
from sbt_utils.reporting.picture import COLOURS, STYLE, drawn_loads, drawn_table
from sbt_utils.reporting.stress_map import StressMap
from sbt_utils.text import printable

__all__ = ["COLOURS", "STYLE", "compared_loads", "draw_curve", "load_curves", "stress_map"]


def load_curves(curves: Mapping[str, LoadCurve], xlabel: str = "layer l") -> Figure:
    """Draw load curves as measured and, beside them, scaled to [0, 1] with their chord.

    Parameters
    ----------
    curves : mapping of str to LoadCurve
        Under their labels; repeats appear as a band of one standard deviation.
    xlabel : str
        Label of the axis of layers.

    Examples
    --------
    >>> len(load_curves({"chain": LoadCurve([1.0, 0.4, 0.0])}).axes)
    2
    """
    if not curves:
        raise ValueError("curves: none given; give at least one, under its label")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6))
        left, right = figure.subplots(1, 2)
        labels = [printable(str(label)) for label in curves]
        for index, curve in enumerate(curves.values()):
            # After seven curves colours repeat and markers shift: no two curves look alike.
            style: Any = {"marker": "osD^vP*"[(index + index // 7) % 7]}
            draw_curve(left, curve.mean, curve.spread, **style)
            draw_curve(right, curve.scaled, **style)
        last = max(len(curve.mean) for curve in curves.values()) - 1
        right.plot([0, last], [1, 0], color="0.5", lw=1, ls="--", zorder=0)
        xlabel = printable(xlabel)
        left.set(xlabel=xlabel, ylabel="data separation D", title="as measured")
        right.set(xlabel=xlabel, ylabel="D, scaled to [0, 1]", title="shape; dashed: equal loads")
        # By name: matplotlib would leave out a label that begins with "_".
        figure.legend(left.lines, labels, loc="outside lower center", ncols=3)
    return figure


def draw_curve(
    axes: Axes, mean: np.ndarray, spread: np.ndarray | None = None, **style: Any
) -> None:
    """Draw a curve over the layers, with a band of ± `spread`, both of shape (L + 1,)."""
    (line,) = axes.plot(mean, **style)
    if spread is not None:
        low, high = mean - spread, mean + spread
        axes.fill_between(range(len(mean)), low, high, color=line.get_color(), alpha=0.25, lw=0)


def stress_map(stress: StressMap) -> Figure:
    """Draw a network as a chain with one member per layer, coloured by its share of the load.

    Above, the chain on training inputs and, if given, on unseen ones: a wall at the input, the loss
    pulling at the other end, each member with its share in per cent, hatched where its state stands
    out. Below, the loads with their 95 % intervals, and the even load.

    Parameters
    ----------
    stress : StressMap
        From `sbt_utils.reporting.stress_map.report`.

    Examples
    --------
    >>> curve = LoadCurve([[3.0, 2.0, 1.0, 0.0], [3.2, 2.1, 1.1, 0.0]])
    >>> [axes.get_ylabel() for axes in stress_map(StressMap(curve)).axes]
    ['', 'load; dashed: an even one', 'share of the fall, in even shares']
    """
    return drawn_table(stress.table)


def compared_loads(comparison: Comparison) -> Figure:
    """Draw the loads of several networks beside each other, with their 95 % intervals.

    Parameters
    ----------
    comparison : Comparison
        From `sbt_utils.reporting.comparison.compare`.

    Raises
    ------
    ValueError
        No layer has the same name in all maps.

    Examples
    --------
    >>> one, two = LoadCurve([[3.0, 2.0, 0.0]] * 2), LoadCurve([[3.0, 2.5, 0.0]] * 2)
    >>> both = Comparison({"before": StressMap(one), "after": StressMap(two)})
    >>> [axes.get_ylabel() for axes in compared_loads(both).axes]
    ['load']
    """
    table = comparison.table
    if not len(table):
        raise ValueError("comparison: no layer has the same name in all maps; compare their curves")
    return drawn_loads({label: table[label] for label in comparison.maps})
