"""Made-up phase diagrams for the tests."""

import numpy as np
import xarray as xr

from sbt_book.common.committed import load_committed


def diagram(rng, noises=(0.0, 0.1, 0.3), slopes=(0.0, 0.6), seeds=2, layers=8):
    """Return a phase diagram of random falling curves and random accuracies."""
    cells = ("noise", "slope", "seed")
    shape = len(noises), len(slopes), seeds
    curves = np.sort(rng.normal(size=(2, *shape, layers)))[..., ::-1]
    accuracy = rng.uniform(0.6, 1, size=(2, *shape))
    return xr.Dataset(
        {
            "separation_train": ((*cells, "layer"), curves[0].copy()),
            "separation_test": ((*cells, "layer"), curves[1].copy()),
            "accuracy_train": (cells, accuracy[0]),
            "accuracy_test": (cells, accuracy[1]),
        },
        {"noise": list(noises), "slope": list(slopes), "seed": range(seeds)},
    )


def published_cells(rng, cells):
    """Return made-up published curves for the cells of a diagram."""
    shape = cells.sizes["slope"], cells.sizes["noise"], cells.sizes["layer"]
    curves = np.sort(rng.random(shape))[..., ::-1]
    return xr.Dataset(
        {"curve": (("slope", "noise", "layer"), curves)},
        {"slope": cells.slope.values, "noise": cells.noise.values},
    )


def mechanical_cells():
    """Return the committed curves of the chains that are compared with networks, in double."""
    cells = load_committed("spring_block").separation.astype("float64")
    return cells.sel(order="second", shaking="common", friction_left=0.15, drop=True)
