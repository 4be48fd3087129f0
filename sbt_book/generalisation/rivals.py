"""The load curve against its rivals: networks of the four diagrams, measured as they train.

``python -m sbt_book.generalisation.rivals`` makes ``results/rivals.nc``. Stopped and called again,
it resumes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from tqdm.auto import tqdm

from sbt_book.common.committed import RESULTS
from sbt_book.generalisation import measures
from sbt_book.generalisation.following import by_cell, cell_settings, followed
from sbt_book.generalisation.minima import sharpness
from sbt_utils.data.datasets import Dataset, load_data
from sbt_utils.measuring.evaluation import accuracy, separation_or_nan
from sbt_utils.sweeping.experiments import published
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import Training, train

LEVELS: dict[str, tuple[float, ...]] = {
    "dropout": (0.0, 0.08, 0.16, 0.28),
    "learning_rate": (1e-4, 1e-3, 1e-2, 1e-1),
    "data_noise": (0.0, 0.2, 0.4, 0.6),
    "batch_size": (1280, 320, 80, 20),
}
"""Four levels of each source of noise, from the weakest to the strongest."""

SLOPES = (0.0, 0.6)

SHARES = (0.1, 0.25, 0.5, 1.0)
"""Of the published epochs, after which networks are measured."""

VALIDATION = 1000
"""Test images that are kept apart from the others."""

SHARPNESS_IMAGES = 1000
"""Training images that the sharpness is measured on: it is the slowest measure by far."""

PASSES = 5
"""Forward passes over the training images that are timed, for their mean."""


def _by_layer(
    measure: Callable[[Tensor, Tensor], float], network: nn.Sequential, data: tuple[Tensor, Tensor]
) -> list[float]:
    """Return a measure of the features of each hidden layer."""
    *layers, _ = measures.hidden_features(network, data[0])
    return [measure(features, data[1]) for features in layers]


def read(network: nn.Sequential, data: Dataset, validation: int) -> dict[str, tuple[Any, float]]:
    """Return what each measure says of a network, and its processor time in forward passes.

    The first `validation` test images serve one of them, the validation error.
    """
    pair = data.train_images, data.train_labels
    few = pair[0][:SHARPNESS_IMAGES], pair[1][:SHARPNESS_IMAGES]
    apart = data.test_images[:validation], data.test_labels[:validation]
    by: dict[str, Callable[[], Any]] = {
        "separation": partial(separation_or_nan, network, *pair),
        "validation_error": lambda: 1 - accuracy(network, apart),
        "sharpness": partial(sharpness, network, *few, 0.05),
        "davies_bouldin": partial(_by_layer, measures.davies_bouldin, network, pair),
        "mixup_error": partial(measures.mixup_error, network, *pair),
        "probe_error": partial(_by_layer, measures.probe_error, network, pair),
        "effective_rank": partial(
            _by_layer, lambda features, _: measures.effective_rank(features), network, pair
        ),
        "alignment": partial(measures.readout_alignment, network, *pair),
    }
    start = time.process_time()
    for _ in range(PASSES):
        measures.hidden_features(network, pair[0])
    forward = (time.process_time() - start) / PASSES
    found = {}
    for name, measure in by.items():
        start = time.process_time()
        value = measure()
        found[name] = value, (time.process_time() - start) / forward
    return found | {"forward": (forward, 1.0)}


def follow(
    data: Dataset,
    source: str,
    seed: int,
    levels: Sequence[float],
    slopes: Sequence[float] = SLOPES,
    shares: Sequence[float] = SHARES,
    epochs: int | None = None,
    validation: int = VALIDATION,
) -> xr.Dataset:
    """Train the published network at each level and slope, and measure it as it trains.

    `epochs` are all that it trains, by default as published; it is measured after each of the
    `shares` of them, which rise to 1. Returns (noise, slope, share): ``separation`` (and layer,
    from 0), ``davies_bouldin``, ``probe_error`` and ``effective_rank`` (and hidden, from 1),
    ``sharpness``, ``mixup_error``, ``alignment`` and ``accuracy_train`` of the training images in
    evaluation mode, ``loss_trained`` of the epoch as it was trained, ``validation_error``; and
    ``cost`` (and measure), processor time in forward passes over the training images. (share):
    ``epoch_cost`` of a network, in the same unit. (noise, slope): ``accuracy_test`` at the end, on
    the test images that are left.
    """
    if not 0 < validation < len(data.test_images):
        raise ValueError(
            f"validation={validation}: of {len(data.test_images)} test images, "
            "keep at least one apart and leave at least one"
        )
    training = data.train_images, data.train_labels
    unseen = data.test_images[validation:], data.test_labels[validation:]
    settings = cell_settings(source, list(LEVELS).index(source), seed, levels, slopes)
    network, whole = MLP(inputs=data.train_images[0].numel(), classes=data.classes), epochs
    if whole is None:
        whole = published(source).epochs
    run: Training | None = None
    measured: list[xr.Dataset] = []
    for share in tqdm(shares, desc=f"{source}, seed {seed}"):
        until, start = max(1, round(share * whole)), time.process_time()
        state, done = (run.state, run.history.epoch[-1].item()) if run else (None, 0)
        run = train(network, training, epochs=until, resume=state, progress=False, **settings)
        seconds = (time.process_time() - start) / max(1, until - done) / len(settings["seeds"])
        members = list(run.networks)
        readings = [read(member, data, validation) for member in members]
        here = {name: [one[name][0] for one in readings] for name in readings[0]}
        here["epoch_cost"] = [seconds / forward for forward in here.pop("forward")]
        here["accuracy_train"] = [accuracy(member, training) for member in members]
        here["loss_trained"] = run.state["loss"].tolist()
        costs = [[one[name][1] for name in readings[0]] for one in readings]
        measured.append(_dataset(here).assign(cost=(("member", "measure"), costs)))
    early = xr.concat(measured, xr.Variable("share", list(shares)))
    early = early.assign_coords(measure=list(readings[0]))
    early["accuracy_test"] = "member", [accuracy(member, unseen) for member in members]
    return by_cell(early, levels, slopes).transpose("noise", "slope", "share", ...)


def _dataset(columns: Mapping[str, Any]) -> xr.Dataset:
    """Return columns of one number per network, or of one per network and layer."""
    layers = {"separation": "layer"}
    variables = {}
    for name, column in columns.items():
        values = np.asarray(column)
        variables[name] = ("member", layers.get(name, "hidden"))[: values.ndim], values
    return xr.Dataset(variables)


def follow_rivals(
    data: Dataset,
    seeds: Sequence[int],
    out: Path,
    levels: Mapping[str, Sequence[float]] = LEVELS,
    **settings: Any,
) -> xr.Dataset:
    """Follow networks of each source of noise over several seeds, and keep what was measured.

    Parameters
    ----------
    seeds : sequence of int
        Every network has its own seed, made of one of these, its level and its slope.
    out : pathlib.Path
        The results file, ending in ``.nc``. Until it is there, what is done for one seed and one
        source is kept in a folder of the same name that ends in ``.parts``: call again to resume.
    levels : mapping of str to sequence of float
        By source of noise, equally many of each.
    **settings
        ``slopes``, ``shares``, ``epochs`` and ``validation`` of `follow`.

    Returns
    -------
    xarray.Dataset
        From `follow`, with the dimensions ``source`` and ``seed`` added, in single precision.

    Raises
    ------
    ValueError
        If `out` or its ``.parts`` hold the results of other settings.
    """
    out = Path(out)
    configuration = {"data": data.source, "train": len(data.train_images)}
    configuration |= {"levels": {source: list(each) for source, each in levels.items()}}
    configuration |= {"slopes": SLOPES, "shares": SHARES, "validation": VALIDATION} | settings

    def compute(source: str, seed: int) -> xr.Dataset:
        return follow(data, source, seed, levels[source], **settings).astype("float32")

    return followed(out, configuration, list(levels), seeds, compute)


def main() -> None:
    """Train and measure the networks."""
    print("160 networks, about 20 minutes on one processor core")
    torch.set_num_threads(1)
    follow_rivals(load_data("mnist", train=2560), range(5), RESULTS / "rivals.nc")


if __name__ == "__main__":
    main()
