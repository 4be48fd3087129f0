"""What the chapter measures: ``python -m sbt_book.friction.experiment``, in half an hour.

On one processor core. Each part that is finished is kept in a folder, and not computed again.
"""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from tqdm.auto import tqdm

from sbt_book.common.committed import RESULTS
from sbt_book.common.parts import remove_parts
from sbt_book.friction import chains, jerks
from sbt_book.friction.cycling import cycled_networks, driven_networks
from sbt_book.friction.pushing import continued_adam, pushed_network
from sbt_utils import results
from sbt_utils.data.datasets import load_data
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import Training, train

CONFIGURATION: dict[str, Any] = {
    "images": 1000,
    "epochs": 100,
    "seeds": 10,
    "slopes": [0.0, 0.4, 0.8, 1.0],
    "dropouts": [0.0, 0.1, 0.3],
    "push": {"layer": 4, "steps": 10, "strengths": [0.003, 0.01, 0.03, 0.1]},
    "descent": {"force": 0.03, "rate": 0.03},
    "cycle": {
        "slope": 0.0,
        "dropout": [0.05, 0.3],
        "shaken": 420,
        "periods": [120, 480, 1920],
        "held": 1280,
        "readings": 20,
    },
    "jerks": {"slope": 0.0, "epochs": 100},
    "chain": {
        "friction": 0.04,
        "noises": [0.0, 0.03, 0.1],
        "cycle": {
            "noise, dry": {"friction": 0.04, "noise": [0.0, 0.3], "end": [1.0, 1.0]},
            "pull, dry": {"friction": 0.04, "noise": [0.0, 0.0], "end": [1.0, 1.5]},
            "pull, shaken": {"friction": 0.04, "noise": [0.1, 0.1], "end": [1.0, 1.5]},
            "pull, no friction": {"friction": 0.0, "noise": [0.0, 0.0], "end": [1.0, 1.5]},
            "pull, honey": {
                "friction": 0.0,
                "noise": [0.0, 0.0],
                "end": [1.0, 1.5],
                "mobility": 1e-3,
            },
        },
    },
}
"""What is computed. A chain's friction is that of ReLU; that of a slope α is 1 - α of it."""

STEP = 2.0**-13
"""To this curves read every epoch are rounded in a file."""

SLIPS = 500
"""Of each chain that are kept."""

FRESH = 2**31
"""Added to a network's seed, it seeds the dropout while the network is pushed."""


def forces() -> list[float]:
    """Return the forces of the push, both signs, ascending."""
    strengths = CONFIGURATION["push"]["strengths"]
    return [-force for force in reversed(strengths)] + strengths


def everything(folder: Path) -> xr.Dataset:
    """Measure everything, part by part.

    Parameters
    ----------
    folder : Path
        Keeps the finished parts.

    Returns
    -------
    xarray.Dataset
        All that `chain`, `cycled_chain`, `held`, `cycled`, `push` and `jerk` return.
    """
    seeds, options = range(CONFIGURATION["seeds"]), CONFIGURATION["cycle"]
    parts: dict[str, Callable[[], xr.Dataset]] = {
        "chain": chain,
        "cycled_chain": cycled_chain,
        "held": held,
        "cycled": cycled,
    }
    parts |= {f"push_{seed}": partial(push, seed) for seed in seeds}
    parts |= {f"jerks_{dropout}": partial(jerk, dropout) for dropout in CONFIGURATION["dropouts"]}
    runs = CONFIGURATION["push"]["steps"] * (len(forces()) + 1 + 2)
    cells = len(CONFIGURATION["slopes"]) * len(CONFIGURATION["dropouts"])
    tqdm.write(
        f"{len(parts)} parts: {len(seeds)} x {cells} networks pushed for {runs} steps each; "
        f"{len(seeds)} networks for {2 * sum(options['periods']) + 2 * options['periods'][0]} "
        f"epochs of cycles, and for {2 * options['held']} with dropout held: half an hour of a core"
    )
    made = {}
    for name, compute in tqdm(parts.items(), unit="part"):
        path = folder / f"{name}.nc"
        made[name] = results.kept(path, CONFIGURATION | {"part": name}, compute)
    seconds = sum(part.attrs["wall_time_seconds"] for part in made.values())
    joined = [made[name] for name in ("chain", "cycled_chain", "held", "cycled")] + [
        xr.concat([part for name, part in made.items() if name.startswith(kind)], along)
        for kind, along in (("push", "seed"), ("jerks", "dropout"))
    ]
    found = xr.merge(joined, combine_attrs="drop", join="exact").drop_encoding()
    for values in found.values():
        values.encoding = {"zlib": True, "complevel": 9, "shuffle": True}
    return found.assign_attrs(wall_time_seconds=seconds)


def trained(slope: float | list[float], dropout: float | list[float], seeds: Any) -> Training:
    """Return networks of the published size after 100 epochs of the published training."""
    return train(
        MLP(),
        *training_data(),
        seeds=seeds,
        negative_slope=slope,
        dropout=dropout,
        epochs=CONFIGURATION["epochs"],
        separation_every=CONFIGURATION["epochs"],
        progress=False,
    )


def training_data() -> tuple[Tensor, Tensor]:
    """Return the images and labels to train on."""
    digits = load_data("mnist", train=CONFIGURATION["images"])
    return digits.train_images, digits.train_labels


def push(seed: int) -> xr.Dataset:
    """Push a layer of the networks of one seed.

    Returns
    -------
    xarray.Dataset
        ``before`` (slope, dropout, seed, layer), D_l before the push; ``pushed`` (slope, dropout,
        seed, force, layer), D_l without a force less D_l with it, after the steps of the push;
        ``descended`` (slope, dropout, seed, layer), likewise by plain gradient descent.
    """
    slopes, dropouts = CONFIGURATION["slopes"], CONFIGURATION["dropouts"]
    cells = [(slope, dropout) for slope in slopes for dropout in dropouts]
    base = trained([slope for slope, _ in cells], [p for _, p in cells], [seed] * len(cells))
    arguments = (
        training_data(),
        CONFIGURATION["push"]["layer"],
        CONFIGURATION["push"]["steps"],
        seed + FRESH,
    )
    descent = partial(torch.optim.SGD, lr=CONFIGURATION["descent"]["rate"])
    pushed, descended = [], []
    for member, network in enumerate(base.networks):
        moments = {name: tensor[member] for name, tensor in base.state["optimizer"].items()}
        adam = continued_adam(moments)
        free = pushed_network(network, adam, *arguments, 0.0)
        pushed.append([free - pushed_network(network, adam, *arguments, f) for f in forces()])
        free, moved = (
            pushed_network(network, descent, *arguments, force)
            for force in (0.0, CONFIGURATION["descent"]["force"])
        )
        descended.append(free - moved)
    columns = {
        "before": (base.history.separation.values[:, -1], ()),
        "pushed": (np.array(pushed), ("force",)),
        "descended": (np.array(descended), ()),
    }
    shape = len(slopes), len(dropouts), 1
    return xr.Dataset(
        {
            name: (
                ("slope", "dropout", "seed", *others, "layer"),
                values.reshape(*shape, *values.shape[1:]),
            )
            for name, (values, others) in columns.items()
        },
        {"slope": slopes, "dropout": dropouts, "seed": [seed], "force": forces()},
    )


@cache
def aged(dropout: float) -> dict[str, Any]:
    """Return the ten networks as they are after the shaking, at this dropout from the beginning."""
    options = CONFIGURATION["cycle"]
    state = trained(options["slope"], dropout, range(CONFIGURATION["seeds"])).state
    further = np.full(options["shaken"] - CONFIGURATION["epochs"], dropout)
    return driven_networks(MLP(), training_data(), state, further, (), options["slope"])[1]


def held() -> xr.Dataset:
    """Hold the dropout at its lowest, of networks that have been shaken and of others.

    Returns
    -------
    xarray.Dataset
        ``held`` (history, seed, held_epoch), convexity after so many epochs.
    """
    options, seeds = CONFIGURATION["cycle"], list(range(CONFIGURATION["seeds"]))
    low, high = options["dropout"]
    epochs = range(0, options["held"] + 1, options["held"] // options["readings"])
    levels = np.full(options["held"], low)
    values = [
        driven_networks(MLP(), training_data(), aged(before), levels, epochs, options["slope"])[0]
        for before in (high, low)
    ]
    return xr.Dataset(
        {"held": (("history", "seed", "held_epoch"), np.array(values))},
        {"history": ["shaken", "never shaken"], "seed": seeds, "held_epoch": list(epochs)},
    )


def cycled() -> xr.Dataset:
    """Lower and raise the dropout of shaken networks, ever more slowly, and fast once more.

    Returns
    -------
    xarray.Dataset
        ``cycled`` (period, seed, reading), convexity in the last one and a half of two periods;
        ``cycled_again`` (seed, reading), likewise after all these, in the first of the periods.
    """
    options, seeds = CONFIGURATION["cycle"], list(range(CONFIGURATION["seeds"]))
    state, values = aged(options["dropout"][1]), []
    for period in [*options["periods"], options["periods"][0]]:
        setting = period, options["dropout"], options["readings"], options["slope"]
        read, state = cycled_networks(MLP(), training_data(), state, *setting)
        values.append(read)
    return xr.Dataset(
        {
            "cycled": (("period", "seed", "reading"), np.array(values[:-1])),
            "cycled_again": (("seed", "reading"), values[-1]),
        },
        {"period": options["periods"], "seed": seeds},
    )


def jerk(dropout: float) -> xr.Dataset:
    """Train networks on and read them every epoch.

    Returns
    -------
    xarray.Dataset
        ``read`` (dropout, seed, epoch, layer), D_l, rounded to `STEP`.
    """
    seeds, slope = list(range(CONFIGURATION["seeds"])), CONFIGURATION["jerks"]["slope"]
    run = train(
        MLP(),
        *training_data(),
        seeds=seeds,
        negative_slope=slope,
        dropout=dropout,
        epochs=CONFIGURATION["epochs"] + CONFIGURATION["jerks"]["epochs"],
        separation_every=1,
        resume=trained(slope, dropout, seeds).state,
        progress=False,
    )
    dims = ("dropout", "seed", "epoch", "layer")
    values = _rounded(run.history.separation.values)[None]
    return xr.Dataset({"read": (dims, values)}, {"dropout": [dropout], "seed": seeds})


def _rounded(values: np.ndarray) -> np.ndarray:
    return (np.round(values / STEP) * STEP).astype("float32")


def chain() -> xr.Dataset:
    """Do the same to chains.

    Returns
    -------
    xarray.Dataset
        ``chain_pushed`` (slope, noise, seed, force), how far the block gives; ``chain_read``
        (noise, seed, epoch, block), D of chains with the friction of ReLU; ``chain_slip`` (noise,
        seed, slip), how far blocks go from one rest to the next, the first `SLIPS`, else nan.
    """
    mechanical = CONFIGURATION["chain"]
    seeds = list(range(CONFIGURATION["seeds"]))
    noises, slopes = mechanical["noises"], CONFIGURATION["slopes"]
    frictions = [mechanical["friction"] * (1 - slope) for slope in slopes]
    moved = chains.pushed_chains(forces(), CONFIGURATION["push"]["layer"], frictions, noises, seeds)
    read, slips = [], []
    for noise in noises:
        epochs = CONFIGURATION["epochs"], CONFIGURATION["jerks"]["epochs"]
        states = [chains.shaken(noise, mechanical["friction"], seed, epochs) for seed in seeds]
        every = chains.STEPS_PER_EPOCH
        read.append([_rounded(1 - state[every::every]) for state in states])
        sizes = [np.append(jerks.slips(state), np.full(SLIPS, np.nan)) for state in states]
        slips.append([first[:SLIPS] for first in sizes])
    return xr.Dataset(
        {
            "chain_pushed": (("slope", "noise", "seed", "force"), moved),
            "chain_read": (("noise", "seed", "epoch", "block"), np.array(read)),
            "chain_slip": (("noise", "seed", "slip"), np.array(slips, "float32")),
        },
        {
            "slope": slopes,
            "noise": noises,
            "seed": seeds,
            "force": forces(),
        },
    )


def cycled_chain() -> xr.Dataset:
    """Move the noise and the end of chains up and down.

    Returns
    -------
    xarray.Dataset
        ``chain_cycled`` (drive, period, seed, reading), convexity.
    """
    options, drives = CONFIGURATION["cycle"], CONFIGURATION["chain"]["cycle"]
    seeds = list(range(CONFIGURATION["seeds"]))
    values = [
        [
            chains.cycled_chains(period, seeds, **drive, readings=options["readings"])
            for period in options["periods"]
        ]
        for drive in drives.values()
    ]
    return xr.Dataset(
        {"chain_cycled": (("drive", "period", "seed", "reading"), np.array(values))},
        {"drive": list(drives), "period": options["periods"], "seed": seeds},
    )


def main() -> None:
    """Compute results/friction.nc."""
    torch.set_num_threads(1)
    path = RESULTS / "friction.nc"
    folder = path.with_suffix(".parts")
    results.kept(path, CONFIGURATION, partial(everything, folder))
    remove_parts(folder.glob("*.nc"))


if __name__ == "__main__":
    main()
