"""Load curves over the epochs of training, drawn and filmed, and beside a chain's."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbt_book.common.films import gif
from sbt_book.common.panels import series_look, shade_equiseparated
from sbt_book.common.selections import convexity
from sbt_utils.drawing import STYLE

_EPOCHS = mpl.colormaps["viridis"]
_LIGHTEST = 0.85  # of the colour map: its yellow end is too faint on white


def curves_over_epochs(histories: Mapping[str, xr.Dataset]) -> Figure:
    """Draw the load curves of networks while they train, a panel for each kind.

    Means over the members, from dark (early) to light (late); the last with markers and its chord.

    Parameters
    ----------
    histories : mapping of str to xarray.Dataset
        ``separation`` (member, probe_epoch, layer) of each kind of networks, by title.
    """
    kinds = _mean_curves(histories)
    last = max(curves.probe_epoch.values[-1] for curves in kinds.values())
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure, panels = _panels(kinds, figsize=(3.1 * len(kinds) + 0.8, 3.4))
        for axes, curves in zip(panels, kinds.values(), strict=True):
            for epoch in curves.probe_epoch.values:
                final = epoch == curves.probe_epoch.values[-1]
                style: Any = {"marker": "o", "lw": 2.0} if final else {"lw": 1.1}
                curve = curves.sel(probe_epoch=epoch)
                axes.plot(curve, color=_EPOCHS(_LIGHTEST * epoch / last), **style)
            axes.plot([0, len(curve) - 1], curve[[0, -1]], "--", color="0.5", lw=1)
        shown = _EPOCHS(np.linspace(0, _LIGHTEST, 256))
        colours = mpl.cm.ScalarMappable(
            mpl.colors.Normalize(0, last), mpl.colors.ListedColormap(shown)
        )
        figure.colorbar(colours, ax=panels, label="epoch", aspect=25, pad=0.01)
    return figure


def film_over_epochs(histories: Mapping[str, xr.Dataset]) -> bytes:
    """Return an animated GIF of load curves that move as their networks train, side by side.

    Endless, five seconds long, 240 pixels wide for each kind, with a frame for each epoch that was
    measured; earlier curves stay as grey lines.

    Parameters
    ----------
    histories : mapping of str to xarray.Dataset
        As in `curves_over_epochs`, measured at the same epochs.
    """
    kinds = _mean_curves(histories)
    epochs = next(iter(kinds.values())).probe_epoch.values
    with mpl.rc_context(STYLE | {"font.size": 10}):
        figure, panels = _panels(kinds, figsize=(2.4 * len(kinds), 2.9), dpi=100)
        words = figure.suptitle(" ", fontsize=10)
        dots = [axes.plot([], [], "o-", zorder=3)[0] for axes in panels]
        chords = [axes.plot([], [], "--", color="0.5", lw=1, zorder=2)[0] for axes in panels]

        def show(number: int) -> None:
            words.set_text(f"epoch {epochs[number]}")
            rows = zip(panels, kinds.values(), dots, chords, strict=True)
            for axes, curves, dot, chord in rows:
                curve = curves.values[number]
                if number:
                    axes.plot(curves.values[number - 1], color="0.82", lw=0.8, zorder=1)
                dot.set_data(range(len(curve)), curve)
                chord.set_data([0, len(curve) - 1], curve[[0, -1]])

        return gif(figure, show, len(epochs), seconds=5.0)


def switched_on_and_off(
    network: xr.DataArray,
    chains: Mapping[str, xr.DataArray],
    quiet: tuple[float, float],
    pace: float,
) -> Figure:
    """Draw the convexity of a network beside that of chains, with the noise off for a while.

    Means and bands of one standard deviation over the members. Times at which a curve does not
    fall are left out.

    Parameters
    ----------
    network : xarray.DataArray
        D_l over (member, time, layer), the time in epochs.
    chains : mapping of str to xarray.DataArray
        Likewise, by label, the time in units of the chain's.
    quiet : tuple of float
        From which to which epoch there was no noise.
    pace : float
        Units of the chain's time to an epoch.
    """
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure = Figure(figsize=(9.6, 3.6))
        left, right = figure.subplots(1, 2, sharey=True)
        _add_convexities(left, {"network": network}, "time", ddof=1, ms=3)
        _add_convexities(right, chains, "time", ddof=1, ms=3)
        for axes, unit, word in ((left, 1.0, "dropout"), (right, pace, "shaking")):
            shade_equiseparated(axes.axhspan)
            start, stop = (unit * epoch for epoch in quiet)
            for time in (start, stop):
                axes.axvline(time, color="0.6", lw=1, ls=":")
            place: Any = {"ha": "center", "va": "top", "transform": axes.get_xaxis_transform()}
            axes.text((start + stop) / 2, 0.98, f"no {word}", **place)
            axes.set_xlim(left=0)
        left.set(xlabel="epoch", ylabel="convexity", title="network", ylim=(-0.3, 0.35))
        right.set(xlabel="time t of the chain", title="matching chain")
        right.legend(loc="lower right")
    return figure


def convexity_in_time(histories: Mapping[str, xr.Dataset]) -> Figure:
    """Draw how the convexity of networks changes while they train.

    Mean and standard deviation over the members; epochs at which a curve does not fall yet are
    left out.

    Parameters
    ----------
    histories : mapping of str to xarray.Dataset
        As in `curves_over_epochs`, by label.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 3.4))
        axes = figure.add_subplot()
        shade_equiseparated(axes.axhspan)
        separations = {label: history.separation for label, history in histories.items()}
        _add_convexities(axes, separations, "probe_epoch", ddof=0)
        axes.set(xlabel="epoch", ylabel="convexity", ylim=(-0.5, 0.5))
        axes.legend()
    return figure


def _add_convexities(
    axes: Axes, separations: Mapping[str, xr.DataArray], time: str, ddof: int, **style: Any
) -> None:
    """Draw convexities over a dimension of time, and where the members' lie."""
    for index, (label, separation) in enumerate(separations.items()):
        values = convexity(separation).dropna(time)
        mean, spread = values.mean("member"), values.std("member", ddof=ddof)
        look = series_look(index)
        axes.plot(values[time], mean, label=label, **look, **style)
        low, high = mean - spread, mean + spread
        axes.fill_between(values[time], low, high, color=look["color"], alpha=0.25, lw=0)


def _mean_curves(histories: Mapping[str, xr.Dataset]) -> dict[str, xr.DataArray]:
    """Return the mean load curves (probe_epoch, layer) of the kinds."""
    return {
        name: history.separation.mean("member").transpose("probe_epoch", "layer")
        for name, history in histories.items()
    }


def _panels(kinds: Mapping[str, xr.DataArray], **size: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each kind, all with the same scales."""
    figure = Figure(**size)
    panels = list(figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0])
    low = min(curves.min().item() for curves in kinds.values())
    high = max(curves.max().item() for curves in kinds.values())
    margin = 0.05 * (high - low)
    for axes, (name, curves) in zip(panels, kinds.items(), strict=True):
        axes.set(xlabel="layer l", title=name, ylim=(low - margin, high + margin))
        axes.set_xlim(-0.3, curves.sizes["layer"] - 0.7)
    panels[0].set_ylabel("data separation D")
    return figure, panels
