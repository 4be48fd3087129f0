"""How well measures of a network put settings and twins in the order of their test accuracy."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from sbt_book.common.selections import convexity, whole_curves
from sbt_book.common.statistics import spearman

LEAD = (0.005, 0.995)
"""Quantiles of the interval of a lead: 99 %, since nine rivals are compared at each moment."""

NAMES: Mapping[str, str] = {
    "bend": "load curve: bend",
    "training loss": "training loss",
    "validation error": "validation error",
    "sharpness": "sharpness",
    "Davies-Bouldin": "Davies-Bouldin index",
    "mixup": "mixup error",
    "winner": "index x mixup error",
    "probe": "linear probe's error",
    "effective rank": "effective rank",
    "alignment": "gradient-weight alignment",
    "less noise": "less noise, unmeasured",
}
"""In words, as figures and tables have them; the last is a null model, which measures nothing."""

MIDDLE = 4
"""Hidden layer of seven that measures of one layer are taken at."""


def goodness(followed: xr.Dataset, hidden: int = MIDDLE) -> xr.Dataset:
    """Return what each measure says for a network, as its authors have it: more is better.

    Parameters
    ----------
    followed : xarray.Dataset
        From `sbt_book.generalisation.rivals.follow_rivals`.
    hidden : int
        Layer of the measures that have one, from 1.

    Returns
    -------
    xarray.Dataset
        The keys of `NAMES`, each (source, noise, slope, seed, share). ``bend`` is nan for a curve
        that does not fall.
    """
    layer = followed.isel(hidden=hidden - 1)
    curves = whole_curves(followed.rename(separation="separation_train"))
    loss = followed.loss_trained
    said = {
        "bend": -abs(convexity(curves)),
        "training loss": -loss,
        "validation error": -followed.validation_error,
        "sharpness": -followed.sharpness,
        "Davies-Bouldin": -layer.davies_bouldin,
        "mixup": -followed.mixup_error,
        "winner": -layer.davies_bouldin * followed.mixup_error,
        "probe": -layer.probe_error,
        "effective rank": layer.effective_rank,
        "alignment": followed.alignment,
        "less noise": xr.zeros_like(loss) - xr.DataArray(range(loss.sizes["noise"]), dims="noise"),
    }
    order = ("source", "noise", "slope", "seed", "share")
    return xr.Dataset({name: values.transpose(*order) for name, values in said.items()})


def order_of_settings(
    good: xr.Dataset, accuracy: xr.DataArray, draws: int = 1000, seed: int = 0
) -> xr.Dataset:
    """Return how well the means of cells are put in order, by measure.

    For each source the rank correlation, over its cells, of the mean of a measure over the seeds
    with the mean accuracy; then the mean over the sources. A cell where a measure is undefined for
    all its networks comes last.

    Parameters
    ----------
    good : xarray.Dataset
        Measures (source, noise, slope, seed), more is better; ``bend`` among them.
    accuracy : xarray.DataArray
        (source, noise, slope, seed)
    draws, seed : int
        Of the bootstrap: how many, and the seed of their random numbers.

    Returns
    -------
    xarray.Dataset
        (measure): ``value``, ``low``, ``high``, with the 95 % interval; ``lead``, by how much the
        bend's value is higher, ``lead_low``, ``lead_high``, with the interval `LEAD`, from the same
        draws. A draw takes cells of each source with replacement, and the seeds of each cell drawn:
        it says what other settings and other random numbers would do. (source, measure):
        ``by_source``.
    """
    x, y = _stacked(good, accuracy)  # measures, sources, cells, seeds
    rng = np.random.default_rng(seed)
    cells, seeds = y.shape[1:]
    chosen = rng.integers(cells, size=(draws, len(y), cells))
    again = np.empty((draws, len(x)))
    by_source = _order(x, y)
    for draw, which in enumerate(chosen):
        taken = rng.integers(seeds, size=(len(y), cells, seeds))
        rows = np.arange(len(y))[:, None, None], which[..., None], taken
        again[draw] = _mean(_order(x[:, *rows], y[rows]))
    return _estimates(good, _mean(by_source), again).assign(
        by_source=(("measure", "source"), by_source), source=good.source
    )


def order_of_twins(
    good: xr.Dataset, accuracy: xr.DataArray, draws: int = 1000, seed: int = 0
) -> xr.Dataset:
    """Return how well networks of one cell, which differ in their seed only, are put in order.

    The rank correlation within each cell, and its mean over all cells of all sources; a measure
    that says the same of all twins has none in that cell. The arguments and what is returned are
    those of `order_of_settings`, without ``by_source``; a draw takes cells with replacement.
    """
    x, y = _stacked(good, accuracy)
    correlations = spearman(x, y).reshape(len(x), -1)
    chosen = np.random.default_rng(seed).integers(
        correlations.shape[1], size=(draws, correlations.shape[1])
    )
    again = _mean(correlations[:, chosen]).T
    return _estimates(good, _mean(correlations), again)


def _stacked(good: xr.Dataset, accuracy: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return measures (measure, source, cell, seed) and accuracies (source, cell, seed)."""
    order = ("source", "noise", "slope", "seed")
    y = accuracy.transpose(*order).values.astype(float)
    shape = y.shape[0], -1, y.shape[3]
    x = [values.transpose(*order).values.astype(float).reshape(shape) for values in good.values()]
    return np.stack(x), y.reshape(shape)


def _order(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the rank correlation over the cells (..., cell, seed) of the means over the seeds."""
    means = _mean(x)
    return spearman(np.where(np.isnan(means), -np.finfo(float).max, means), y.mean(-1))


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean of what is defined along the last axis, nan where nothing is."""
    defined = np.isfinite(values)
    total, count = np.where(defined, values, 0.0).sum(-1), defined.sum(-1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _estimates(good: xr.Dataset, value: np.ndarray, again: np.ndarray) -> xr.Dataset:
    """Return values (measure) with the intervals that draws (draw, measure) give."""
    names = [str(name) for name in good]
    own = names.index("bend")
    lead = again[:, [own]] - again
    (low, high), (lead_low, lead_high) = _ends(again, (0.025, 0.975)), _ends(lead, LEAD)
    columns = {"value": value, "low": low, "high": high, "lead": value[own] - value}
    columns |= {"lead_low": lead_low, "lead_high": lead_high}
    variables = {name: ("measure", column) for name, column in columns.items()}
    return xr.Dataset(variables, {"measure": names})


def _ends(draws: np.ndarray, quantiles: tuple[float, float]) -> np.ndarray:
    """Return quantiles (quantile, measure) of the defined draws (draw, measure), or nan."""
    columns = [column[np.isfinite(column)] for column in draws.T]
    return np.transpose(
        [np.quantile(one, quantiles) if one.size else (np.nan, np.nan) for one in columns]
    )


def verdicts(settings: xr.Dataset) -> xr.DataArray:
    """Return what `order_of_settings` says of each rival (measure): "leads", "trails" or "level".

    It is the bend that leads or trails; the criterion is the interval of its lead.
    """
    leads, trails = settings.lead_low > 0, settings.lead_high < 0
    return xr.where(leads, "leads", xr.where(trails, "trails", "level"))


def costs(followed: xr.Dataset) -> dict[str, float]:
    """Return the processor time of each measure that `goodness` gives, in forward passes.

    Medians over networks and moments. ``"one epoch"`` is that of a full-batch epoch of training;
    its first moment is left out, since code is compiled meanwhile.
    """
    cost = followed.cost.median(("source", "noise", "slope", "seed", "share")).to_series()
    own = {"bend": "separation", "validation error": "validation_error", "sharpness": "sharpness"}
    own |= {"Davies-Bouldin": "davies_bouldin", "mixup": "mixup_error", "probe": "probe_error"}
    own |= {"effective rank": "effective_rank", "alignment": "alignment"}
    passes = {name: float(cost[measured]) for name, measured in own.items()}
    passes |= {"winner": passes["Davies-Bouldin"] + passes["mixup"]}
    epochs = followed.epoch_cost.sel(source=followed.source != "batch_size").isel(
        share=slice(1, None)
    )
    return passes | {"training loss": 0.0, "less noise": 0.0, "one epoch": epochs.median().item()}
