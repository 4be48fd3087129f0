"""What the comparison of steered networks with others shows, in numbers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import bootstrap


def join(parts: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Put the runs of several problems in one file's dataset.

    Parameters
    ----------
    parts : mapping of str to xarray.Dataset
        From `run_all` or `compare`, by the name of the case.

    Returns
    -------
    xarray.Dataset
        Along ``run``, with the coordinates ``case``, ``arm`` and ``seed``; readings are numbered,
        their epochs stand in ``epoch`` (run, reading). `select` is its inverse.

    Examples
    --------
    >>> part = xr.Dataset({"dropout": (("arm", "seed", "reading"), np.zeros((2, 3, 4)))},
    ...                   {"arm": ["a", "b"], "seed": [0, 1, 2], "reading": [5, 10, 15, 20]})
    >>> both = join({"one": part, "two": part})
    >>> both.sizes["run"], select(both, "two").equals(part)
    (12, True)
    """
    rows = []
    for case, part in parts.items():
        flat = part.stack(run=("arm", "seed"), create_index=False)
        flat["epoch"] = flat.reading.expand_dims(run=flat.sizes["run"])
        rows.append(flat.drop_vars("reading").assign_coords(case=("run", [case] * len(flat.run))))
    return xr.concat(rows, "run").transpose("run", ...)


def select(joined: xr.Dataset, case: str) -> xr.Dataset:
    """Return one case of a file's dataset.

    Parameters
    ----------
    joined : xarray.Dataset
        From `join`.
    case : str

    Returns
    -------
    xarray.Dataset
        As `run_all`.

    Raises
    ------
    ValueError
        If there is no such case.

    Examples
    --------
    >>> select(xr.Dataset(coords={"case": ("run", ["digits"])}), "letters")
    Traceback (most recent call last):
    ValueError: case='letters': choose one of digits
    """
    known = list(dict.fromkeys(joined.case.values.tolist()))
    if case not in known:
        raise ValueError(f"case={case!r}: choose one of {', '.join(known)}")
    own = joined.isel(run=np.flatnonzero(joined.case == case)).drop_vars("case")
    arms = list(dict.fromkeys(own.arm.values.tolist()))
    own = own.assign_coords(reading=own.epoch[0].values).drop_vars("epoch")
    return (
        own.set_index(run=["arm", "seed"])
        .unstack("run")
        .sel(arm=arms)
        .transpose("arm", "seed", ...)
    )


def best_fixed(compared: xr.Dataset) -> str:
    """Return the fixed dropout with the best mean accuracy on validation images at the end.

    Parameters
    ----------
    compared : xarray.Dataset
        From `sbt_book.steering.experiment.compare`.

    Returns
    -------
    str
        Its arm.

    Examples
    --------
    >>> accuracy = [[[0.9]], [[0.8]], [[0.95]]]
    >>> best_fixed(xr.Dataset({"accuracy_validation": (("arm", "seed", "reading"), accuracy)},
    ...                       {"arm": ["fixed 0", "fixed 0.1", "steered"]}))
    'fixed 0'
    """
    final = compared.accuracy_validation.isel(reading=-1).sel(arm=_fixed(compared))
    return str(final.mean("seed").idxmax("arm").item())


def picked(compared: xr.Dataset) -> xr.DataArray:
    """Return the test accuracies after a search with one network for each fixed dropout.

    Parameters
    ----------
    compared : xarray.Dataset
        From `sbt_book.steering.experiment.compare`.

    Returns
    -------
    xarray.DataArray
        (seed), of the network with the best accuracy on validation images among those of a seed.

    Examples
    --------
    >>> arms = {"arm": ["fixed 0", "fixed 0.1"], "seed": [0, 1]}
    >>> compared = xr.Dataset(
    ...     {"accuracy_validation": (("arm", "seed", "reading"), [[[0.9], [0.7]], [[0.8], [0.8]]]),
    ...      "accuracy_test": (("arm", "seed"), [[0.91, 0.92], [0.93, 0.94]])}, arms)
    >>> picked(compared).values
    array([0.91, 0.94])
    """
    fixed = compared.sel(arm=_fixed(compared))
    best = fixed.accuracy_validation.isel(reading=-1).idxmax("arm")
    return fixed.accuracy_test.sel(arm=best).drop_vars("arm")


def paired_difference(
    first: np.ndarray, second: np.ndarray, resamples: int = 10_000
) -> tuple[float, float, float]:
    """Return the mean difference of paired values and its 95 % bootstrap interval.

    Parameters
    ----------
    first, second : ndarray, shape (pairs,)
    resamples : int
        Draws of the pairs with replacement, always the same ones.

    Returns
    -------
    mean, low, high : float
        Of ``first - second``, from the percentiles of the draws.

    Examples
    --------
    >>> paired_difference(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    (1.0, 1.0, 1.0)
    """
    difference = np.asarray(first) - np.asarray(second)
    low, high = bootstrap(
        (difference,),
        np.mean,
        n_resamples=resamples,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return float(difference.mean()), float(low), float(high)


def epochs_to_reach(read: xr.Dataset, accuracy: float) -> xr.DataArray:
    """Return the epoch of the first reading with at least this accuracy on validation images.

    Parameters
    ----------
    read : xarray.Dataset
        From `sbt_book.steering.experiment.run` or `compare`.
    accuracy : float
        A fraction.

    Returns
    -------
    xarray.DataArray
        Without the reading; nan where it is never reached.

    Examples
    --------
    >>> read = xr.Dataset({"accuracy_validation": (("seed", "reading"), [[0.2, 0.5], [0.1, 0.3]])},
    ...                   {"reading": [5, 10]})
    >>> epochs_to_reach(read, 0.4).values
    array([10., nan])
    """
    return read.reading.where(read.accuracy_validation >= accuracy).min("reading")


def comparison_table(cases: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Return how each way to set the dropout fared on each problem.

    Parameters
    ----------
    cases : mapping of str to xarray.Dataset
        From `sbt_book.steering.experiment.compare`, by the name of the problem.

    Returns
    -------
    pandas.DataFrame
        Test accuracy as mean ± standard deviation over the seeds; how many points it lies above
        that of the best fixed dropout, paired by seed, with a 95 % bootstrap interval; the epochs
        to reach the accuracy on validation images that networks without dropout end with, and how
        many of the seeds do; and the epochs of training that it takes to find the setting and
        train one network with it. A replay presupposes the nine steered networks that it averages.

    Examples
    --------
    >>> values = (("arm", "seed", "reading"), np.full((3, 2, 1), 0.9))
    >>> tested = (("arm", "seed"), [[0.8, 0.9], [0.85, 0.9], [0.9, 0.95]])
    >>> compared = xr.Dataset({"accuracy_validation": values, "accuracy_test": tested},
    ...     {"arm": ["fixed 0", "steered", "replayed"], "seed": [0, 1], "reading": [20]})
    >>> comparison_table({"digits": compared})["test accuracy, %"].tolist()[-2:]
    ['87.5 ± 3.5', '92.5 ± 3.5']
    """
    rows = []
    for case, compared in cases.items():
        best, epochs = best_fixed(compared), int(compared.reading[-1])
        count, seeds = len(_fixed(compared)), compared.sizes["seed"]
        reached = epochs_to_reach(
            compared, float(compared.accuracy_validation.isel(reading=-1).sel(arm="fixed 0").mean())
        )
        tested = compared.accuracy_test
        ways = {
            "no dropout": ("fixed 0", tested.sel(arm="fixed 0"), epochs),
            f"best {best}": (best, tested.sel(arm=best), (count * seeds + 1) * epochs),
            "best of one network each": (None, picked(compared), count * epochs),
            "steered": ("steered", tested.sel(arm="steered"), epochs),
            "replayed": ("replayed", tested.sel(arm="replayed"), seeds * epochs),
        }
        for way, (arm, accuracy, cost) in ways.items():
            row = {"problem": case, "dropout": way, "test accuracy, %": _spread(accuracy)}
            row["points above best fixed"] = _difference(accuracy, tested.sel(arm=best))
            row["epochs to reach"] = _reached(reached.sel(arm=arm)) if arm else ""
            rows.append(row | {"cost, epochs": f"{cost:,}"})
    return pd.DataFrame(rows)


def variations_table(runs: xr.Dataset) -> pd.DataFrame:
    """Return what became of networks under each controller.

    Parameters
    ----------
    runs : xarray.Dataset
        From `sbt_book.steering.experiment.run_all`.

    Returns
    -------
    pandas.DataFrame
        A row for each arm: test accuracy and final convexity as mean ± standard deviation over the
        seeds, and the mean dropout of the last segment.

    Examples
    --------
    >>> runs = xr.Dataset({"accuracy_test": (("arm", "seed"), [[0.8, 0.9]]),
    ...                    "convexity_end": (("arm", "seed"), [[-0.1, 0.1]]),
    ...                    "dropout": (("arm", "seed", "reading"), [[[0.1], [0.2]]])},
    ...                   {"arm": ["steered"]})
    >>> variations_table(runs).iloc[0].tolist()
    ['steered', '85.0 ± 7.1', '0.00 ± 0.14', '0.15']
    """
    rows = []
    for arm in runs.arm.values.tolist():
        own = runs.sel(arm=arm)
        final = own.convexity_end
        row = {"controller": arm, "test accuracy, %": _spread(own.accuracy_test)}
        row["final convexity"] = f"{final.mean().item():.2f} ± {final.std(ddof=1).item():.2f}"
        rows.append(row | {"final dropout": f"{own.dropout.isel(reading=-1).mean().item():.2f}"})
    return pd.DataFrame(rows)


def _fixed(compared: xr.Dataset) -> list[str]:
    return [arm for arm in compared.arm.values.tolist() if arm.startswith("fixed")]


def _spread(accuracy: xr.DataArray) -> str:
    return f"{100 * accuracy.mean().item():.1f} ± {100 * accuracy.std(ddof=1).item():.1f}"


def _difference(accuracy: xr.DataArray, best: xr.DataArray) -> str:
    mean, low, high = (100 * each for each in paired_difference(accuracy.values, best.values))
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})" if (accuracy != best).any() else ""


def _reached(epochs: xr.DataArray) -> str:
    count = int(epochs.notnull().sum())
    mean = f"{epochs.mean().item():.0f} " if count else ""
    return f"{mean}({count} of {epochs.size})"
