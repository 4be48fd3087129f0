"""The folding ruler, to pull by hand."""

from typing import Any

import numpy as np
import traitlets
from matplotlib.figure import Figure

from sbt_book.live.explorable import Explorable, joined, styles
from sbt_book.ruler.figures import stills
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.hand import Hand
from sbt_utils.mechanics.pulls import quick_and_jerky, slow_and_steady, tremble_phases
from sbt_utils.mechanics.ruler import FoldingRuler


class RulerExplorable(Explorable):
    """A folding ruler to pull by hand.

    Six traits have the names, units and defaults of `sbt_utils.mechanics.ruler.FoldingRuler`.
    ``speed``, ``amplitude`` and ``reach`` are those of the pulls that the page replays
    (`sbt_utils.mechanics.pulls.quick_and_jerky`), with ``phases`` of the seeds 0..4 in turn.
    ``ghost`` is the shape to hit: what a pull of that name leaves of this ruler. Once the ruler has
    come to rest the page writes ``hand_times``, ``hand_positions`` (x and y alternate) and the
    ``angles`` of the sections. A value out of range raises ``traitlets.TraitError``.
    """

    _esm = joined("ruler/ruler.js")
    _css = styles("ruler/ruler.css")

    sections = traitlets.Int(10, min=4, max=16).tag(sync=True)
    section_length = traitlets.Float(0.1, min=0.01, max=1.0).tag(sync=True)
    mass = traitlets.Float(0.005, min=1e-4, max=1.0).tag(sync=True)
    table_friction = traitlets.Float(0.3, min=0.05, max=1.0).tag(sync=True)
    hinge_friction = traitlets.Float(3e-4, min=0.0, max=3e-3).tag(sync=True)
    opening = traitlets.Float(0.16, min=0.05, max=1.0).tag(sync=True)
    speed = traitlets.Float(0.1, min=0.05, max=3.0).tag(sync=True)
    amplitude = traitlets.Float(0.0, min=0.0, max=0.015).tag(sync=True)
    reach = traitlets.Float(0.55, min=0.5, max=0.9).tag(sync=True)
    ghost = traitlets.Enum(["none", "slow and steady", "quick and jerky"], "none").tag(sync=True)
    phases: Any = traitlets.List(read_only=True).tag(sync=True)
    hand_times = traitlets.List(traitlets.Float()).tag(sync=True)
    hand_positions = traitlets.List(traitlets.Float()).tag(sync=True)
    angles = traitlets.List(traitlets.Float()).tag(sync=True)

    words = "A folding ruler: pulled slowly it opens near the hand, pulled quickly all along."

    @traitlets.default("phases")
    def _draw_phases(self) -> list[list[list[float]]]:
        return [tremble_phases(seed).tolist() for seed in range(5)]

    @traitlets.observe(*FoldingRuler.__dataclass_fields__)
    def _fold(self, _change: Any) -> None:
        self.hand_times, self.hand_positions, self.angles = [], [], []

    @property
    def ruler(self) -> FoldingRuler:
        """The folded ruler of these parameters."""
        names = FoldingRuler.__dataclass_fields__
        return FoldingRuler(**{name: getattr(self, name) for name in names})

    @property
    def hand(self) -> Hand:
        """What the hand in the page did since the ruler was folded; before, a slow pull."""
        if len(self.hand_times) < 2:
            return slow_and_steady(self.ruler, self.reach)
        return Hand(np.array(self.hand_times), np.reshape(self.hand_positions, (-1, 2)))

    @property
    def load_curve(self) -> LoadCurve:
        """Load curve of the ruler at rest in the page; before it was pulled, after a slow pull."""
        if len(self.angles) != self.sections:
            return self.ruler.pull(slow_and_steady(self.ruler, self.reach)).load_curve
        x = self.ruler.points_at(np.array(self.angles))[:, 0]
        return LoadCurve(x[-1] - x[:-1], measure="distance")

    def still(self) -> Figure:
        """Return stills of a slow and steady pull beside those of a quick and jerky one."""
        ruler = self.ruler
        hands = {
            "slow and steady": slow_and_steady(ruler, self.reach),
            "quick and jerky": quick_and_jerky(ruler, self.reach),
        }
        return stills({name: ruler.pull(hand) for name, hand in hands.items()}, count=4)
