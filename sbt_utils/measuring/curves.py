"""Load curves and their shape: what networks and mechanical chains share. Needs NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sbt_utils.text import quoted

MEASURES = ("trace", "fuzziness")
"""What data separation can measure, see `sbt_utils.measuring.separation.data_separation`."""

REGIME_TOLERANCE = 0.05
"""A load curve whose convexity lies within ± this value counts as linear: equiseparated.

A parabola over 7 layers with a convexity of ± 0.05 has a Pearson r of -0.9972.
"""


_LARGEST = 1e300  # so that sums over repeats and differences stay finite
_STATISTICS = ("convexity", "linearity", "imbalance")


@dataclass(frozen=True, eq=False)
class LoadCurve:
    """A load curve l -> D_l, of a network or of a mechanical chain, and its shape.

    All properties but `spread` and `convexity_interval` describe the mean over the repeats.

    Parameters
    ----------
    separation : array_like, shape (L + 1,) or (repeats, L + 1)
        D_0..D_L: data separation (dimensionless), or the distances y - x_l of the blocks of a
        chain to its pulled end. One row per repeat: a seed, or a bootstrap draw. Kept as a
        read-only float64 copy.
    measure : str
        What D is.
    layers : sequence of str
        Names of l = 0..L where known.

    Raises
    ------
    ValueError
        Another shape, fewer than two points, NaN or infinite values, values beyond ±1e300, names
        that are not L + 1.
    TypeError
        Points that are not real numbers, names that are not text.

    References
    ----------
    C. Shi, L. Pan & I. Dokmanić, "Spring-block theory of feature learning in deep neural
    networks", PRL 2025, arXiv:2407.19353.

    Examples
    --------
    >>> curve = LoadCurve([4.0, 1.0, 0.0])
    >>> curve.loads
    array([3., 1.])
    >>> curve.verdict
    'active (convex, shallow layers do more): convexity 0.250'
    """

    separation: np.ndarray
    measure: str = "trace"
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        separation = _numbers(self.separation, "separation")
        shape = separation.shape
        if len(shape) not in (1, 2) or shape[-1] < 2 or shape[0] < 1:
            raise ValueError(
                f"separation: shape {shape}; give (L + 1,) or (repeats, L + 1) with L >= 1 layers"
            )
        if not np.isfinite(separation).all():
            raise ValueError("separation: NaN or infinite values; leave such curves out")
        if (largest := np.abs(separation).max()) > _LARGEST:
            raise ValueError(f"separation: {largest:.3g} is too large; give it in a larger unit")
        layers = _names(self.layers)
        if len(layers) not in (0, shape[-1]):
            raise ValueError(
                f"layers: {len(layers)} names for {shape[-1]} points; name each, or none"
            )
        separation.setflags(write=False)
        object.__setattr__(self, "separation", separation)
        object.__setattr__(self, "layers", layers)

    @property
    def mean(self) -> np.ndarray:
        """Mean over the repeats, shape (L + 1,)."""
        return self._repeats.mean(axis=0)

    @property
    def spread(self) -> np.ndarray | None:
        """Sample standard deviation over the repeats, shape (L + 1,); None without repeats."""
        if len(self._repeats) < 2:
            return None
        unit, exponent = _at_unit_scale(self._repeats, axis=None)
        return np.ldexp(unit.std(axis=0, ddof=1), exponent[0])

    @property
    def scaled(self) -> np.ndarray:
        """Mean curve scaled to [0, 1], shape (L + 1,), as published; NaN for a constant one."""
        return scaled(self.mean)

    @property
    def loads(self) -> np.ndarray:
        """Loads d_l = D_{l-1} - D_l of the layers l = 1..L, shape (L,)."""
        return -np.diff(self.mean)

    @property
    def convexity(self) -> float:
        """Mean over the inner layers of (chord - D) / (D_0 - D_L): positive = convex = active.

        NaN for a curve that does not fall (D_0 <= D_L) or has no inner layer: it has no shape.
        """
        return float(_convexity(self.mean))

    @property
    def convexity_interval(self) -> tuple[float, float] | None:
        """The 2.5 and 97.5 percentiles of the convexity of each repeat; None without repeats.

        The spread of the repeats, not the standard error of their mean. NaN where one of them
        does not fall.
        """
        if len(self._repeats) < 2:
            return None
        low, high = interval(_convexity(self._repeats))
        return float(low), float(high)

    @property
    def linearity(self) -> float:
        """Pearson r of (l, D_l): -1 for a falling straight line; NaN for a constant curve.

        He & Su (arXiv:2210.17020) judge their law by this r; compare their figures in magnitude.
        """
        curve, _ = _at_unit_scale(self.mean)
        if np.ptp(curve) == 0:
            return float("nan")
        return float(np.corrcoef(np.arange(len(curve)), curve)[0, 1])

    @property
    def imbalance(self) -> float:
        """Standard deviation of the loads over their mean; NaN for a curve that does not fall."""
        curve, _ = _at_unit_scale(self.mean)
        # Not the mean of the loads, which rounding may lift above a fall of zero.
        fall = curve[0] - curve[-1]
        return float(np.diff(curve).std() * (len(curve) - 1) / fall) if fall > 0 else float("nan")

    @property
    def regime(self) -> str:
        """``"lazy"``, ``"equiseparated"``, ``"active"``, or ``"unresolved"`` without convexity."""
        return _regime(self.convexity)

    @property
    def verdict(self) -> str:
        """Regime, convexity and interval in words; says so at the edge of a regime."""
        words = f"{self.regime} ({_SHAPES[self.regime]}): convexity {self.convexity:.3f}"
        if self.convexity_interval is None:
            return words
        low, high = self.convexity_interval
        if np.isnan(low):
            return words + "; at the edge: some repeats do not fall"
        words += f", 95 % of {len(self.separation)} repeats in {low:.3f} to {high:.3f}"
        if {_regime(low), _regime(high)} != {self.regime}:
            words += (
                f"; at the edge: the interval reaches over the tolerance of ± {REGIME_TOLERANCE}"
            )
        return words

    @property
    def _repeats(self) -> np.ndarray:
        return np.atleast_2d(self.separation)


def scaled(curves: ArrayLike) -> np.ndarray:
    """Scale curves to [0, 1], each by itself.

    Parameters
    ----------
    curves : array_like, shape (..., L + 1)
        Of any height.

    Returns
    -------
    ndarray, shape (..., L + 1)
        NaN for a constant curve.

    Raises
    ------
    TypeError, ValueError
        Curves that are not real numbers, are infinite or have fewer than two points.

    Examples
    --------
    >>> scaled(np.array([[6.0, 3.0, 2.0], [1.0, 1.0, 1.0]]))
    array([[1.  , 0.25, 0.  ],
           [ nan,  nan,  nan]])
    """
    curves, _ = _at_unit_scale(_curves(curves))
    height = np.ptp(curves, axis=-1, keepdims=True)
    lowest = curves.min(axis=-1, keepdims=True)
    return (curves - lowest) / np.where(height > 0, height, np.nan)


_SHAPES = {
    "lazy": "concave, deep layers do more",
    "equiseparated": "linear, all layers do the same",
    "active": "convex, shallow layers do more",
    "unresolved": "the curve does not fall, or has no inner layer",
}


def curve_statistics(curves: ArrayLike, name: str) -> np.ndarray:
    """Return a statistic of each of many load curves; NaN for a curve that holds NaN.

    Parameters
    ----------
    curves : array_like, shape (..., L + 1)
        D_0, D_1, ..., D_L of each; NaN where a collapsed network leaves D undefined.
    name : {"convexity", "linearity", "imbalance"}
        A property of `LoadCurve`.

    Returns
    -------
    ndarray, shape (...), float64

    Raises
    ------
    TypeError, ValueError
        Curves that are not real numbers, are infinite or have fewer than two points; another name.

    Examples
    --------
    >>> curve_statistics([[4.0, 1.0, 0.0], [1.0, np.nan, 0.0]], "convexity")
    array([0.25,  nan])
    """
    if name not in _STATISTICS:
        raise ValueError(f"name: {quoted(name)} is unknown; choose one of {_STATISTICS}")
    array = _curves(curves)
    values = [
        getattr(LoadCurve(curve), name) if np.isfinite(curve).all() else np.nan
        for curve in array.reshape(-1, array.shape[-1])
    ]
    return np.array(values, dtype=np.float64).reshape(array.shape[:-1])


def _curves(curves: ArrayLike) -> np.ndarray:
    """Return load curves (..., L + 1) as float64."""
    array = _numbers(curves, "curves")
    if array.ndim == 0 or array.shape[-1] < 2:
        raise ValueError(f"curves: shape {array.shape}; give (..., L + 1) with L >= 1 layers")
    if np.isinf(array).any():
        raise ValueError("curves: infinite values; leave such curves out, or make them NaN")
    return array


def _names(layers: Sequence[str]) -> tuple[str, ...]:
    """Return the names of layers, in their order."""
    names: Any = None
    if not isinstance(layers, str | Set | Mapping):
        with suppress(TypeError):  # also of arrays without axes, which are iterable by their type
            names = tuple(layers)
    if names is None or not all(isinstance(name, str) for name in names):
        raise TypeError(f"layers: {type(layers).__name__} given; give a sequence of names")
    return names


def _numbers(values: ArrayLike, name: str) -> np.ndarray:
    """Return a copy of real numbers as float64."""
    try:
        array = np.asarray(values)
    except Exception:  # NumPy, and those whom it asks for an array, refuse in many ways
        array = np.array(None)
    if isinstance(values, np.ma.MaskedArray) or array.dtype.kind not in "biuf":
        kind = f"{type(values).__name__} of {array.dtype}" if array.ndim else type(values).__name__
        raise TypeError(f"{name}: {kind} given; give real numbers, in an array or in equal rows")
    with np.errstate(over="ignore"):  # of longer types; refused as infinite
        return array.astype(np.float64)


def _at_unit_scale(curves: np.ndarray, axis: int | None = -1) -> tuple[np.ndarray, np.ndarray]:
    """Return curves over 2^exponent, and the exponents: squares stay in range, no digit is lost."""
    exponent = np.frexp(np.abs(curves).max(axis=axis, keepdims=True))[1]
    return np.ldexp(curves, -exponent), exponent


def _convexity(curves: np.ndarray) -> np.ndarray:
    """Return the convexity of curves (..., L + 1), NaN where it is undefined."""
    curves, _ = _at_unit_scale(curves)
    fall = curves[..., :1] - curves[..., -1:]
    points = curves.shape[-1]
    bulge = (curves[..., :1] - fall * np.linspace(0, 1, points) - curves)[..., 1:-1].sum(-1)
    scale = (points - 2) * fall[..., 0]
    return np.divide(bulge, scale, out=np.full_like(bulge, np.nan), where=scale > 0)


def _regime(convexity: float) -> str:
    if np.isnan(convexity):
        return "unresolved"
    if abs(convexity) <= REGIME_TOLERANCE:
        return "equiseparated"
    return "active" if convexity > 0 else "lazy"


def interval(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 2.5 and 97.5 percentiles of draws (draws, ...)."""
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return low, high


def load_draws(curve: LoadCurve) -> np.ndarray:
    """Return the loads of every repeat of a curve, shape (repeats, L)."""
    return -np.diff(np.atleast_2d(curve.separation))


def shares(curve: LoadCurve) -> np.ndarray:
    """Return each layer's share of the fall D_0 - D_L, shape (L,); NaN if the curve rises."""
    fall = curve.mean[0] - curve.mean[-1]
    return curve.loads / (fall if fall > 0 else np.nan)
