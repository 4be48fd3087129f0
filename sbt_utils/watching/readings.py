"""One load curve of a network in training, and what it says in three numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.probing import Probe, noting
from sbt_utils.measuring.scatter import ScatterStatistics
from sbt_utils.reporting.states import undefined_state
from sbt_utils.text import shown


@dataclass(frozen=True, eq=False)
class CurveReading:
    """The load curve of a network at one step of its training.

    Made by `sbt_utils.watching.callback.LoadCurveCallback`. Print it for a line in words.

    Attributes
    ----------
    step : int
        At which it was measured.
    layers : tuple of str
        Names of all layers l = 0..L.
    curve : LoadCurve or None
        Of the layers that have a D; None if fewer than two have one, or none could be measured.
    undefined : mapping of str to str
        Of the layers without a D, their state: ``"dead"``, ``"mixed"`` or ``"collapsed"``, as in
        `sbt_utils.reporting.stress_map.StressMap`.
    problem : str
        Why nothing could be measured, such as features that are not finite; else empty.

    Examples
    --------
    >>> reading = CurveReading(300, ("images", "one", "two"), LoadCurve([3.0, 2.0, 0.0]))
    >>> reading.scalars
    {'convexity': -0.16..., 'fall': 3.0, 'most_loaded_layer': 2.0}
    >>> print(reading)
    step 300: lazy (concave, deep layers do more): convexity -0.167; D falls by 3.000, most in ...
    """

    step: int
    layers: tuple[str, ...] = ()
    curve: LoadCurve | None = None
    undefined: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def convexity(self) -> float:
        """That of the curve: above 0, shallow layers do more; nan for one that does not fall."""
        return float("nan") if self.curve is None else self.curve.convexity

    @property
    def fall(self) -> float:
        """D_0 - D_L, the loads of all layers together; nan without a curve."""
        if self.curve is None:
            return float("nan")
        return float(self.curve.mean[0] - self.curve.mean[-1])

    @property
    def most_loaded(self) -> int | None:
        """The number l of the layer with the largest load, from 1; None where D does not fall."""
        if self.curve is None or not self.fall > 0:
            return None
        return self.places[int(self.curve.loads.argmax()) + 1]

    @property
    def places(self) -> list[int]:
        """The numbers l of the layers that have a D."""
        return [place for place, name in enumerate(self.layers) if name not in self.undefined]

    @property
    def scalars(self) -> dict[str, float]:
        """What is logged: ``convexity``, ``fall`` and ``most_loaded_layer``, where finite."""
        most = self.most_loaded
        values = {"convexity": self.convexity, "fall": self.fall}
        values["most_loaded_layer"] = float("nan") if most is None else float(most)
        return {name: value for name, value in values.items() if np.isfinite(value)}

    @property
    def remark(self) -> str:
        """What keeps the curve from being whole: the problem, or the layers without a D."""
        if self.problem or not self.undefined:
            return self.problem
        names = (f"'{shown(name)}' ({state})" for name, state in self.undefined.items())
        return f"no D of {shown(', '.join(names), 300)}"

    def __str__(self) -> str:
        """Return the reading in a line."""
        parts = [self.remark] if self.remark else []
        if self.curve is not None and self.most_loaded is None:
            parts.insert(0, f"unresolved, D does not fall: by {self.fall:.3f}")
        elif self.curve is not None and self.most_loaded is not None:
            name, last = shown(self.layers[self.most_loaded]), len(self.layers) - 1
            most = f"most in layer {self.most_loaded} of {last}, '{name}'"
            parts.insert(0, f"{self.curve.verdict}; D falls by {self.fall:.3f}, {most}")
        return f"step {self.step}: {'; '.join(parts)}"


def read(probe: Probe, batches: Iterable[Any], step: int) -> CurveReading:
    """Measure the load curve of a model on batches; layers without a D are left out of it."""
    scatters = probe.statistics(batches, lambda name: ScatterStatistics())
    undefined: dict[str, str] = {}
    for name, scatter in scatters.items():
        with noting(f"in layer '{shown(name)}'"):
            state = undefined_state(scatter)
        # As in a stress map: what everything passes through is dead behind a dead layer.
        if probe.layers is None and "dead" in undefined.values():
            state = "dead"
        undefined |= {name: state} if state else {}
    names = tuple(name for name in scatters if name not in undefined)
    curve = None
    if len(names) > 1:
        separation = np.array([scatters[name].separation for name in names])
        curve = LoadCurve(separation, "trace", names)
    return CurveReading(step, tuple(scatters), curve, undefined)
