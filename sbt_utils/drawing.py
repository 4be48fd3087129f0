"""Load curves and stress maps as matplotlib figures, and the style of all figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from sbt_utils.measuring.curves import LoadCurve, interval, load_draws, shares
from sbt_utils.reporting.advice import OVERLOADED, percent
from sbt_utils.reporting.stress_map import StressMap
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


def load_curves(curves: Mapping[str, LoadCurve], xlabel: str = "layer l") -> Figure:
    """Draw load curves as measured and, beside them, scaled to [0, 1] with their chord.

    Parameters
    ----------
    curves : mapping of str to LoadCurve
        Under their labels; repeats appear as a band of one standard deviation.
    xlabel : str
        Label of the axis of layers.

    Examples
    --------
    >>> len(load_curves({"chain": LoadCurve([1.0, 0.4, 0.0])}).axes)
    2
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6))
        left, right = figure.subplots(1, 2)
        for index, (label, curve) in enumerate(curves.items()):
            # After seven curves colours repeat and markers shift: no two curves look alike.
            style: Any = {"marker": "osD^vP*"[(index + index // 7) % 7], "label": label}
            draw_curve(left, curve.mean, curve.spread, **style)
            draw_curve(right, curve.scaled, **style)
        last = max(len(curve.mean) for curve in curves.values()) - 1
        right.plot([0, last], [1, 0], color="0.5", lw=1, ls="--", zorder=0)
        left.set(xlabel=xlabel, ylabel="data separation D", title="as measured")
        right.set(xlabel=xlabel, ylabel="D, scaled to [0, 1]", title="shape; dashed: equal loads")
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def draw_curve(
    axes: Axes, mean: np.ndarray, spread: np.ndarray | None = None, **style: Any
) -> None:
    """Draw a curve over the layers, with a band of ± `spread`, both of shape (L + 1,)."""
    (line,) = axes.plot(mean, **style)
    if spread is not None:
        low, high = mean - spread, mean + spread
        axes.fill_between(range(len(mean)), low, high, color=line.get_color(), alpha=0.25, lw=0)


# Blue for less than an even share, red for more: colour-blind readers can tell them apart.
_SHARES = LinearSegmentedColormap.from_list(
    "stress", mpl.colormaps["RdBu_r"](np.linspace(0.12, 0.88, 65))
)
_HATCHES = {"overloaded": "////", "barely used": "....", "reversed": "xxxx", "unclear": "\\\\"}
_LOOKS = {"training": (COLOURS[0], "o"), "unseen": (COLOURS[1], "s")}


def stress_map(stress: StressMap) -> Figure:
    """Draw a network as a chain with one member per layer, coloured by its share of the load.

    Above, the chain on training images and, if given, on unseen ones: a wall at the input, the loss
    pulling at the other end, each member with its share in per cent, hatched where its state stands
    out. Below, the loads with their 95 % intervals, and the even load.

    Parameters
    ----------
    stress : StressMap
        From `sbt_utils.reporting.stress_map.report`.

    Examples
    --------
    >>> curve = LoadCurve([[3.0, 2.0, 1.0, 0.0], [3.2, 2.1, 1.1, 0.0]])
    >>> [axes.get_ylabel() for axes in stress_map(StressMap(curve)).axes]
    ['', 'load; dashed: an even one', 'share of the fall, in even shares']
    """
    curves = {"training": stress.train, "unseen": stress.test}
    rows = {kind: curve for kind, curve in curves.items() if curve is not None}
    table = stress.table
    count = len(table)
    names = [f"{layer} {_end(name)}".strip() for layer, name in table.layer.items()]
    upright = max(map(len, names)) > 50 / count
    height = 2.9 + 0.7 * len(rows) + (0.09 * max(map(len, names)) if upright else 0)
    norm = Normalize(0, OVERLOADED)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(float(np.clip(0.62 * count + 2, 6.4, 14)), height))
        chain, loads = figure.subplots(2, 1, sharex=True, height_ratios=[0.75 * len(rows), 2.2])
        for row, (kind, curve) in enumerate(rows.items()):
            states = table.state.tolist() if kind == "training" else [""] * count
            _draw_chain(chain, -row, shares(curve), states, norm)
            _draw_loads(loads, curve, kind, shift=0.12 * (2 * row - 1) if len(rows) > 1 else 0)
        chain.set_ylim(0.5 - len(rows), 0.5)
        chain.set_yticks([-row for row in range(len(rows))], rows)
        chain.tick_params(length=0, labelbottom=False)
        chain.spines[:].set_visible(False)
        loads.axhline(0, color="0.3", lw=0.8, zorder=0)
        names_in = {"rotation": 90 if upright else 0, "parse_math": False}  # no name is a formula
        loads.set_xticks(table.index, names, **names_in)
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


def _draw_chain(
    axes: Axes, height: float, parts: np.ndarray, states: list[str], norm: Normalize
) -> None:
    """Draw the wall, the members with their joints, and the pull, at this height."""
    ends: Any = {"color": "0.3", "solid_capstyle": "butt"}
    axes.plot([0.42, 0.42], [height - 0.36, height + 0.36], lw=5, **ends)
    axes.plot([0.45, len(parts) + 0.55], [height, height], lw=3, zorder=0, **ends)
    for layer, (part, state) in enumerate(zip(parts, states, strict=True), start=1):
        known = np.isfinite(part)
        face = _SHARES(norm(part * len(parts))) if known else "0.9"
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


def _draw_loads(axes: Axes, curve: LoadCurve, kind: str, shift: float) -> None:
    colour, marker = _LOOKS[kind]
    layers = np.arange(1, len(curve.mean)) + shift
    low, high = interval(load_draws(curve))
    style: Any = {"fmt": marker, "color": colour, "capsize": 2.5, "elinewidth": 1.2}
    # Rounding may put the mean just outside an interval without width; errorbar refuses that.
    reach = np.stack([curve.loads - low, high - curve.loads]).clip(min=0)
    axes.errorbar(layers, curve.loads, yerr=reach, label=f"{kind} images", **style)
    axes.axhline(curve.loads.mean(), color=colour, lw=1, ls="--")


def _end(name: str, length: int = 14) -> str:
    """Return the end of a layer's name, whatever it holds fit for a figure."""
    name = shown(name)
    return name if len(name) <= length else "…" + name[1 - length :]
