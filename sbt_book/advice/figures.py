"""Pictures of how often the map is right, and of what tells whether a block can go."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.advice.found_by_map import raised_by_condition
from sbt_book.common.panels import MARKERS
from sbt_utils.drawing import COLOURS, STYLE


def findings_by_condition(networks: xr.Dataset) -> Figure:
    """Draw on which part of the networks of each condition the map has each finding.

    One row per condition, one column per finding that any network has; per cent, darker where more.
    """
    parts = raised_by_condition(networks)
    parts = parts.loc[:, parts.max() > 0]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.6 + 0.62 * parts.shape[1], 1.4 + 0.27 * len(parts)))
        axes = figure.subplots()
        axes.imshow(parts, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
        for (row, column), part in np.ndenumerate(parts.values):
            if part > 0:
                white = "white" if part > 0.6 else "black"
                axes.text(column, row, f"{part:.0%}".rstrip("%"), ha="center", va="center", c=white)
        axes.set_xticks(range(parts.shape[1]), parts.columns, rotation=40, ha="left")
        axes.set_yticks(range(len(parts)), parts.index)
        axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("per cent of the networks in a row")
    return figure


def predictors_by_kind(ranks: pd.DataFrame) -> Figure:
    """Draw how well each predictor orders the blocks of each kind by what their removal costs.

    `ranks` is from `sbt_book.advice.removal_ranks.rank_table`: a point per kind, and a bar of the
    95 % interval for the mean over the kinds.
    """
    names = [name for name in ranks.columns if not name.endswith(("_low", "_high"))]
    names.sort(key=lambda name: ranks.loc["all", name])
    kinds = ranks.index.drop("all")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 1.2 + 0.55 * len(names)))
        axes = figure.subplots()
        axes.axvline(0, c="0.6", lw=1)
        for number, kind in enumerate(kinds):
            place = np.arange(len(names)) + (number - (len(kinds) - 1) / 2) * 0.07
            look: Any = {"marker": MARKERS[number % len(MARKERS)], "ls": "", "ms": 4}
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(ranks.loc[kind, names], place, label=kind, c=colour, **look)
        mean, low, high = (
            ranks.loc["all", [f"{name}{end}" for name in names]].to_numpy(float)
            for end in ("", "_low", "_high")
        )
        axes.barh(range(len(names)), high - low, 0.8, low, color="0.85", zorder=0)
        axes.vlines(mean, np.arange(len(names)) - 0.4, np.arange(len(names)) + 0.4, "0.4", lw=2)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlim=(-1.05, 1.05), xlabel="rank correlation with what leaving a block out costs")
        figure.legend(loc="outside lower center", ncols=2)
    return figure
