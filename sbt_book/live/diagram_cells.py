"""Phase diagrams cell by cell: with the chain that matches each, and as a page shows them."""

from functools import cache
from typing import Any

import numpy as np
import xarray as xr

from sbt_book.chain.diagram_matching import fit_diagram
from sbt_book.common.committed import load_committed
from sbt_book.common.noise_axes import NOISES, in_order, level_name
from sbt_book.common.selections import failed, whole_curves
from sbt_book.phase_diagram.published import published_diagram
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.published_chains import SECOND_ORDER, in_units


@cache
def matched_cells(source: str) -> xr.Dataset:
    """Return the networks of a phase diagram, a key of `NOISES`, and what `fit_diagram` adds.

    All networks of the same nonlinearity share one friction, each cell has its own noise, as in
    the chapter on the chain. In the order in which diagrams are drawn. Do not change the result:
    the next call returns the same.
    """
    networks = load_committed(source)
    chains = load_committed("spring_block").separation.astype("float64")
    main = {"order": "second", "shaking": "common", "friction_left": 0.15}
    # More noise changes the curve's shape no further, and the chain jitters by more than its loads.
    matched = fit_diagram(networks, chains.sel(main, drop=True).sel(noise=slice(0.2)))
    ordered: xr.Dataset = in_order(source, networks.merge(matched))
    return ordered


def cell_curve(cell: xr.Dataset) -> LoadCurve:
    """Return the load curve of a cell's networks, a repeat for each that has a D at every layer."""
    curves = whole_curves(cell).values
    return LoadCurve(curves[np.isfinite(curves).all(-1)])


def cell_chain(cell: xr.Dataset) -> SpringBlockChain:
    """Return the chain that matches a cell of `matched_cells`."""
    return in_units(SECOND_ORDER, cell.chain_friction.item(), cell.chain_noise.item())


@cache
def packed_diagram(source: str) -> dict[str, Any]:
    """Return a phase diagram as nested lists of rounded numbers, to be sent to a page.

    Axes in the order in which diagrams are drawn; lists over slope and noise, and over the layer
    for curves; accuracies in percent; None for what does not exist. Do not change the result: the
    next call returns the same.
    """
    cells = matched_cells(source)
    curves = [
        [cell_curve(cells.sel(slope=slope, noise=noise)) for noise in cells.noise.values]
        for slope in cells.slope.values
    ]
    accuracy = 100 * cells.accuracy_test
    published = published_diagram(source).reindex_like(cells[["slope", "noise"]])
    return {
        "label": NOISES[source].label,
        "noise": cells.noise.values.tolist(),
        "noise_names": [level_name(level) for level in cells.noise.values.tolist()],
        "slope": cells.slope.values.tolist(),
        "seeds": cells.sizes["seed"],
        "separation": _rounded([[curve.mean for curve in row] for row in curves]),
        "spread": _rounded([[curve.spread for curve in row] for row in curves]),
        "convexity_interval": _rounded([[c.convexity_interval for c in row] for row in curves], 4),
        "accuracy": _rounded(accuracy.mean("seed"), 1),
        "accuracy_spread": _rounded(accuracy.std("seed", ddof=1), 1),
        "failed": failed(cells).sum("seed").transpose("slope", "noise").values.tolist(),
        "chain_friction": _rounded(cells.chain_friction, 5),
        "chain_noise": _rounded(cells.chain_noise, 5),
        "residual": _rounded(cells.residual),
        "published": [
            [None if curve[0] is None else curve for curve in row]
            for row in _rounded(published.curve)
        ],
        "published_accuracy": _rounded(published.accuracy, 1),
    }


def _rounded(values: Any, digits: int = 3) -> Any:
    """Return numbers as nested lists, None for what is undefined."""
    if np.ndim(values):
        return [_rounded(part, digits) for part in np.asarray(values)]
    return round(float(values), digits) if np.isfinite(values) else None
