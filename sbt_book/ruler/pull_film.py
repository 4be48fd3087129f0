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


def film(
    motion: Motion,
    network: ArrayLike | None = None,
    frames: int = 60,
    seconds: float = 5.0,
    colours: int = 24,
) -> bytes:
    """Return an animated GIF of a ruler whose load curve builds up below it.

    Parameters
    ----------
    motion : Motion
        Shown from the start until it has come to rest, evenly in time; with all its kept states
        where it has fewer than `frames`.
    network : array_like, shape (states, L + 1), optional
        A network's load curve while it trains, drawn beside the ruler's; evenly over the film.
    frames : int
        At most.
    seconds : float
        How long the film runs before the last frame, which stays for a second.
    colours : int
        In the palette; fewer make a smaller file.

    Returns
    -------
    bytes
        An endless GIF, 480 or 640 pixels wide.

    Raises
    ------
    ValueError
        A network of another shape or with NaN, fewer than two frames.

    Examples
    --------
    >>> from sbt_utils.mechanics.ruler import FoldingRuler
    >>> from sbt_utils.mechanics.hand import slow_and_steady
    >>> ruler = FoldingRuler(sections=3)
    >>> film(ruler.pull(slow_and_steady(ruler)), frames=2)[:6]
    b'GIF89a'
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
        lines = []
        for place, (curve, xlabel, ylabel) in enumerate(curves):
            axes = figure.add_subplot(grid[1, place])
            lines.append(axes.plot(curve[0], "o-", color=COLOURS[place])[0])
            chord = axes.plot([], [], color="0.6", lw=1, ls="--", zorder=0)[0]
            lines.append(chord)
            margin = 0.05 * np.ptp(curve) or 0.5
            limits = (curve.min() - margin, curve.max() + margin)
            axes.set(xlabel=xlabel, ylabel=ylabel, ylim=limits, xlim=(-0.3, curve.shape[1] - 0.7))

        def show(number: int) -> None:
            ruler.show(shown[number])
            for (curve, _, _), line, chord in zip(curves, lines[::2], lines[1::2], strict=True):
                line.set_ydata(curve[number])
                chord.set_data([0, curve.shape[1] - 1], curve[number][[0, -1]])

        return gif(figure, show, len(shown), seconds, colours)


class RulerPicture:
    """A ruler on its axes, to be shown at one kept state after another.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where; the scales are equal and the frame goes.
    motion : Motion
        Of the ruler.
    box : tuple of float
        What is in sight: left, right, bottom, top, in m.

    Examples
    --------
    >>> from sbt_utils.mechanics.ruler import FoldingRuler
    >>> from sbt_utils.mechanics.hand import slow_and_steady
    >>> ruler = FoldingRuler(sections=2)
    >>> picture = RulerPicture(Figure().add_subplot(), ruler.pull(slow_and_steady(ruler)),
    ...                        (0.0, 0.2, -0.1, 0.1))
    >>> picture.show(0)
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

    def show(self, now: int) -> None:
        """Move the picture to the kept state `now`, with the hand's way up to it."""
        points = self.points[now]
        for k in range(len(points) - 1):
            for bar in self.bars[2 * k : 2 * k + 2]:
                bar.set_data(*points[k : k + 2].T)
        self.hinges.set_data(*points[1:-1].T)
        self.hand.set_data(*points[-1:].T)
        self.trace.set_data(*self.points[: now + 1, -1].T)


def bounding_box(motion: Motion, now: int | None = None) -> np.ndarray:
    """Return two corners of what a motion covers, with a margin for the thickness of the bars.

    Parameters
    ----------
    motion : Motion
        Of a ruler.
    now : int, optional
        Only of this kept state and of the hand's way up to it.

    Returns
    -------
    ndarray, shape (2, 2)
        Left and bottom, right and top, in m.

    Examples
    --------
    >>> from sbt_utils.mechanics.ruler import FoldingRuler
    >>> from sbt_utils.mechanics.hand import slow_and_steady
    >>> ruler = FoldingRuler(sections=2)
    >>> bounding_box(ruler.pull(slow_and_steady(ruler)))[0].round(3)
    array([-0.025, -0.025])
    """
    points = motion.points.reshape(-1, 2)
    if now is not None:
        points = np.concatenate([motion.points[now], motion.points[: now + 1, -1]])
    margin = 0.25 * motion.ruler.section_length
    return np.stack([points.min(0) - margin, points.max(0) + margin])


def frame_at_rest(motion: Motion) -> int:
    """Return the first kept state from which on nothing moves, or the last.

    Parameters
    ----------
    motion : Motion

    Returns
    -------
    int

    Examples
    --------
    >>> from sbt_utils.mechanics.ruler import FoldingRuler
    >>> from sbt_utils.mechanics.hand import slow_and_steady
    >>> ruler = FoldingRuler(sections=2)
    >>> motion = ruler.pull(slow_and_steady(ruler))
    >>> frame_at_rest(motion) < len(motion.times)
    True
    """
    moving = np.flatnonzero(motion.velocities.any(axis=(1, 2)))
    return int(min(moving[-1] + 1, len(motion.times) - 1)) if len(moving) else 0
