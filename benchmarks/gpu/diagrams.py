"""Part 3 of the GPU command: the four phase diagrams, into one file."""

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from sbt_book.phase_diagram.devices import as_columns, diagram_of
from sbt_utils import results
from sbt_utils.sweeping.experiments import PHASE_DIAGRAMS, published
from sbt_utils.sweeping.sweeps import sweep

SOURCES = [noise for noise, _ in PHASE_DIAGRAMS]


def rounds(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    for source in SOURCES:
        yield source, partial(diagram, source, options)
    yield "gpu.nc", partial(together, options.out)


def card_of(device: str) -> str:
    return "none" if device == "cpu" else torch.cuda.get_device_name(device)


def diagram(source: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train and measure a diagram's networks all at once, and write them."""
    made = existing(source, options.out)
    if made is None:
        experiment = published(source, options.profile)
        size = len(experiment)
        # Shards lie elsewhere: there would be too many files.
        made = sweep(experiment, device=options.device, shard_size=size, progress=False)
        configuration = json.loads(made.attrs["configuration"])
        made = made.assign_attrs(card=card_of(options.device))
        file = options.out / f"{source}.nc"
        results.save(made, file, configuration, made.attrs["wall_time_seconds"])
    return {
        "networks": made.accuracy_test.size,
        "seconds": float(made.attrs["wall_time_seconds"]),
        "best_accuracy": made.accuracy_test.mean("seed").max().item(),
    }


def existing(source: str, folder: Path) -> xr.Dataset | None:
    if (folder / "gpu.nc").exists():
        return diagram_of(results.load(folder / "gpu.nc"), source)
    file = folder / f"{source}.nc"
    return results.load(file) if file.exists() else None


def together(folder: Path) -> dict[str, Any]:
    """Put the diagrams into one file and remove theirs."""
    file, files = folder / "gpu.nc", {source: folder / f"{source}.nc" for source in SOURCES}
    if not file.exists():
        whole = as_columns({source: results.load(path) for source, path in files.items()})
        configuration = json.loads(whole.attrs["configuration"])
        results.save(whole, file, configuration, whole.attrs["wall_time_seconds"])
    for path in files.values():
        path.unlink(missing_ok=True)
    whole = results.load(file)
    networks, spent = whole.accuracy_test.size, float(whole.attrs["wall_time_seconds"])
    return {"networks": networks, "seconds": spent, "networks_per_second": networks / spent}
