"""Networks and chains that are pushed, cycled and listened to, side by side."""

from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbt_book.common.panels import series_look, shade_equiseparated
from sbt_book.common.statistics import bootstrap_interval
from sbt_book.friction import jerks, loops
from sbt_book.friction.cycling import loop_area, swing
from sbt_book.friction.response import fit_thresholds, responses
from sbt_utils.drawing import COLOURS, STYLE


def push_figure(found: xr.Dataset) -> Figure:
    """Draw how far a layer, and a block, gives way to a push, over the force and in proportion.

    A row for each strength of noise, networks left and chains right; a line for each slope. What
    gives way in proportion is level. Means over ten, divided by the largest of them.
    """
    with mpl.rc_context(STYLE | {"font.size": 11}):
        pairs = responses(found, "networks"), responses(found, "chains")
        rows = pairs[0].sizes["noise"]
        figure = Figure(figsize=(8.4, 2.3 * rows + 0.6))
        grid = figure.subplots(rows, 2, sharex=True, sharey=True)
        for column, pushed in enumerate(pairs):
            compliance = (pushed / pushed.force).mean("seed")
            relative = compliance / compliance.max("force")
            for row, noise in enumerate(pushed.noise.values):
                axes = grid[row, column]
                for index, slope in enumerate(pushed.slope.values):
                    line = relative.sel(noise=noise, slope=slope)
                    axes.plot(line.force, line, **series_look(index), ms=4)
                word = ("dropout", "noise")[column]
                axes.set_title(f"{('networks', 'chains')[column]}, {word} {noise:g}", fontsize=11)
                axes.set_xscale("symlog", linthresh=0.002, linscale=0.3)
                axes.set_xticks([-0.1, -0.01, 0, 0.01, 0.1], ["-0.1", "-0.01", "0", "0.01", "0.1"])
                axes.axvline(0, color="0.8", lw=1, zorder=0)
                axes.set_ylim(-0.08, 1.15)
        for axes, name in zip(
            grid[-1], ("force λ on layer 4", "force on block 4, k y"), strict=True
        ):
            axes.set_xlabel(name)
        figure.supylabel("response over force, relative", fontsize=11)
        labels = [f"α = {slope:g}" for slope in pairs[0].slope.values]
        figure.legend(grid[0, 0].lines[: len(labels)], labels, loc="outside lower center", ncols=4)
    return figure


def mobility_figure(found: xr.Dataset) -> Figure:
    """Draw the width of the thresholds and the mobility over the noise, a line for each slope.

    Above, the width, of networks left and of chains right; below, the mobility: by plain gradient
    descent, and of blocks under the weakest force. Bars: 95 % intervals of the mean over ten.
    """
    weak = found.descended.isel(layer=4).rename(dropout="noise")
    force = float(np.abs(found.force).min())
    chain = found.chain_pushed.sel(force=[-force, force])
    mobilities = weak / 0.03, (chain / chain.force).mean("force")
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure = Figure(figsize=(8.4, 5.6))
        grid = figure.subplots(2, 2, sharex="col", sharey="row")
        for column, kind in enumerate(("networks", "chains")):
            pushed = responses(found, kind).transpose("slope", "noise", "seed", "force")
            width = fit_thresholds(pushed.force.values, pushed.values).width
            _over_noise(grid[0, column], pushed.isel(force=0).copy(data=width))
            mobility = mobilities[column].transpose("slope", "noise", "seed")
            _over_noise(grid[1, column], mobility / mobility.isel(slope=-1, noise=-1).mean())
            grid[0, column].set(title=kind)
        grid[0, 0].set(ylabel="width of the thresholds", ylim=(-0.005, 0.11))
        grid[1, 0].set(ylabel="mobility, relative", yscale="log")
        grid[1, 0].set_xlabel("dropout")
        grid[1, 1].set_xlabel("noise, k y")
        grid[0, 0].axhline(0.01, color="0.6", lw=1, ls=":")
        grid[0, 1].axhline(0.01, color="0.6", lw=1, ls=":")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _over_noise(axes: Axes, values: xr.DataArray) -> None:
    """Draw means of values (slope, noise, seed) over the noise, with their intervals."""
    for index, slope in enumerate(values.slope.values):
        rows = values.sel(slope=slope).transpose("noise", "seed").values
        mean = rows.mean(1)
        ends = np.array([bootstrap_interval(row) for row in rows]).T
        bars = np.abs(ends - mean)
        look = series_look(index) | {"capsize": 3, "elinewidth": 1, "ms": 5}
        axes.errorbar(values.noise, mean, yerr=bars, label=f"α = {slope:g}", **look)


def loops_figure(found: xr.Dataset) -> Figure:
    """Draw the loops of networks and of chains, their swings and their areas over the period.

    Above, the mean convexity over the drive at the fastest and the slowest speed; in the middle,
    the swing of that mean, and below, the area, with 95 % intervals. Hollow: the fastest loop once
    more, in networks that are older.
    """
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure = Figure(figsize=(8.4, 9.4))
        grid = figure.subplots(3, 2)
        names = ["noise, dry", "pull, dry", "pull, no friction", "pull, honey"]
        for column, kinds in enumerate((["networks"], names)):
            above, middle, below = grid[:, column]
            shade_equiseparated(above.axhspan)
            for index, name in enumerate(kinds):
                cycled = loops.cycles(found, name)
                _draw_loops(above, cycled, COLOURS[index % len(COLOURS)], loops.NAMES[name])
                _draw_rates(middle, below, cycled, loops.NAMES[name], series_look(index))
            for axes in (middle, below):
                axes.set_xscale("log")
                axes.set_xticks(cycled.period.values, [f"{p:g}" for p in cycled.period.values])
                axes.minorticks_off()
            middle.set_yscale("log")
            below.axhline(0, color="0.6", lw=1, zorder=0)
            below.set_xlabel("period, epochs")
        again = found.cycled_again.expand_dims(period=found.period.values[:1])
        look = series_look(0) | {"mfc": "white", "ms": 9, "zorder": 1}
        _draw_rates(grid[1, 0], grid[2, 0], again, "the fastest once more", look)
        grid[0, 0].set(title="networks", xlabel="dropout", ylabel="convexity")
        grid[0, 0].set_xticks([0, 0.4, 0.8, 1], ["0.05", "0.15", "0.25", "0.3"])
        grid[0, 1].set(title="chains", xlabel="noise or pull, lowest to highest")
        grid[0, 1].set_xticks([0, 1], ["lowest", "highest"])
        grid[1, 0].set_ylabel("swing")
        grid[2, 0].set_ylabel("area of the loop")
        grid[0, 0].legend(fontsize=9)
        grid[1, 0].legend(fontsize=9)
        figure.legend(*grid[1, 1].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _draw_rates(
    swings: Axes, areas: Axes, cycled: xr.DataArray, label: str, look: dict[str, Any]
) -> None:
    """Draw the swing of the mean and the area over the period, with 95 % intervals."""
    values = cycled.transpose("period", "seed", "reading").values
    bars = {"capsize": 3, "elinewidth": 1, "label": label}
    for axes, middle, ends in (
        (
            swings,
            swing(values.mean(1)),
            [bootstrap_interval(row, lambda v, axis: swing(v.mean(axis))) for row in values],
        ),
        (
            areas,
            loop_area(values).mean(1),
            [bootstrap_interval(row) for row in loop_area(values)],
        ),
    ):
        low, high = np.array(ends).T
        # Of the swing, a range, draws may all be wider than that of the mean.
        errors = np.maximum([middle - low, high - middle], 0)
        axes.errorbar(cycled.period, middle, errors, **(look | bars))


def mark_figure(found: xr.Dataset) -> Figure:
    """Draw the convexity at the lowest dropout of networks that were shaken and of others.

    Lines are means over ten networks, shades their 95 % intervals.
    """
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure = Figure(figsize=(6.4, 3.8))
        axes = figure.subplots()
        shade_equiseparated(axes.axhspan)
        for index, history in enumerate(found.history.values):
            rows = found.held.sel(history=history).transpose("held_epoch", "seed").values
            low, high = np.array([bootstrap_interval(row) for row in rows]).T
            look = series_look(index) | {"ms": 4}
            axes.plot(found.held_epoch, rows.mean(1), label=str(history), **look)
            axes.fill_between(found.held_epoch, low, high, color=look["color"], alpha=0.2, lw=0)
        axes.set(xlabel="epochs at a dropout of 0.05", ylabel="convexity")
        axes.legend()
    return figure


def _draw_loops(axes: Axes, cycled: xr.DataArray, colour: str, name: str) -> None:
    """Draw the mean loops at the fastest speed, dashed, and the slowest, with their direction."""
    count = cycled.sizes["reading"] * 2 // 3 + 1
    for number, style, speed in ((0, "--", "fast"), (-1, "-", "slow")):
        cycle = cycled.isel(period=number)
        mean, drive = cycle.mean("seed").values[:count], cycled.drive.values[:count]
        label = f"{speed}, period {int(cycle.period)}" if name.startswith("networks") else None
        axes.plot(drive, mean, style, color=colour, lw=1.6, label=label)
        start = count // 8
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.2}
        for at in (start, start + count // 2):
            axes.annotate(
                "", (drive[at + 1], mean[at + 1]), (drive[at], mean[at]), arrowprops=arrow
            )


def jerks_figure(found: xr.Dataset) -> Figure:
    """Draw which share of the jerks is larger than a size, networks left and chains right.

    Dashed: the power law that fits the tail best.
    """
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure = Figure(figsize=(8.4, 4.0))
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, kind in ((left, "networks"), (right, "chains")):
            named = {k: v for k, v in jerks.event_sizes(found).items() if k.startswith(kind)}
            for index, (name, sizes) in enumerate(named.items()):
                pooled = np.sort(sizes[np.isfinite(sizes)])
                share = 1 - np.arange(len(pooled)) / len(pooled)
                colour = COLOURS[index % len(COLOURS)]
                label = name.removeprefix(f"{kind}, ")
                axes.plot(pooled, share, color=colour, lw=1.8, label=label)
                tail = jerks.fit_tail(pooled)
                first = np.searchsorted(pooled, tail.threshold)
                sizes = np.geomspace(tail.threshold, pooled[-1], 20)
                law = share[first] * (sizes / tail.threshold) ** (1 - tail.exponent)
                axes.plot(sizes, law, "--", color=colour, lw=1)
            axes.set(xscale="log", yscale="log", title=kind, ylim=(1e-4, 1.5), xlim=(0.02, 40))
            axes.set_xlabel("size over its mean")
            axes.legend(fontsize=9, loc="lower left")
        left.set_ylabel("share of jerks that are larger")
    return figure
