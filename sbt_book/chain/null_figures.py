"""Chains and their rivals as figures: how many of the held-out cells each gets right."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.chain.diagram_matching import GOOD_MATCH
from sbt_book.chain.null_experiment import NETWORKS, null_scores
from sbt_book.common.panels import panels, series_look
from sbt_utils.drawing import STYLE

_LABELS = {
    "within": "held-out cells\nwithin 0.03 / %",
    "sign": "held-out cells with\nthe right sign / %",
}


def scores_of_models(
    file: xr.Dataset, models: Sequence[str], shown: Sequence[str] = ("within", "sign")
) -> Figure:
    """Draw what models score on cells held out, by source of noise: mean and 95 % of the halves.

    Filled markers are our networks, open ones the published.

    Parameters
    ----------
    file : xarray.Dataset
        As `sbt_book.chain.null_experiment.null_scores` takes it.
    models : sequence of str
        Which to draw; one that predicts no curves is left out of ``"within"``.
    shown : sequence of str
        ``"within"``, ``"sign"``, a panel each.
    """
    sources = file.source.values.tolist()
    tables = {
        (networks, source): 100 * null_scores(file, networks, source)
        for networks in NETWORKS
        for source in sources
    }
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure = Figure(figsize=(7.2, 2.6 * len(shown) + 0.7))
        grid = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axes, score in zip(grid, shown, strict=True):
            for number, model in enumerate(models):
                offsets = np.array([-0.16, 0.16]) + 0.28 * (number / (len(models) - 1) - 0.5)
                for networks, offset in zip(NETWORKS, offsets, strict=True):
                    rows = [tables[networks, source].loc[model] for source in sources]
                    mean, low, high = (
                        np.array([row[f"{score}_{part}"] for row in rows])
                        for part in ("held_out", "low", "high")
                    )
                    look = series_look(number)
                    if networks == "published":
                        look |= {"markerfacecolor": "white"}
                    places = np.arange(len(sources)) + offset
                    label = model if networks == "ours" else None
                    spread = [mean - low, high - mean]
                    axes.errorbar(places, mean, spread, fmt="none", ecolor=look["color"], lw=1.2)
                    axes.plot(places, mean, ls="", ms=6, label=label, **look)
            for edge in range(1, len(sources)):
                axes.axvline(edge - 0.5, color="0.85", lw=1)
            axes.set(ylabel=_LABELS[score], ylim=(None, 104), xlim=(-0.5, len(sources) - 0.5))
        grid[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        names = [source.replace("_", " ") for source in sources]
        grid[-1].set_xticks(range(len(sources)), names)
    return figure


def fitted_drives_by_slope(file: xr.Dataset) -> Figure:
    """Draw the drive κ that fits each cell best, by slope, a panel for each source of noise.

    A line is a level of noise, dark with the least; bars are 95 % of bootstrap draws of the seeds.
    Cells that no driven chain fits, see `GOOD_MATCH`, are left out.

    Parameters
    ----------
    file : xarray.Dataset
        ``load_committed("driven_chain")``.
    """
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure, grid = panels(len(file.source), width=3.7, height=2.6)
        for axes, source in zip(grid, file.source.values.tolist(), strict=True):
            levels = file.sel(source=source).dropna("level", subset=["noise"])
            colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, levels.sizes["level"]))
            for level, colour in enumerate(colours):
                row = levels.isel(level=level)
                row = row.where(row.residual <= GOOD_MATCH)
                drive = row.drive.values
                bars = np.maximum([drive - row.drive_low, row.drive_high - drive], 0.0)
                axes.errorbar(row.slope, drive, bars, marker="o", ms=4, lw=1, color=colour)
            axes.set_title(source.replace("_", " "), fontsize=11)
            axes.set_yscale("symlog", linthresh=0.03, linscale=0.5)
            axes.set(ylim=(-0.004, 6), yticks=[0, 0.03, 0.1, 0.3, 1, 3])
            axes.set_yticklabels(["0", "0.03", "0.1", "0.3", "1", "3"])
        for axes in grid[::2]:
            axes.set_ylabel(r"drive $\kappa / k$")
        for axes in grid[-2:]:
            axes.set_xlabel("negative slope α")
        shade = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1 / 0.9), "viridis")
        bar = figure.colorbar(shade, ax=grid, aspect=30, ticks=[0, 1], boundaries=np.linspace(0, 1))
        bar.ax.set_yticklabels(["least", "most noise"])
    return figure
