"""Load curves, shapes and failures of the networks of a phase diagram."""

import xarray as xr

from sbt_utils.measuring.curves import curve_statistics


def whole_curves(diagram: xr.Dataset, part: str = "train") -> xr.DataArray:
    """Return the load curves that are defined at every layer, nan in place of the others.

    A mean over the seeds that have a D at one layer and over others at the next is no load curve.
    `part` of the images, on which D was measured: ``"train"`` or ``"test"``.
    """
    curves = diagram[f"separation_{part}"]
    return curves.where(curves.notnull().all("layer")).transpose(..., "layer")


def scaled_curves(diagram: xr.Dataset) -> xr.DataArray:
    """Return each cell's load curve, averaged over the seeds and then scaled, as published.

    They are (..., layer), from 0 to 1; nan where no seed has a curve, or where it is constant.
    """
    curves = whole_curves(diagram).mean("seed")
    lowest = curves.min("layer")
    height = curves.max("layer") - lowest
    return (curves - lowest) / height.where(height > 0)


def convexity(curves: xr.DataArray) -> xr.DataArray:
    """Return the convexity (...) of load curves (..., layer), as `LoadCurve.convexity` defines it.

    Scaled or not makes no difference; nan for a curve that is undefined or does not fall.
    """
    return xr.apply_ufunc(curve_statistics, curves, "convexity", input_core_dims=[["layer"], []])


def failed(diagram: xr.Dataset, least: float = 0.5) -> xr.DataArray:
    """Tell which networks (...) failed to learn their own training images.

    Their training accuracy is below `least`, where chance is one in ten, or D is undefined at a
    layer.
    """
    undefined = diagram.separation_train.isnull().any("layer")
    return (diagram.accuracy_train < least) | undefined
