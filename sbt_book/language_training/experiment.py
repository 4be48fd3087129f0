"""Training small language models: dropout, learning rate, depth, scaled layer norms, steering.

``python -m sbt_book.language_training.experiment`` trains them all and writes
``results/language_training.nc``; networks that are finished are kept in
``results/language_training.parts`` meanwhile, and with ``--finished`` the seeds are written of
which all networks are. ``--size full FOLDER`` is for a GPU, and writes to another folder.
"""

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from tqdm.auto import tqdm

from sbt_book.common.committed import RESULTS
from sbt_book.common.parts import remove_parts
from sbt_book.language_training.settings import SEEDS, SETTINGS, SIZES, configuration
from sbt_book.language_training.text import Text, manual
from sbt_book.language_training.training import trained
from sbt_utils import results

STEP = 2.0**-13
"""To this D, residuals and losses are rounded in a file."""


def part_of(folder: Path, name: str, seed: int) -> Path:
    """Return the file that keeps a network."""
    return folder / f"{seed}_{name.replace(' ', '-').replace(',', '')}.nc"


def network(folder: Path, name: str, size: str, seed: int, text: Text) -> xr.Dataset:
    """Return the readings of a network: those that the folder keeps, or of a training."""
    setting, device = SETTINGS[name], "cuda" if torch.cuda.is_available() else "cpu"
    made = {"setting": asdict(setting), "size": asdict(SIZES[size]), "seed": seed}
    made["text"] = text.digest

    def compute() -> xr.Dataset:
        return trained(setting, SIZES[size], text, seed, device)[1]

    return results.kept(part_of(folder, name, seed), made, compute)


def everything(folder: Path, size: str, seeds: list[int]) -> xr.Dataset:
    """Train the networks of `SETTINGS`, seed by seed.

    Returns
    -------
    xarray.Dataset
        What `sbt_book.language_training.training.trained` returns, along ``setting`` and ``seed``;
        nan beyond a network's last block. The attribute ``text`` says what was read.
    """
    text = manual(SIZES[size].training, SIZES[size].held_out)
    parts = {
        (name, seed): network(folder, name, size, seed, text)
        for seed, name in tqdm([(seed, name) for seed in seeds for name in SETTINGS])
    }
    spent = sum(part.attrs["wall_time_seconds"] for part in parts.values())
    by_setting = [
        xr.concat([parts[name, seed] for seed in seeds], "seed", combine_attrs="drop")
        for name in SETTINGS
    ]
    found = xr.concat(by_setting, "setting", join="outer", combine_attrs="drop").drop_encoding()
    found = found.assign_coords(setting=list(SETTINGS), seed=seeds)
    for name, values in found.items():
        if name != "dropout":
            rounded = np.round(values.values / STEP) * STEP
            found[name] = (values.dims, rounded.astype("float32"))
        found[name].encoding = {"zlib": True, "complevel": 9, "shuffle": True}
    said = f"pydoc_data.topics of Python's standard library (PSF licence), SHA-256 {text.digest}"
    return found.assign_attrs(text=said, wall_time_seconds=spent)


def main() -> None:
    """Compute results/language_training.nc, or the larger networks in another folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=RESULTS)
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--finished", action="store_true", help="only seeds that are finished")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    folder = chosen.folder / "language_training.parts"
    seeds = list(SEEDS)
    if chosen.finished:
        seeds = [seed for seed in seeds if all(part_of(folder, n, seed).exists() for n in SETTINGS)]
    minutes = {"small": "10 min of one processor core", "full": "a quarter of an hour of a GPU"}
    print(f"{len(seeds)} seeds of {len(SETTINGS)} networks: {minutes[chosen.size]} for each seed")
    path = chosen.folder / "language_training.nc"
    made = configuration(chosen.size) | {"seeds": seeds}
    results.kept(path, made, partial(everything, folder, chosen.size, seeds))
    if not chosen.finished:
        remove_parts(folder.glob("*.nc"))


if __name__ == "__main__":
    main()
