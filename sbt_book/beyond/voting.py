"""Votes of neighbouring cells of a diagram, as chapter 4 counts them, and what chance gives."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from sbt_book.common.noise_axes import in_order

DIRECTIONS = ("more noise, more convex", "more nonlinear, less convex")
"""What neighbouring cells vote on."""


def by_strength(source: str, diagram: xr.DataArray) -> xr.DataArray:
    """Return a diagram with the weakest noise of a source, a key of `NOISES`, first."""
    return in_order(source, diagram).isel(noise=slice(None, None, -1))


def votes(convexity: np.ndarray) -> np.ndarray:
    """Return the shares of votes (..., 2) in favour of each of `DIRECTIONS`.

    Every pair of neighbouring cells of a diagram (..., noise, slope) has a vote: is the convexity
    higher with the stronger noise? Is it lower with the smaller slope, the stronger nonlinearity?
    Noise grows along its axis, and so does α. A cell without a convexity has no vote.

    Examples
    --------
    >>> votes(np.array([[-0.2, 0.0], [-0.1, -0.15]]))
    array([0.5, 0.5])
    """
    shares = []
    for axis in (-2, -1):
        rise = np.diff(convexity, axis=axis)
        count = np.isfinite(rise).sum((-2, -1))
        in_favour = (rise > 0).sum((-2, -1))
        shares.append(np.where(count, in_favour / np.maximum(count, 1), np.nan))
    return np.stack(shares, -1)


def shuffled_votes(convexity: np.ndarray, draws: int = 1000) -> np.ndarray:
    """Return the `votes` (draws, 2) of a diagram (noise, slope) whose cells change places."""
    defined = np.isfinite(convexity)
    shuffled = np.repeat(convexity[None], draws, 0)
    cells = np.repeat(convexity[defined][None], draws, 0)
    shuffled[:, defined] = np.random.default_rng(0).permuted(cells, axis=1)
    return votes(shuffled)


def vote_table(diagrams: Mapping[str, xr.DataArray], draws: int = 400) -> pd.DataFrame:
    """Return the votes of diagrams, their intervals over the seeds, and what chance gives.

    Parameters
    ----------
    diagrams : mapping of str to DataArray
        Load curves (noise, slope, seed, layer) by the name of the diagram, the weakest noise first.
    draws : int
        Of the bootstrap over the seeds of each cell, and of shuffled diagrams.

    Returns
    -------
    pandas.DataFrame
        A row for each name and each of `DIRECTIONS`: ``votes``, of the cells' mean curves; ``low``
        and ``high``, their 95 % interval; ``chance``, what 97.5 % of the shuffled diagrams do not
        exceed; ``pairs`` that vote.
    """
    rows = {}
    for name, diagram in diagrams.items():
        curves = diagram.transpose("noise", "slope", "seed", "layer").sortby("slope").values
        convexity = _convexity(curves)
        resampled = votes(_convexity(curves, draws))
        shuffled = shuffled_votes(convexity, draws)
        for place, direction in enumerate(DIRECTIONS):
            pairs = int(np.isfinite(np.diff(convexity, axis=place)).sum())
            if pairs:
                low, high = np.nanquantile(resampled[:, place], [0.025, 0.975])
                rows[name, direction] = {
                    "votes": votes(convexity)[place],
                    "low": low,
                    "high": high,
                    "chance": np.nanquantile(shuffled[:, place], 0.975),
                    "pairs": pairs,
                }
    return pd.DataFrame(rows).T


def vote_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return a `vote_table` as words: a row for each diagram, a column for each of `DIRECTIONS`.

    A cell is such as ``"97 % (92 to 98), chance 58"``.
    """
    words = {
        row: f"{100 * cell.votes:.0f} % ({100 * cell.low:.0f} to {100 * cell.high:.0f})"
        f", chance {100 * cell.chance:.0f}"
        for row, cell in table.iterrows()
    }
    names = list(dict.fromkeys(name for name, _ in words))
    rows = [[words.get((name, direction), "–") for direction in DIRECTIONS] for name in names]
    index = [", ".join(name) if isinstance(name, tuple) else name for name in names]
    return pd.DataFrame(rows, index=index, columns=list(DIRECTIONS))


def _convexity(curves: np.ndarray, draws: int = 0) -> np.ndarray:
    """Return convexities of the cells' mean curves, or (draws, ...) of their bootstrap.

    The curves are (noise, slope, seed, layer); those of seeds that are undefined somewhere are
    left out.
    """
    counts = np.isfinite(curves).all(-1).astype(float)
    if draws:
        seeds = curves.shape[2]
        chosen = np.random.default_rng(0).multinomial(
            seeds, [1 / seeds] * seeds, (draws, *curves.shape[:2])
        )
        counts = counts * chosen
    total = counts.sum(-1)
    sums = np.einsum("...s,...sl->...l", counts, np.nan_to_num(curves))
    mean = sums / np.where(total, total, np.nan)[..., None]
    # As `curve_statistics` has it, which takes one curve after another: here are 100,000.
    fall = (mean[..., 0] - mean[..., -1])[..., None]
    chord = mean[..., :1] - fall * np.linspace(0, 1, mean.shape[-1])
    above = (chord - mean)[..., 1:-1] / np.where(fall > 0, fall, np.nan)
    return np.asarray(above.mean(-1))
