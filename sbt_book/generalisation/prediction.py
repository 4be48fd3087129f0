"""How early in training the shape of a load curve predicts test accuracy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from sbt_book.common.statistics import spearman
from sbt_book.generalisation.following import by_cell, cell_settings, followed
from sbt_book.generalisation.minima import sharpness
from sbt_utils.data.datasets import Dataset
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import Training, train

SOURCES = {
    "dropout": (0.0, 0.04, 0.08, 0.12, 0.2, 0.3),
    "learning_rate": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
}
"""Levels of the two sources of noise."""

SLOPES = (0.0, 0.4)

CHECKPOINTS = (10, 30, 100)
"""Epochs after which networks are measured."""


def follow(
    data: Dataset,
    source: str,
    seed: int,
    levels: Sequence[float],
    slopes: Sequence[float] = SLOPES,
    checkpoints: Sequence[int] = CHECKPOINTS,
    validation: int = 1000,
    progress: bool = False,
) -> xr.Dataset:
    """Train the published network at each level and slope, and measure it at each checkpoint.

    `checkpoints` are epochs, rising; the last is the end of training. The first `validation` test
    images are kept apart from the others. Returns (noise, slope, checkpoint): ``separation`` (and
    layer), ``loss``, ``accuracy_train`` and ``sharpness`` (to 5 %) of all training images in
    evaluation mode; ``loss_trained``, of the epoch as it was trained, with dropout and the batches'
    statistics; ``accuracy_validation``. (noise, slope): ``accuracy_test`` at the end, on the test
    images that are left.
    """
    if not 0 < validation < len(data.test_images):
        raise ValueError(
            f"validation={validation}: of {len(data.test_images)} test images, "
            "keep at least one apart and leave at least one"
        )
    training = data.train_images, data.train_labels
    apart = data.test_images[:validation], data.test_labels[:validation]
    unseen = data.test_images[validation:], data.test_labels[validation:]
    settings = cell_settings(source, list(SOURCES).index(source), seed, levels, slopes)
    network = MLP(inputs=data.train_images[0].numel(), classes=data.classes)
    run: Training | None = None
    measured = []
    for epoch in tqdm(checkpoints, desc=f"{source}, seed {seed}", disable=not progress):
        state = run.state if run else None
        run = train(network, training, epochs=epoch, resume=state, progress=False, **settings)
        networks = list(run.networks)
        here = evaluate(networks, training).rename(accuracy="accuracy_train")
        here["loss_trained"] = "member", run.state["loss"].numpy()
        here["sharpness"] = "member", [sharpness(n, *training, 0.05) for n in networks]
        here["accuracy_validation"] = evaluate(networks, apart).accuracy
        measured.append(here)
    early = xr.concat(measured, xr.Variable("checkpoint", list(checkpoints)))
    early["accuracy_test"] = evaluate(networks, unseen).accuracy
    return by_cell(early, levels, slopes).transpose(..., "checkpoint", "layer")


def early_prediction(
    data: Dataset,
    seeds: Sequence[int],
    out: Path,
    sources: Mapping[str, Sequence[float]] = SOURCES,
    progress: bool = True,
    **settings: Any,
) -> xr.Dataset:
    """Follow networks of both sources of noise over several seeds, and keep what was measured.

    Parameters
    ----------
    seeds : sequence of int
        Every network has its own seed, made of one of these, its level and its slope.
    out : pathlib.Path
        The results file, ending in ``.nc``. Until it is there, what is done for one seed and one
        source is kept in a folder of the same name that ends in ``.parts``: call again to resume.
    sources : mapping of str to sequence of float
        Levels by source of noise, equally many of each.
    **settings
        ``slopes``, ``checkpoints`` and ``validation`` of `follow`.

    Returns
    -------
    xarray.Dataset
        From `follow`, with the dimensions ``source`` and ``seed`` added.

    Raises
    ------
    ValueError
        If `out` or its ``.parts`` hold the results of other settings.
    """
    out = Path(out)
    configuration = {"data": data.source, "train": len(data.train_images), **settings}
    configuration["sources"] = {source: list(levels) for source, levels in sources.items()}

    def compute(source: str, seed: int) -> xr.Dataset:
        return follow(data, source, seed, sources[source], progress=progress, **settings)

    return followed(out, configuration, list(sources), seeds, compute)


def learned_elsewhere(
    predictor: xr.DataArray, accuracy: xr.DataArray, groups: Sequence[str], degree: int = 2
) -> xr.DataArray:
    """Return how well a rule fitted to all other groups of networks puts those of one in order.

    The rule gives the accuracy, less the mean of its group, as a polynomial in the rank of the
    predictor among the networks that it is fitted to. A parabola can have its summit in between:
    unlike a rank correlation it does not ask that more of the predictor be always better, or always
    worse.

    Parameters
    ----------
    predictor, accuracy : xarray.DataArray
        Of the same dimensions; networks where either is nan are left out.
    groups : sequence of str
        Dimensions: each combination of their values is a group, of which there are at least two.

    Returns
    -------
    xarray.DataArray
        Of the dimensions `groups`: Spearman's rank correlation of the accuracies that the rule
        gives to the group's networks with those that they have.
    """
    order = (*groups, ...)
    first = accuracy.transpose(*order)
    shape = first.shape[: len(groups)]
    y = first.values.reshape(int(np.prod(shape)), -1)
    x = predictor.transpose(*first.dims).values.reshape(y.shape)
    if len(y) < 2:
        raise ValueError(f"groups={list(groups)} make one group: there is nothing to learn from")
    y = np.where(np.isfinite(x), y, np.nan)
    y = y - np.nanmean(y, axis=1, keepdims=True)
    known = np.isfinite(x) & np.isfinite(y)
    scores = []
    for group in range(len(y)):
        others = known & (np.arange(len(y)) != group)[:, None]
        sample = np.sort(x[others])
        rank = np.searchsorted(sample, np.where(known, x, 0.0)) / len(sample)
        rule = np.polynomial.Polynomial.fit(rank[others], y[others], degree)
        predicted = np.where(known[group], rule(rank[group]), np.nan)
        scores.append(spearman(predicted, y[group]))
    coords = {name: accuracy[name] for name in groups if name in accuracy.coords}
    return xr.DataArray(np.reshape(scores, shape), coords, list(groups))
