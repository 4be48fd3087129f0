"""Load curves on their way: over the epochs of training, drawn and filmed, and beside a chain's."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbt_book.common.films import gif
from sbt_book.common.panels import shade_equiseparated
from sbt_book.common.selections import convexity
from sbt_utils.drawing import STYLE

_EPOCHS = mpl.colormaps["viridis"]
_LIGHTEST = 0.85  # of the colour map: its yellow end is too faint on white


def curves_over_epochs(histories: Mapping[str, xr.Dataset]) -> Figure:
    """Draw the load curves of networks while they train, a panel for each kind.

    Parameters
    ----------
    histories : mapping of str to xarray.Dataset
        `sbt_utils.training.trainer.Training.history`, with ``separation``, by what to call the networks.

    Returns
    -------
    matplotlib.figure.Figure
        Means over the members, from dark (early) to light (late); the last with markers and its
        chord.

    Examples
    --------
    >>> curves = [[[2.0, 1.8, 0.0], [2.0, 0.5, 0.0]]]
    >>> history = xr.Dataset({"separation": (("member", "probe_epoch", "layer"), curves)},
    ...                      {"probe_epoch": [1, 2]})
    >>> len(curves_over_epochs({"one network": history}).axes)  # and the colour bar
    2
    """
    courses = _courses(histories)
    last = max(course.probe_epoch.values[-1] for course in courses.values())
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure, panels = _panels(courses, figsize=(3.1 * len(courses) + 0.8, 3.4))
        for axes, course in zip(panels, courses.values(), strict=True):
            for epoch in course.probe_epoch.values:
                final = epoch == course.probe_epoch.values[-1]
                style: Any = {"marker": "o", "lw": 2.0} if final else {"lw": 1.1}
                curve = course.sel(probe_epoch=epoch)
                axes.plot(curve, color=_EPOCHS(_LIGHTEST * epoch / last), **style)
            axes.plot([0, len(curve) - 1], curve[[0, -1]], "--", color="0.5", lw=1)
        shown = _EPOCHS(np.linspace(0, _LIGHTEST, 256))
        colours = mpl.cm.ScalarMappable(
            mpl.colors.Normalize(0, last), mpl.colors.ListedColormap(shown)
        )
        figure.colorbar(colours, ax=panels, label="epoch", aspect=25, pad=0.01)
    return figure


def film_over_epochs(
    histories: Mapping[str, xr.Dataset], seconds: float = 5.0, colours: int = 24
) -> bytes:
    """Return an animated GIF of load curves that move as their networks train, side by side.

    Parameters
    ----------
    histories : mapping of str to xarray.Dataset
        As in `curves_over_epochs`, measured at the same epochs.
    seconds, colours
        As in `sbt_book.common.films.gif`.

    Returns
    -------
    bytes
        An endless GIF, 240 pixels wide for each kind, a frame for each epoch that was measured;
        the curves that went before stay as grey lines.

    Examples
    --------
    >>> curves = [[[2.0, 1.8, 0.0], [2.0, 0.5, 0.0]]]
    >>> history = xr.Dataset({"separation": (("member", "probe_epoch", "layer"), curves)},
    ...                      {"probe_epoch": [1, 2]})
    >>> film_over_epochs({"one network": history})[:6]
    b'GIF89a'
    """
    courses = _courses(histories)
    epochs = next(iter(courses.values())).probe_epoch.values
    with mpl.rc_context(STYLE | {"font.size": 10}):
        figure, panels = _panels(courses, figsize=(2.4 * len(courses), 2.9), dpi=100)
        words = figure.suptitle(" ", fontsize=10)
        dots = [axes.plot([], [], "o-", zorder=3)[0] for axes in panels]
        chords = [axes.plot([], [], "--", color="0.5", lw=1, zorder=2)[0] for axes in panels]

        def show(number: int) -> None:
            words.set_text(f"epoch {epochs[number]}")
            rows = zip(panels, courses.values(), dots, chords, strict=True)
            for axes, course, dot, chord in rows:
                curve, end = course.values[number], course.sizes["layer"] - 1
                if number:
                    axes.plot(course.values[number - 1], color="0.82", lw=0.8, zorder=1)
                dot.set_data(range(len(curve)), curve)
                chord.set_data([0, end], curve[[0, -1]])

        return gif(figure, show, len(epochs), seconds, colours)


def switched_on_and_off(
    network: xr.DataArray,
    chains: Mapping[str, xr.DataArray],
    quiet: tuple[float, float],
    pace: float,
) -> Figure:
    """Draw the convexity of a network beside that of chains, with the noise off for a while.

    Parameters
    ----------
    network : xarray.DataArray
        D_l over (member, time, layer), the time in epochs.
    chains : mapping of str to xarray.DataArray
        Likewise, by what to call them, the time in units of the chain's.
    quiet : tuple of float
        From which to which epoch there was no noise.
    pace : float
        Units of the chain's time to an epoch.

    Returns
    -------
    matplotlib.figure.Figure
        Means and bands of one standard deviation over the members. Times at which a curve does not
        fall are left out.

    Examples
    --------
    >>> curves = [[[2.0, 1.8, 0.0], [2.0, 0.5, 0.0]]]
    >>> course = xr.DataArray(curves, {"time": [0, 9]}, ("member", "time", "layer"))
    >>> len(switched_on_and_off(course, {"chain": course}, (3, 6), pace=1).axes)
    2
    """
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure = Figure(figsize=(9.6, 3.6))
        left, right = figure.subplots(1, 2, sharey=True)
        _add_convexities(left, {"network": network})
        _add_convexities(right, chains)
        for axes, unit, word in ((left, 1.0, "dropout"), (right, pace, "shaking")):
            shade_equiseparated(axes.axhspan)
            off = [unit * epoch for epoch in quiet]
            for time in off:
                axes.axvline(time, color="0.6", lw=1, ls=":")
            axes.text(
                sum(off) / 2, 0.98, f"no {word}", ha="center", va="top",
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
            axes.set_xlim(left=0)
        left.set(xlabel="epoch", ylabel="convexity", title="network", ylim=(-0.3, 0.35))
        right.set(xlabel="time t of the chain", title="matching chain")
        right.legend(loc="lower right")
    return figure


def _add_convexities(axes: Axes, courses: Mapping[str, xr.DataArray]) -> None:
    """Draw convexities over time, and where the members' lie."""
    for marker, (label, course) in zip("osD^", courses.items(), strict=False):
        values = convexity(course).dropna("time")
        mean, spread = values.mean("member"), values.std("member", ddof=1)
        (line,) = axes.plot(values.time, mean, marker=marker, ms=3, label=label)
        style: Any = {"color": line.get_color(), "alpha": 0.25, "lw": 0}
        axes.fill_between(values.time, mean - spread, mean + spread, **style)


def _courses(histories: Mapping[str, xr.Dataset]) -> dict[str, xr.DataArray]:
    """Return the mean load curves (probe_epoch, layer) of the kinds."""
    return {
        name: history.separation.mean("member").transpose("probe_epoch", "layer")
        for name, history in histories.items()
    }


def _panels(courses: Mapping[str, xr.DataArray], **size: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each kind, all with the same scales."""
    figure = Figure(**size)
    panels = list(figure.subplots(1, len(courses), sharey=True, squeeze=False)[0])
    low = min(course.min().item() for course in courses.values())
    high = max(course.max().item() for course in courses.values())
    margin = 0.05 * (high - low)
    for axes, (name, course) in zip(panels, courses.items(), strict=True):
        axes.set(xlabel="layer l", title=name, ylim=(low - margin, high + margin))
        axes.set_xlim(-0.3, course.sizes["layer"] - 0.7)
    panels[0].set_ylabel("data separation D")
    return figure, panels


def convexity_in_time(histories: Mapping[str, xr.Dataset]) -> Figure:
    """Draw how the convexity of networks changes while they train.

    Parameters
    ----------
    histories : mapping of str to xarray.Dataset
        `sbt_utils.training.trainer.Training.history`, with ``separation``, by label.

    Returns
    -------
    matplotlib.figure.Figure
        Mean and standard deviation over the members; epochs at which a curve does not fall yet
        are left out.

    Examples
    --------
    >>> curves = [[[2.0, 1.8, 0.0], [2.0, 0.5, 0.0]]]
    >>> history = xr.Dataset({"separation": (("member", "probe_epoch", "layer"), curves)},
    ...                      {"probe_epoch": [1, 2]})
    >>> convexity_in_time({"one network": history}).axes[0].lines[0].get_ydata()
    array([-0.4 ,  0.25])
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 3.4))
        axes = figure.add_subplot()
        shade_equiseparated(axes.axhspan)
        for marker, (label, history) in zip("osD^vP*", histories.items(), strict=False):
            values = convexity(history.separation).dropna("probe_epoch")
            mean, spread = values.mean("member"), values.std("member")
            (line,) = axes.plot(values.probe_epoch, mean, marker=marker, label=label)
            style: Any = {"color": line.get_color(), "alpha": 0.25, "lw": 0}
            axes.fill_between(values.probe_epoch, mean - spread, mean + spread, **style)
        axes.set(xlabel="epoch", ylabel="convexity", ylim=(-0.5, 0.5))
        axes.legend()
    return figure
