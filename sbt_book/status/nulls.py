"""What null models score on the criteria of the reproduction status."""

from typing import Any

import numpy as np
import xarray as xr

from sbt_book.chain.null_models import exponential
from sbt_book.common.noise_axes import NOISES, in_order
from sbt_book.common.selections import convexity
from sbt_book.common.statistics import rank_correlation
from sbt_book.phase_diagram.published import published_diagram
from sbt_book.status.verdicts import VOTES
from sbt_utils.measuring.curves import REGIME_TOLERANCE

BY_CHANCE: Any = VOTES | {"null": 0.5, "null_model": "by chance"}
"""What a `Finding` accepts of a share of neighbours, where a knob that does nothing gets half."""

_BENDS = np.linspace(-30, 30, 1201)


def exponential_in_each_cell(targets: xr.DataArray) -> xr.DataArray:
    """Return how far an exponential with a number for each cell stays from its curve.

    Root mean square over the layers, (...), for scaled curves (..., layer); the number is the best
    of 1,201 from -30 to 30.
    """
    curves = exponential(np.linspace(0, 1, targets.sizes["layer"]), _BENDS[:, None])
    between = xr.DataArray(curves, dims=("bend", "layer")) - targets
    return (between**2).mean("layer").min("bend") ** 0.5


def other_panels(source: str, limit: float) -> dict[str, float]:
    """Return how well another of the published panels passes for one of them, cell by cell.

    Cells are compared that stand at the same place of the figure, so that the other panel has the
    same diagonal of straight curves, roughly. Each score is that of the best of the three: the mean
    ``deviation``; ``largest``; the share of cells ``within`` a `limit`; the rank correlation of the
    convexities, ``shapes``, and of the accuracies, ``accuracies``; the share in the same regime,
    ``regimes``; the largest difference of accuracies, ``points``.
    """
    panels = {name: in_order(name, published_diagram(name)) for name in NOISES}
    theirs = panels.pop(source)
    rows = [
        _scores(panel.assign_coords(noise=theirs.noise), theirs, limit) for panel in panels.values()
    ]
    low = ("deviation", "largest", "points")
    return {name: (min if name in low else max)(row[name] for row in rows) for name in rows[0]}


def same_regime(first: xr.DataArray, second: xr.DataArray) -> xr.DataArray:
    """Tell which cells have convexities in the same regime."""
    regimes = [1 * (c > REGIME_TOLERANCE) - 1 * (c < -REGIME_TOLERANCE) for c in (first, second)]
    return regimes[0] == regimes[1]


def _scores(panel: xr.Dataset, theirs: xr.Dataset, limit: float) -> dict[str, float]:
    deviation = abs(panel.curve - theirs.curve).mean("layer")
    shapes = convexity(panel.curve), convexity(theirs.curve)
    return {
        "deviation": deviation.mean().item(),
        "largest": deviation.max().item(),
        "within": (deviation <= limit).mean().item(),
        "shapes": rank_correlation(*shapes),
        "regimes": same_regime(*shapes).mean().item(),
        "accuracies": rank_correlation(panel.accuracy, theirs.accuracy),
        "points": abs(panel.accuracy - theirs.accuracy).max().item(),
    }
