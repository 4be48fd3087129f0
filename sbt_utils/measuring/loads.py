"""The loads of a curve and of each of its repeats, their intervals, and how they are written."""

import numpy as np

from sbt_utils.measuring.separation import LoadCurve


def interval(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 2.5 and 97.5 percentiles of draws.

    Parameters
    ----------
    draws : ndarray, shape (draws, ...)

    Returns
    -------
    low, high : ndarray, shape (...)

    Examples
    --------
    >>> [float(end) for end in interval(np.arange(41.0))]
    [1.0, 39.0]
    """
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return low, high


def load_draws(curve: LoadCurve) -> np.ndarray:
    """Return the loads of every repeat of a curve, shape (repeats, L).

    Parameters
    ----------
    curve : LoadCurve

    Returns
    -------
    ndarray, shape (repeats, L)

    Examples
    --------
    >>> load_draws(LoadCurve([[3.0, 2.0, 0.0], [3.0, 1.0, 0.0]]))
    array([[1., 2.],
           [2., 1.]])
    """
    return -np.diff(np.atleast_2d(curve.separation))


def shares(curve: LoadCurve) -> np.ndarray:
    """Return each layer's share of the whole fall D_0 - D_L.

    Parameters
    ----------
    curve : LoadCurve

    Returns
    -------
    ndarray, shape (L,)
        Summing to 1; NaN for a curve that does not fall.

    Examples
    --------
    >>> shares(LoadCurve([4.0, 1.0, 0.0]))
    array([0.75, 0.25])
    """
    fall = curve.loads.sum()
    return curve.loads / (fall if fall > 0 else np.nan)


def decimal(value: float, digits: int = 2) -> str:
    """Return a number as text, without a minus before a zero.

    Parameters
    ----------
    value : float
    digits : int
        After the point.

    Returns
    -------
    str

    Examples
    --------
    >>> decimal(-1e-9), decimal(-0.125, 3)
    ('0.00', '-0.125')
    """
    return f"{round(value, digits) + 0.0:.{digits}f}"


def percent(value: float) -> str:
    """Return a fraction as text, in whole per cent and without a minus before a zero.

    Parameters
    ----------
    value : float

    Returns
    -------
    str

    Examples
    --------
    >>> percent(-1e-9), percent(0.5)
    ('0%', '50%')
    """
    return f"{round(value, 2) + 0.0:.0%}"
