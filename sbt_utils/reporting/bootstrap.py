r"""How far data separation would have come out differently with other images: a bootstrap.

Features are not kept. To first order an image i of class c changes
:math:`D = \log(\mathrm{tr}\,\Sigma_w / \mathrm{tr}\,\Sigma_b)` by 1/N times its influence

.. math::

    \psi_i = \frac{|h_i - m_c|^2}{\mathrm{tr}\,\Sigma_w}
           - \frac{2\,(h_i - m_c) \cdot (m_c - m)}{\mathrm{tr}\,\Sigma_b}

less the mean over its class, so that a draw of the bootstrap needs two numbers an image. They refer
to the means over all images, which are not known while images pass: each image leaves a short
sketch of its features, and what the sketch gets wrong with the means so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from sbt_utils.measuring.scatter import ScatterStatistics
from sbt_utils.measuring.scatter_passes import fold, sketched_residuals

SKETCH = 251
"""Numbers kept of the features of an image; a prime, out of step with channels and rows."""


class SampledScatter(ScatterStatistics):
    """Scatter statistics that also know the influence of each sample on D.

    D itself is exact. Beside what `ScatterStatistics` keeps, N x min(d, `SKETCH`) numbers in
    float32.

    Notes
    -----
    On a perceptron and a convolutional network trained on 1,500 digits, in batches of 512, the
    standard deviations of the loads are within 4 % of those that the exact influences give. Without
    the correction of the sketch they are up to 1.5 times too large. Batches of 8 cost up to 10 %,
    images sorted by class up to 23 %, nearly all of it to the safe side.

    References
    ----------
    M. Charikar, K. Chen & M. Farach-Colton, "Finding frequent items in data streams", 2004 (the
    sketch); B. Efron & R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 22
    (influence).

    Examples
    --------
    >>> scatter = SampledScatter()
    >>> scatter.update(np.array([[0.0], [2.0], [4.0], [6.0]]), [0, 0, 1, 1])
    >>> scatter.influence()
    array([-1.,  1.,  1., -1.])
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[np.ndarray] = []
        self.sketches: list[torch.Tensor] = []
        self.corrections: list[torch.Tensor] = []

    def record(self, x: torch.Tensor, rows: torch.Tensor, squares: torch.Tensor) -> None:
        """Keep a sketch of each sample, and what it gets wrong with the means so far.

        Sketches are in float32: what that loses is noise in intervals, and D does without.
        """
        away = self._away()
        along, sketches = sketched_residuals(
            x, self.origin, self.means, rows, away, self._signs, SKETCH
        )
        away, means = self._sketch(torch.cat([away, self.means])).chunk(2)
        along -= _dot(away, rows, sketches)
        self.corrections.append(torch.stack([squares - sketches.square().sum(1), along]))
        self.rows.append(rows.cpu().numpy())
        self.sketches.append(sketches.add_(means.index_select(0, rows)))

    def influence(self) -> np.ndarray:
        """Return the influence of each sample on D, shape (N,), in the order of the updates."""
        within, between = self.scatter()
        rows = torch.from_numpy(self.classes_in_order()).to(self.origin.device)
        sketch = torch.cat(self.sketches)
        sketch -= self._sketch(self.means).index_select(0, rows)
        squares, along = torch.cat(self.corrections, dim=1)
        along = along + _dot(self._sketch(self._away()), rows, sketch)
        squares = squares + sketch.square_().sum(1)
        influence = squares / within - 2 * along / between
        total = influence.new_zeros(len(self.counts)).index_add_(0, rows, influence)
        return (influence - (total / self.counts)[rows]).cpu().numpy()

    def classes_in_order(self) -> np.ndarray:
        """Return the class of each sample as a number from 0, shape (N,)."""
        return np.concatenate(self.rows)

    def _away(self) -> torch.Tensor:
        """Return the class means seen from the mean, (C, d)."""
        return self.means - (self.counts / self.counts.sum()) @ self.means

    def _sketch(self, vectors: torch.Tensor) -> torch.Tensor:
        """Sketch vectors (n, d)."""
        return fold(vectors.float(), self._signs, SKETCH)

    @cached_property
    def _signs(self) -> torch.Tensor:
        """Signs (d,) of the sketch, random where there is anything to fold."""
        length = len(self.origin)
        signs = torch.ones(length)
        if length > SKETCH:
            # Layers of one width share their signs: equal features have equal influences.
            generator = torch.Generator().manual_seed(length)
            signs = 2.0 * torch.randint(2, (length,), generator=generator) - 1
        return signs.to(self.origin.device)


def _dot(table: torch.Tensor, rows: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Return the scalar product of each vector (n, d) with its row of a table (C, d)."""
    return table.index_select(0, rows).mul_(vectors).sum(1)


def bootstrap(
    scatters: Sequence[SampledScatter], resamples: int = 200, seed: int | Sequence[int] = 0
) -> np.ndarray:
    """Draw the D of each layer anew, as with other images of the same classes.

    Images are drawn with replacement within each class, so that every class keeps its number of
    images, and the same ones for all layers.

    Parameters
    ----------
    scatters : sequence of SampledScatter
        Of the layers, fed with the same images in the same order.
    resamples : int
        How often to draw.
    seed : int
        Of the draws.

    Returns
    -------
    ndarray, shape (resamples, layers), float64
        Draws of D, to first order in the weights of the images, with the exact D as their mean.

    Examples
    --------
    >>> scatter = SampledScatter()
    >>> scatter.update(np.array([[0.0], [2.0], [4.0], [6.0]]), [0, 0, 1, 1])
    >>> bootstrap([scatter], resamples=3).shape
    (3, 1)
    """
    separation = np.array([scatter.separation for scatter in scatters])
    influence = np.stack([scatter.influence() for scatter in scatters], axis=1)
    rows = scatters[0].classes_in_order()
    rng = np.random.default_rng(seed)
    draws = np.zeros((resamples, len(scatters)))
    for row in range(rows.max() + 1):
        own = influence[rows == row]
        chosen = rng.integers(len(own), size=(resamples, len(own)))
        chosen += len(own) * np.arange(resamples)[:, None]
        weights = np.bincount(chosen.ravel(), minlength=chosen.size).reshape(chosen.shape)
        draws += weights @ own / len(rows)
    return separation + draws - draws.mean(axis=0)
