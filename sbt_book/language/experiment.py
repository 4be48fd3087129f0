"""What the chapter measures of SmolLM2: ``python -m sbt_book.language.experiment FOLDER``.

It takes half an hour on one processor core, about ten minutes per kind of text. What of a kind is
finished is kept in the folder, and not computed again. The texts and the model have to be
installed: see `sbt_book.language.texts` and `sbt_book.common.language_model`.
"""

import argparse
import hashlib
import json
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from sbt_book.common import language_model as packages
from sbt_book.language.removal import removed_runs, removed_sets, stack_of
from sbt_book.language.texts import KINDS, documents, pieces
from sbt_utils import results
from sbt_utils.language.curves import TokenCurves, token_curves

CONFIGURATION: dict[str, Any] = {
    "measured": {"pieces": 96, "tokens": 128},
    "classes": 20,
    "targets": ["next", "shuffled", "current", "previous", "next next"],
    "folds": 2,
    "draws": 100,
    "removal": {"pieces": 3, "tokens": 48, "first": 16},
    "sizes": [3, 5, 8],
    "random sets": 20,
    "seed": 0,
}
"""What a file of results says of how it came about; the first token scored is number `first`."""

CHOICES = ("load", "influence", "run by angle", "single cost")
"""By what a set of blocks is chosen that is left out: the smallest ones; the run of adjacent ones
of the smallest angle; what each alone costs, which takes knowing the losses."""

STEP = 2.0**-12
"""To this draws of D are rounded in a file."""


def everything(folder: Path) -> xr.Dataset:
    """Measure the model on all kinds of text.

    Parameters
    ----------
    folder : Path
        Keeps two files for each kind that is finished; those are not measured again.

    Returns
    -------
    xarray.Dataset
        Along ``text``, the kinds. ``depth`` is l, and l - 1/2 behind the attention of block l.

        ``separation`` (text, draw, depth), ``floor`` (text)
            D of tokens by the 20 most frequent next ones, in draws of a bootstrap over texts whose
            mean is what was measured; D of shuffled classes.
        ``residual`` (text, target, depth), ``held_out`` (text, target, fold, depth)
            Prediction residual on the tokens of the fit and on the other half of the texts.
        ``texts``, ``tokens``, ``positions`` (text)
            Texts, tokens that have a class, tokens of the least squares.
        ``loss``, ``loss_without`` and what stands for it
            As `sbt_book.language.removal.removed_runs` has them.
        ``set_loss`` (text, piece, size, choice), ``dropped`` (text, size, choice, block)
            The loss without ``size`` blocks, by the `CHOICES` and at random; which ones.
    """
    parts = [one_kind(folder, kind) for kind in KINDS]
    found = xr.concat(parts, "text", combine_attrs="drop").assign_coords(text=list(KINDS))
    names = [name.replace("_", "-") for name in packages.MODULES]
    return found.drop_encoding().assign_attrs(
        packages=json.dumps({name: version(name) for name in names}),
        weights=hashlib.sha256(packages.packaged_file().read_bytes()).hexdigest(),
        wall_time_seconds=sum(part.attrs["wall_time_seconds"] for part in parts),
    )


def one_kind(folder: Path, kind: str) -> xr.Dataset:
    """Return what is measured on a kind of text, from the folder where it is finished."""
    settings = CONFIGURATION | {"kind": kind}
    curves = results.kept(folder / f"{kind}-curves.nc", settings, partial(curves_of, kind))
    compute = partial(removal_of, kind, _loads(curves))
    costs = results.kept(folder / f"{kind}-removal.nc", settings, compute)
    seconds = sum(part.attrs["wall_time_seconds"] for part in (curves, costs))
    return curves.merge(costs, combine_attrs="drop").assign_attrs(wall_time_seconds=seconds)


@cache  # half a minute
def model_and_tokenizer() -> tuple[Any, packages.Tokenizer]:
    """Return SmolLM2-135M-Instruct and its tokenizer, loaded once.

    Returns
    -------
    tuple
        As `sbt_book.common.language_model` loads them.

    Raises
    ------
    ModuleNotFoundError
        The weights are not installed; it says what to install.

    Examples
    --------
    >>> model, tokenizer = model_and_tokenizer()  # doctest: +SKIP
    """
    return packages.language_model()


@cache
def pieces_of(kind: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the pieces of a kind on which curves are measured, and those of removals."""
    wanted = {name: CONFIGURATION[name] for name in ("measured", "removal")}
    counts = {part["tokens"]: part["pieces"] for part in wanted.values()}
    found = pieces(documents(kind), model_and_tokenizer()[1], counts, CONFIGURATION["seed"])
    return {name: found[part["tokens"]] for name, part in wanted.items()}


def curves_of(kind: str) -> xr.Dataset:
    """Measure D and the prediction residual on a kind of text, as `everything` has them."""
    ids, numbers = pieces_of(kind)["measured"]
    size = 8
    batches = [
        {"input_ids": rows, "texts": texts}
        for rows, texts in zip(ids.split(size), numbers.split(size), strict=True)
    ]
    curves = token_curves(
        model_and_tokenizer()[0],
        batches,
        classes=CONFIGURATION["classes"],
        layers="attention and mlp",
        targets=CONFIGURATION["targets"],
        folds=CONFIGURATION["folds"],
        resamples=CONFIGURATION["draws"],
        seed=CONFIGURATION["seed"],
    )
    return as_dataset(curves)


def as_dataset(curves: TokenCurves) -> xr.Dataset:
    """Return measured curves as `everything` has them."""
    draws = np.round(curves.separation.separation / STEP) * STEP
    targets = list(curves.residual)
    return xr.Dataset(
        {
            "separation": (("draw", "depth"), draws.astype(np.float32)),
            "floor": curves.floor,
            "residual": (("target", "depth"), np.array([curves.residual[t] for t in targets])),
            "held_out": (
                ("target", "fold", "depth"),
                np.array([curves.held_out[t] for t in targets]),
            ),
            "texts": curves.texts,
            "tokens": curves.tokens,
            "positions": curves.positions,
        },
        {"depth": np.arange(len(curves.layers)) / 2, "target": targets},
    )


def _loads(curves: xr.Dataset) -> np.ndarray:
    """Return the load (L,) of each block."""
    whole = curves.separation.mean("draw")
    return -np.diff(whole.sel(depth=whole.depth % 1 == 0).values)


def removal_of(kind: str, loads: np.ndarray) -> xr.Dataset:
    """Leave out blocks on a kind of text, as `everything` has it."""
    ids, _ = pieces_of(kind)["removal"]
    first, sizes = CONFIGURATION["removal"]["first"], CONFIGURATION["sizes"]
    stack = stack_of(model_and_tokenizer()[0])
    runs = removed_runs(stack, ids, first)
    sets = {
        (size, name): chosen
        for size in sizes
        for name, chosen in chosen_sets(runs, loads, size).items()
    }
    losses = removed_sets(stack, ids, first, {f"{s} {n}": v for (s, n), v in sets.items()})
    names = list(dict.fromkeys(name for _, name in sets))
    shape = (len(sizes), len(names))
    dropped = np.zeros((*shape, len(loads)), np.int8)
    for place, numbers in zip(np.ndindex(shape), sets.values(), strict=True):
        dropped[(*place, np.array(numbers) - 1)] = 1
    runs["set_loss"] = ("piece", "size", "choice"), losses.values.reshape(len(ids), *shape)
    runs["dropped"] = ("size", "choice", "block"), dropped
    runs = runs.assign_coords(size=sizes, choice=names, block=runs.start.values)
    return runs.map(lambda v: v.astype(np.float32) if v.dtype == np.float64 else v)


def chosen_sets(runs: xr.Dataset, loads: np.ndarray, size: int) -> dict[str, list[int]]:
    """Return which blocks each of the `CHOICES` leaves out, and sets at random."""
    means = runs.mean("piece")
    single = means.sel(length=1)
    order = {
        "load": np.argsort(loads),
        "influence": np.argsort(single.influence.values),
        "single cost": np.argsort(single.loss_without.values),
    }
    start = int(means.angle.sel(length=size).idxmin("start"))
    found = {name: (places[:size] + 1).tolist() for name, places in order.items()}
    found["run by angle"] = list(range(start, start + size))
    rng = np.random.default_rng([CONFIGURATION["seed"], size])
    chance = {
        f"random {number}": (rng.permutation(len(loads))[:size] + 1).tolist()
        for number in range(CONFIGURATION["random sets"])
    }
    return {name: sorted(found[name]) for name in CHOICES} | chance


def main() -> None:
    """Measure all, in half an hour on one processor core, and write ``language.nc``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="keeps what is finished, and the results")
    folder = parser.parse_args().folder
    found = everything(folder)
    for values in found.values():
        if values.dtype.kind in "fi" and values.ndim:
            values.encoding = {"zlib": True, "complevel": 9, "shuffle": True}
    seconds = found.attrs.pop("wall_time_seconds")
    results.save(found, folder / "language.nc", CONFIGURATION, seconds)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
