"""The law of data separation: how straight the load curves of many kinds of network are."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from torch import nn

from sbt_utils.datasets import Dataset
from sbt_utils.evaluation import evaluate
from sbt_utils.separation import MEASURES, LoadCurve
from sbt_utils.training import train

LEARNING_RATES = {
    "sgd": (0.03, 0.1, 0.3),
    "momentum": (0.01, 0.03, 0.1),
    "adam": (3e-4, 1e-3, 3e-3),
}
"""Learning rates to try with each optimiser, from too small to nearly too large."""


def linearity(
    network: nn.Sequential,
    data: Dataset,
    optimizer: str,
    seeds: Sequence[int],
    epochs: int = 100,
    batch_size: int = 128,
    device: str = "cpu",
) -> xr.Dataset:
    """Train networks of one kind at several learning rates and measure their linearity.

    Parameters
    ----------
    network : torch.nn.Sequential
        The architecture.
    data : Dataset
        What to train on and to test on.
    optimizer : {"sgd", "momentum", "adam"}
        With the learning rates of `LEARNING_RATES`.
    seeds : sequence of int
        One network for each, at each learning rate.
    epochs, batch_size : int
        As in `sbt_utils.training.train`.
    device : str
        Likewise; measured on the CPU.

    Returns
    -------
    xarray.Dataset
        ``linearity_trace`` and ``linearity_fuzziness`` (learning_rate, seed), Pearson's r of
        (l, D_l) on the training images, nan where a network has collapsed; ``accuracy_test``
        likewise, a fraction.

    Raises
    ------
    ValueError
        If the optimiser is unknown, or as `sbt_utils.training.train`.

    References
    ----------
    He & Su, A law of data separation in deep learning, PNAS 120 (2023) e2221704120,
    arXiv:2210.17020.

    Examples
    --------
    >>> from sbt_utils.datasets import load
    >>> from sbt_utils.networks import MLP
    >>> result = linearity(MLP(width=20), load("mnist", train=200, test=100), "sgd", [0], epochs=1)
    >>> dict(result.sizes)
    {'learning_rate': 3, 'seed': 1}
    """
    if optimizer not in LEARNING_RATES:
        raise ValueError(f"optimizer={optimizer!r}: choose one of {', '.join(LEARNING_RATES)}")
    rates = LEARNING_RATES[optimizer]
    rate, seed = (grid.ravel() for grid in np.meshgrid(rates, seeds, indexing="ij"))
    training, test = (data.train_images, data.train_labels), (data.test_images, data.test_labels)
    trained = train(
        network,
        *training,
        seeds=seed.tolist(),
        learning_rate=rate,
        batch_size=min(batch_size, len(data.train_images)),
        epochs=epochs,
        optimizer=optimizer,
        device=device,
        progress=False,
    )
    networks = list(trained.networks)
    columns = {"accuracy_test": evaluate(networks, *test).accuracy.values}
    for measure in MEASURES:
        curves = evaluate(networks, *training, measure).separation.values
        columns[f"linearity_{measure}"] = np.array([_linearity(curve) for curve in curves])
    return xr.Dataset(
        {
            name: (("learning_rate", "seed"), values.reshape(len(rates), len(seeds)))
            for name, values in columns.items()
        },
        {"learning_rate": list(rates), "seed": list(seeds)},
    )


def linearity_table(
    kinds: Sequence[dict[str, object]], results: Sequence[xr.Dataset]
) -> pd.DataFrame:
    """Return a row for each kind of network, at the learning rate with the best test accuracy.

    Parameters
    ----------
    kinds : sequence of dict
        What to say of each kind: column to entry.
    results : sequence of xarray.Dataset
        From `linearity`, in the same order.

    Returns
    -------
    pandas.DataFrame
        The entries of `kinds`; the learning rate; magnitudes of r as mean ± standard deviation
        over the seeds; the range of their means over the learning rates; the test accuracy.

    Examples
    --------
    >>> dims = ("learning_rate", "seed")
    >>> result = xr.Dataset(
    ...     {"linearity_trace": (dims, [[-0.99, -0.97]]), "accuracy_test": (dims, [[0.9, 0.9]]),
    ...      "linearity_fuzziness": (dims, [[-0.98, -0.98]])}, {"learning_rate": [0.1]})
    >>> linearity_table([{"width": 50}], [result])["|r|, trace"].item()
    '0.980 ± 0.014'
    """
    rows = []
    for kind, result in zip(kinds, results, strict=True):
        best = result.isel(
            learning_rate=result.accuracy_test.mean("seed").argmax("learning_rate").item()
        )
        row = dict(kind) | {"rate": f"{best.learning_rate.item():g}"}
        for measure in MEASURES:
            r = abs(best[f"linearity_{measure}"])
            row[f"|r|, {measure}"] = f"{r.mean().item():.3f} ± {r.std(ddof=1).item():.3f}"
        means = abs(result.linearity_fuzziness).mean("seed")
        row["|r|, any rate"] = f"{means.min().item():.3f} to {means.max().item():.3f}"
        row["accuracy"] = f"{best.accuracy_test.mean().item():.1%}"
        rows.append(row)
    return pd.DataFrame(rows)


def _linearity(separation: np.ndarray) -> float:
    return LoadCurve(separation).linearity if np.isfinite(separation).all() else np.nan
