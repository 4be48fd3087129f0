"""What the networks of He & Su's protocol say of the law, beside loads taken at random."""

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import binom, binomtest

from sbt_utils.measuring.curves import curve_statistics

PUBLISHED = 0.98
"""The magnitude of r that He & Su report as a rule."""


def random_load_linearity(loads: int, curves: int = 100_000, seed: int = 0) -> np.ndarray:
    """Return abs(r) (curves,) of curves whose loads are independent and exponentially distributed.

    All ways of dividing the fall among the layers are then equally likely: a null model for a law
    that says all layers do the same.

    Examples
    --------
    >>> bool(random_load_linearity(19).mean() > 0.98)
    True
    """
    drawn = np.random.default_rng(seed).exponential(size=(curves, loads))
    deviations = np.arange(loads + 1) - loads / 2
    fallen = np.pad(drawn.cumsum(1), ((0, 0), (1, 0)))
    fallen -= fallen.mean(1, keepdims=True)
    return fallen @ deviations / np.sqrt((deviations @ deviations) * (fallen**2).sum(1))


def median_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the median of a sample and an interval that holds the true one, free of assumptions.

    The ends are the innermost pair of sorted values between which the median of a continuous
    distribution lies with at least 95 % confidence (the sign test's): the second and the ninth of
    ten. With fewer than six values no pair is so sure, and the ends are the extremes.

    Examples
    --------
    >>> median_interval(np.arange(10.0))
    (4.5, 1.0, 8.0)
    """
    ordered = np.sort(np.asarray(values, float))
    ordered = ordered[np.isfinite(ordered)]
    outside = max(int(binom.ppf(0.025, len(ordered), 0.5)) - 1, 0)
    return float(np.median(ordered)), float(ordered[outside]), float(ordered[-1 - outside])


def linearity_magnitudes(found: xr.Dataset) -> xr.DataArray:
    """Return abs(r) of (l, D_l), (run, statistics, measure, seed), of `law_protocol`'s results."""
    rows = []
    for run in range(found.sizes["run"]):
        curves = found.separation.isel(run=run, layer=slice(0, found.depth.values[run]))
        curves = curves.transpose("statistics", "measure", "seed", "layer")
        rows.append(abs(curve_statistics(curves.values, "linearity")))
    dims = ("run", "statistics", "measure", "seed")
    coordinates = {n: found[n] for n in (*dims[1:], "depth", "optimizer", "rate", "frozen")}
    return xr.DataArray(np.stack(rows), coordinates, dims)


def protocol_summary(found: xr.Dataset) -> pd.DataFrame:
    """Return what the law comes to in each run of `law_protocol`, a row each.

    Returns
    -------
    pandas.DataFrame
        ``depth`` (read-out counted), ``optimizer``, ``rate``, ``frozen``; ``median``, ``low`` and
        ``high`` of abs(r) of the fuzziness over seeds, measured as published (`median_interval`),
        and ``published``; ``verdict``, "holds" if the median is at least `PUBLISHED`, "fails" if
        the interval lies below, else "open"; ``null``, the 95 % point of `random_load_linearity`,
        and ``beyond_null``, whether the median is above it; ``running`` and ``trace``, medians with
        the running statistics, and of the trace measure as published; ``accuracy``, the mean on
        test images.
    """
    magnitudes = linearity_magnitudes(found)
    rows = []
    for run, depth in enumerate(found.depth.values.tolist()):
        of = magnitudes.isel(run=run)
        median, low, high = median_interval(of.sel(statistics="batch", measure="fuzziness").values)
        null = float(np.quantile(random_load_linearity(depth - 1), 0.95))
        others = {"running": ("running", "fuzziness"), "trace": ("batch", "trace")}
        rows.append(
            {name: found[name].values[run].item() for name in ("depth", "optimizer", "rate")}
            | {"frozen": bool(found.frozen.values[run]), "median": median, "low": low, "high": high}
            | {"published": PUBLISHED, "null": null, "beyond_null": median > null}
            | {
                "verdict": "holds"
                if median >= PUBLISHED
                else "fails"
                if high < PUBLISHED
                else "open"
            }
            | {
                name: of.sel(statistics=statistics, measure=measure).median("seed").item()
                for name, (statistics, measure) in others.items()
            }
            | {"accuracy": found.accuracy_test.isel(run=run).mean().item()}
        )
    return pd.DataFrame(rows)


def protocol_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Return `protocol_summary` as chapter 1 shows it."""
    optimizer = summary.optimizer + np.where(summary.frozen, ", frozen", "")
    interval = [
        f"{row.median:.3f} ({row.low:.3f} to {row.high:.3f})" for row in summary.itertuples()
    ]
    return pd.DataFrame(
        {
            "layers": summary.depth,
            "optimiser": optimizer,
            "rate": summary.rate.map("{:g}".format),
            "|r|, fuzziness": interval,
            "the law": summary.verdict,
            "highest 5 % by chance": summary.null.map("{:.3f}".format),
            "|r|, running": summary.running.map("{:.3f}".format),
            "|r|, trace": summary.trace.map("{:.3f}".format),
            "accuracy": summary.accuracy.map("{:.1%}".format),
        }
    )


def frozen_against_joint(found: xr.Dataset) -> tuple[int, int, float]:
    """Return in how many seeds freezing makes r weaker, of how many, and how likely by chance.

    As published: fuzziness, batch statistics. The chance is that of as many or more (sign test).
    """
    magnitudes = linearity_magnitudes(found).sel(statistics="batch", measure="fuzziness")
    (frozen,) = np.flatnonzero(found.frozen.values)
    alike = (found.depth == found.depth[frozen]) & (found.optimizer == found.optimizer[frozen])
    (joint,) = np.flatnonzero(alike.values & (found.frozen.values == 0))
    difference = (magnitudes.isel(run=frozen) - magnitudes.isel(run=joint)).dropna("seed")
    smaller, seeds = int((difference < 0).sum()), difference.sizes["seed"]
    return smaller, seeds, binomtest(smaller, seeds, alternative="greater").pvalue
