"""How often advice is right: what the stress map measures of networks with known faults.

What is kept of a network is what was measured and no verdict, so that thresholds can be chosen on
one half of the networks and tried on the other (`sbt_book.advice.rates`). Beside it, what each
block's removal costs (`sbt_book.advice.removal_ranks`).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from tqdm.auto import tqdm

from sbt_book.advice.faults import CONDITIONS, plant, stop, training_set
from sbt_book.advice.kinds import DATA, FRESH_DATA, KINDS, SAMPLES, data_of
from sbt_book.gallery.small_models import fit
from sbt_utils import results
from sbt_utils.measuring.probe import layer_scatter
from sbt_utils.measuring.scatter import UndefinedSeparation
from sbt_utils.measuring.skipping import removal
from sbt_utils.models.batches import as_batches
from sbt_utils.reporting.bootstrap import SampledScatter, bootstrap

RESAMPLES = 60
"""Draws of the bootstrap that are kept."""

SHUFFLES = 3
"""How often labels are shuffled, for the D that features have by chance."""

STEP = 2.0**-11
"""To this draws of D are rounded in a file: a fiftieth of what they differ by, or less."""

CONFIGURATION: dict[str, Any] = {
    "kinds": {
        name: {
            "epochs": kind.epochs,
            "batch_size": kind.batch_size,
            "learning_rate": kind.learning_rate,
            "sizes": kind.sizes,
        }
        for name, kind in KINDS.items()
    },
    "conditions": {name: asdict(condition) for name, condition in CONDITIONS.items()},
    "data": DATA,
    "samples": SAMPLES,
    "resamples": RESAMPLES,
    "shuffles": SHUFFLES,
    "step": STEP,
}
"""What a file of results says of how it came about."""

STATES = ("defined", "constant", "no variance between", "no variance within", "not finite")
"""What can be said of D of a layer, by its number in ``state``."""


Cell = tuple[str, str, str, int]
"""Condition, kind, data and seed of a network."""


def everything(folder: Path, cells: Sequence[Cell]) -> xr.Dataset:
    """Train and measure networks: some hundreds in about an hour on one processor core.

    Parameters
    ----------
    folder : Path
        Keeps a file for each network that is finished; those are not trained again.
    cells : sequence of Cell
        `all_cells`, those of results/advice.nc; or `fresh_cells`, of results/advice_fresh.nc.

    Returns
    -------
    xarray.Dataset
        As `measured`, along ``network``, nan beyond a network's last layer, with the coordinates
        ``kind``, ``data``, ``condition``, ``fault`` and ``seed``.
    """
    return joined(cells, [one_network(folder, *cell) for cell in tqdm(cells, unit="network")])


def all_cells(kinds: Sequence[str] = tuple(KINDS)) -> list[Cell]:
    """Return the networks that thresholds are chosen by, those of the first seed first."""
    return _cells({name: condition.seeds for name, condition in CONDITIONS.items()}, kinds, DATA)


FRESH = {
    "healthy": 3,
    "one block idle": 1,
    "one block dead": 1,
    "10 % random, half memorised": 1,
    "30 % random, half memorised": 1,
    "30 % random, memorised": 1,
    "few samples": 1,
    "untrained": 1,
}
"""How many networks of each kind are trained on each set of fresh data, by condition."""


def fresh_cells(kinds: Sequence[str] = tuple(KINDS)) -> list[Cell]:
    """Return the networks that tell how well thresholds do that were chosen before."""
    return _cells(FRESH, kinds, FRESH_DATA)


def _cells(
    seeds: Mapping[str, int], kinds: Sequence[str], data: Mapping[str, Sequence[str]]
) -> list[Cell]:
    return [
        (condition, kind, name, seed)
        for seed in range(max(seeds.values()))
        for condition in seeds
        for kind in kinds
        for name in data[KINDS[kind].learns]
        if seed < seeds[condition]
    ]


def joined(cells: Sequence[Cell], networks: Sequence[xr.Dataset]) -> xr.Dataset:
    """Return what was measured of several networks along ``network``."""
    found = xr.concat(networks, "network", join="outer", combine_attrs="drop").drop_encoding()
    names = ("condition", "kind", "data", "seed")
    columns = dict(zip(names, map(list, zip(*cells, strict=True)), strict=True))
    columns["fault"] = [CONDITIONS[name].fault for name in columns["condition"]]
    return found.assign_coords({name: ("network", values) for name, values in columns.items()})


def compact(networks: xr.Dataset) -> xr.Dataset:
    """Return networks for a small file: with draws rounded to `STEP`, and compressed there."""
    rounded = {
        name: np.round(networks[name] / STEP) * STEP
        for name in ("separation_train", "separation_test")
    }
    small = networks.assign(rounded).drop_encoding()
    for values in small.values():
        values.encoding = {"zlib": True, "complevel": 9, "shuffle": True}
    return small


def network_file(folder: Path, condition: str, kind: str, data: str, seed: int) -> Path:
    """Return the file of a network."""
    name = f"{condition}_{kind}_{data}_{seed}".replace(" ", "-")
    return folder / f"{name.replace(',', '').replace('%', '')}.nc"


def one_network(folder: Path, condition: str, kind: str, data: str, seed: int) -> xr.Dataset:
    """Return what was measured of a network, from its file or by training it."""
    recipe = KINDS[kind]
    settings = {
        "condition": asdict(CONDITIONS[condition]),
        "kind": kind,
        "size": recipe.sizes[CONDITIONS[condition].size],
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "data": data_of(data).source,
        "seed": seed,
    }
    compute = partial(trained_and_measured, condition, kind, data, seed)
    return results.kept(network_file(folder, condition, kind, data, seed), settings, compute)


def trained_and_measured(condition: str, kind: str, data: str, seed: int) -> xr.Dataset:
    """Train a network under a condition and measure it: as `measured`, with its ``seconds``."""
    start = perf_counter()
    asked, recipe, dataset = CONDITIONS[condition], KINDS[kind], data_of(data)
    place = [seed, zlib.crc32(f"{kind}, {data}".encode())]
    samples, labels, given = training_set(dataset, asked, place)
    build = partial(recipe.build, **recipe.sizes[asked.size])
    masks, asked_to_stop = [], stop(asked, samples, labels, given)
    epochs = 0

    def planted() -> nn.Module:
        network = build()
        masks.append(plant(network, asked, place))
        return network

    def until(network: nn.Module) -> bool:
        nonlocal epochs
        epochs += 1
        return asked_to_stop(network)

    network = fit(
        planted,
        samples,
        given,
        round(asked.epochs * recipe.epochs),
        seed,
        learning_rate=asked.rate * recipe.learning_rate,
        batch_size=recipe.batch_size,
        until=until,
    )
    found = measured(kind, network, (samples, given), (dataset.test_images, dataset.test_labels))
    layer = np.arange(1, len(masks[0]) + 1)
    found["planted"] = xr.DataArray(masks[0], {"layer": layer}, "layer").astype("int8")
    logits = _logits(network, samples)
    wrong = labels != given
    found["accuracy_clean"] = _fraction(logits.argmax(1) == labels)
    found["memorised"] = _fraction((logits.argmax(1) == given)[wrong])
    found["wrong_labels"] = _fraction(wrong)
    return found.assign(epochs=epochs, seconds=perf_counter() - start)


Part = tuple[Tensor, Tensor]


def measured(kind: str, network: nn.Module, train: Part, test: Part) -> xr.Dataset:
    """Measure a network of a kind on what it was trained on, and on unseen samples.

    Returns for each part, ``_train`` with the labels that the network was given and ``_test``:
    ``separation`` (draw, layer), bootstrap draws whose mean is D; ``floor`` (shuffle, layer), D of
    shuffled labels; ``state`` (layer), the number of one of `STATES`; ``moved`` (layer), root mean
    square change of the features from the layer before over their spread there, nan where the shape
    changes; ``accuracy`` with these labels; ``loss`` and ``loss_without``, ``influence`` and
    ``angular_distance`` (layer), as `sbt_utils.measuring.skipping.removal` has them.
    """
    columns: dict[str, xr.DataArray] = {}
    for number, (part, (inputs, labels)) in enumerate({"train": train, "test": test}.items()):
        features = features_of(kind, network, inputs, labels)
        columns |= {
            f"{name}_{part}": values
            for name, values in {
                **separations(features, labels, [0, number]),
                "moved": xr.DataArray(moved(features), dims="layer"),
                "accuracy": _fraction(_logits(network, inputs).argmax(1) == labels),
                **removals(network, (inputs, labels), len(features)),
            }.items()
        }
    found = xr.Dataset(columns).assign_coords(layer=range(len(features)))
    floats = [name for name, values in found.items() if values.dtype.kind == "f" and values.ndim]
    return found.assign({name: found[name].astype("float32") for name in floats})


def features_of(kind: str, network: nn.Module, inputs: Tensor, labels: Tensor) -> list[Tensor]:
    """Return the features of the layers that a stress map measures, l = 0..L."""
    recipe = KINDS[kind]
    batches = as_batches(inputs, labels, 512)
    kept = layer_scatter(network, batches, recipe.layers, recipe.pool, lambda name: _Features())
    return [torch.cat(layer.batches) for layer in kept.values()]


class _Features:
    """What takes the place of statistics, and keeps the features."""

    def __init__(self) -> None:
        self.batches: list[Tensor] = []

    def update(self, features: Tensor, labels: Any) -> None:
        self.batches.append(features.detach().flatten(1).clone())


def separations(
    features: Sequence[Tensor], labels: Tensor, seed: Sequence[int]
) -> dict[str, xr.DataArray]:
    """Return the draws of D, its state, and D of shuffled labels, of each layer."""
    draws = np.full((RESAMPLES, len(features)), np.nan)
    states = np.zeros(len(features), np.int8)
    floor = np.full((SHUFFLES, len(features)), np.nan)
    defined = {}
    for layer, values in enumerate(features):
        scatter, states[layer] = _scatter(values, labels)
        if states[layer] == 0:
            defined[layer] = scatter
    if defined:
        draws[:, list(defined)] = bootstrap(list(defined.values()), RESAMPLES, seed)
    rng = np.random.default_rng([*seed, 1])
    for shuffle in range(SHUFFLES):
        shuffled = labels[torch.from_numpy(rng.permutation(len(labels)))]
        for layer in defined:
            scatter, state = _scatter(features[layer], shuffled)
            if state == 0:
                floor[shuffle, layer] = scatter.separation
    return {
        "separation": xr.DataArray(draws, dims=("draw", "layer")),
        "state": xr.DataArray(states, dims="layer"),
        "floor": xr.DataArray(floor, dims=("shuffle", "layer")),
    }


def _scatter(features: Tensor, labels: Tensor) -> tuple[SampledScatter, int]:
    """Return the scatter of features, and the number of its state."""
    scatter = SampledScatter()
    if not features.isfinite().all():
        return scatter, STATES.index("not finite")
    spread = (features - features.mean(0)).abs().max()
    if spread <= 1e-6 * features.abs().max():
        return scatter, STATES.index("constant")
    for batch in zip(features.split(512), labels.split(512), strict=True):
        scatter.update(*batch)
    try:
        scatter.scatter()
    except UndefinedSeparation as error:
        kind = "between" if "between the classes" in str(error) else "within"
        return scatter, STATES.index(f"no variance {kind}")
    return scatter, 0


def moved(features: Sequence[Tensor]) -> np.ndarray:
    """Return how far each layer moves features, relative to their spread; nan for l = 0."""
    change = np.full(len(features), np.nan)
    centred = [values.double() - values.double().mean(0) for values in features]
    for layer in range(1, len(features)):
        before, after = centred[layer - 1 : layer + 1]
        if before.shape == after.shape:
            change[layer] = ((after - before).norm() / before.norm()).item()
    return change


def removals(network: nn.Module, part: Part, layers: int) -> dict[str, Any]:
    """Return what the removal of each block costs; nan for networks without blocks."""
    columns = dict.fromkeys(
        ("loss_without", "influence", "angular_distance"), np.full(layers, np.nan)
    )
    if not hasattr(network, "blocks"):
        loss = nn.functional.cross_entropy(_logits(network, part[0]).double(), part[1]).item()
        return {"loss": loss} | {name: xr.DataArray(c, dims="layer") for name, c in columns.items()}
    blocks = [f"blocks.{number}" for number in range(layers - 1)]
    found = removal(network, *part, layers=blocks)
    return {"loss": found.loss} | {
        name: xr.DataArray(np.append(np.nan, getattr(found, name)), dims="layer")
        for name in columns
    }


@torch.no_grad()
def _logits(network: nn.Module, inputs: Tensor) -> Tensor:
    return torch.cat([network(batch) for batch in inputs.split(512)])


def _fraction(mask: Tensor) -> float:
    return mask.double().mean().item()
