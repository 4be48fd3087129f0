"""The load curves of trained models at a glance, and what each block's removal costs them."""

from typing import Any

import matplotlib as mpl
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbt_book.common.panels import panels
from sbt_book.trained_models.experiment import TOKENS, stress_of
from sbt_book.trained_models.removal_costs import cost_table
from sbt_utils.drawing import COLOURS, STYLE, draw_curve
from sbt_utils.reporting.states import floor

MAPS = {
    "pitch network": ("pitch network", TOKENS[0]),
    "sentence encoder": ("sentence encoder", TOKENS[0]),
    "language model": ("language model", TOKENS[0]),
    "language model, first tokens left out": ("language model", TOKENS[1]),
}
"""The panels of `load_curves_at_a_glance`: which model, and which tokens of texts."""


def load_curves_at_a_glance(found: xr.Dataset) -> Figure:
    """Draw the load curves of the trained models, with their regimes.

    One panel per model, two for the language model: D of each layer on both parts of the inputs,
    with bands of one standard deviation over bootstrap draws; dashed, equal loads; dotted, D of
    shuffled labels, which is lower for the second part, of fewer inputs. `found` is from
    `sbt_book.trained_models.experiment.everything`.
    """
    with mpl.rc_context(STYLE):
        figure, grid = panels(len(MAPS), width=4.2, height=2.8)
        for axes, (title, (model, tokens)) in zip(grid, MAPS.items(), strict=True):
            stress = stress_of(found, model, tokens)
            if stress.train is None or stress.test is None:
                continue
            looks = {"first part": (stress.train, "o", 0), "second part": (stress.test, "s", 1)}
            for label, (curve, marker, colour) in looks.items():
                style: Any = {"marker": marker, "color": COLOURS[colour], "label": label}
                draw_curve(axes, curve.mean, curve.spread, **style)
            ends = stress.train.mean[[0, -1]]
            last = len(stress.layers) - 1
            axes.plot([0, last], ends, color="0.5", lw=1, ls="--", label="equal loads")
            for place, samples in enumerate(stress.images):
                label = "_" if place else "shuffled labels"
                chance = floor(samples, stress.classes[0])
                axes.axhline(chance, color=COLOURS[place], lw=1, ls=":", label=label)
            shape = f"{stress.regime}, convexity {stress.train.convexity:.2f}"
            axes.set_title(f"{title}\n{shape}", fontsize=10)
            axes.set(xlabel="layer l", ylabel="data separation D")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def can_it_go(found: xr.Dataset) -> Figure:
    """Draw what a model loses without each of its blocks, and the block's influence beside it.

    One panel per model, over the number of the block: the cost in nats with 95 % intervals of a
    bootstrap over inputs, and the block influence. Both are numbers without a unit on one
    logarithmic axis, so that series which rise and fall together can be seen to do so. Costs at or
    below zero are hollow, at the lower edge. Grey: layers that cannot be skipped. `found` is from
    `sbt_book.trained_models.experiment.everything`.
    """
    models = [str(model) for model in found.model.values]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 2.6 * len(models)))
        grid = figure.subplots(len(models), 1, squeeze=False)[:, 0]
        for axes, model in zip(grid, models, strict=True):
            _draw_costs(axes, found, model)
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _draw_costs(axes: Axes, found: xr.Dataset, model: str) -> None:
    """Draw one panel of `can_it_go`."""
    table = cost_table(found, model)
    last = int((found.name.sel(model=model) != "").sum()) - 1
    least = table[["cost", "influence"]].where(lambda part: part > 0).min(axis=None) / 3
    for number in sorted(set(range(1, last + 1)) - set(table.index)):
        label = "_" if axes.patches else "cannot be skipped"
        axes.axvspan(number - 0.4, number + 0.4, color="0.9", lw=0, label=label)
    free = table.cost <= 0
    reach = [table.cost - table.low.clip(lower=least), table.high - table.cost]
    style: Any = {
        "fmt": "o",
        "color": COLOURS[0],
        "capsize": 2,
        "label": "cost of removal, in nats",
    }
    dear = ~free
    axes.errorbar(
        table.index[dear] - 0.1,
        table.cost[dear],
        [part[dear].clip(lower=0) for part in reach],
        **style,
    )
    axes.plot(table.index[free], [least] * free.sum(), "o", mfc="none", color=COLOURS[0])
    style = {"marker": "s", "ls": "none", "color": COLOURS[1], "label": "block influence"}
    axes.plot(table.index + 0.1, table.influence, **style)
    axes.set_yscale("log")
    axes.set(title=model, xlabel="block l", xlim=(0.3, last + 0.7), ylabel="cost; influence")
