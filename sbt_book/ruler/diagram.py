"""Convexity of the folding ruler's load curve over the speed and the jerks of the hand."""

from collections.abc import Sequence
from dataclasses import asdict
from threading import Event

import numpy as np
import xarray as xr

from sbt_utils.measuring.curves import curve_statistics
from sbt_utils.mechanics.pulls import quick_and_jerky
from sbt_utils.mechanics.ruler import FoldingRuler, ImpossiblePull, follow
from sbt_utils.numbers import as_levels
from sbt_utils.threads import in_threads

_REACH, _DT = 0.55, 1e-3
_DESCRIPTIONS = {
    "separation": ("distance y - x_l to the hand", "m"),
    "extension": ("extension over length", "1"),
    "convexity": ("convexity of the load curve", "1"),
    "speed": ("speed of the pull", "m/s"),
    "amplitude": ("amplitude of the jerks", "m"),
    "section": ("section from the pin", "1"),
}


def ruler_diagram(
    ruler: FoldingRuler,
    speeds: Sequence[float],
    amplitudes: Sequence[float],
    seeds: Sequence[int] = range(10),
) -> xr.Dataset:
    """Pull a ruler at several speeds with several amplitudes of jerks, and measure its load curves.

    Parameters
    ----------
    ruler : FoldingRuler
    speeds : sequence of float
        Of the pull, in m/s.
    amplitudes : sequence of float
        Of each sinusoid of the jerks, in m; 0 is a steady hand, the same for all seeds.
    seeds : sequence of int
        Of the phases of the jerks.

    Returns
    -------
    xarray.Dataset
        Over (speed, amplitude, seed): ``separation`` (layer), D_l = y - x_l in m; ``extension``
        (section), a fraction of a section's length; ``convexity``, nan for a curve that does not
        fall. All nan where the hand goes too far or the ruler cannot follow it.

    Raises
    ------
    ValueError
        No levels or seeds; what `quick_and_jerky` refuses.
    """
    speeds, amplitudes = as_levels("speeds", speeds), as_levels("amplitudes", amplitudes)
    seeds = as_levels("seeds", seeds)
    grid = [(speed, size, seed) for speed in speeds for size in amplitudes for seed in seeds]

    def final_state(
        cell: tuple[float, float, int], stopped: Event
    ) -> tuple[np.ndarray, np.ndarray]:
        try:
            motion = follow(ruler, quick_and_jerky(ruler, _REACH, *cell), stopped, _DT, every=100)
        except ImpossiblePull:
            return (np.full(ruler.sections, np.nan),) * 2
        return motion.distances[-1], motion.extensions[-1]

    states = in_threads(final_state, grid)
    curves, extensions = (np.stack(values) for values in zip(*states, strict=True))
    shape = (len(speeds), len(amplitudes), len(seeds))
    axes = ("speed", "amplitude", "seed")
    diagram = xr.Dataset(
        {
            "separation": ((*axes, "layer"), curves.reshape(*shape, -1)),
            "extension": ((*axes, "section"), extensions.reshape(*shape, -1)),
            "convexity": (axes, curve_statistics(curves, "convexity").reshape(shape)),
        },
        {
            "speed": np.array(speeds, float),
            "amplitude": np.array(amplitudes, float),
            "seed": seeds,
            "layer": np.arange(ruler.sections),
            "section": np.arange(1, ruler.sections + 1),
        },
        asdict(ruler) | {"reach": _REACH, "dt": _DT},
    )
    for name, (long_name, units) in _DESCRIPTIONS.items():
        diagram[name].attrs.update(long_name=long_name, units=units)
    return diagram
