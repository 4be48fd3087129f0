"""A reader's own load curve beside the chain that matches it."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import traitlets
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sbt_book.live.explorable import Explorable, joined, picture, styles
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.matching import GOOD_MATCH, Match, PoorMatch, fit_chain
from sbt_utils.mechanics.published_chains import in_units
from sbt_utils.numbers import as_array
from sbt_utils.reporting.stress_map import StressMap

_LEAST_POINTS, _MOST_POINTS = 5, 51  # fewer do not determine two numbers, more take long


class ComparisonExplorable(Explorable):
    """A network's load curve beside that of a chain to turn; made by `compare`.

    The traits are the chain's numbers: ``friction`` and ``noise`` in units of k y, as in
    `sbt_utils.mechanics.matching.Match`, and ``drive`` in units of k. They start at those of the
    match, to which the button *Matched chain* leads back. A value out of range raises
    ``traitlets.TraitError``.

    Parameters
    ----------
    curve : LoadCurve
        Of the network.
    match : Match
        Of a chain with the published parameters but for friction, noise and blocks.

    Attributes
    ----------
    curve, match
        As given.
    """

    _esm = joined("comparison/comparison.js")
    _css = styles("chain/chain.css", "comparison/comparison.css")

    friction = traitlets.Float(0.0, min=0.0, max=0.25).tag(sync=True)
    noise = traitlets.Float(0.0, min=0.0, max=0.25).tag(sync=True)
    drive = traitlets.Float(0.0, min=0.0, max=1.0).tag(sync=True)
    # One text: a notebook would write lists with a line for every number.
    settings = traitlets.Unicode(read_only=True).tag(sync=True)

    words = "A network's load curve, and that of the chain which matches it."

    def __init__(self, curve: LoadCurve, match: Match, **kwargs: Any) -> None:
        self.curve, self.match = curve, match
        super().__init__(**{"friction": match.friction, "noise": match.noise, **kwargs})

    @traitlets.default("settings")
    def _pack(self) -> str:
        spread = self.curve.spread
        off = np.zeros_like(self.curve.mean) if spread is None else spread
        unit = self._chain(1.0, 1.0, 1.0)
        return json.dumps(
            {
                "separation": self.curve.mean.tolist(),
                "low": (self.curve.mean - off).tolist(),
                "high": (self.curve.mean + off).tolist(),
                "chain": vars(self.match.chain),
                "units": {
                    "friction": unit.friction_right,
                    "noise": unit.noise,
                    "drive": unit.drive,
                },
                "best": {"friction": self.match.friction, "noise": self.match.noise, "drive": 0.0},
                "good_match": GOOD_MATCH,
            },
            separators=(",", ":"),
        )

    def _chain(self, friction: float, noise: float, drive: float) -> SpringBlockChain:
        """Return a chain of as many blocks as the network has layers."""
        driven = replace(self.match.chain, drive=drive * self.match.chain.spring_constant)
        return in_units(driven, friction, noise)

    @property
    def chain(self) -> SpringBlockChain:
        """The chain of the present friction, noise and drive."""
        return self._chain(self.friction, self.noise, self.drive)

    @property
    def residual(self) -> float:
        """Root mean square difference of the network's scaled curve and that of twenty chains."""
        simulated = self.chain.simulate(every=10**9, seeds=range(20)).load_curve
        return float(np.sqrt(np.mean((simulated.scaled - self.curve.scaled) ** 2)))

    def still(self) -> Figure:
        """Return the network's load curve, and that of the matched chain to its scale."""
        mean = self.curve.mean
        chain = mean.min() + np.ptp(mean) * self.match.curve.scaled
        curves = [("the network", mean, "o-"), ("the chain, to its scale", chain, "--")]
        return picture(curves, "layer l", "data separation D")


def compare(curve: LoadCurve | StressMap | ArrayLike) -> ComparisonExplorable:
    """Show a load curve of your own beside the chain that matches it, to turn.

    In a notebook (JupyterLab, Colab) let it be the last line of a cell. What you turn in the page
    can be read from the traits of what it returns, and what you set there moves the page.

    Parameters
    ----------
    curve : LoadCurve, StressMap or array_like
        Of the network: from `sbt_utils.measuring.probe.load_curve`, from
        `sbt_utils.reporting.stress_map.report` (then that of the training inputs), or D_0..D_L
        itself, shape (L + 1,) or (repeats, L + 1). 4 to 50 layers.

    Returns
    -------
    ComparisonExplorable
        With the ``match`` that `sbt_utils.mechanics.matching.fit_chain` found, and the traits
        ``friction``, ``noise`` and ``drive``.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If the curve has fewer than 5 points or more than 51, values that are not finite, or does
        not fall; if a report has no curve.

    See Also
    --------
    sbt_utils.mechanics.matching.fit_chain : The fit by itself.

    Examples
    --------
    >>> shown = compare([2.0, 1.5, 1.1, 0.8, 0.6, 0.5])
    >>> shown.match.residual < 0.01
    True
    >>> shown.drive = 0.2  # the page follows
    >>> round(shown.chain.drive, 3)
    0.02
    """
    found = as_curve(curve)
    with warnings.catch_warnings():  # the picture says so
        warnings.simplefilter("ignore", PoorMatch)
        match = fit_chain(found)
    return ComparisonExplorable(found, match)


def as_curve(curve: LoadCurve | StressMap | ArrayLike) -> LoadCurve:
    """Return what a chain can be matched to as a load curve; raise where it is none."""
    if isinstance(curve, StressMap):
        if curve.train is None:
            raise ValueError("curve: fewer than two layers of the report have a D; report others")
        curve = curve.train
    if not isinstance(curve, LoadCurve):
        values = as_array(np.asarray(curve) if hasattr(curve, "__array__") else curve)
        if not values.ndim:
            kind = type(curve).__name__
            raise TypeError(f"curve: a {kind}; give a LoadCurve, a report or the numbers D_0..D_L")
        if not np.isfinite(values).all():
            layers = np.unique(np.argwhere(~np.isfinite(values))[:, -1]).tolist()
            raise ValueError(f"curve: no finite D at layer {layers}; leave out layers or repeats")
        try:
            curve = LoadCurve(values)
        except ValueError as error:
            raise ValueError(str(error).replace("separation:", "curve:")) from None
    mean = curve.mean
    if not _LEAST_POINTS <= len(mean) <= _MOST_POINTS:
        raise ValueError(
            f"curve: {len(mean)} points; a chain is matched to {_LEAST_POINTS} to {_MOST_POINTS} "
            "of them: watch more layers, or leave out every second one"
        )
    if not mean[0] > mean[-1]:
        raise ValueError(
            f"curve: D goes from {mean[0]:.3g} to {mean[-1]:.3g}, but that of a chain falls: train "
            "the network, or leave out its last layers"
        )
    return curve
