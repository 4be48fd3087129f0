"""What depth and width do to load curves: laws to hold them against."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.optimize import brentq
from scipy.stats import t

from sbt_book.common.collapsing import collapse as common_collapse
from sbt_book.common.selections import convexity
from sbt_book.common.statistics import mean_interval
from sbt_utils.measuring.curves import curve_statistics
from sbt_utils.mechanics.chain import SpringBlockChain

SEEDS = {"three seeds": slice(3), "seven new": slice(3, None), "all ten": slice(None)}
"""The seeds of weight noise and of shapes, as they were looked at."""


def shape_convexities(shapes: xr.Dataset) -> xr.DataArray:
    """Return the convexities (shape, seed) of networks whose curves (..., layer) differ in length.

    A curve ends where nan stands at all deeper layers; nan of a seed that a shape does not have.
    """
    curves = shapes.separation_train
    found = xr.full_like(curves.isel(layer=0, drop=True), np.nan)
    for depth in np.unique(shapes.hidden_layers):
        of_depth = shapes.hidden_layers == depth
        found = found.where(~of_depth, convexity(curves.isel(layer=slice(int(depth) + 1))))
    return found


def shape_table(shapes: xr.Dataset, by: str) -> pd.DataFrame:
    """Return what became of the networks of a series, a row for each value of the setting `by`.

    Means over the seeds: the ``convexity``, with the ends ``low`` and ``high`` of its 95 %
    interval; the whole ``fall`` of D; the ``accuracy`` on test images; the ``loss``.
    """
    rows = {}
    convexities = shape_convexities(shapes)
    for index, value in enumerate(shapes[by].values.tolist()):
        one = shapes.isel(shape=index)
        mean, low, high = mean_interval(convexities[index].values)
        curve = one.separation_train.mean("seed")
        rows[value] = {
            "convexity": mean,
            "low": low,
            "high": high,
            "fall": float(curve[0] - curve[int(one.hidden_layers)]),
            "accuracy": float(one.accuracy_test.mean()),
            "loss": float(one.loss_train.mean()),
        }
    return pd.DataFrame(rows).T.rename_axis(by)


def difference_interval(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Return the mean difference of two samples, and its 95 % interval by Welch's t."""
    one, other = one[np.isfinite(one)], other[np.isfinite(other)]
    parts = np.array([one.var(ddof=1) / len(one), other.var(ddof=1) / len(other)])
    freedom = parts.sum() ** 2 / (parts**2 / [len(one) - 1, len(other) - 1]).sum()
    mean = float(one.mean() - other.mean())
    half = float(t.ppf(0.975, freedom) * parts.sum() ** 0.5)
    return mean, mean - half, mean + half


def chain_convexity(blocks: int, friction: float) -> float:
    """Return the convexity of a chain at rest, pulled by 1, whose springs have the constant 1.

    Examples
    --------
    >>> round(chain_convexity(7, 0.0), 6)
    0.0
    """
    chain = SpringBlockChain(
        blocks, spring_constant=1.0, friction_right=friction, friction_left=friction, noise=0.0
    )
    separation = 1 - np.concatenate([[0.0], np.cumsum(chain.static_loads())[:blocks]])
    return float(curve_statistics(separation, "convexity"))


def chains_of_depth(lazy: float, depths: Sequence[int], reference: int = 7) -> dict[int, float]:
    """Return the convexities of chains of the friction that gives one of them its convexity.

    `lazy`, below 0, is that of the chain of `reference` blocks.
    """
    friction = brentq(lambda mu: chain_convexity(reference, mu) - lazy, 0.0, 0.2)
    return {depth: chain_convexity(depth, friction) for depth in depths}


def judged_numbers(shapes: xr.Dataset, chain: Mapping[int, float]) -> pd.DataFrame:
    """Return the numbers by which the predictions about other shapes are judged.

    `shapes` (shape, seed) are of all series; `chain` is from `chains_of_depth`, and a collapse has
    the convexity that it gives to 7 layers. Columns: the ``value``, and the ends ``low`` and
    ``high`` of its 95 % interval over the seeds, nan for distances and ranges.
    """
    convexities = shape_convexities(shapes)

    def of(series: str, setting: str, value: float) -> np.ndarray:
        chosen = (shapes.series.values == series) & np.isclose(shapes[setting], value)
        return np.asarray(convexities.values[chosen.argmax()])

    def spread(series: str) -> float:
        means = [of(series, "width", width).mean() for width in (25, 50, 100, 200)]
        return float(np.ptp(means))

    depths = {depth: of("depth", "hidden_layers", depth) for depth in (4, 12, 20, 32)}
    deep, *others = (of("depth, dropout", "hidden_layers", depth) for depth in (12, 4, 7))
    hidden = {scale: of("hidden scale", "hidden_scale", scale) for scale in (0.25, 4)}
    rate = {times: of("rate", "learning_rate", 1e-3 * times) for times in (0.25, 4)}
    readout = [of("readout scale", "readout_scale", scale) for scale in (4, 0.25)]
    means = {depth: values.mean() for depth, values in depths.items()}
    none = (np.nan, np.nan)
    rows = {
        "depth, distance to the chain": (np.mean([abs(means[d] - chain[d]) for d in means]), *none),
        "depth, distance to a collapse": (
            np.mean([abs(means[d] - chain[7]) for d in means]),
            *none,
        ),
        "20 layers": mean_interval(depths[20]),
        "32 layers": mean_interval(depths[32]),
        "dropout, 12 layers less 4": difference_interval(deep, others[0]),
        "dropout, 12 layers less 7": difference_interval(deep, others[1]),
        "400 units": mean_interval(of("width", "width", 400)),
        "range of widths, rate 0.001": (spread("width"), *none),
        "range of widths, rate 0.1 / width": (spread("width, rate"), *none),
        "hidden weights × 1/4 less rate × 4": difference_interval(hidden[0.25], rate[4]),
        "hidden weights × 4 less rate × 1/4": difference_interval(hidden[4], rate[0.25]),
        "hidden weights × 1/4 less rate × 1/4": difference_interval(hidden[0.25], rate[0.25]),
        "hidden weights × 4 less rate × 4": difference_interval(hidden[4], rate[4]),
        "read-out × 4 less × 1/4": difference_interval(*readout),
    }
    return pd.DataFrame(rows, index=["value", "low", "high"]).T


def number_words(numbers: pd.DataFrame) -> pd.Series:
    """Return the rows of `judged_numbers` as words such as ``"-0.067 (-0.140 to 0.006)"``."""
    words = {
        name: f"{row.value:.3f}"
        + (f" ({row.low:.3f} to {row.high:.3f})" if np.isfinite(row.low) else "")
        for name, row in numbers.iterrows()
    }
    return pd.Series(words)


def collapse(shapes: xr.Dataset, draws: int = 1000) -> tuple[float, float]:
    """Return what `sbt_book.common.collapsing.collapse` says of shapes of different depths."""
    curves = {}
    for index, layers in enumerate(shapes.hidden_layers.values.tolist()):
        found = shapes.separation_train.isel(shape=index, layer=slice(layers + 1)).values
        curves[index] = found[np.isfinite(found).all(1)]
    return common_collapse(curves, draws)


WIDTH_LAWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "1 / width": lambda width: 1 / width,
    "log width": np.log,
}
"""Two laws of the convexity c over the width w: c = a + b f(w), with these f."""


def extrapolated(known: dict[int, float], widths: Sequence[int]) -> pd.DataFrame:
    """Return what the laws of `WIDTH_LAWS`, fitted to known convexities, say of other widths.

    Examples
    --------
    >>> known = {25: 0.016, 50: -0.109, 100: -0.167, 200: -0.207}
    >>> extrapolated(known, [400]).round(3).iloc[0].tolist()
    [-0.219, -0.299]
    """
    columns = {}
    for name, law in WIDTH_LAWS.items():
        line = np.polyfit(law(np.array(list(known), float)), list(known.values()), 1)
        columns[name] = np.polyval(line, law(np.array(widths, float)))
    return pd.DataFrame(columns, index=list(widths))
