"""Networks of other shapes: deeper, wider, started from larger or smaller weights.

``python -m sbt_book.beyond.shapes`` trains them and writes ``results/shapes.nc``; shapes that are
finished are kept in ``results/shapes.parts`` meanwhile.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn
from tqdm.auto import tqdm

from sbt_book.common.committed import RESULTS
from sbt_book.common.parts import remove_parts
from sbt_utils import results
from sbt_utils.data.datasets import load_data
from sbt_utils.ensembles.ensemble import initial_state
from sbt_utils.ensembles.noise import seed_words
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

DEEPEST = 32


@dataclass(frozen=True)
class Shape:
    """ReLU networks of the published protocol, but for what is said here.

    Attributes
    ----------
    hidden_layers, width, dropout, learning_rate
        As in `sbt_utils.sweeping.experiments.Experiment`.
    hidden_scale, readout_scale : float
        What the initial weights of the hidden layers, and of the read-out, are multiplied by.
    seeds : int
        Networks, of the seeds 0, 1, ...
    """

    hidden_layers: int = 7
    width: int = 100
    dropout: float = 0.0
    learning_rate: float = 1e-3
    hidden_scale: float = 1.0
    readout_scale: float = 1.0
    seeds: int = 10


_SCALES = (0.25, 1.0, 4.0)

SERIES: dict[str, tuple[Shape, ...]] = {
    "depth": tuple(Shape(depth) for depth in (4, 7, 12, 20, DEEPEST)),
    "depth, dropout": tuple(Shape(depth, dropout=0.1) for depth in (4, 7, 12)),
    "width": tuple(Shape(width=width) for width in (25, 50, 100, 200, 400)),
    "width, rate": tuple(Shape(width=w, learning_rate=0.1 / w) for w in (25, 50, 100, 200)),
    "hidden scale": tuple(Shape(hidden_scale=scale) for scale in _SCALES),
    "rate": tuple(Shape(learning_rate=1e-3 / scale) for scale in _SCALES),
    "readout scale": tuple(Shape(readout_scale=scale) for scale in _SCALES),
}
"""The shapes that differ in one respect; the published shape is in several series."""

CONFIGURATION: dict[str, Any] = {
    "series": {name: [asdict(shape) for shape in shapes] for name, shapes in SERIES.items()},
    "images": 2560,
    "epochs": 100,
}


def start(shape: Shape) -> tuple[nn.Sequential, dict[str, Any]]:
    """Return the architecture of a shape and the state to train it from, for `train`."""
    network = MLP(width=shape.width, hidden_layers=shape.hidden_layers, dropout=shape.dropout)
    count = shape.seeds
    state = initial_state(network, [seed_words(seed)[0] for seed in range(count)])
    for name, tensor in state.items():
        if name.startswith("linear") and name.endswith("weight"):
            tensor *= shape.hidden_scale
        if name.startswith("readout"):
            tensor *= shape.readout_scale
    fresh = {
        "seed": torch.arange(count),
        "networks": state,
        "optimizer": {},
        "epochs": torch.zeros(count, dtype=torch.int64),
        "loss": torch.full((count,), torch.nan, dtype=torch.float64),
        "stopped": torch.zeros(count, dtype=torch.bool),
        "algorithm": "adam",
    }
    return network, fresh


def measured(shape: Shape, images: int, epochs: int) -> xr.Dataset:
    """Train the networks of a shape.

    Returns ``separation_train`` (seed, layer), ``accuracy_train``, ``accuracy_test`` and
    ``loss_train`` (seed), of the whole images without noise.
    """
    data = load_data("mnist", images)
    network, state = start(shape)
    trained = train(
        network,
        (data.train_images, data.train_labels),
        seeds=range(shape.seeds),
        learning_rate=shape.learning_rate,
        epochs=epochs,
        resume=state,
        progress=False,
    )
    networks = list(trained.networks)
    on_train = evaluate(networks, data.train_images, data.train_labels)
    on_test = evaluate(networks, data.test_images, data.test_labels)
    layers = ("seed", "layer")
    return xr.Dataset(
        {
            "separation_train": (layers, on_train.separation.values, {"long_name": "D, training"}),
            "accuracy_train": ("seed", on_train.accuracy.values, {"long_name": "accuracy"}),
            "accuracy_test": ("seed", on_test.accuracy.values, {"long_name": "test accuracy"}),
            "loss_train": ("seed", on_train.loss.values, {"long_name": "cross-entropy"}),
        },
        {"seed": np.arange(shape.seeds), "layer": np.arange(on_train.sizes["layer"])},
    )


def everything(folder: Path) -> xr.Dataset:
    """Measure all shapes, as `measured` does, along ``shape``, whose fields are coordinates.

    The coordinate ``series`` says what it belongs to; nan stands beyond a network's last layer and
    its last seed. Finished shapes are kept in the folder.
    """
    rows = [(series, shape) for series, shapes in SERIES.items() for shape in shapes]
    settings = {name: CONFIGURATION[name] for name in ("images", "epochs")}
    parts = [
        results.kept(
            part_of(folder, shape),
            settings | asdict(shape),
            lambda shape=shape: measured(shape, **settings),  # type: ignore[misc]
        )
        for _, shape in tqdm(rows)
    ]
    once = {shape: part for (_, shape), part in zip(rows, parts, strict=True)}
    spent = sum(part.attrs["wall_time_seconds"] for part in once.values())
    found = xr.concat(parts, "shape", join="outer", combine_attrs="drop").drop_encoding()
    found = found.assign_coords(series=("shape", [series for series, _ in rows]))
    names = ("hidden_layers", "width", "dropout", "learning_rate", "hidden_scale", "readout_scale")
    for name in names:
        found = found.assign_coords({name: ("shape", [getattr(shape, name) for _, shape in rows])})
    return found.assign_attrs(wall_time_seconds=spent)


def part_of(folder: Path, shape: Shape) -> Path:
    """Return the file that keeps a shape."""
    return folder / ("_".join(f"{value:g}" for value in asdict(shape).values()) + ".nc")


if __name__ == "__main__":
    every = {shape for shapes in SERIES.values() for shape in shapes}
    # Weights, that is multiply-adds for each image, in units of the published network.
    work = sum(s.seeds * s.hidden_layers * s.width**2 for s in every) / (7 * 100**2)
    print(f"{len(every)} shapes, about {3 * work / 60:.0f} min of one processor core")
    parts = RESULTS / "shapes.parts"
    results.kept(RESULTS / "shapes.nc", CONFIGURATION, lambda: everything(parts))
    remove_parts(part_of(parts, shape) for shape in every)
