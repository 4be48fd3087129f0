"""Load curves, shapes and failures of the networks of a phase diagram."""

import xarray as xr

from sbt_utils.measuring.curves import curve_statistics


def whole_curves(diagram: xr.Dataset, part: str = "train") -> xr.DataArray:
    """Return the load curves that are defined at every layer, nan in place of the others.

    A mean over the seeds that have a D at one layer and over others at the next is no load curve.

    Parameters
    ----------
    diagram : xarray.Dataset
        With ``separation_train`` or ``separation_test`` (..., layer).
    part : {"train", "test"}
        The images on which D was measured.
    """
    curves = diagram[f"separation_{part}"]
    return curves.where(curves.notnull().all("layer")).transpose(..., "layer")


def scaled_curves(diagram: xr.Dataset) -> xr.DataArray:
    """Return each cell's load curve, averaged over the seeds and then scaled, as published.

    Parameters
    ----------
    diagram : xarray.Dataset
        With ``separation_train`` (..., seed, layer).

    Returns
    -------
    xarray.DataArray
        (..., layer), from 0 to 1; nan where no seed has a curve, or where it is constant.
    """
    curves = whole_curves(diagram).mean("seed")
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
    """
    return xr.apply_ufunc(curve_statistics, curves, "convexity", input_core_dims=[["layer"], []])


def failed(diagram: xr.Dataset, least: float = 0.5) -> xr.DataArray:
    """Tell which networks failed to learn their own training images.

    Parameters
    ----------
    diagram : xarray.Dataset
        With ``separation_train`` (..., layer) and ``accuracy_train`` (...), a fraction.
    least : float
        Training accuracy below which a network has failed. Chance is one in ten.

    Returns
    -------
    xarray.DataArray of bool
        (...): the training accuracy is below `least`, or D is undefined at a layer.
    """
    undefined = diagram.separation_train.isnull().any("layer")
    return (diagram.accuracy_train < least) | undefined
