"""The figures of the book: each function takes results and returns a matplotlib Figure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sbt_book.common.diagrams import convexity
from sbt_utils.measuring.separation import REGIME_TOLERANCE, LoadCurve

# Okabe & Ito's colours, told apart by colour-blind readers, in an order of falling contrast.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: Any = {
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
    "font.size": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
}


def digits(images: ArrayLike, labels: ArrayLike, per_class: int = 12) -> Figure:
    """Show the first images of every class, a row for each.

    Parameters
    ----------
    images : array_like, shape (N, 1, size, size)
        Grey levels in [0, 1].
    labels : array_like of int, shape (N,)
    per_class : int
        Images in a row.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> figure = digits(np.zeros((4, 1, 3, 3)), [0, 0, 1, 1], per_class=2)
    >>> len(figure.axes)
    1
    """
    images, labels = np.asarray(images)[:, 0], np.asarray(labels)
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    rows = []
    for label in np.unique(labels):
        own = framed[labels == label][:per_class]
        row = np.pad(own, ((0, per_class - len(own)), (0, 0), (0, 0)))
        rows.append(row.transpose(1, 0, 2).reshape(row.shape[1], -1))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 6.4 * len(rows) / per_class))
        axes = figure.add_subplot()
        axes.imshow(np.vstack(rows), cmap="gray_r", interpolation="nearest")
        axes.set_axis_off()
    return figure


def feature_clouds(
    features: Sequence[ArrayLike], labels: ArrayLike, curve: LoadCurve, layers: Sequence[int]
) -> Figure:
    """Show the features of some layers as points in the plane that holds most of their variance.

    Parameters
    ----------
    features : sequence of array_like, shapes (N, d_l)
        Of the layers l = 0..L.
    labels : array_like of int, shape (N,)
        Classes, each in its own colour and by its numeral.
    curve : LoadCurve
        Of the same network: its D_l stand in the titles.
    layers : sequence of int
        Which l to show.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> points = np.random.default_rng(0).normal(size=(8, 3))
    >>> figure = feature_clouds([points, points], [0, 1] * 4, LoadCurve([1.0, 0.0]), [0, 1])
    >>> [axes.get_title() for axes in figure.axes]
    ['l = 0,  D = 1.00', 'l = 1,  D = 0.00']
    """
    labels = np.asarray(labels)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.6 * len(layers), 2.9))
        for place, layer in enumerate(layers, start=1):
            axes = figure.add_subplot(1, len(layers), place)
            points = _principal_plane(np.asarray(features[layer], np.float64))
            classes = np.unique(labels)
            colours = mpl.colormaps["viridis"](np.linspace(0, 0.85, len(classes)))
            for colour, label in zip(colours, classes, strict=True):
                own = points[labels == label]
                axes.plot(
                    *own.T, linestyle="none", marker=f"${label}$", ms=5, mew=0.3, color=colour
                )
            axes.set(xticks=[], yticks=[], title=f"l = {layer},  D = {curve.mean[layer]:.2f}")
            axes.spines[:].set_visible(False)
    return figure


def load_curves(curves: Mapping[str, LoadCurve], xlabel: str = "layer l") -> Figure:
    """Draw load curves as measured and, beside them, scaled to their fall with the chord.

    Parameters
    ----------
    curves : mapping of str to LoadCurve
        By the label in the legend; repeats appear as a band of one standard deviation.
    xlabel : str
        Name of l.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> figure = load_curves({"chain": LoadCurve([1.0, 0.4, 0.0])})
    >>> len(figure.axes)
    2
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6))
        left, right = figure.subplots(1, 2)
        for place, (label, curve) in enumerate(curves.items()):
            style: Any = {"marker": "osD^vP*"[(place + place // 7) % 7], "label": label}
            draw_curve(left, curve.mean, curve.spread, **style)
            draw_curve(right, curve.scaled, **style)
        last = max(len(curve.mean) for curve in curves.values()) - 1
        right.plot([0, last], [1, 0], color="0.5", lw=1, ls="--", zorder=0)
        left.set(xlabel=xlabel, ylabel="data separation D", title="as measured")
        right.set(xlabel=xlabel, ylabel="D, scaled to [0, 1]", title="shape; dashed: equal loads")
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def curves_in_time(history: xr.Dataset) -> Figure:
    """Draw a network's load curve before, during and after training, and its loss.

    Parameters
    ----------
    history : xarray.Dataset
        One member of `sbt_utils.training.trainer.Training.history`, with ``separation``.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> history = xr.Dataset(
    ...     {"separation": (("probe_epoch", "layer"), [[1, 1], [1, 0]]), "loss": ("epoch", [2, 1])},
    ...     {"probe_epoch": [0, 2], "epoch": [1, 2]})
    >>> len(curves_in_time(history).axes)
    2
    """
    probes = history.probe_epoch.values
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.85, len(probes)))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.4))
        left, right = figure.subplots(1, 2)
        right.plot(history.epoch, history.loss, color="0.3")
        for epoch, colour in zip(probes, colours, strict=True):
            curve = history.separation.sel(probe_epoch=epoch)
            left.plot(curve, "o-", color=colour, label=f"epoch {epoch}")
            if epoch:
                right.plot(epoch, history.loss.sel(epoch=epoch), "o", color=colour)
        left.set(xlabel="layer l", ylabel="data separation D")
        left.legend(loc="lower left")
        right.set(xlabel="epoch", ylabel="training loss", yscale="log")
    return figure


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


def draw_curve(
    axes: Axes, mean: np.ndarray, spread: np.ndarray | None = None, **style: Any
) -> None:
    """Draw a curve over l, with a band of one standard deviation.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where.
    mean : ndarray, shape (L + 1,)
        The curve.
    spread : ndarray, shape (L + 1,), optional
        Half the width of the band.
    **style
        Of the line.

    Examples
    --------
    >>> axes = Figure().add_subplot()
    >>> draw_curve(axes, np.array([1.0, 0.5, 0.0]), np.array([0.0, 0.1, 0.0]), color="black")
    >>> len(axes.lines), len(axes.collections)
    (1, 1)
    """
    (line,) = axes.plot(mean, **style)
    if spread is not None:
        low, high = mean - spread, mean + spread
        axes.fill_between(range(len(mean)), low, high, color=line.get_color(), alpha=0.25, lw=0)


def shade_equiseparated(span: Callable[..., Any]) -> None:
    """Shade the convexities of the equiseparated regime.

    Parameters
    ----------
    span : callable
        ``axhspan`` or ``axvspan`` of the axes, whichever way the convexity runs.

    Examples
    --------
    >>> axes = Figure().add_subplot()
    >>> shade_equiseparated(axes.axhspan)
    >>> len(axes.patches)
    1
    """
    span(-REGIME_TOLERANCE, REGIME_TOLERANCE, color="0.9", lw=0, zorder=0)


def panels(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels, two in a row.

    Parameters
    ----------
    count : int
        How many.
    width, height : float
        Of a panel, in inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
    panels : list of matplotlib.axes.Axes

    Examples
    --------
    >>> figure, three = panels(3, width=4, height=3)
    >>> len(three), len(figure.axes)
    (3, 3)
    """
    rows, columns = -(-count // 2), min(count, 2)
    figure = Figure(figsize=(width * columns, height * rows))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.remove()
    return figure, list(grid[:count])


def _principal_plane(points: np.ndarray) -> np.ndarray:
    """Project points (N, d) on their first two principal axes."""
    centred = np.pad(points - points.mean(0), ((0, 0), (0, max(0, 2 - points.shape[1]))))
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return centred @ axes[:2].T
