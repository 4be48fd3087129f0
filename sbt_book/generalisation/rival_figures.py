"""Who puts settings and twins in the order of their test accuracy, as a figure."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.common.panels import MARKERS, panels
from sbt_book.generalisation.rival_scores import NAMES
from sbt_utils.drawing import STYLE


def orders(panel_tables: Mapping[str, xr.Dataset]) -> Figure:
    """Draw how well each measure orders networks, after each share of their training.

    `panel_tables`: by the title of the panel, `order_of_settings` or `order_of_twins` along
    ``share``. One row per measure, with one mark per share, the earliest on top and palest; bars:
    the intervals. Dashed: the value of the null model, if it has one. On the right the order is
    perfect, on the left it is perfectly wrong. Measures without any value are left out.
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(panel_tables), width=4.6, height=5.2)
        for axes, (title, table) in zip(grid, panel_tables.items(), strict=True):
            table = table.dropna("measure", how="all", subset=["value"])
            names = list(table.measure.values)
            rows, count = np.arange(len(names)), table.sizes["share"]
            axes.axvline(0, color="0.6", lw=1)
            if "less noise" in names:
                null = table.value.isel(share=-1).sel(measure="less noise").item()
                axes.axvline(null, color="0.4", lw=1, ls="--")
            axes.axhspan(-0.5, 0.5, color="0.92", lw=0, zorder=0)
            for index, share in enumerate(table.share.values):
                here = table.sel(share=share, measure=names)
                ends = abs(np.stack([here.low, here.high]) - here.value.values)
                height = rows + 0.7 * (index - (count - 1) / 2) / count
                colour = mpl.colormaps["viridis_r"](0.15 + 0.8 * index / max(1, count - 1))
                label = f"after {share:.0%} of the training"
                look: Any = {"color": colour, "marker": MARKERS[index % len(MARKERS)], "ms": 4}
                look |= {"ls": "", "capsize": 0, "lw": 1.2, "label": label}
                axes.errorbar(here.value, height, xerr=ends, **look)
            axes.set(title=title, xlabel="rank correlation")
            axes.set(xlim=(-1.05, 1.05), ylim=(len(names) - 0.5, -0.5))
            axes.set_yticks(rows, [NAMES[name] for name in names])
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
