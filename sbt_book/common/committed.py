"""The committed results of a checkout."""

from pathlib import Path

import xarray as xr

from sbt_utils.results import load

RESULTS = Path(__file__).parents[2] / "results"
"""The folder of the committed results."""


def load_committed(name: str) -> xr.Dataset:
    """Load results of the book by their name, such as ``"dropout"`` or ``"steering"``."""
    return load(committed_file(f"{name}.nc"))


def committed_file(name: str) -> Path:
    """Return the path of a file in results/; raise FileNotFoundError outside of a checkout."""
    if not (RESULTS / "reference").is_dir():  # beside a package, results/ may be somebody else's
        raise FileNotFoundError(
            f"{RESULTS / name}: results/ comes with a checkout of the repository, not with the "
            "installed package; clone the repository and install from there, or give a path"
        )
    return RESULTS / name
