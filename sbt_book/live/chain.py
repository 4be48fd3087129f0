"""Explorables of what is pulled and shaken: the spring-block chain and the folding ruler."""

from typing import Any

import matplotlib as mpl
import numpy as np
import traitlets
from matplotlib.figure import Figure

from sbt_book.live.explorable import Explorable, joined, styles
from sbt_book.ruler.figures import stills
from sbt_utils.drawing import STYLE
from sbt_utils.measuring.separation import LoadCurve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.hand import Hand, quick_and_jerky, slow_and_steady, tremble_phases
from sbt_utils.mechanics.ruler import FoldingRuler
from sbt_utils.mechanics.trajectories import curve_of


class ChainExplorable(Explorable):
    """A spring-block chain to pull and to shake.

    Its traits have the names and the defaults of `sbt_utils.mechanics.chain.SpringBlockChain`:
    ``blocks``, ``spring_constant``, ``mass``, ``damping``, ``friction_right``, ``friction_left``,
    ``noise``, ``noise_decay``, ``common_noise`` and ``end``. ``time`` and ``positions`` are what
    the page shows: when, in 0..700, and x_1..x_L; ``seed`` is that of the page's random numbers.

    Parameters
    ----------
    **traits : Any
        Initial values of the traits.

    Raises
    ------
    traitlets.TraitError
        A value that is out of range.

    References
    ----------
    Shi, Pan & Dokmanić, Spring-block theory of feature learning in deep neural networks,
    Phys. Rev. Lett. (2025), arXiv:2407.19353.

    Examples
    --------
    >>> explorable = ChainExplorable(friction_right=0.01, noise=0.0)
    >>> explorable.load_curve.regime
    'lazy'
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
    time = traitlets.Float(700.0, min=0.0).tag(sync=True)
    positions = traitlets.List(traitlets.Float()).tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)

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
        """Return the load curve of the chain at time 700, with those of its closed forms.

        Returns
        -------
        matplotlib.figure.Figure
        """
        chain = self.chain
        curves = {
            "the chain at time 700": (chain.simulate(seed=self.seed, every=100).load_curve, "o-"),
            "without noise, at rest": (curve_of(chain.static_loads()), ":"),
            "with noise, in the end": (curve_of(chain.mean_field_loads()), "--"),
        }
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(5.0, 3.4))
            axes = figure.add_subplot()
            for label, (curve, style) in curves.items():
                axes.plot(curve.mean, style, label=label)
            axes.set(xlabel="block l", ylabel="distance to the end, D")
            axes.legend()
        return figure


class RulerExplorable(Explorable):
    """A folding ruler to pull by hand.

    Six traits have the names, units and defaults of `sbt_utils.mechanics.ruler.FoldingRuler`:
    ``sections``, ``section_length``, ``mass``, ``table_friction``, ``hinge_friction`` and
    ``opening``; ``speed``, ``amplitude`` and ``reach`` are those of the pulls that the page
    replays (`sbt_utils.mechanics.hand.quick_and_jerky`), ``phases`` their sinusoids, in turn those of the
    seeds 0..4. Once the ruler has come to rest the page writes ``hand_times``, ``hand_positions``
    (x and y in turn) and the ``angles`` of the sections.

    Parameters
    ----------
    **traits : Any
        Initial values of the traits.

    Raises
    ------
    traitlets.TraitError
        A value that is out of range.

    References
    ----------
    Shi, Pan & Dokmanić, Spring-block theory of feature learning in deep neural networks,
    Phys. Rev. Lett. (2025), arXiv:2407.19353.

    Examples
    --------
    >>> explorable = RulerExplorable(sections=6)
    >>> explorable.load_curve.regime
    'lazy'
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
        """Return stills of a slow and steady pull beside those of a quick and jerky one.

        Returns
        -------
        matplotlib.figure.Figure
        """
        ruler = self.ruler
        hands = {
            "slow and steady": slow_and_steady(ruler, self.reach),
            "quick and jerky": quick_and_jerky(ruler, self.reach),
        }
        return stills({name: ruler.pull(hand) for name, hand in hands.items()}, count=4)
