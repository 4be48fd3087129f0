"""Data separation of labelled features, and the load curve it draws over depth.

Networks and mechanical chains share the `LoadCurve`: the analogy is in the types.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from sbt_utils.measuring.scatter import Array, ProjectedScatter, ScatterStatistics

MEASURES = ("trace", "fuzziness")
REGIME_TOLERANCE = 0.05
"""A load curve whose convexity lies within ± this value counts as linear: equiseparated.

A parabola over 7 layers with a convexity of ± 0.05 has a Pearson r of -0.9972.
"""


def data_separation(
    features: Array, labels: ArrayLike | torch.Tensor, measure: str = "trace"
) -> float:
    r"""Return the data separation D of labelled features: the lower, the better separated.

    With :math:`\Sigma_w = \frac1N \sum_c \sum_{i \in c} (h_i - m_c)(h_i - m_c)^T` within and
    :math:`\Sigma_b = \sum_c \frac{n_c}{N} (m_c - m)(m_c - m)^T` between the classes, ``"trace"``
    is :math:`\log(\mathrm{tr}\,\Sigma_w / \mathrm{tr}\,\Sigma_b)` and ``"fuzziness"`` is
    :math:`\log \mathrm{tr}(\Sigma_w \Sigma_b^+)` [1]_. Both are invariant under translation,
    rotation and uniform scaling of the features, not under general linear maps.

    Parameters
    ----------
    features : ndarray or Tensor, shape (N, ...)
        One sample a row, trailing axes flattened to d; any real dtype, any device.
    labels : array_like or Tensor of int, shape (N,)
        Class of each sample, 0 or above; numbers may be left out.
    measure : {"trace", "fuzziness"}
        What to measure.

    Returns
    -------
    float
        D, dimensionless (a natural logarithm), from float64 statistics.

    Raises
    ------
    TypeError
        Labels that are not integers, features that are not real numbers.
    ValueError
        Unknown measure; empty, NaN or infinite features; labels that do not match in number, are
        negative or hold one class only; a class with one sample; no variance between the classes
        (D would be infinite) or within them (D would be minus infinity).

    Notes
    -----
    ``"trace"`` costs O(N d), ``"fuzziness"`` O(N d C). The pseudo-inverse leaves out directions
    along which the class means deviate by less than 2^-44 of the total standard deviation, which
    is rounding in float64, and any beyond the C - 1 that C means span. `ScatterStatistics` takes
    the samples batch by batch.

    References
    ----------
    .. [1] H. He & W. J. Su, "A law of data separation in deep learning", PNAS 120(36), 2023,
       arXiv:2210.17020.

    Examples
    --------
    >>> features = np.array([[0.0], [2.0], [4.0], [6.0]])
    >>> round(data_separation(features, [0, 0, 1, 1]), 4)  # log(1 / 4)
    -1.3863
    """
    check_measure(measure)
    first = ScatterStatistics()
    first.update(features, labels)
    if measure == "trace":
        return first.separation
    second = ProjectedScatter(first)
    second.update(features, labels)
    return second.separation


def check_measure(measure: str) -> None:
    """Raise a ``ValueError`` unless `measure` is one of `MEASURES`."""
    if measure not in MEASURES:
        raise ValueError(f"measure: {measure!r} is unknown; choose one of {MEASURES}")


@dataclass(frozen=True, eq=False)
class LoadCurve:
    """A load curve l -> D_l, of a network or of a mechanical chain, and its shape.

    All properties but `spread` and `convexity_interval` describe the mean over the repeats.

    Parameters
    ----------
    separation : array_like, shape (L + 1,) or (repeats, L + 1)
        D_0..D_L: data separation (dimensionless), or the distances y - x_l of the blocks of a
        chain to its pulled end. A row a repeat: a seed, or a bootstrap draw. Kept as a read-only
        float64 copy.
    measure : str
        What D is.
    layers : sequence of str
        Names of l = 0..L where known.

    Raises
    ------
    ValueError
        Another shape, fewer than two points, NaN or infinite values, names that are not L + 1.

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
        separation = np.array(self.separation, dtype=np.float64)
        shape = separation.shape
        if len(shape) not in (1, 2) or shape[-1] < 2 or shape[0] < 1:
            raise ValueError(
                f"separation: shape {shape}; give (L + 1,) or (repeats, L + 1) with L >= 1 layers"
            )
        if not np.isfinite(separation).all():
            raise ValueError("separation: NaN or infinite values; leave such curves out")
        if len(self.layers) not in (0, shape[-1]):
            raise ValueError(
                f"layers: {len(self.layers)} names for {shape[-1]} points; name each, or none"
            )
        separation.setflags(write=False)
        object.__setattr__(self, "separation", separation)
        object.__setattr__(self, "layers", tuple(self.layers))

    @property
    def mean(self) -> np.ndarray:
        """Mean over the repeats, shape (L + 1,)."""
        return np.atleast_2d(self.separation).mean(axis=0)

    @property
    def spread(self) -> np.ndarray | None:
        """Sample standard deviation over the repeats, shape (L + 1,); None without repeats."""
        curves = np.atleast_2d(self.separation)
        return curves.std(axis=0, ddof=1) if len(curves) > 1 else None

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
        curves = np.atleast_2d(self.separation)
        low, high = np.percentile(_convexity(curves), [2.5, 97.5]).tolist()
        return (low, high) if len(curves) > 1 else None

    @property
    def linearity(self) -> float:
        """Pearson r of (l, D_l): -1 for a falling straight line; NaN for a constant curve.

        He & Su (arXiv:2210.17020) judge their law by this r; compare their figures in magnitude.
        """
        if np.ptp(self.mean) == 0:
            return float("nan")
        return float(np.corrcoef(np.arange(len(self.mean)), self.mean)[0, 1])

    @property
    def imbalance(self) -> float:
        """Standard deviation of the loads over their mean; NaN for a curve that does not fall."""
        mean = self.loads.mean()
        return float(self.loads.std() / mean) if mean > 0 else float("nan")

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


def scaled(curves: np.ndarray) -> np.ndarray:
    """Scale curves to [0, 1], each by itself.

    Parameters
    ----------
    curves : ndarray, shape (..., L + 1)
        Of any height.

    Returns
    -------
    ndarray, shape (..., L + 1)
        NaN for a constant curve.

    Examples
    --------
    >>> scaled(np.array([[6.0, 3.0, 2.0], [1.0, 1.0, 1.0]]))
    array([[1.  , 0.25, 0.  ],
           [ nan,  nan,  nan]])
    """
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
    """Return a statistic of each of many load curves, NaN for those that are undefined somewhere.

    Parameters
    ----------
    curves : array_like, shape (..., L + 1)
        D_0, D_1, ..., D_L of each, NaN where a collapsed network leaves D undefined.
    name : {"convexity", "linearity", "imbalance"}
        A property of `LoadCurve`.

    Returns
    -------
    ndarray, shape (...), float64

    Examples
    --------
    >>> curve_statistics([[4.0, 1.0, 0.0], [1.0, np.nan, 0.0]], "convexity")
    array([0.25,  nan])
    """

    def of_one(curve: np.ndarray) -> float:
        return getattr(LoadCurve(curve), name) if np.isfinite(curve).all() else np.nan

    return np.apply_along_axis(of_one, -1, np.asarray(curves, dtype=np.float64))


def _convexity(curves: np.ndarray) -> np.ndarray:
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
