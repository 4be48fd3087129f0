r"""The prediction residual: what a linear function of the state leaves of the next token's id.

Least squares for states that come in turn. Of all rows so far :math:`[1, H, Y]` the triangular
factor R of a QR decomposition is kept, and that of R with new rows below it is R of them all: what
is kept does not grow with the number of rows, and no digit is lost by squaring, as in the normal
equations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.linalg import lapack
from torch import Tensor

from sbt_utils.models.batches import Array, as_tensor, dense

_WELL = 1e-10  # reciprocal condition number from which on a triangular solution will do
_DIGITS = 1e-12  # smaller deviations from the mean are rounding


def prediction_residual(
    features: Array,
    targets: ArrayLike | Tensor,
    held_out: tuple[Array, ArrayLike | Tensor] | None = None,
) -> np.ndarray:
    r"""Return the prediction residual PR of features: what they leave open of a target, linearly.

    With the least squares fit :math:`\hat y_i = w \cdot h_i + b`,

    .. math::

        \mathrm{PR} = \frac{\sum_i (y_i - \hat y_i)^2}{\sum_i (y_i - \bar y)^2} = 1 - R^2,

    where :math:`y_i` is the id of the next token as a number [1]_. Features enter as they are: He
    and Su give them after the model's final normalisation without its weights, as
    `sbt_utils.language.curves.token_curves` does.

    Parameters
    ----------
    features : ndarray or Tensor, shape (n, d)
        States of n tokens; float64 is computed with.
    targets : array_like or Tensor, shape (n,) or (n, targets)
        Ids, or any numbers; several targets cost little more than one.
    held_out : tuple (features, targets), optional
        Tokens on which the fit is judged, instead of those that it was made for; their own mean is
        what PR compares with.

    Returns
    -------
    ndarray, float64, shape () or (targets,)
        0: the target is a linear function of the state; 1: nothing is known of it. On held-out
        tokens it may exceed 1.

    Raises
    ------
    TypeError, ValueError
        Other shapes; no real or finite numbers; no more tokens than a fit has coefficients; a
        target that is the same for all.

    References
    ----------
    .. [1] H. He & W. J. Su, "A law of next-token prediction in large language models", 2024,
       arXiv:2408.13442.

    Examples
    --------
    >>> states = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> round(float(prediction_residual(states, [0, 2, 2, 4])), 6)  # slope 1.2, 0.8 / 8
    0.1
    """
    fit = LeastSquares()
    fit.update(*_checked(features, targets, "features"))
    other = None
    if held_out is not None:
        if not isinstance(held_out, tuple | list) or len(held_out) != 2:
            kind = type(held_out).__name__
            raise TypeError(f"held_out: {kind} given; give a pair (features, targets)")
        other = LeastSquares()
        other.update(*_checked(*held_out, "held_out"))
        if (other.features, other.targets) != (fit.features, fit.targets):
            raise ValueError(
                f"held_out: {other.features} features and {other.targets} targets; give as many as "
                f"there are for the fit, {fit.features} and {fit.targets}"
            )
    found = fit.residual(other)
    return found[0] if np.ndim(dense(targets, "targets")) == 1 else found


def _checked(features: Array, targets: ArrayLike | Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Return features (n, d) and targets (n, q) as float64."""
    x, y = as_tensor(features, name).detach(), as_tensor(targets, "targets").detach().cpu()
    if x.dim() != 2 or not x.numel() or x.is_complex():
        raise ValueError(
            f"{name}: {tuple(x.shape)} of {x.dtype} given; give (n, d) real ones, a row per token"
        )
    if y.dim() not in (1, 2) or len(y) != len(x) or not y.numel() or y.is_complex():
        raise ValueError(
            f"targets: shape {tuple(y.shape)} given for {len(x)} tokens; give a number for each"
        )
    return x, y.reshape(len(y), -1)


class LeastSquares:
    """Least squares of several targets on the same features, row by row, and its residual.

    Keeps (1 + features + targets)^2 numbers of float64, and fewer than as many of rows that wait.

    Examples
    --------
    >>> fit = LeastSquares()
    >>> for x, y in [([[0.0], [1.0]], [[0.0], [2.0]]), ([[2.0], [3.0]], [[2.0], [4.0]])]:
    ...     fit.update(torch.tensor(x), torch.tensor(y))
    >>> fit.residual().round(6)
    array([0.1])
    """

    def __init__(self) -> None:
        self.rows = self.features = self.targets = 0
        self._factor = torch.empty(0)
        self._waiting: list[Tensor] = []

    def update(self, features: Tensor, targets: Tensor) -> None:
        """Add features (n, d) and targets (n, q).

        Raises
        ------
        ValueError
            Features that are not finite, or of another number than before.
        """
        device = "cpu" if features.device.type == "mps" else features.device  # it has no float64
        x = features.to(device).double()
        if not self.rows:
            self.features, self.targets = x.shape[1], targets.shape[1]
        if x.shape[1] != self.features:
            raise ValueError(
                f"features: {x.shape[1]} values per token, but {self.features} in an earlier "
                "batch; give all tokens one shape"
            )
        rows = torch.cat([x.new_ones(len(x), 1), x, targets.to(device).double()], dim=1)
        if not torch.isfinite(rows.sum()):
            what = "targets" if torch.isfinite(x.sum()) else "features"
            raise ValueError(
                f"{what}: NaN or infinite values; leave them out, or find where the network "
                "diverged"
            )
        self.rows += len(x)
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= rows.shape[1]:
            self._absorb()

    def _absorb(self) -> None:
        if self._waiting:
            parts = [self._factor] if len(self._factor) else []
            self._factor = torch.linalg.qr(torch.cat([*parts, *self._waiting]), mode="r").R
            self._waiting = []

    def factor(self) -> np.ndarray:
        """Return the triangular factor of all rows (1, features, targets)."""
        self._absorb()
        return self._factor.cpu().numpy()

    @classmethod
    def joined(cls, parts: Sequence[LeastSquares]) -> LeastSquares:
        """Return the least squares of the rows of several."""
        whole = cls()
        whole.features, whole.targets = parts[0].features, parts[0].targets
        for part in parts:
            part._absorb()
            whole.rows += part.rows
            whole._waiting.append(part._factor)
        whole._absorb()
        return whole

    def residual(self, other: LeastSquares | None = None) -> np.ndarray:
        """Return 1 - R^2 of each target, (targets,), on the rows themselves or on those of others.

        Raises
        ------
        ValueError
            No more rows than coefficients; targets that do not vary.
        """
        check_enough(self.rows, self.features)
        width, fitted = 1 + self.features, self.factor()
        judged = fitted if other is None else other.factor()
        solution = _solution(fitted[:, :width], fitted[:, width:], self.rows)
        left = judged[:, width:] - judged[:, :width] @ solution
        # Below the first row are the deviations from the mean.
        whole = np.square(judged[1:, width:]).sum(axis=0)
        if (whole <= np.square(_DIGITS * judged[0, width:])).any():
            raise ValueError("targets: the same for all tokens; give targets that vary")
        return np.asarray(np.square(left).sum(axis=0) / whole)


def check_enough(tokens: int, features: int, where: str = "") -> None:
    """Raise unless there are more tokens than a fit has coefficients."""
    least = features + 2
    if tokens < least:
        raise ValueError(
            f"features: {tokens} tokens for {features} features{where}; a fit needs {least} tokens "
            f"or more, and means something from about {10 * least} on: give more text, or "
            "narrower states"
        )


def _solution(factor: np.ndarray, targets: np.ndarray, rows: int) -> np.ndarray:
    """Return the least squares solution of least norm, as `numpy.linalg.lstsq` of all rows does."""
    width = factor.shape[1]
    square, upper = factor[:width], targets[:width]
    if len(square) == width and lapack.dtrcon(square)[0] > _WELL:
        return lapack.dtrtrs(square, upper)[0]
    cut = np.finfo(float).eps * max(rows, width)
    return np.linalg.lstsq(factor, targets, rcond=cut)[0]
