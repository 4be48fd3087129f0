"""Small language models in pictures.

`found` is always what ``sbt_book.language_training.experiment.everything`` returns.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbt_book.common.panels import panels, series_look
from sbt_book.common.statistics import mean_interval
from sbt_book.language_training.findings import (
    ALIKE,
    at_training_loss,
    curves_of,
    final_loss,
    shape_of,
)
from sbt_book.language_training.settings import DEPTHS, DROPOUTS, RATES
from sbt_utils.drawing import STYLE

KNOBS: dict[str, dict[str, str]] = {
    "dropout": {setting: f"{level:g}" for setting, level in DROPOUTS.items()},
    "learning rate": {setting: f"{level:g}" for setting, level in RATES.items()},
    "blocks": {setting: f"{depth}" for setting, depth in DEPTHS.items()},
    "scaled layer norms, 12 blocks": {"12 blocks": "plain", "scaled, 12 blocks": "scaled"},
}
"""The settings of each panel, and what to call them there."""


def curves_by_knob(found: xr.Dataset) -> Figure:
    """Draw the load curves at the end of training, a panel for each knob, over l / L.

    Means over the seeds, and bands of one standard deviation.
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(4, width=4.2, height=3.0)
        for axes, (knob, settings) in zip(grid, KNOBS.items(), strict=True):
            for index, (setting, label) in enumerate(settings.items()):
                curves = curves_of(found, setting)[:, -1]
                places = np.linspace(0, 1, curves.shape[1])
                _band(axes, places, curves, label=label, **series_look(index))
            axes.set(title=knob, xlabel="l / L", ylabel="data separation D", ylim=(0.9, 2.3))
            axes.legend(fontsize=9)
    return figure


def convexity_in_training(found: xr.Dataset) -> Figure:
    """Draw the convexity over the steps of training, by dropout and by learning rate.

    Means over the seeds, and bands of one standard deviation; without the reading before training.
    """
    convexity = shape_of(found).isel(reading=slice(1, None))
    with mpl.rc_context(STYLE):
        figure, grid = panels(2, width=4.2, height=3.2)
        for axes, knob in zip(grid, ("dropout", "learning rate"), strict=True):
            for index, (setting, label) in enumerate(KNOBS[knob].items()):
                values = convexity.sel(setting=setting).values
                look = series_look(index)
                _band(axes, convexity.reading.values, values, label=label, **look)
            axes.set(title=knob, xlabel="step", ylabel="convexity", ylim=(0, 0.9))
            axes.legend(fontsize=9, ncols=2)
    return figure


def loss_against_convexity(found: xr.Dataset) -> Figure:
    r"""Draw test loss against \|convexity\| of settings at equal training loss.

    Means over the seeds of what lies above the mean of all settings of a seed; bars: 95 %
    intervals.
    """
    loss = at_training_loss(found, ALIKE, found.loss.sel(part="test"))
    bent = abs(at_training_loss(found, ALIKE, shape_of(found)))
    loss = loss - loss.mean("setting")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.8))
        axes = figure.subplots()
        for index, setting in enumerate(ALIKE):
            (x, *across), (y, *up) = (mean_interval(v.sel(setting=setting)) for v in (bent, loss))
            bars: Any = {"xerr": [[x - across[0]], [across[1] - x]]}
            bars |= {"yerr": [[y - up[0]], [up[1] - y]], "ls": "none", "elinewidth": 1}
            axes.errorbar(x, y, label=setting, **bars, **series_look(index))
        axes.set(xlabel="|convexity|", ylabel="test loss above the mean, nats")
        figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return figure


def losses_by_dropout(found: xr.Dataset) -> Figure:
    """Draw what the controller reads over the steps, and the final test losses beside it.

    Left, the convexity from block 1 on of the steered networks, a line for each seed, with gaps
    where the curve does not fall. Right, test losses with 95 % intervals over the seeds.
    """
    read = shape_of(found, curve="from block 1").sel(setting="steered")
    with mpl.rc_context(STYLE):
        figure, (left, right) = panels(2, width=4.2, height=3.2)
        for index, row in enumerate(read.values):
            left.plot(read.reading, row, label=f"seed {index}", **series_look(index))
        left.axhline(0, color="0.5", lw=1, ls="--", zorder=0)
        left.set(xlabel="step", ylabel="convexity from block 1 on", ylim=(-0.5, 1.5))
        left.legend(fontsize=8, loc="center")
        names = [*KNOBS["dropout"].values(), "steered"]
        for place, setting in enumerate((*DROPOUTS, "steered")):
            mean, low, high = mean_interval(final_loss(found, setting))
            bar: Any = {"yerr": [[mean - low], [high - mean]], "capsize": 3}
            right.errorbar(place, mean, **bar, **series_look(int(setting == "steered")))
        right.set_xticks(range(len(names)), names)
        right.set(xlabel="dropout", ylabel="test loss, nats")
    return figure


def _band(axes: Axes, places: np.ndarray, values: np.ndarray, **style: Any) -> None:
    """Draw the mean of values (seed, ...) with a band of one standard deviation."""
    mean, spread = values.mean(0), values.std(0, ddof=1)
    (line,) = axes.plot(places, mean, **style)
    axes.fill_between(places, mean - spread, mean + spread, color=line.get_color(), alpha=0.2, lw=0)
