"""The networks of a GPU beside those of a CPU, as a figure."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.common.noise_axes import NOISES
from sbt_book.common.panels import panels, series_look
from sbt_book.phase_diagram.devices import diagram_of, quantities
from sbt_utils.drawing import STYLE

SHOWN = {"convexity": (1, (0, 0.98)), "test accuracy": (100, (0.02, 1))}
"""What is drawn, in which multiple, and which quantiles of the cells the axes show."""


def gpu_against_cpu(gpu: xr.Dataset, diagrams: Mapping[str, xr.Dataset]) -> Figure:
    """Draw the convexity and the test accuracy of all cells on a GPU against those on a CPU.

    Means over the seeds, with bars of one standard deviation; on the line they are equal. The 2 %
    of cells with the highest convexity or the lowest accuracy lie outside of the figure. `gpu` is
    from `as_columns`, `diagrams` are those of the CPU, by their source of noise.
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(2, width=4.2, height=4.2)
        for axes, (name, (scale, shown)) in zip(grid, SHOWN.items(), strict=True):
            cells = []
            for index, (source, cpu) in enumerate(diagrams.items()):
                pair = xr.align(cpu, diagram_of(gpu, source), join="exact")
                values = [scale * quantities(one).sel(quantity=name) for one in pair]
                x, y = (value.mean("seed").values.ravel() for value in values)
                xerr, yerr = (value.std("seed", ddof=1).values.ravel() for value in values)
                look: Any = series_look(index) | {"ls": "", "ms": 3.5, "elinewidth": 0.6}
                look |= {"alpha": 0.7, "label": NOISES[source].label}
                axes.errorbar(x, y, yerr=yerr, xerr=xerr, **look)
                cells += [x, y]
            low, high = np.nanquantile(np.concatenate(cells), shown)
            margin = 0.05 * (high - low)
            limits = low - margin, high + margin
            axes.axline((low, low), slope=1, color="0.5", lw=1, zorder=0)
            unit = ", %" if scale == 100 else ""
            axes.set(title=name + unit, xlabel="on a CPU", ylabel="on a GPU")
            axes.set(xlim=limits, ylim=limits)
            axes.locator_params(nbins=6)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
