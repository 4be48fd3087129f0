"""The spring-block chain, to pull and to shake."""

from dataclasses import replace

import numpy as np
import traitlets
from matplotlib.figure import Figure

from sbt_book.live.explorable import Explorable, joined, picture, styles
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.trajectories import curve_of


class ChainExplorable(Explorable):
    """A spring-block chain to pull, to shake and to nudge; or to pull for ever.

    Its traits have the names and the defaults of `sbt_utils.mechanics.chain.SpringBlockChain`.
    ``time`` and ``positions`` are what the page shows: when, in 0..700, and x_1..x_L; ``seed`` is
    that of the page's random numbers. With ``earthquakes`` the page takes the wall away and pulls
    for ever, without noise: a block that slides is held back by a share ``weakening`` less than one
    at rest. ``slip_sizes`` are those of the slips so far, the latest 5,000: how far all blocks
    moved together. A value out of range raises ``traitlets.TraitError``.
    """

    _esm = joined("chain/chain.js")
    _css = styles("chain/chain.css")

    blocks = traitlets.Int(7, min=1, max=20).tag(sync=True)
    spring_constant = traitlets.Float(0.1, min=0.02, max=0.5).tag(sync=True)
    mass = traitlets.Float(1.0, min=0.1, max=10.0).tag(sync=True)
    damping = traitlets.Float(1.0, min=0.0, max=10.0).tag(sync=True)
    friction_right = traitlets.Float(0.003, min=0.0, max=0.02).tag(sync=True)
    friction_left = traitlets.Float(0.004, min=0.0, max=0.02).tag(sync=True)
    noise = traitlets.Float(0.003, min=0.0, max=0.01).tag(sync=True)
    noise_decay = traitlets.Float(0.001, min=0.0).tag(sync=True)
    common_noise = traitlets.Bool(True).tag(sync=True)
    end = traitlets.Float(1.0, min=0.1, max=10.0).tag(sync=True)
    drive = traitlets.Float(0.0, min=0.0, max=0.1).tag(sync=True)
    skewness = traitlets.Float(0.0, min=-4.0, max=4.0).tag(sync=True)
    time = traitlets.Float(700.0, min=0.0).tag(sync=True)
    positions = traitlets.List(traitlets.Float()).tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)
    earthquakes = traitlets.Bool(False).tag(sync=True)
    weakening = traitlets.Float(0.2, min=0.05, max=0.6).tag(sync=True)
    slip_sizes = traitlets.List(traitlets.Float()).tag(sync=True)

    words = "The load curve of a spring-block chain, between those of its two closed forms."

    @property
    def chain(self) -> SpringBlockChain:
        """The chain of these parameters."""
        names = SpringBlockChain.__dataclass_fields__.keys() - {"force"}
        return SpringBlockChain(**{name: getattr(self, name) for name in names})

    @property
    def load_curve(self) -> LoadCurve:
        """Load curve of the blocks in the page; before it is seen, of `chain` at time 700."""
        if len(self.positions) != self.blocks:
            return self.chain.simulate(seed=self.seed, every=100).load_curve
        separation = self.end - np.array([0.0, *self.positions])
        return LoadCurve(separation, measure="distance")

    def still(self) -> Figure:
        """Return the load curve of the chain at time 700, with those of its closed forms."""
        chain = self.chain
        symmetric = replace(chain, skewness=0.0)  # in second order skewed noise has no closed form
        final = chain.simulate(seed=self.seed, every=100).load_curve
        curves = [
            ("the chain at time 700", final.mean, "o-"),
            ("without noise, at rest", curve_of(chain.static_loads()).mean, ":"),
            ("with symmetric noise, in the end", curve_of(symmetric.mean_field_loads()).mean, "--"),
        ]
        return picture(curves, "block l", "distance to the end, D")
