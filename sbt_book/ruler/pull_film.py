"""A film of a pull."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sbt_book.common.films import gif
from sbt_utils.drawing import COLOURS, STYLE
from sbt_utils.mechanics.ruler import Motion

_WOOD, _EDGE, _HAND = "#F0C05A", "#5A3E00", COLOURS[0]


def film(motion: Motion, network: ArrayLike | None = None, frames: int = 60) -> bytes:
    """Return an animated GIF of a ruler whose load curve builds up below it.

    Parameters
    ----------
    motion : Motion
        Shown from the start until it has come to rest, evenly in time.
    network : array_like, shape (states, L + 1), optional
        A network's load curve while it trains, drawn beside the ruler's; evenly over the film.
    frames : int
        At most, and no more than the motion has kept states.

    Returns
    -------
    bytes
        An endless GIF of five seconds, 480 or 640 pixels wide.

    Raises
    ------
    ValueError
        A network of another shape or with non-finite values, fewer than two frames.
    """
    states = None if network is None else np.asarray(network, np.float64)
    if states is not None and (states.ndim != 2 or not np.isfinite(states).all()):
        raise ValueError(
            f"network: shape {states.shape}; give (states, L + 1) without NaN or infinite values"
        )
    if frames < 2:
        raise ValueError(f"frames: {frames}; give at least 2")
    end = frame_at_rest(motion)
    shown = np.unique(np.linspace(0, end, min(frames, end + 1)).round().astype(int))
    with mpl.rc_context(STYLE | {"font.size": 9}):
        (left, bottom), (right, top) = bounding_box(motion)
        width, below = (4.8 if network is None else 6.4), 2.2
        above = min(width * (top - bottom) / (right - left), 3.4)
        figure = Figure(figsize=(width, above + below), dpi=100)
        grid = figure.add_gridspec(2, 1 if network is None else 2, height_ratios=(above, below))
        ruler = RulerPicture(figure.add_subplot(grid[0, :]), motion, (left, right, bottom, top))
        curves = [(motion.distances[shown], "hinge l", "distance to the hand (m)")]
        if states is not None:
            pick = np.linspace(0, len(states) - 1, len(shown)).round().astype(int)
            curves.append((states[pick], "layer l", "data separation D"))
        drawn = []
        for column, (curve, xlabel, ylabel) in enumerate(curves):
            axes = figure.add_subplot(grid[1, column])
            (line,) = axes.plot(curve[0], "o-", color=COLOURS[column])
            (chord,) = axes.plot([], [], color="0.6", lw=1, ls="--", zorder=0)
            drawn.append((curve, line, chord))
            margin = 0.05 * np.ptp(curve) or 0.5
            limits = (curve.min() - margin, curve.max() + margin)
            axes.set(xlabel=xlabel, ylabel=ylabel, ylim=limits, xlim=(-0.3, curve.shape[1] - 0.7))

        def show(number: int) -> None:
            ruler.show(shown[number])
            for curve, line, chord in drawn:
                line.set_ydata(curve[number])
                chord.set_data([0, curve.shape[1] - 1], curve[number][[0, -1]])

        return gif(figure, show, len(shown), seconds=5.0)


class RulerPicture:
    """A ruler on frameless axes, shown in one kept state of its motion after another.

    `box` is what is in sight: left, right, bottom, top, in m.
    """

    def __init__(self, axes: Axes, motion: Motion, box: tuple[float, float, float, float]) -> None:
        self.points = motion.points
        self.bars = []
        for _ in range(motion.ruler.sections):
            for width, colour in ((5.5, _EDGE), (3.8, _WOOD)):
                style: Any = {"lw": width, "color": colour, "solid_capstyle": "round"}
                self.bars.append(axes.plot([], [], **style)[0])
        (self.trace,) = axes.plot([], [], color=_HAND, lw=0.8, alpha=0.5, zorder=1)
        (self.hinges,) = axes.plot([], [], "o", ms=1.8, color=_EDGE, zorder=3)
        axes.plot(*self.points[0, 0], "o", ms=6, color="black", zorder=4)
        (self.hand,) = axes.plot([], [], "o", ms=9, mfc="none", mec=_HAND, mew=2, zorder=4)
        axes.set(xlim=box[:2], ylim=box[2:], aspect="equal")
        axes.set_axis_off()

    def show(self, state: int) -> None:
        """Move the picture to a kept state, with the path of the hand up to it."""
        points = self.points[state]
        for k in range(len(points) - 1):
            for bar in self.bars[2 * k : 2 * k + 2]:
                bar.set_data(*points[k : k + 2].T)
        self.hinges.set_data(*points[1:-1].T)
        self.hand.set_data(*points[-1:].T)
        self.trace.set_data(*self.points[: state + 1, -1].T)


def bounding_box(motion: Motion, state: int | None = None) -> np.ndarray:
    """Return two corners, shape (2, 2), of what a motion covers, with a margin for the bars.

    With `state`, of what one kept state and the path of the hand up to it cover.
    """
    points = motion.points.reshape(-1, 2)
    if state is not None:
        points = np.concatenate([motion.points[state], motion.points[: state + 1, -1]])
    margin = 0.25 * motion.ruler.section_length
    return np.stack([points.min(0) - margin, points.max(0) + margin])


def frame_at_rest(motion: Motion) -> int:
    """Return the first kept state from which on nothing moves, or the last."""
    moving = np.flatnonzero(motion.velocities.any(axis=(1, 2)))
    return int(min(moving[-1] + 1, len(motion.times) - 1)) if len(moving) else 0
