"""The sources of noise of the phase diagrams, as figures show them: names, order and scale."""

from dataclasses import dataclass
from typing import TypeVar

import xarray as xr

Cells = TypeVar("Cells", xr.DataArray, xr.Dataset)


@dataclass(frozen=True)
class Noise:
    """How a source of noise is drawn: the label of its axis, and its levels.

    `shown` are at most eight levels for small pictures: those of the published panel.
    `logarithmic` says whether the levels are, `falls` whether a higher level is less noise.
    """

    label: str
    shown: tuple[float, ...]
    logarithmic: bool = False
    falls: bool = False


NOISES = {
    "dropout": Noise("dropout p", (0.28, 0.24, 0.2, 0.16, 0.12, 0.08, 0.04, 0.0)),
    "learning_rate": Noise(
        "learning rate", (0.2, 0.1, 0.05, 0.01, 0.005, 0.001, 0.0005, 0.0001), logarithmic=True
    ),
    "data_noise": Noise("data noise", (0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)),
    "batch_size": Noise(
        "batch size", (10, 20, 40, 80, 160, 320, 640, 1280), logarithmic=True, falls=True
    ),
}
"""The sources of noise of the published diagrams."""


def in_order(name: str, cells: Cells) -> Cells:
    """Return cells (..., noise, slope) as they are drawn: transposed to (slope, noise, ...).

    Rows start at α = 0, columns at the strongest noise of the source `name`, a key of `NOISES`.
    """
    if name not in NOISES:
        raise ValueError(f"source of noise {name!r}: choose one of {', '.join(NOISES)}")
    ordered = cells.sortby("slope").sortby("noise", ascending=NOISES[name].falls)
    return ordered.transpose("slope", "noise", ...)


def level_name(level: float) -> str:
    """Return a level of noise in few characters: 5e-4, 0.28, 2560."""
    small = 0 < level < 0.005
    return f"{level:.0e}".replace("e-0", "e-") if small else f"{level:g}"
