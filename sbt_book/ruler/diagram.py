"""Convexity of the folding ruler's load curve over the speed and the jerks of the hand."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
import xarray as xr

from sbt_utils.measuring.curves import curve_statistics
from sbt_utils.mechanics.pulls import quick_and_jerky
from sbt_utils.mechanics.ruler import FoldingRuler, ImpossiblePull


def ruler_diagram(
    ruler: FoldingRuler,
    speeds: Sequence[float],
    amplitudes: Sequence[float],
    seeds: Sequence[int] = range(10),
    reach: float = 0.55,
    dt: float = 1e-3,
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
    reach : float
        Where to end, as a fraction of the full length.
    dt : float
        Time step in s.

    Returns
    -------
    xarray.Dataset
        ``separation`` (speed, amplitude, seed, layer), D_l = y - x_l in m; ``extension`` (speed,
        amplitude, seed, section), a fraction of a section's length; ``convexity`` (speed,
        amplitude, seed), nan for a curve that does not fall. All nan where the hand goes too far
        or the ruler cannot follow it.

    Examples
    --------
    >>> cells = ruler_diagram(FoldingRuler(sections=4), [0.5], [0.0, 0.001], seeds=[0])
    >>> dict(cells.sizes)
    {'speed': 1, 'amplitude': 2, 'seed': 1, 'layer': 4, 'section': 4}
    """
    grid = [(speed, size, seed) for speed in speeds for size in amplitudes for seed in seeds]

    def each(cell: tuple[float, float, int]) -> tuple[np.ndarray, np.ndarray]:
        hand = quick_and_jerky(ruler, reach, *cell)
        try:
            motion = ruler.pull(hand, dt, every=100)
        except ImpossiblePull:
            return (np.full(ruler.sections, np.nan),) * 2
        return motion.distances[-1], motion.extensions[-1]

    with ThreadPoolExecutor() as pool:
        curves, extensions = (np.stack(each) for each in zip(*pool.map(each, grid), strict=True))
    shape = (len(speeds), len(amplitudes), len(seeds))
    axes = ("speed", "amplitude", "seed")
    diagram = xr.Dataset(
        {
            "separation": ((*axes, "layer"), curves.reshape(*shape, -1)),
            "extension": ((*axes, "section"), extensions.reshape(*shape, -1)),
            "convexity": (axes, curve_statistics(curves, "convexity").reshape(shape)),
        },
        {
            "speed": list(speeds),
            "amplitude": list(amplitudes),
            "seed": list(seeds),
            "layer": np.arange(ruler.sections),
            "section": np.arange(1, ruler.sections + 1),
        },
        asdict(ruler) | {"reach": reach, "dt": dt},
    )
    for name, (long_name, units) in _UNITS.items():
        diagram[name].attrs.update(long_name=long_name, units=units)
    return diagram


_UNITS = {
    "separation": ("distance y - x_l to the hand", "m"),
    "extension": ("extension over length", "1"),
    "convexity": ("convexity of the load curve", "1"),
    "speed": ("speed of the pull", "m/s"),
    "amplitude": ("amplitude of the jerks", "m"),
    "section": ("section from the pin", "1"),
}
