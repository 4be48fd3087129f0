"""What the chapter measures: ``python -m sbt_book.friction.experiment``, in a quarter of an hour.

On one processor core. Each part that is finished is kept in a folder, and not computed again.
"""

from collections.abc import Callable
from functools import partial
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
from sbt_book.friction.cycling import cycled_networks
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
        "periods": [40, 80, 160, 320],
        "epochs": 480,
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
        All that the functions `chain`, `push`, `cycle` and `jerk` return.
    """
    seeds, periods = range(CONFIGURATION["seeds"]), CONFIGURATION["cycle"]["periods"]
    parts: dict[str, Callable[[], xr.Dataset]] = {"chain": chain}
    parts |= {f"push_{seed}": partial(push, seed) for seed in seeds}
    parts |= {f"cycle_{period}": partial(cycle, period) for period in periods}
    parts |= {f"jerks_{dropout}": partial(jerk, dropout) for dropout in CONFIGURATION["dropouts"]}
    runs = CONFIGURATION["push"]["steps"] * (len(forces()) + 1 + 2)
    cells = len(CONFIGURATION["slopes"]) * len(CONFIGURATION["dropouts"])
    tqdm.write(
        f"{len(parts)} parts: {len(seeds)} x {cells} networks pushed for {runs} steps each; "
        f"{len(seeds)} networks for {len(periods)} cycles of {CONFIGURATION['cycle']['epochs']} "
        "epochs: a quarter of an hour of one core"
    )
    made = {}
    for name, compute in tqdm(parts.items(), unit="part"):
        path = folder / f"{name}.nc"
        made[name] = results.kept(path, CONFIGURATION | {"part": name}, compute)
    seconds = sum(part.attrs["wall_time_seconds"] for part in made.values())
    joined = [made["chain"]] + [
        xr.concat([part for name, part in made.items() if name.startswith(kind)], along)
        for kind, along in (("push", "seed"), ("cycle", "period"), ("jerks", "dropout"))
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


def cycle(period: int) -> xr.Dataset:
    """Train networks while their dropout goes up and down.

    Returns
    -------
    xarray.Dataset
        ``cycled`` (period, seed, reading), convexity in the last one and a half periods.
    """
    options, seeds = CONFIGURATION["cycle"], list(range(CONFIGURATION["seeds"]))
    base = trained(options["slope"], options["dropout"][0], seeds)
    values = cycled_networks(
        MLP(),
        training_data(),
        base.state,
        period,
        options["dropout"],
        (CONFIGURATION["epochs"], CONFIGURATION["epochs"] + options["epochs"]),
        options["readings"],
        seeds=seeds,
        negative_slope=options["slope"],
    )
    dims = ("period", "seed", "reading")
    return xr.Dataset({"cycled": (dims, values[None])}, {"period": [period], "seed": seeds})


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
        ``chain_pushed`` (slope, noise, seed, force), how far the block gives; ``chain_cycled``
        (drive, period, seed, reading), convexity; ``chain_read`` (noise, seed, epoch, block), D of
        chains with the friction of ReLU; ``chain_slip`` (noise, seed, slip), how far their blocks
        go from one rest to the next, the first `SLIPS`, nan where there are fewer.
    """
    options, mechanical = CONFIGURATION["cycle"], CONFIGURATION["chain"]
    seeds = list(range(CONFIGURATION["seeds"]))
    noises, slopes = mechanical["noises"], CONFIGURATION["slopes"]
    frictions = [mechanical["friction"] * (1 - slope) for slope in slopes]
    moved = chains.pushed_chains(forces(), CONFIGURATION["push"]["layer"], frictions, noises, seeds)
    cycled = [
        [
            chains.cycled_chains(period, seeds, **drive, readings=options["readings"])
            for period in options["periods"]
        ]
        for drive in mechanical["cycle"].values()
    ]
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
            "chain_cycled": (("drive", "period", "seed", "reading"), np.array(cycled)),
            "chain_read": (("noise", "seed", "epoch", "block"), np.array(read)),
            "chain_slip": (("noise", "seed", "slip"), np.array(slips, "float32")),
        },
        {
            "slope": slopes,
            "noise": noises,
            "seed": seeds,
            "force": forces(),
            "drive": list(mechanical["cycle"]),
            "period": options["periods"],
        },
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
