"""Networks of several sources of noise, followed as they train: settings, cells and results."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.parts import remove_parts
from sbt_utils import results

Levels = Mapping[str, Sequence[float]]
"""Levels by source of noise, equally many of each."""


def cell_settings(
    source: str, number: int, seed: int, levels: Sequence[float], slopes: Sequence[float]
) -> dict[str, Any]:
    """Return the settings of one network for each level and slope of the source of this number."""
    level, slope = (grid.ravel() for grid in np.meshgrid(levels, slopes, indexing="ij"))
    seeds = np.random.SeedSequence([seed, number]).generate_state(len(level))
    return {source: level, "negative_slope": slope, "seeds": seeds.tolist()}


def by_cell(found: xr.Dataset, levels: Sequence[float], slopes: Sequence[float]) -> xr.Dataset:
    """Return what is known of ``member``, from `cell_settings`, over (noise, slope, ...)."""
    cells = pd.MultiIndex.from_product([range(len(levels)), list(slopes)], names=["noise", "slope"])
    found = found.assign_coords(xr.Coordinates.from_pandas_multiindex(cells, "member"))
    found = found.unstack("member").transpose("noise", "slope", ...)
    return found.assign_coords(level=("noise", list(levels))).drop_vars("noise")


def followed(
    out: Path,
    configuration: Mapping[str, Any],
    sources: Sequence[str],
    seeds: Sequence[int],
    follow: Callable[[str, int], xr.Dataset],
) -> xr.Dataset:
    """Return what `follow` finds of each source and seed, (source, seed, ...), and keep it.

    Until `out` is there, what is done is kept in a folder of the same name that ends in ``.parts``.
    """

    def part_of(source: str, seed: int) -> Path:
        return out.with_suffix(".parts") / f"{source}_{seed}.nc"

    def everything() -> xr.Dataset:
        runs = {
            (source, seed): results.kept(
                part_of(source, seed),
                configuration,
                lambda source=source, seed=seed: follow(source, seed),  # type: ignore[misc]
            )
            for seed in seeds
            for source in sources
        }
        numbers = xr.Variable("seed", list(seeds))
        by_source = [xr.concat([runs[source, n] for n in seeds], numbers) for source in sources]
        found = xr.concat(by_source, xr.Variable("source", list(sources)))
        seconds = sum(run.wall_time_seconds for run in runs.values())
        return found.assign_attrs(wall_time_seconds=seconds)

    found = results.kept(out, {**configuration, "seeds": list(seeds)}, everything)
    remove_parts(part_of(source, seed) for seed in seeds for source in sources)
    return found
