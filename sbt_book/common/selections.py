"""Load curves, shapes and failures of the networks of a phase diagram."""

import xarray as xr

from sbt_utils.measuring.curves import curve_statistics

AVERAGES = ("mean", "median")


def whole_curves(diagram: xr.Dataset, part: str = "train") -> xr.DataArray:
    """Return the load curves that are defined at every layer, nan in place of the others.

    A mean over the seeds that have a D at one layer and over others at the next is no load curve.

    Parameters
    ----------
    diagram : xarray.Dataset
        A phase diagram.
    part : {"train", "test"}
        The images on which D was measured.

    Returns
    -------
    xarray.DataArray
        ``separation_train`` or ``separation_test``, the layer last.

    Examples
    --------
    >>> seeds = xr.Dataset({"separation_train": (("seed", "layer"), [[1, 0], [1, np.nan]])})
    >>> whole_curves(seeds).values.tolist()
    [[1.0, 0.0], [nan, nan]]
    """
    curves = diagram[f"separation_{part}"]
    return curves.where(curves.notnull().all("layer")).transpose(..., "layer")


def scaled_curves(diagram: xr.Dataset, average: str = "mean") -> xr.DataArray:
    """Return each cell's load curve, averaged over the seeds and then scaled, as published.

    Parameters
    ----------
    diagram : xarray.Dataset
        A phase diagram.
    average : {"mean", "median"}
        Over the seeds that have a load curve, layer by layer.

    Returns
    -------
    xarray.DataArray
        (..., layer), from 0 to 1; nan where no seed has a curve, or where it is constant.

    Raises
    ------
    ValueError
        For another average.

    Examples
    --------
    >>> seeds = xr.Dataset({"separation_train": (("seed", "layer"), [[6, 2, 0], [4, 2, 2]])})
    >>> scaled_curves(seeds).values
    array([1.  , 0.25, 0.  ])
    """
    if average not in AVERAGES:
        raise ValueError(f"average={average!r}: choose one of {', '.join(AVERAGES)}")
    curves = whole_curves(diagram)
    curves = curves.mean("seed") if average == "mean" else curves.median("seed")
    lowest = curves.min("layer")
    height = curves.max("layer") - lowest
    return (curves - lowest) / height.where(height > 0)


def convexity(curves: xr.DataArray) -> xr.DataArray:
    """Return the convexity of load curves, as `LoadCurve.convexity` defines it.

    Parameters
    ----------
    curves : xarray.DataArray, shape (..., layer)
        Scaled or not, which makes no difference to the convexity.

    Returns
    -------
    xarray.DataArray
        (...), nan for a curve that is undefined or does not fall.

    Examples
    --------
    >>> curves = xr.DataArray([[4.0, 1.0, 0.0], [1.0, np.nan, 0.0]], dims=("seed", "layer"))
    >>> convexity(curves).values
    array([0.25,  nan])
    """
    return xr.apply_ufunc(curve_statistics, curves, "convexity", input_core_dims=[["layer"], []])


def failed(diagram: xr.Dataset, least: float = 0.5) -> xr.DataArray:
    """Tell which networks failed to learn their own training images.

    Parameters
    ----------
    diagram : xarray.Dataset
        A phase diagram.
    least : float
        Training accuracy, a fraction, below which a network has failed. Chance is one in ten.

    Returns
    -------
    xarray.DataArray of bool
        (noise, slope, seed): the training accuracy is below `least`, or D is undefined at a layer.

    Examples
    --------
    >>> seeds = xr.Dataset({"separation_train": (("seed", "layer"), [[1, 0], [1, 0]]),
    ...                     "accuracy_train": ("seed", [0.95, 0.11])})
    >>> failed(seeds).values
    array([False,  True])
    """
    undefined = diagram.separation_train.isnull().any("layer")
    return (diagram.accuracy_train < least) | undefined
