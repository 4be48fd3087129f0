"""The published data-noise panel, by networks that train on 1,000 images in place of 2,560.

``python -m sbt_book.phase_diagram.fewer_images`` trains those of ``results/data_noise_1000.nc``.
Stopped and called again, it resumes.
"""

import numpy as np
import xarray as xr
from scipy.interpolate import make_interp_spline

from sbt_book.common.committed import RESULTS
from sbt_book.common.noise_axes import NOISES
from sbt_book.common.selections import scaled_curves, whole_curves
from sbt_utils.sweeping.experiments import SLOPES, Experiment
from sbt_utils.sweeping.sweeps import sweep

EXPERIMENT = Experiment(
    {"data_noise": sorted(NOISES["data_noise"].shown), "negative_slope": SLOPES}, train=1000
)
"""The 48 published cells, ten networks in each; all but the number of images as published."""

SHIFTS = np.linspace(-0.3, 0.3, 121)
"""Values that `without_new_networks` tries of its one free number."""


def deviation_draws(ours: xr.Dataset, published: xr.Dataset, draws: int = 1000) -> np.ndarray:
    """Return how far other seeds would have put our diagram from the published one.

    Parameters
    ----------
    ours : xarray.Dataset
        ``separation_train`` (noise, slope, seed, layer), all of it defined.
    published : xarray.Dataset
        From `sbt_book.phase_diagram.published.published_diagram`.

    Returns
    -------
    numpy.ndarray
        (draws,), float64: the mean over the cells of the deviation that
        `sbt_book.phase_diagram.published.compare` defines, for as many networks as each cell has,
        drawn from it with replacement (Efron's bootstrap), each cell by itself.
    """
    ours, published = xr.align(ours, published, join="inner")
    curves = whole_curves(ours).transpose("slope", "noise", "seed", "layer").values
    theirs = published.curve.transpose("slope", "noise", "layer").values
    rng, found = np.random.default_rng(0), np.empty(draws)
    for draw in range(draws):
        chosen = rng.integers(curves.shape[2], size=curves.shape[:3])
        means = np.take_along_axis(curves, chosen[..., None], 2).mean(2)
        lowest = means.min(-1, keepdims=True)
        scaled = (means - lowest) / (means.max(-1, keepdims=True) - lowest)
        found[draw] = abs(scaled - theirs).mean()
    return found


def without_new_networks(ours: xr.Dataset, published: xr.Dataset) -> dict[str, float]:
    """Return how near one free number brings our diagram to the published one, in three ways.

    All levels of noise are shifted, or stretched; or each scaled curve is bent by the same multiple
    of z(1 - z), z = l/L. The number is the best of `SHIFTS` (for the stretch, 1 plus that), so that
    a diagram of other networks explains something only if it comes nearer than this. `ours` and
    `published` are as in `deviation_draws`; the numbers are mean deviations over the cells.
    """
    curves = scaled_curves(ours).transpose("slope", "noise", "layer").sortby("noise")
    theirs = published.curve.transpose("slope", "noise", "layer").sel(slope=curves.slope)
    levels, lowest, highest = theirs.noise.values, curves.noise.min(), curves.noise.max()
    between = make_interp_spline(curves.noise.values, curves.values, k=1, axis=1)
    z = np.linspace(0, 1, theirs.sizes["layer"])

    def apart(asked: np.ndarray, bend: float = 0.0) -> float:
        found = between(np.clip(asked, lowest.item(), highest.item())) + bend * z * (1 - z)
        return float(abs(found - theirs.values).mean())

    return {
        "levels shifted": min(apart(levels + shift) for shift in SHIFTS),
        "levels stretched": min(apart(levels * (1 + shift)) for shift in SHIFTS),
        "all curves bent": min(apart(levels, bend) for bend in SHIFTS),
    }


def main() -> None:
    """Train the networks."""
    print(f"{len(EXPERIMENT)} networks, about a quarter of an hour on one processor core")
    sweep(EXPERIMENT, out=RESULTS / "data_noise_1000.nc")


if __name__ == "__main__":
    main()
