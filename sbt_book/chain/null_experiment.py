"""Chains and nulls without mechanics, scored on the four phase diagrams: ours and the published.

``python -m sbt_book.chain.null_experiment`` makes ``results/null_models.nc`` in a minute.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from sbt_book.chain.diagram_matching import between_levels
from sbt_book.chain.held_out import held_out_scores, tabulated
from sbt_book.chain.null_models import (
    Fit,
    additive_convexities,
    additive_shapes,
    always_convex,
    exponential,
    parabola,
)
from sbt_book.common.committed import RESULTS, committed_file, load_committed
from sbt_book.common.noise_axes import NOISES
from sbt_book.common.selections import scaled_curves
from sbt_utils.measuring.curves import scaled
from sbt_utils.results import kept

CHAIN = {"order": "second", "shaking": "common", "friction_left": 0.15}
"""The mechanical diagram that networks are held against."""
NETWORKS = ("ours", "published")
"""Whose networks the diagrams are of."""
HALVES = 100
"""Random halves of the cells that models are fitted to, in turn."""
_SURE = 0.95


def target_curves(networks: str, source: str) -> np.ndarray:
    """Return the scaled curves (slope, noise, layer) of a phase diagram.

    `networks` is one of `NETWORKS`, `source` a key of `sbt_book.common.noise_axes.NOISES`.
    """
    if networks == "ours":
        return scaled_curves(load_committed(source)).transpose("slope", "noise", "layer").values
    file = committed_file("reference/published_phase_diagrams.json")
    return np.array(json.loads(file.read_text(encoding="utf-8"))["panels"][source]["curve"])


def chains() -> np.ndarray:
    """Return scaled curves of the simulated chains over (friction, noise, layer)."""
    mechanical = load_committed("spring_block").separation.sel(CHAIN, drop=True).astype("float64")
    return scaled(between_levels(mechanical).values)


def undriven_models(targets: np.ndarray) -> dict[str, Fit]:
    """Return the chain and its nulls, with about as many free numbers each."""
    return {
        "chain": tabulated(targets, chains()),
        "parabola": additive_shapes(targets, parabola),
        "exponential": additive_shapes(targets, exponential),
        "convexity": additive_convexities(targets),
        "always convex": always_convex(targets),
    }


def scores(models: Callable[[np.ndarray], dict[str, Fit]], count: int) -> xr.Dataset:
    """Score the models of each of the eight diagrams, with `count` random halves of its cells."""
    cells = [(networks, source) for networks in NETWORKS for source in NOISES]
    found = []
    for cell in tqdm(cells, unit="diagram"):
        targets = target_curves(*cell)
        found.append(held_out_scores(targets, models(targets), count))
    index = pd.MultiIndex.from_tuples(cells, names=["networks", "source"])
    coordinates = xr.Coordinates.from_pandas_multiindex(index, "diagram")
    joined = xr.concat(found, "diagram").assign_coords(coordinates).unstack("diagram")
    return joined.sel(networks=list(NETWORKS), source=list(NOISES)).astype("float32")


def null_scores(file: xr.Dataset, networks: str, source: str) -> pd.DataFrame:
    """Return what a chain and its rivals reach on a phase diagram.

    Parameters
    ----------
    file : xarray.Dataset
        ``load_committed("null_models")``, or other scores of its layout.
    networks, source : str
        One of `NETWORKS`, and a key of `sbt_book.common.noise_axes.NOISES`.

    Returns
    -------
    pandas.DataFrame
        A row for each model, the chain first. Columns ``within``, ``median`` and ``sign``, the
        scores of all cells, fitted to all; with ``_held_out`` the mean over the random halves, with
        ``_low`` and ``_high`` the range of 95 % of them. nan where a
        model predicts no curves.
    """
    cells = file.sel(networks=networks, source=source)
    ends = cells.held_out.quantile([0.025, 0.975], "half", skipna=False)
    parts: Mapping[str, xr.DataArray] = {
        "": cells.in_sample,
        "_held_out": cells.held_out.mean("half", skipna=False),
        "_low": ends.isel(quantile=0),
        "_high": ends.isel(quantile=1),
    }
    columns = {
        f"{score}{part}": values.sel(score=score).values
        for score in file.score.values
        for part, values in parts.items()
    }
    return pd.DataFrame(columns, file.model.values)


def null_verdict(
    file: xr.Dataset, networks: str, source: str, model: str, rivals: Sequence[str], score: str
) -> str:
    """Judge whether a model adds something to its rivals, by the criterion of chapter 3.

    Parameters
    ----------
    file, networks, source
        As in `null_scores`.
    model : str
        Which one to judge.
    rivals : sequence of str
        Which models it is held against.
    score : str
        ``"within"`` or ``"sign"``.

    Returns
    -------
    str
        ``"adds"`` if the model is ahead of each rival in at least 95 % of the random halves,
        ``"beaten"`` if one rival is ahead of it in as many, else ``"undecided"``.
    """
    cells = file.held_out.sel(networks=networks, source=source, score=score)
    own, others = cells.sel(model=model), cells.sel(model=list(rivals))
    if ((own > others).mean("half") >= _SURE).all():
        return "adds"
    return "beaten" if ((own < others).mean("half") >= _SURE).any() else "undecided"


if __name__ == "__main__":
    print("about a minute of one core")
    compute = partial(scores, undriven_models, HALVES)
    kept(RESULTS / "null_models.nc", {"halves": HALVES, "chain": CHAIN}, compute)
