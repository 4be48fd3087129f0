"""Phase diagrams cell by cell: with the chain that matches each, and as a page shows them."""

from functools import cache
from typing import Any

import numpy as np
import xarray as xr

from sbt_book.chain.diagram_matching import fit_diagram
from sbt_book.common.committed import RESULTS
from sbt_book.common.noise_axes import NOISES, in_order, level_name
from sbt_book.common.selections import failed, whole_curves
from sbt_book.phase_diagram.published import published_diagram
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.published_chains import SECOND_ORDER, in_units
from sbt_utils.results import load

GOOD_MATCH = 0.03
"""Residual above which a chain's load curve is another than the networks'."""


@cache
def matched_cells(source: str) -> xr.Dataset:
    """Return a phase diagram with the chain that matches each of its cells.

    All networks of the same nonlinearity share one friction, each cell has a noise of its own: the
    fit of the chapter on the chain, with noise up to 0.2 k y. With more the curve's shape changes
    no further, and the chain jitters by more than its loads.

    Parameters
    ----------
    source : str
        Source of noise, a key of `sbt_book.common.noise_axes.NOISES`.

    Returns
    -------
    xarray.Dataset
        The committed results of the networks, and what `fit_diagram` adds; in the order in which
        diagrams are drawn. Leave it as it is: the next call returns the same.

    Examples
    --------
    >>> cells = matched_cells("dropout")
    >>> bool((cells.chain_friction.diff("slope") <= 0).all())
    True
    """
    networks = load(RESULTS / f"{source}.nc")
    chains = load(RESULTS / "spring_block.nc").separation.astype("float64")
    main = {"order": "second", "shaking": "common", "friction_left": 0.15}
    matched = fit_diagram(networks, chains.sel(main, drop=True).sel(noise=slice(0.2)))
    ordered: xr.Dataset = in_order(source, networks.merge(matched))
    return ordered


def cell_curve(cell: xr.Dataset) -> LoadCurve:
    """Return the load curve of a cell's networks.

    Parameters
    ----------
    cell : xarray.Dataset
        ``separation_train`` (seed, layer).

    Returns
    -------
    LoadCurve
        A repeat for each network that has a D at every layer.

    Examples
    --------
    >>> cell_curve(matched_cells("dropout").sel(noise=0.3, slope=0.0)).regime
    'active'
    """
    curves = whole_curves(cell).values
    return LoadCurve(curves[np.isfinite(curves).all(-1)])


def cell_chain(cell: xr.Dataset) -> SpringBlockChain:
    """Return the chain that matches a cell.

    Parameters
    ----------
    cell : xarray.Dataset
        Of `matched_cells`.

    Returns
    -------
    SpringBlockChain

    Examples
    --------
    >>> cell_chain(matched_cells("dropout").sel(noise=0.3, slope=0.0)).friction_left
    0.015
    """
    return in_units(SECOND_ORDER, cell.chain_friction.item(), cell.chain_noise.item())


@cache
def packed_diagram(source: str) -> dict[str, Any]:
    """Return a phase diagram as nested lists of rounded numbers, to be sent to a page.

    Parameters
    ----------
    source : str
        Source of noise, a key of `sbt_book.common.noise_axes.NOISES`.

    Returns
    -------
    dict
        ``label``, ``noise`` with ``noise_names``, and ``slope``: the axes, in the order in which
        diagrams are drawn. A list for each slope of lists over the noise: ``separation`` and
        ``spread`` (layer as well), the mean of the networks' load curves and their standard
        deviation; ``convexity_interval``; ``accuracy`` and ``accuracy_spread``, of the test images,
        in percent; ``failed``, a number of networks; ``chain_noise`` and ``residual``;
        ``published``, a scaled load curve, and ``published_accuracy``. ``chain_friction`` over the
        slopes, ``seeds``, a number. None in place of what does not exist. Leave it as it is: the
        next call returns the same.

    Examples
    --------
    >>> diagram = packed_diagram("dropout")
    >>> len(diagram["slope"]), len(diagram["separation"][0]), len(diagram["separation"][0][0])
    (6, 16, 8)
    """
    cells = matched_cells(source)
    curves = [
        [cell_curve(cells.sel(slope=slope, noise=noise)) for noise in cells.noise.values]
        for slope in cells.slope.values
    ]
    accuracy = 100 * cells.accuracy_test
    packed = {
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
        "published": None,
        "published_accuracy": None,
    }
    try:
        published = published_diagram(source)
    except ValueError:  # only two of the panels are at hand
        return packed
    published = published.reindex_like(cells[["slope", "noise"]])
    packed["published"] = [
        [None if curve[0] is None else curve for curve in row] for row in _rounded(published.curve)
    ]
    packed["published_accuracy"] = _rounded(published.accuracy, 1)
    return packed


def _rounded(values: Any, digits: int = 3) -> Any:
    """Return numbers as nested lists, None for what is undefined."""
    if np.ndim(values):
        return [_rounded(each, digits) for each in np.asarray(values)]
    return round(float(values), digits) if np.isfinite(values) else None
