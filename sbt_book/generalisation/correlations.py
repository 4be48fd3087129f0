"""How far the shape of a load curve predicts test accuracy: rank correlations with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from sbt_book.common.selections import convexity, failed, whole_curves
from sbt_book.common.statistics import spearman
from sbt_utils.measuring.curves import curve_statistics


@dataclass(frozen=True)
class Estimate:
    """A number and the ends of its bootstrap interval; nan where there is none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Write it with two digits, as in "-0.91 (-0.93 to -0.90)"."""
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def networks_of(diagram: xr.Dataset, least: float = 0.5) -> xr.Dataset:
    """Return the shape and the accuracy of every network that has both.

    Parameters
    ----------
    diagram : xarray.Dataset
        ``separation_train`` (..., layer); ``accuracy_train``, ``accuracy_test`` (...), fractions.
    least : float
        Training accuracy, a fraction, below which a network has failed.

    Returns
    -------
    xarray.Dataset
        (...): ``convexity``; ``bend``, its magnitude; ``imbalance``; ``accuracy``, of the test
        images, a fraction; ``loss``, if the diagram has ``loss_train``. All nan for networks that
        failed (`sbt_book.common.selections.failed`).
    """
    curves = whole_curves(diagram)
    shape, core = convexity(curves), [["layer"], []]
    columns = {
        "convexity": shape,
        "bend": abs(shape),
        "imbalance": xr.apply_ufunc(curve_statistics, curves, "imbalance", input_core_dims=core),
        "accuracy": diagram.accuracy_test,
    }
    if "loss_train" in diagram:
        columns["loss"] = diagram.loss_train
    return xr.Dataset(columns).where(~failed(diagram, least) & shape.notnull())


def rank_correlation_at(
    predictor: xr.DataArray,
    accuracy: xr.DataArray,
    fixed: Sequence[str] = (),
    draws: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Return the rank correlation of a predictor and the accuracy with some things held fixed.

    The networks are divided into groups that agree in what is fixed; the correlation is taken in
    each group, and averaged over the groups. With nothing fixed all networks are one group; with
    the whole cell fixed the seeds alone are left to differ.

    Parameters
    ----------
    predictor, accuracy : xarray.DataArray
        Of the same dimensions, ``seed`` among them; networks where either is nan are left out.
    fixed : sequence of str
        Dimensions other than ``seed``.
    draws, seed : int
        Of the bootstrap: how many, and the seed of their random numbers.

    Returns
    -------
    Estimate
        With the 95 % interval. While anything besides the seeds varies in a group, the draws take
        each cell's seeds with replacement: the interval says what other random numbers would do to
        the same grid. Where only the seeds vary, the draws take the groups with replacement, as
        each is a sample of its own.
    """
    if set(predictor.dims) != set(accuracy.dims) or "seed" not in accuracy.dims:
        raise ValueError(
            f"predictor has dimensions {predictor.dims} and accuracy {accuracy.dims}: "
            "give both the same, 'seed' among them"
        )
    if unknown := [name for name in fixed if name == "seed" or name not in accuracy.dims]:
        raise ValueError(f"fixed={list(fixed)}: {unknown[0]!r} is no dimension to hold fixed")
    varied = [name for name in accuracy.dims if name not in (*fixed, "seed")]
    order = (*fixed, *varied, "seed")
    groups = int(np.prod([accuracy.sizes[name] for name in fixed]))
    x, y = (
        values.transpose(*order).values.astype(float).reshape(groups, -1, accuracy.sizes["seed"])
        for values in xr.align(predictor, accuracy, join="exact")
    )  # groups, cells, seeds
    correlations = spearman(x.reshape(groups, -1), y.reshape(groups, -1))
    defined = correlations[np.isfinite(correlations)]
    if not defined.size:
        return Estimate(np.nan, np.nan, np.nan)
    # Not `scipy.stats.bootstrap`, which draws from each sample as a whole, not within its cells.
    rng = np.random.default_rng(seed)
    if varied:
        seeds = rng.integers(x.shape[-1], size=(draws, *x.shape))
        drawn = (np.take_along_axis(values[None], seeds, -1) for values in (x, y))
        again = spearman(*(values.reshape(draws, groups, -1) for values in drawn))
    else:
        again = rng.choice(defined, size=(draws, defined.size))
    found = np.isfinite(again)
    means = np.where(found, again, 0).sum(-1) / np.maximum(found.sum(-1), 1)
    return Estimate(defined.mean(), *np.quantile(means, [0.025, 0.975]).tolist())


def correlations_at(
    predictors: xr.Dataset,
    accuracy: xr.DataArray,
    fixed: Sequence[str] = (),
    draws: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Return `rank_correlation_at` of several predictors: ``value``, ``low``, ``high`` (predictor).

    Each variable of `predictors` is one, of the dimensions of `accuracy`.
    """
    estimates = [
        rank_correlation_at(predictor, accuracy, fixed, draws, seed)
        for predictor in predictors.values()
    ]
    return xr.Dataset(
        {
            name: ("predictor", [getattr(estimate, name) for estimate in estimates])
            for name in ("value", "low", "high")
        },
        {"predictor": list(predictors)},
    )
