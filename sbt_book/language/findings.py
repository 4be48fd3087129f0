"""What was found of a trained language model: laws of its curves, and what tells whether it can go.

Everything is from `sbt_book.language.experiment.everything`.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.statistics import spearman
from sbt_utils.measuring.curves import curve_statistics, interval

PROXIES: Mapping[str, str] = {
    "load": "load",
    "influence": "block influence",
    "angle": "angle, all tokens",
    "last angle": "angle, last token",
    "update": "relative update",
    "lens change": "lens change",
}
"""What may tell the cost of leaving blocks out, and its name in tables."""

DRAWS = 1000
"""Of the bootstrap over pieces of text."""


def blocks_only(found: xr.Dataset) -> xr.Dataset:
    """Return the states between blocks, l = 0..L: without those behind attention."""
    return found.sel(depth=found.depth % 1 == 0)


def law_table(found: xr.Dataset) -> pd.DataFrame:
    """Return the shapes of the load curve and of the prediction residual.

    Returns
    -------
    pandas.DataFrame
        One row per kind of text: ``fall`` of D; ``convexity`` with the ends ``low`` and ``high`` of
        its 95 % interval, of a bootstrap over texts; r of depth and log PR, ``r`` on the tokens of
        the fit, ``r_held_out`` on others, and of the controls.
    """
    one = blocks_only(found)
    rows = {}
    for text in one.text.values:
        part = one.sel(text=text)
        draws = part.separation.transpose("draw", "depth").values
        mean = draws.mean(0)
        low, high = interval(curve_statistics(draws, "convexity"))
        row = {
            "fall": mean[0] - mean[-1],
            "convexity": float(curve_statistics(mean, "convexity")),
            "low": float(low),
            "high": float(high),
            "r": law_r(part.residual.sel(target="next")),
            "r_held_out": law_r(part.held_out.sel(target="next").mean("fold")),
        }
        controls = [target for target in part.target.values if target != "next"]
        rows[text] = row | {t: law_r(part.residual.sel(target=t)) for t in controls}
    return pd.DataFrame(rows).T


def law_r(residual: xr.DataArray) -> float:
    """Return Pearson's r of depth and log PR over the blocks, without the embedding."""
    values = residual.where(residual.depth >= 1, drop=True)
    return float(np.corrcoef(values.depth, np.log(values))[0, 1])


def share_table(found: xr.Dataset) -> pd.DataFrame:
    """Return what attention and MLPs do to D, as sums over the blocks, per kind of text.

    A bootstrap over texts yields the ends ``_low`` and ``_high`` of the 95 % intervals.
    """
    loads = -found.separation.diff("depth", label="upper")
    rows: dict[str, dict[str, float]] = {}
    for text in found.text.values:
        rows[text] = {}
        for name, rest in {"attention": 0.5, "MLP": 0.0}.items():
            part = loads.sel(text=text, depth=loads.depth % 1 == rest).sum("depth").values
            low, high = interval(part)
            ends = {f"{name}_low": float(low), f"{name}_high": float(high)}
            rows[text] |= {name: float(part.mean())} | ends
    return pd.DataFrame(rows).T


def _runs(found: xr.Dataset) -> xr.Dataset:
    """Return the cost and the `PROXIES` of each run, (text, piece, start, length)."""
    runs = found[["influence", "angle", "last angle", "update", "lens change"]]
    curve = blocks_only(found).separation.mean("draw")
    ends = found.start + found.length
    load = curve.sel(depth=found.start - 1) - curve.sel(
        depth=(ends - 1).clip(max=int(curve.depth[-1]))
    )
    cost = found.loss_without - found.loss
    load = load.broadcast_like(cost).where(cost.notnull())
    return runs.assign(cost=cost, load=load)


def cost_table(found: xr.Dataset) -> pd.DataFrame:
    """Return the mean cost in nats of leaving out each block, with an interval, and the `PROXIES`.

    One row per block, by its number l: ``cost`` over all kinds of text with the ends ``low`` and
    ``high`` of a 95 % interval of a bootstrap over pieces.
    """
    single = _runs(found).sel(length=1)
    means = single.mean(["text", "piece"])
    drawn = _drawn(single.cost.transpose("text", "piece", "start").values)
    low, high = interval(drawn)
    columns = {"cost": means.cost.values, "low": low, "high": high}
    columns |= {name: means[name].values for name in PROXIES}
    return pd.DataFrame(columns, index=pd.Index(found.start.values, name="l"))


def _drawn(values: np.ndarray) -> np.ndarray:
    """Return means (draws, ...) of (text, piece, ...), pieces of each kind drawn anew."""
    rng = np.random.default_rng(0)
    texts, pieces = values.shape[:2]
    chosen = rng.integers(pieces, size=(DRAWS, texts, pieces))
    weights = (chosen[..., None] == np.arange(pieces)).mean(2) / texts
    return np.einsum("dtp,tp...->d...", weights, values)


def correlation_table(found: xr.Dataset) -> pd.DataFrame:
    """Return the rank correlation of each of the `PROXIES` with the cost.

    Returns
    -------
    pandas.DataFrame
        One row per proxy. ``single``: over the blocks; ``runs``: over the runs of each length from
        2 to 8, and their mean; with the ends ``_low`` and ``_high`` of 95 % intervals of a
        bootstrap over pieces. ``below_influence``: by how much ``single`` is below that of the
        block influence, with an interval.
    """
    runs = _runs(found).transpose("text", "piece", "start", "length")
    whole = {name: runs[name].mean(["text", "piece"]).values for name in ("cost", *PROXIES)}
    drawn = {name: _drawn(np.nan_to_num(runs[name].values)) for name in ("cost", *PROXIES)}
    absent = np.isnan(runs.cost.values[0, 0])
    for values in drawn.values():
        values[:, absent] = np.nan
    pairs = {name: (_ranks(whole, name), _ranks(drawn, name)) for name in PROXIES}
    best, best_drawn = pairs["influence"]
    rows: dict[str, dict[str, float]] = {}
    for name, (ranks, draws) in pairs.items():
        columns = {
            "single": (ranks[0], draws[:, 0]),
            "runs": (ranks[1:].mean(), draws[:, 1:].mean(1)),
            "below_influence": (best[0] - ranks[0], best_drawn[:, 0] - draws[:, 0]),
        }
        rows[name] = {}
        for column, (value, column_draws) in columns.items():
            low, high = interval(column_draws)
            rows[name] |= {column: float(value)}
            rows[name] |= {f"{column}_low": float(low), f"{column}_high": float(high)}
    return pd.DataFrame(rows).T


def _ranks(values: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return the rank correlation (..., length) of a proxy and the cost (..., start, length)."""
    return spearman(np.swapaxes(values[name], -1, -2), np.swapaxes(values["cost"], -1, -2))


def choice_table(found: xr.Dataset) -> pd.DataFrame:
    """Return what it costs to leave out several blocks at once, by how they are chosen.

    Returns
    -------
    pandas.DataFrame
        One row per size and choice, ``"random"`` for the median of random sets: ``cost`` in nats,
        mean over all kinds of text, with the ends ``low`` and ``high`` of a bootstrap over pieces;
        ``beats``, the share of random sets that cost more, mean over the kinds of text.
    """
    cost = (found.set_loss - found.loss).transpose("text", "piece", "size", "choice")
    chance = np.array([str(name).startswith("random") for name in found.choice.values])
    means = cost.mean("piece")
    random = means.isel(choice=chance)
    rows: dict[tuple[int, str], dict[str, float]] = {}
    for size in found["size"].values:
        for name in found.choice.values[~chance]:
            one = cost.sel(size=size, choice=name)
            low, high = interval(_drawn(one.values))
            beaten = random.sel(size=size) > means.sel(size=size, choice=name)
            values = {"cost": float(one.mean()), "low": float(low), "high": float(high)}
            rows[size, name] = values | {"beats": float(beaten.mean())}
        middle = float(random.sel(size=size).mean("text").median())
        low, high = np.quantile(random.sel(size=size).mean("text"), [0.05, 0.95])
        rows[size, "random"] = {"cost": middle, "low": low, "high": high, "beats": 0.5}
    return pd.DataFrame(rows).T.rename_axis(index=["blocks", "choice"])
