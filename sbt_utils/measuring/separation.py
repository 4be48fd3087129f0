"""Data separation of labelled features: the one number that a layer gets."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike

from sbt_utils.measuring.curves import MEASURES
from sbt_utils.measuring.scatter import ProjectedScatter, ScatterStatistics
from sbt_utils.models.batches import Array
from sbt_utils.text import quoted


def data_separation(
    features: Array, labels: ArrayLike | torch.Tensor, measure: str = "trace"
) -> float:
    r"""Return the data separation D of labelled features: the lower, the better separated.

    With :math:`\Sigma_w = \frac1N \sum_c \sum_{i \in c} (h_i - m_c)(h_i - m_c)^T` within and
    :math:`\Sigma_b = \sum_c \frac{n_c}{N} (m_c - m)(m_c - m)^T` between the classes, ``"trace"``
    is :math:`\log(\mathrm{tr}\,\Sigma_w / \mathrm{tr}\,\Sigma_b)` and ``"fuzziness"`` is
    :math:`\log \mathrm{tr}(\Sigma_w \Sigma_b^+)` [1]_. Both are invariant under translation,
    rotation and uniform scaling of the features, not under general linear maps. So scales from
    1e-300 to 1e300 do not matter in float64, nor common offsets of up to 1e8 standard deviations,
    as long as the features themselves keep their digits.

    Parameters
    ----------
    features : ndarray or Tensor, shape (N, ...)
        One row per sample, trailing axes flattened to d; any real dtype, any device. Longer types
        are rounded to float64.
    labels : array_like or Tensor of int, shape (N,)
        Class of each sample, 0 or above; not every number needs to occur.
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
        Unknown measure; empty or non-finite features, or integers that float64 cannot hold; labels
        that do not match in number, are negative or hold one class only (of two samples or more);
        no variance between the classes (D would be infinite) or within them (D would be minus
        infinity).

    Warns
    -----
    UserWarning
        A class with one sample, which is left out.

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
    >>> features = torch.tensor([[0.0], [2.0], [4.0], [6.0]])
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
    if not isinstance(measure, str) or measure not in MEASURES:
        raise ValueError(f"measure: {quoted(measure)} is unknown; choose one of {MEASURES}")
