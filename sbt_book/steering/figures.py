"""Steered networks in pictures."""

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbt_book.common.panels import MARKERS, panels, shade_equiseparated
from sbt_book.steering.tables import best_fixed
from sbt_utils.drawing import COLOURS, STYLE


def steering_in_time(histories: Mapping[str, xr.Dataset]) -> Figure:
    """Draw dropout and convexity over the epochs.

    Above, the dropout up to each reading; below, the convexity read. Means over the networks and
    bands of one standard deviation; readings at which a curve does not fall are left out.

    `histories` have ``dropout`` and ``convexity`` (..., reading), by label: a history that
    `sbt_utils.training.steering.steer` returns, or an arm of `select`.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 5.2))
        above, below = figure.subplots(2, 1, sharex=True)
        shade_equiseparated(below.axhspan)
        for marker, (label, history) in zip(cycle(MARKERS), histories.items(), strict=False):
            epochs = history.reading.values
            starts = np.concatenate([[0], epochs[:-1]])
            _draw(above, (starts + epochs) / 2, history.dropout, marker=marker, label=label)
            _draw(below, epochs, history.convexity, marker=marker)
        above.set(ylabel="dropout p", ylim=(-0.01, None))
        below.set(xlabel="epoch", ylabel="convexity", ylim=(-0.5, 0.3))
        figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def accuracy_against_dropout(cases: Mapping[str, xr.Dataset]) -> Figure:
    """Draw the test accuracy of fixed dropouts, and of steered and replayed ones at their mean.

    One panel per problem, a case from `select`. Bars: one standard deviation over the seeds.
    Ringed: the fixed dropout that validation images choose.
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(cases), width=4.2, height=3.0)
        for axes, (name, case) in zip(grid, cases.items(), strict=True):
            tested = 100 * case.accuracy_test
            mean, spread = tested.mean("seed"), tested.std("seed", ddof=1)
            dropout = case.dropout.mean(("seed", "reading"))
            fixed = [arm for arm in case.arm.values if arm.startswith("fixed")]
            for arms, style in (
                (fixed, {"fmt": "o-", "color": "0.35", "label": "fixed dropout"}),
                (["steered"], {"fmt": "D", "color": COLOURS[1], "label": "steered", "ms": 7}),
                (["replayed"], {"fmt": "s", "color": COLOURS[0], "label": "replayed", "ms": 7}),
            ):
                x, y, bar = (values.sel(arm=arms) for values in (dropout, mean, spread))
                axes.errorbar(x, y, yerr=bar, capsize=3, elinewidth=1, **style)
            best = best_fixed(case)
            ring: Any = {"ms": 13, "mfc": "none", "mec": "0.35"}
            axes.plot(dropout.sel(arm=best), mean.sel(arm=best), "o", **ring)
            axes.set(title=name, xlabel="dropout, mean over time", ylabel="test accuracy, %")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _draw(axes: Axes, epochs: np.ndarray, values: xr.DataArray, **style: Any) -> None:
    """Draw the mean over the networks with a band of one standard deviation."""
    others = [name for name in values.dims if name != "reading"]
    mean, spread = values.mean(others).values, values.std(others).values
    (line,) = axes.plot(epochs, mean, **style)
    axes.fill_between(
        epochs, mean - spread, mean + spread, color=line.get_color(), alpha=0.25, lw=0
    )
