r"""How data separation varies from one sample of images to the next: a streaming bootstrap.

`scipy.stats.bootstrap` needs all features of all images at once; here none are kept. To first
order an image i of class c changes
:math:`D = \log(\mathrm{tr}\,\Sigma_w / \mathrm{tr}\,\Sigma_b)` by 1/N times its influence

.. math::

    \psi_i = \frac{|h_i - m_c|^2}{\mathrm{tr}\,\Sigma_w}
           - \frac{2\,(h_i - m_c) \cdot (m_c - m)}{\mathrm{tr}\,\Sigma_b}

less the mean over its class, so that a bootstrap draw needs two numbers per image: the squared
residual and the product with the class mean. Both are relative to the means over all images, which
are unknown while images pass. So each image leaves a short sketch of its features (random signed
sums, which keep scalar products on average) and the error of the sketch with the means so far; with
the final means, only what they have moved since is left to the sketch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from sbt_utils.measuring.device_passes import fold, on_cpu
from sbt_utils.measuring.scatter import ScatterStatistics
from sbt_utils.measuring.scatter_passes import add_and_sketch, class_products

SKETCH = 251
"""Numbers kept per image; a prime, so that it does not divide numbers of channels or pixels."""


class SampledScatter(ScatterStatistics):
    """Scatter statistics that also know the influence of each sample on D.

    D itself is exact. Keeps N x min(d, `SKETCH`) float32 numbers more than `ScatterStatistics`.

    On a perceptron and a convolutional network trained on 1,500 digits, in batches of 512, the
    standard deviations of the loads are within 4 % of those from exact influences. Without the
    correction of the sketch they are up to 1.5 times too large. Batches of 8 cost up to 10 %,
    images sorted by class up to 23 %, nearly all of it in the direction of wider intervals.

    M. Charikar, K. Chen & M. Farach-Colton, "Finding frequent items in data streams", 2004 (the
    sketch); B. Efron & R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 22
    (influence).
    """

    reach = 24  # squares of sketches are float32, and may be 2^-54 of the largest

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[torch.Tensor] = []
        self.sketches: list[torch.Tensor] = []
        self.units: list[float | torch.Tensor] = []  # of the sketches
        self.corrections: list[torch.Tensor] = []

    def add(self, x: torch.Tensor, rows: torch.Tensor) -> tuple[float | torch.Tensor, torch.Tensor]:
        """Add samples; keep a sketch of each, and its error with the means so far.

        Sketches are float32: their rounding adds noise to intervals, and D does not depend on it.
        """
        within, squares, corrections, sketches, unit = add_and_sketch(
            x, self.origin, rows, self.counts, self.means, self._signs, SKETCH
        )
        self.rows.append(rows)
        self.corrections.append(corrections)
        self.sketches.append(sketches)
        self.units.append(unit)
        return within, squares

    def rescale(self, exponent: int) -> float:
        """Set the exponent; scale what is kept."""
        factor = super().rescale(exponent)
        self.sketches = [sketch * factor for sketch in self.sketches]
        self.corrections = [correction * factor * factor for correction in self.corrections]
        return factor

    def influence(self) -> np.ndarray:
        """Return the influence of each sample on D, shape (N,), in the order of the updates."""
        return influences([self])[:, 0]

    def uncentred(self) -> torch.Tensor:
        """Return the influence of each sample, (N,), but for the mean over its class."""
        within, between = self.scatter()
        sketches = zip(self.sketches, self.units, strict=True)
        residuals = torch.cat([sketch.double() * unit for sketch, unit in sketches])
        rows = torch.cat(self.rows)
        residuals -= self._sketch(self.means).index_select(0, rows)
        squares, along = torch.cat(self.corrections, dim=1)
        along = along + class_products(self._sketch(self.centred_means()), rows, residuals)
        squares = squares + residuals.square_().sum(1)
        return squares / within - 2 * along / between

    def classes_in_order(self) -> np.ndarray:
        """Return the class of each sample as a number from 0, shape (N,)."""
        return torch.cat(self.rows).cpu().numpy()

    def _sketch(self, vectors: torch.Tensor) -> torch.Tensor:
        """Sketch vectors (n, d) of float64."""
        return fold(vectors * self._signs, SKETCH)

    @cached_property
    def _signs(self) -> torch.Tensor:
        """Signs (d,) of the sketch, random where there is anything to fold."""
        length = len(self.origin)
        signs = torch.ones(length)
        if length > SKETCH:
            # Layers of one width share their signs: equal features have equal influences.
            generator = torch.Generator().manual_seed(length)
            signs = 2.0 * torch.randint(2, (length,), generator=generator) - 1
        return signs.to(self.origin.device, non_blocking=True)


def influences(scatters: Sequence[SampledScatter]) -> np.ndarray:
    """Return the influence of each sample on D of each layer, shape (N, layers).

    All layers have seen the samples in the same order. Means over classes are taken on the CPU: a
    GPU is waited for once, and would add in any order.
    """
    influence = torch.stack(on_cpu([scatter.uncentred() for scatter in scatters]), dim=1)
    rows = torch.from_numpy(scatters[0].classes_in_order())
    counts = rows.bincount()[:, None]
    total = influence.new_zeros(len(counts), len(scatters)).index_add_(0, rows, influence)
    return (influence - (total / counts)[rows]).numpy()


def bootstrap(
    scatters: Sequence[SampledScatter], resamples: int = 200, seed: int | Sequence[int] = 0
) -> np.ndarray:
    """Return D of each layer with images drawn anew, shape (resamples, layers), float64.

    Images are drawn with replacement within each class, so that every class keeps its number of
    images, and the same ones for all layers: their scatter has seen them in the same order. Draws
    are of first order in the weights of the images, with the exact D as their mean.
    """
    separation = np.array([scatter.separation for scatter in scatters])
    influence = influences(scatters)
    rows = scatters[0].classes_in_order()
    rng = np.random.default_rng(seed)
    draws = np.zeros((resamples, len(scatters)))
    samples = float(scatters[0].weights.sum())  # less those that are alone in their class
    for row in range(rows.max() + 1):
        members = influence[rows == row]
        chosen = rng.integers(len(members), size=(resamples, len(members)))
        # Numbered on from draw to draw, so that one count gives the weights of all draws.
        chosen += len(members) * np.arange(resamples)[:, None]
        weights = np.bincount(chosen.ravel(), minlength=chosen.size).reshape(chosen.shape)
        draws += weights @ members / samples
    return separation + draws - draws.mean(axis=0)
