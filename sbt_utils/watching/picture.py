"""The picture of the load curves of a network in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sbt_utils.drawing import COLOURS, STYLE
from sbt_utils.text import shown
from sbt_utils.watching.readings import CurveReading

MOST_EARLIER = 12
"""So many earlier curves are in a picture at most, evenly chosen."""


def drawn_readings(readings: Sequence[CurveReading]) -> Figure:
    """Draw the last load curve with its most loaded layer, and faintly those before it."""
    *before, last = [reading for reading in readings if reading.curve is not None]
    places = np.linspace(0, len(before) - 1, min(len(before), MOST_EARLIER)).astype(int)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.4))
        axes = figure.subplots()
        for number, place in enumerate(places):
            grey = str(0.9 - 0.3 * number / MOST_EARLIER)  # the palest is the first
            label = None if number else f"from step {before[0].step}"
            axes.plot(*_points(before[place]), color=grey, lw=1, label=label)
        layers, curve = _points(last)
        axes.plot(layers, curve, color=COLOURS[0], marker="o", label=f"step {last.step}")
        if last.most_loaded is not None:
            end = layers.index(last.most_loaded)
            part = slice(end - 1, end + 1)
            name = f"most load: {last.most_loaded} {shown(last.layers[last.most_loaded], 24)}"
            style: Any = {"color": COLOURS[1], "lw": 3.2, "solid_capstyle": "butt"}
            axes.plot(layers[part], curve[part], label=name, **style)
        axes.set(ylabel="data separation D", title=_title(last))
        remark = f"\n{shown(last.remark, 70)}" if last.remark else ""
        axes.set_xlabel(f"layer l{remark}", parse_math=False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend = figure.legend(loc="outside lower center", ncols=3, fontsize="small")
        for text in legend.get_texts():
            text.set_parse_math(False)  # no name is a formula
    return figure


def _points(reading: CurveReading) -> tuple[list[int], list[float]]:
    """Return l and D_l of the layers that have a D."""
    return reading.places, [] if reading.curve is None else reading.curve.mean.tolist()


def _title(reading: CurveReading) -> str:
    regime = "" if reading.curve is None else reading.curve.regime
    shape = f", convexity {reading.convexity:.3f}" if np.isfinite(reading.convexity) else ""
    return regime + shape


def as_pixels(figure: Figure) -> np.ndarray:
    """Return a figure as an image (height, width, 3) of uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(np.asarray(canvas.buffer_rgba())[..., :3])
