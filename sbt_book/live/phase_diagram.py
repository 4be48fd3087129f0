"""The phase diagrams of networks, cell by cell."""

import json
from typing import Any

import numpy as np
import traitlets
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.chain.diagram_matching import GOOD_MATCH
from sbt_book.common.noise_axes import NOISES
from sbt_book.live.diagram_cells import cell_chain, cell_curve, matched_cells, packed_diagram
from sbt_book.live.explorable import Explorable, joined, styles
from sbt_book.phase_diagram.diagram_figures import phase_diagram
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.published_chains import SECOND_ORDER


class PhaseDiagramExplorable(Explorable):
    """The phase diagrams of networks, cell by cell, each with the chain that matches it.

    The traits ``noise_axis`` (dropout, learning_rate, data_noise, batch_size), ``noise`` and
    ``slope``, one level of each of the diagram's axes, choose a cell; ``traitlets.TraitError`` for
    a value that is no level of its axis. A new source of noise that does not have the present level
    starts in its middle.
    """

    _esm = joined("phase_diagram/phase_diagram.js")
    _css = styles("chain/chain.css", "phase_diagram/phase_diagram.css")

    noise_axis = traitlets.Enum(tuple(NOISES), "dropout").tag(sync=True)
    noise = traitlets.CFloat(0.12).tag(sync=True)
    slope = traitlets.CFloat(0.0).tag(sync=True)
    # One text: a notebook would write nested lists with a line for every number.
    cells = traitlets.Unicode(read_only=True).tag(sync=True)

    words = "A phase diagram: each cell's load curve on a ground that tells its test accuracy."

    @traitlets.default("cells")
    def _pack(self) -> str:
        everything = {
            "names": {source: source.replace("_", " ") for source in NOISES},
            "diagrams": {source: packed_diagram(source) for source in NOISES},
            "chain": vars(SECOND_ORDER),
            "good_match": GOOD_MATCH,
        }
        return json.dumps(everything, separators=(",", ":"))

    @traitlets.validate("noise", "slope")
    def _level(self, proposal: Any) -> float:
        name, value = proposal["trait"].name, proposal["value"]
        levels = matched_cells(self.noise_axis)[name].values
        nearest = float(levels[abs(levels - value).argmin()])
        if not np.isclose(nearest, value, rtol=1e-6, atol=1e-9):
            choices = ", ".join(f"{level:g}" for level in sorted(levels))
            raise traitlets.TraitError(
                f"{name}={value:g}: the {self.noise_axis} diagram has no such level; "
                f"choose one of {choices}"
            )
        return nearest

    @traitlets.observe("noise_axis")
    def _keep_a_level(self, _change: Any) -> None:
        levels = matched_cells(self.noise_axis).noise.values
        if not np.isclose(levels, self.noise, rtol=1e-6, atol=1e-9).any():
            self.noise = levels[len(levels) // 2]

    @property
    def load_curve(self) -> LoadCurve:
        """Load curve of the chosen cell's networks: a repeat for each that has one."""
        return cell_curve(self._cell)

    @property
    def chain(self) -> SpringBlockChain:
        """The chain that matches the chosen cell."""
        return cell_chain(self._cell)

    @property
    def _cell(self) -> xr.Dataset:
        return matched_cells(self.noise_axis).sel(noise=self.noise, slope=self.slope)

    def still(self) -> Figure:
        """Return the phase diagram of the chosen source of noise, as the paper draws it."""
        source = self.noise_axis
        return phase_diagram({source: matched_cells(source)})
