"""Statistics over the seeds."""

import numpy as np
import xarray as xr

from sbt_book.common.statistics import seed_variance


def test_the_variance_is_that_of_numpy_where_two_seeds_are_defined(rng):
    values = rng.standard_normal((4, 5)) + 100
    values[1, 2:] = np.nan
    values[2, 1:] = np.nan
    values[3] = np.nan
    found = seed_variance(xr.DataArray(values, dims=("cell", "seed")))
    expected = [np.var(row[np.isfinite(row)], ddof=1) for row in values[:2]]
    np.testing.assert_allclose(found[:2], expected, rtol=1e-12)
    assert found[2:].isnull().all()
