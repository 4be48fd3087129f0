"""Votes of neighbouring cells of a diagram, as chapter 4 counts them, and what chance gives."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr


def votes(convexity: xr.DataArray) -> tuple[float, float]:
    """Return the shares of votes for "more noise, more convex" and for "steeper, more concave".

    Every pair of neighbouring cells of a diagram has a vote: is the convexity (noise, slope) higher
    with the stronger noise? Is it lower with the smaller slope, which is the stronger nonlinearity?
    Levels of noise are in the order of their strength, the weakest first; pairs with a cell
    without a convexity do not vote.

    Examples
    --------
    >>> cells = xr.DataArray([[-0.2, 0.0], [-0.1, -0.15]], dims=("noise", "slope"))
    >>> votes(cells)
    (0.5, 0.5)
    """
    shares = []
    for dimension in ("noise", "slope"):
        rise = convexity.diff(dimension)
        shares.append(float((rise > 0).sum() / rise.count()) if rise.count() else np.nan)
    return shares[0], shares[1]


def shuffled_votes(convexity: xr.DataArray, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """Return the `votes` (draws, 2) of diagrams whose cells change places at random."""
    generator = np.random.default_rng(seed)
    convexity = convexity.transpose("noise", "slope")
    cells = convexity.values
    defined = np.isfinite(cells)
    found = np.empty((draws, 2))
    for row in found:
        shuffled = cells.copy()
        shuffled[defined] = generator.permutation(cells[defined])
        row[:] = votes(convexity.copy(data=shuffled))
    return found


def vote_table(of_seeds: Mapping[str, xr.DataArray], draws: int = 1000) -> pd.DataFrame:
    """Return a row for each diagram: its votes, their intervals over the seeds, and the null.

    Parameters
    ----------
    of_seeds : mapping of str to DataArray
        Convexities (noise, slope, seed) by the diagram's name.
    draws : int
        Of the bootstrap over the seeds of each cell, and of shuffled diagrams.

    Returns
    -------
    pandas.DataFrame
        For noise and for nonlinearity: the votes of the cells' means, their 95 % interval, and the
        97.5 % quantile of shuffled diagrams.
    """
    rows = {}
    for name, convexity in of_seeds.items():
        convexity = convexity.transpose("noise", "slope", "seed")
        generator, count = np.random.default_rng(0), convexity.sizes["seed"]
        found = votes(convexity.mean("seed"))
        resampled = np.empty((draws, 2))
        for row in resampled:
            index = generator.integers(count, size=convexity.shape)
            drawn = np.take_along_axis(convexity.values, index, axis=2)
            row[:] = votes(convexity.copy(data=drawn).mean("seed"))
        null = np.quantile(shuffled_votes(convexity.mean("seed"), draws), 0.975, axis=0)
        low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
        rows[name] = {
            f"{what}{suffix}": values[place]
            for place, what in enumerate(("more noise, more convex", "more nonlinear, less convex"))
            for suffix, values in (
                ("", found),
                (", low", low),
                (", high", high),
                (", chance", null),
            )
        }
    return pd.DataFrame(rows).T
