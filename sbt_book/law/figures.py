"""Figures of chapter 1: digits, features, and load curves while a network trains."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sbt_utils.drawing import STYLE
from sbt_utils.measuring.curves import LoadCurve


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


def _principal_plane(points: np.ndarray) -> np.ndarray:
    """Project points (N, d) on their first two principal axes."""
    centred = np.pad(points - points.mean(0), ((0, 0), (0, max(0, 2 - points.shape[1]))))
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return centred @ axes[:2].T
