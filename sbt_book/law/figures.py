"""Figures of chapter 1: digits, features, load curves, and how straight those of the law are."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from sbt_book.common.panels import series_look
from sbt_book.law.protocol_findings import PUBLISHED, linearity_magnitudes, random_load_linearity
from sbt_utils.drawing import STYLE, draw_curve
from sbt_utils.measuring.curves import LoadCurve


def digits(images: ArrayLike, labels: ArrayLike, per_class: int = 12) -> Figure:
    """Show the first images of every class, `per_class` in a row, one row per class.

    `images` are grey levels in [0, 1] of shape (N, 1, size, size).
    """
    images, labels = np.asarray(images)[:, 0], np.asarray(labels)
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    rows = []
    for label in np.unique(labels):
        first = framed[labels == label][:per_class]
        row = np.pad(first, ((0, per_class - len(first)), (0, 0), (0, 0)))
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
        Of all layers l = 0..L; `layers` says which to show.
    labels : array_like of int, shape (N,)
        Classes, each in a colour and by its numeral.
    curve : LoadCurve
        Of the same network: its D_l stand in the titles.
    """
    labels = np.asarray(labels)
    classes = np.unique(labels)
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.85, len(classes)))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.6 * len(layers), 2.9))
        panels = figure.subplots(1, len(layers), squeeze=False)[0]
        for axes, layer in zip(panels, layers, strict=True):
            points = _principal_plane(np.asarray(features[layer], np.float64))
            for colour, label in zip(colours, classes, strict=True):
                cloud = points[labels == label]
                axes.plot(
                    *cloud.T, linestyle="none", marker=f"${label}$", ms=5, mew=0.3, color=colour
                )
            axes.set(xticks=[], yticks=[], title=f"l = {layer},  D = {curve.mean[layer]:.2f}")
            axes.spines[:].set_visible(False)
    return figure


def curves_in_time(history: xr.Dataset) -> Figure:
    """Draw a network's load curve before, during and after training, and its loss.

    `history` holds ``separation`` (probe_epoch, layer) and ``loss`` (epoch): one member of
    `sbt_utils.training.trainer.Training.history`.
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


def law_by_protocol(found: xr.Dataset) -> Figure:
    """Draw how straight the networks of He & Su's protocol are, and the curves of the deepest.

    Left: a dot for each network's abs(r), above the middle 90 % of `random_load_linearity` (grey).
    Right: load curves of the runs of the greatest depth, mean over the seeds and one standard
    deviation. All by the fuzziness, as published. `found` is the result of
    `sbt_book.law.protocol.law_protocol`.
    """
    magnitudes = linearity_magnitudes(found).sel(statistics="batch", measure="fuzziness")
    curves = found.separation.sel(statistics="batch", measure="fuzziness")
    deepest = found.depth.values.max()
    names = [
        f"{optimizer}{', frozen' if frozen else ''}"
        for optimizer, frozen in zip(found.optimizer.values, found.frozen.values, strict=True)
    ]
    kinds = list(dict.fromkeys(names))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 4.0))
        left, right = figure.subplots(1, 2)
        left.axvline(PUBLISHED, color="0.3", lw=1, ls="--")
        for run, depth in enumerate(found.depth.values):
            ends = np.quantile(random_load_linearity(depth - 1, 20_000), [0.05, 0.95])
            left.plot(ends, [run, run], color="0.85", lw=9, solid_capstyle="butt", zorder=0)
            look = series_look(kinds.index(names[run]))
            dots = {"ls": "", "ms": 4, "mfc": "none"} | look
            left.plot(magnitudes.isel(run=run), np.full(found.sizes["seed"], run), **dots)
            if depth == deepest:
                values = curves.isel(run=run, layer=slice(0, depth))
                draw_curve(
                    right, values.mean("seed").values, values.std("seed").values, **look, ms=4
                )
                right.lines[-1].set_label(names[run])
        rows = [
            f"{depth} layers, {name}" for depth, name in zip(found.depth.values, names, strict=True)
        ]
        left.set(xlabel="|r|;  grey: random loads", yticks=range(len(names)), yticklabels=rows)
        left.yaxis.set_inverted(True)
        left.xaxis.set_major_locator(MaxNLocator(4))
        right.set(xlabel="layer l", ylabel="D, fuzziness", title=f"{deepest} layers")
        right.legend()
    return figure


def _principal_plane(points: np.ndarray) -> np.ndarray:
    """Project points (N, d) on their first two principal axes."""
    # Features of a single dimension gain a second one, all zero.
    centred = np.pad(points - points.mean(0), ((0, 0), (0, max(0, 2 - points.shape[1]))))
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return centred @ axes[:2].T
