"""The load curve of a language model, its prediction residual, and which blocks can go."""

from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.common.panels import series_look
from sbt_book.language.findings import blocks_only, choice_table, cost_table, law_table
from sbt_utils.drawing import COLOURS, STYLE, draw_curve


def curve_and_law(found: xr.Dataset) -> Figure:
    """Draw D and the prediction residual over the blocks, for each kind of text.

    Left, D of tokens by what comes next, with bands of one standard deviation over draws of texts;
    dotted, D of shuffled classes. Right, PR of the next token on a logarithmic axis: filled, on the
    tokens of the fit; hollow, on texts that it has not seen. `found` is from
    `sbt_book.language.experiment.everything`.
    """
    one, laws = blocks_only(found), law_table(found)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.8))
        left, right = figure.subplots(1, 2)
        for index, text in enumerate(one.text.values):
            part, look = one.sel(text=text), series_look(index) | {"ms": 3.5}
            draws = part.separation.transpose("draw", "depth").values
            shape = laws.convexity[text]
            words = f"convexity {shape:.2f}" if np.isfinite(shape) else "does not fall"
            draw_curve(left, draws.mean(0), draws.std(0), label=f"{text}, {words}", **look)
            label = "shuffled" if index == 0 else "_"
            left.axhline(float(part.floor), color=look["color"], lw=1, ls=":", label=label)
            held = part.held_out.sel(target="next").mean("fold")
            style: Any = look | {"lw": 1}
            law = f"{text}, r = {laws.r[text]:.2f}, unseen {laws.r_held_out[text]:.2f}"
            right.plot(part.depth, part.residual.sel(target="next"), label=law, **style)
            right.plot(part.depth, held, mfc="none", ls="--", label="_", **style)
        left.set(xlabel="block l", ylabel="data separation D", title="load curve")
        right.set(xlabel="block l", ylabel="prediction residual PR", title="law of He and Su")
        right.set_yscale("log")
        for named in (right.yaxis.set_major_formatter, right.yaxis.set_minor_formatter):
            named("{x:.1f}")
        for axes in (left, right):
            axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False)
    return figure


def cost_of_removal(found: xr.Dataset) -> Figure:
    """Draw the cost of leaving out blocks against load and influence, and of sets of blocks.

    Left and middle: a dot per block, its number beside the dearest, with 95 % intervals over
    pieces of text. Right: several blocks at once, chosen in four ways; grey, the middle 90 % of
    random sets. `found` is from `sbt_book.language.experiment.everything`.
    """
    table = cost_table(found)
    least = max(table.cost[table.cost > 0].min() / 2, 0.003)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 3.6))
        first, second, third = figure.subplots(1, 3)
        for axes, name, colour in ((first, "load", 0), (second, "influence", 1)):
            cost = table.cost.clip(lower=least)
            reach = [cost - table.low.clip(lower=least), (table.high - cost).clip(lower=0)]
            style: Any = {"fmt": "o", "ms": 4, "lw": 0.8, "color": COLOURS[colour]}
            axes.errorbar(table[name], cost, np.maximum(reach, 0), **style)
            for number in table.cost.nlargest(5).index:
                place = (table[name][number], cost[number])
                axes.annotate(str(number), place, (4, 3), textcoords="offset points", fontsize=8)
            axes.set_yscale("log")
        first.set(xlabel="load of the block", ylabel="cost of leaving it out (nats)")
        second.set(xlabel="block influence, 1 - cosine")
        second.set_xscale("log")
        chosen = choice_table(found)
        sizes = chosen.index.unique("blocks")
        random = chosen.xs("random", level="choice")
        third.fill_between(sizes, random.low, random.high, color="0.85", label="random, 90 %")
        names = [name for name in chosen.index.unique("choice") if name != "random"]
        for index, name in enumerate(names):
            one = chosen.xs(name, level="choice")
            third.plot(sizes, one.cost, label=name, **series_look(index))
        third.set(xlabel="blocks left out at once", ylabel="cost (nats)", xticks=sizes)
        third.legend(fontsize=8)
    return figure
