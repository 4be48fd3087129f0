"""Stress maps as pictures, drawn from their tables, in the style of all figures."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from sbt_utils.reporting.advice import percent
from sbt_utils.text import shown

# Okabe and Ito's colours, which colour-blind readers can tell apart, in order of falling contrast.
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

# Blue for less than an even share, red for more: colour-blind readers can tell them apart.
_SHARES = LinearSegmentedColormap.from_list(
    "stress", mpl.colormaps["RdBu_r"](np.linspace(0.12, 0.88, 65))
)
_REDDEST = 2.0  # even shares
_HATCHES = {
    "overloaded": "////",
    "reversed": "xxxx",
    "unclear": "\\\\",
    "idle": "----",
    "dead": "++++",
    "mixed": "oo",
    "collapsed": "||||",
}
_LOOKS = {"training": (COLOURS[0], "o", ""), "unseen": (COLOURS[1], "s", "unseen_")}


def drawn_table(table: pd.DataFrame) -> Figure:
    """Draw the table of a stress map, as `sbt_utils.drawing.stress_map` says."""
    kinds = [kind for kind, (*_, prefix) in _LOOKS.items() if f"{prefix}load" in table]
    count = len(table)
    names = [f"{layer} {_end(name)}".strip() for layer, name in table.layer.items()]
    upright = max(map(len, names)) > 50 / count
    height = 2.9 + 0.7 * len(kinds) + (0.09 * max(map(len, names)) if upright else 0)
    norm = Normalize(0, _REDDEST)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(float(np.clip(0.62 * count + 2, 6.4, 14)), height))
        chain, loads = figure.subplots(2, 1, sharex=True, height_ratios=[0.75 * len(kinds), 2.2])
        for row, kind in enumerate(kinds):
            states = table.state.tolist() if kind == "training" else [""] * count
            parts = table[f"{_LOOKS[kind][-1]}share"].to_numpy(float)
            _draw_chain(chain, -row, parts, states, norm)
            _draw_loads(loads, table, kind, shift=0.12 * (2 * row - 1) if len(kinds) > 1 else 0)
        chain.set_ylim(0.5 - len(kinds), 0.5)
        chain.set_yticks([-row for row in range(len(kinds))], kinds)
        chain.tick_params(length=0, labelbottom=False)
        chain.spines[:].set_visible(False)
        loads.axhline(0, color="0.3", lw=0.8, zorder=0)
        # No name is a formula.
        loads.set_xticks(table.index, names, rotation=90 if upright else 0, parse_math=False)
        loads.set(ylabel="load; dashed: an even one", xlim=(0.2, count + 1.1))
        colours = mpl.cm.ScalarMappable(norm, _SHARES)
        bar = figure.colorbar(colours, ax=[chain, loads], extend="both", aspect=25, pad=0.01)
        bar.set_label("share of the fall, in even shares")
        handles, labels = loads.get_legend_handles_labels()
        for state in [state for state in _HATCHES if state in set(table.state)]:
            handles.append(Patch(facecolor="w", edgecolor="0.3", hatch=_HATCHES[state]))
            labels.append(state)
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def drawn_loads(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the loads of several networks beside each other, layer by layer.

    Tables have one row for each of the same layers, by its name, with the columns ``load``,
    ``low`` and ``high``.
    """
    names = [_end(name) for name in next(iter(tables.values())).index]
    count = len(names)
    upright = max(map(len, names)) > 50 / count
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(float(np.clip(0.62 * count + 2, 6.4, 14)), 3.6))
        axes = figure.subplots()
        for number, (label, part) in enumerate(tables.items()):
            style = {"color": COLOURS[number % 7], "fmt": "osD^vP*"[(number + number // 7) % 7]}
            shift = 0.6 * ((number + 0.5) / len(tables) - 0.5)
            _draw_intervals(axes, part, "", np.arange(1, count + 1) + shift, _end(label, 18), style)
        axes.axhline(0, color="0.3", lw=0.8, zorder=0)
        axes.set(ylabel="load")
        axes.set_xticks(range(1, count + 1), names, rotation=90 * upright, parse_math=False)
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def as_image(figure: Figure, description: str) -> str:
    """Return a figure as an element of a page; `description` is escaped already."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    data = base64.b64encode(file.getvalue()).decode()
    style = "max-width: 100%; background: white"
    return f'<img src="data:image/png;base64,{data}" alt="{description}" style="{style}">'


def _draw_chain(
    axes: Axes, height: float, parts: np.ndarray, states: list[str], norm: Normalize
) -> None:
    """Draw the wall, the members with their joints, and the pull, at this height."""
    ends: Any = {"color": "0.3", "solid_capstyle": "butt"}
    axes.plot([0.42, 0.42], [height - 0.36, height + 0.36], lw=5, **ends)
    axes.plot([0.45, len(parts) + 0.55], [height, height], lw=3, zorder=0, **ends)
    with_share = np.isfinite(parts).sum()
    for layer, (part, state) in enumerate(zip(parts, states, strict=True), start=1):
        known = np.isfinite(part)
        face = _SHARES(norm(part * with_share)) if known else "0.9"
        frame: Any = {"facecolor": face, "edgecolor": "0.15", "hatch": _HATCHES.get(state)}
        axes.add_patch(Rectangle((layer - 0.42, height - 0.3), 0.84, 0.6, lw=0.8, **frame))
        text = percent(part) if known else "?"
        # A white ground keeps the number legible on a hatch.
        ground = {"boxstyle": "round,pad=0.1", "facecolor": "w", "alpha": 0.8, "linewidth": 0}
        axes.text(layer, height, text, ha="center", va="center", fontsize=8.5, bbox=ground)
    joints = np.arange(len(parts) + 1) + 0.5
    axes.plot(joints[1:], np.full(len(parts), height), "o", color="0.3", ms=4)
    pull = {"arrowstyle": "-|>", "color": "0.3", "lw": 1.6}
    axes.annotate("", (len(parts) + 1.05, height), (len(parts) + 0.5, height), arrowprops=pull)


def _draw_loads(axes: Axes, table: pd.DataFrame, kind: str, shift: float) -> None:
    colour, marker, prefix = _LOOKS[kind]
    style: Any = {"fmt": marker, "color": colour}
    places = table.index.to_numpy() + shift
    _draw_intervals(axes, table, prefix, places, f"{kind} inputs", style)
    even = table[f"{prefix}load"].mean()  # of the layers that have one
    if np.isfinite(even):
        axes.axhline(even, color=colour, lw=1, ls="--")


def _draw_intervals(
    axes: Axes, table: pd.DataFrame, prefix: str, places: np.ndarray, label: str, style: Any
) -> None:
    load, low, high = (table[f"{prefix}{name}"].to_numpy(float) for name in ("load", "low", "high"))
    # Rounding may put the mean just outside an interval without width; errorbar refuses that.
    reach = np.stack([load - low, high - load]).clip(min=0)
    axes.errorbar(places, load, yerr=reach, label=label, capsize=2.5, elinewidth=1.2, **style)


def _end(name: str, length: int = 14) -> str:
    """Return the end of a layer's name, whatever it holds fit for a figure."""
    name = shown(name)
    return name if len(name) <= length else "…" + name[1 - length :]
