"""What the comparison of steered networks with others shows, in numbers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import bootstrap


def join(parts: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Put the runs of several problems, by the name of the case, in one file's dataset.

    Along ``run``, with the coordinates ``case``, ``arm`` and ``seed``; readings are numbered, their
    epochs stand in ``epoch`` (run, reading). `select` is its inverse.
    """
    rows = []
    for case, part in parts.items():
        flat = part.stack(run=("arm", "seed"), create_index=False)
        flat["epoch"] = flat.reading.expand_dims(run=flat.sizes["run"])
        rows.append(flat.drop_vars("reading").assign_coords(case=("run", [case] * len(flat.run))))
    return xr.concat(rows, "run").transpose("run", ...)


def select(joined: xr.Dataset, case: str) -> xr.Dataset:
    """Return one case of ``results/steering.nc``, or of what `everything` returns.

    It has ``dropout``, ``convexity`` and ``accuracy_validation`` (arm, seed, reading);
    ``accuracy_test`` and ``convexity_end`` (arm, seed).
    """
    known = list(dict.fromkeys(joined.case.values.tolist()))
    if case not in known:
        raise ValueError(f"case={case!r}: choose one of {', '.join(known)}")
    runs = joined.isel(run=np.flatnonzero(joined.case == case)).drop_vars("case")
    arms = list(dict.fromkeys(runs.arm.values.tolist()))
    runs = runs.assign_coords(reading=runs.epoch[0].values).drop_vars("epoch")
    by_arm = runs.set_index(run=["arm", "seed"]).unstack("run")
    return by_arm.sel(arm=arms).transpose("arm", "seed", ...)  # unstacking sorts the arms


def best_fixed(compared: xr.Dataset) -> str:
    """Return the arm of the fixed dropout with the best mean validation accuracy at the end."""
    final = compared.accuracy_validation.isel(reading=-1).sel(arm=_fixed(compared))
    return str(final.mean("seed").idxmax("arm").item())


def picked(compared: xr.Dataset) -> xr.DataArray:
    """Return the test accuracies (seed) after a search with one network for each fixed dropout.

    They are those of the network with the best validation accuracy among the networks of a seed.
    """
    fixed = compared.sel(arm=_fixed(compared))
    best = fixed.accuracy_validation.isel(reading=-1).idxmax("arm")
    return fixed.accuracy_test.sel(arm=best).drop_vars("arm")


def paired_difference(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """Return the mean difference of paired values (pairs,) and its 95 % bootstrap interval."""
    difference = np.asarray(first) - np.asarray(second)
    low, high = bootstrap(
        (difference,),
        np.mean,
        n_resamples=10_000,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return float(difference.mean()), float(low), float(high)


def epochs_to_reach(read: xr.Dataset, accuracy: float) -> xr.DataArray:
    """Return the epoch of the first reading with at least this validation accuracy, else nan."""
    return read.reading.where(read.accuracy_validation >= accuracy).min("reading")


def comparison_table(cases: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Return how each method of setting the dropout fared on each problem.

    Parameters
    ----------
    cases : mapping of str to xarray.Dataset
        From `select`, by the name of the problem.

    Returns
    -------
    pandas.DataFrame
        Test accuracy as mean ± standard deviation over the seeds; how many points it lies above
        that of the best fixed dropout, paired by seed, with a 95 % bootstrap interval; the epochs
        to reach the accuracy on validation images that networks without dropout end with, and how
        many of the seeds do; and the epochs of training that it takes to find the setting and train
        one network with it: a replay needs the nine steered networks that it averages.
    """
    rows = []
    for case, compared in cases.items():
        best, epochs = best_fixed(compared), int(compared.reading[-1])
        count, seeds = len(_fixed(compared)), compared.sizes["seed"]
        reached = epochs_to_reach(
            compared, float(compared.accuracy_validation.isel(reading=-1).sel(arm="fixed 0").mean())
        )
        tested = compared.accuracy_test
        methods = {
            "no dropout": ("fixed 0", tested.sel(arm="fixed 0"), epochs),
            f"best {best}": (best, tested.sel(arm=best), (count * seeds + 1) * epochs),
            "best of one network each": (None, picked(compared), count * epochs),
            "steered": ("steered", tested.sel(arm="steered"), epochs),
            "replayed": ("replayed", tested.sel(arm="replayed"), seeds * epochs),
        }
        for method, (arm, accuracy, cost) in methods.items():
            row = {"problem": case, "dropout": method, "test accuracy, %": _spread(accuracy)}
            row["points above best fixed"] = _difference(accuracy, tested.sel(arm=best))
            row["epochs to reach"] = _reached(reached.sel(arm=arm)) if arm else ""
            rows.append(row | {"cost, epochs": f"{cost:,}"})
    return pd.DataFrame(rows)


def variations_table(runs: xr.Dataset) -> pd.DataFrame:
    """Return what became of networks under each controller, a row per arm of a case.

    Test accuracy and final convexity are mean ± standard deviation over the seeds; the dropout is
    the mean of the last segment.
    """
    rows = []
    for arm in runs.arm.values.tolist():
        networks = runs.sel(arm=arm)
        final = networks.convexity_end
        row = {"controller": arm, "test accuracy, %": _spread(networks.accuracy_test)}
        row["final convexity"] = f"{final.mean().item():.2f} ± {final.std(ddof=1).item():.2f}"
        dropout = networks.dropout.isel(reading=-1).mean().item()
        rows.append(row | {"final dropout": f"{dropout:.2f}"})
    return pd.DataFrame(rows)


def _fixed(compared: xr.Dataset) -> list[str]:
    return [arm for arm in compared.arm.values.tolist() if arm.startswith("fixed")]


def _spread(accuracy: xr.DataArray) -> str:
    return f"{100 * accuracy.mean().item():.1f} ± {100 * accuracy.std(ddof=1).item():.1f}"


def _difference(accuracy: xr.DataArray, best: xr.DataArray) -> str:
    mean, low, high = (100 * x for x in paired_difference(accuracy.values, best.values))
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})" if (accuracy != best).any() else ""


def _reached(epochs: xr.DataArray) -> str:
    count = int(epochs.notnull().sum())
    mean = f"{epochs.mean().item():.0f} " if count else ""
    return f"{mean}({count} of {epochs.size})"
