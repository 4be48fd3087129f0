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
from torch import Tensor

from sbt_utils.measuring import scatter_passes as passes
from sbt_utils.measuring.device_passes import few_at_once, fold, on_cpu
from sbt_utils.measuring.scatter import ScatterStatistics
from sbt_utils.reporting.folding import SKETCH, Folding, Room, Run


class SampledScatter(ScatterStatistics):
    """Scatter statistics that also know the influence of each sample on D.

    Keeps N x min(d, `SKETCH`) float32 numbers more than `ScatterStatistics`. D itself is exact as
    long as the `room` holds the class means, C x d numbers for each of the layers that share it.

    Where it does not, only sums of features are kept of the class means, see `Folding`. The total
    scatter stays exact, and so does D where all samples of a class come one after the other. It is
    an estimate otherwise, with `error` as its standard error; draws of `bootstrap` vary by that,
    too.

    On a perceptron and a convolutional network trained on 1,500 digits, in batches of 512, the
    standard deviations of the loads are within 4 % of those from exact influences. Without the
    correction of the sketch they are up to 1.5 times too large. Batches of 8 cost up to 10 %,
    images sorted by class up to 23 %, nearly all of it in the direction of wider intervals.

    M. Charikar, K. Chen & M. Farach-Colton, "Finding frequent items in data streams", 2004 (the
    sketch); B. Efron & R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 22
    (influence).
    """

    reach = 24  # squares of sketches are float32, and may be 2^-54 of the largest

    def __init__(self, room: Room | None = None) -> None:
        super().__init__()
        self.room = Room() if room is None else room
        self.rows: list[Tensor] = []
        self.sketches: list[Tensor] = []
        self.units: list[float | Tensor] = []  # of the sketches
        self.corrections: list[Tensor] = []
        self.mean = torch.empty(0)  # of all samples, (d,), relative to the origin; in loops
        self.folding: Folding | None = None

    def make_room(self) -> None:
        """Append means for new classes; fold all means if they would take too much memory."""
        if passes.in_loops(self.origin):
            if self not in self.room.layers:
                self.mean = torch.zeros_like(self.origin)
                self.room.layers.add(self)
            self.room.fit(len(self.classes))
        super().make_room()

    def shorten(self, length: int) -> None:
        """Keep means of folded features from now on, (C, length)."""
        if self.folding is None:
            self.folding = self._folding(length)
        else:
            self.folding.shorten(length)
        self.means = self._rows = self._fold(self.means, length)

    def _folding(self, length: int) -> Folding:
        """Return what the exact class means so far tell; each class counts as one run."""
        counts, apart, last = self.counts[: len(self.means)], 0.0, None
        if self.rows:
            pairs = few_at_once(counts, self.means)
            apart = sum(float((n @ (m - self.mean).square()).sum()) for n, m in pairs)
            row = int(self.rows[-1][-1])
            mean = self.means[row].clone()
            last = Run(row, int(counts[row]), mean, self._fold(mean[None], length)[0])
        moved = self.mean.new_zeros(length)
        centre = self._fold(self.mean[None], length)[0]
        within = float(self.within)
        return Folding(self._signs, self.mean, within, apart, last, moved, centre)

    def add(self, x: Tensor, rows: Tensor) -> tuple[float | Tensor, Tensor]:
        """Add samples; keep a sketch of each, and its error with the means so far.

        Sketches are float32: their rounding adds noise to intervals, and D does not depend on it.
        """
        origin, mean, signs, lacking = self.origin, self.mean, self._signs, None
        if self.folding is not None:
            x, lacking = self.folding.add(x, origin, rows, self.counts, self.means)
            mean = self.folding.folded_mean
            origin, signs = torch.zeros_like(mean), torch.ones_like(mean, dtype=signs.dtype)
        within, squares, corrections, sketches, unit = passes.add_and_sketch(
            x, origin, rows, self.counts, self.means, mean, signs, SKETCH
        )
        if lacking is not None:
            corrections[0] += lacking
        self.rows.append(rows)
        self.corrections.append(corrections)
        self.sketches.append(sketches)
        self.units.append(unit)
        return within, squares

    def traces(self) -> Tensor:
        """Return |m|^2 of the mean of all samples m, N tr Σw and tr Σb, float64 (3,)."""
        if self.folding is None:
            return super().traces()
        moved, between, _ = self.folding.shares(self.means, self.weights, self.counts)
        common = (self.origin + self.folding.mean).square().sum()
        within = self.folding.inside + moved.sum()
        return torch.stack([common, within, between.sum() / self.weights.sum()])

    def folded_influence(self) -> Tensor:
        """Return the influence of each folded feature on D, (K,); one zero if none are folded."""
        if self.folding is None:
            return torch.zeros(1, dtype=torch.float64)
        return self.folding.influence(self.means, self.weights, self.counts)

    @property
    def error(self) -> float:
        """Standard error of D for want of room; 0 where D is exact."""
        return float(torch.linalg.vector_norm(self.folded_influence()))

    def rescale(self, exponent: int) -> float:
        """Set the exponent; scale what is kept."""
        factor = super().rescale(exponent)
        self.sketches = [sketch * factor for sketch in self.sketches]
        self.corrections = [correction * factor * factor for correction in self.corrections]
        if self.folding is None:
            self.mean *= factor
        else:
            self.folding.rescale(factor)
        return factor

    def influence(self) -> np.ndarray:
        """Return the influence of each sample on D, shape (N,), in the order of the updates."""
        return influences([self])[:, 0]

    def uncentred(self) -> Tensor:
        """Return the influence of each sample, (N,), but for the mean over its class."""
        within, between = self.scatter()
        sketches = zip(self.sketches, self.units, strict=True)
        residuals = torch.cat([sketch.double() * unit for sketch, unit in sketches])
        rows, means = torch.cat(self.rows), self._fold(self.means, SKETCH)
        residuals -= means.index_select(0, rows)
        squares, along = torch.cat(self.corrections, dim=1)
        means -= (self.weights / self.weights.sum()) @ means
        along = along + passes.class_products(means, rows, residuals)
        squares = squares + residuals.square_().sum(1)
        return squares / within - 2 * along / between

    def classes_in_order(self) -> np.ndarray:
        """Return the class of each sample as a number from 0, shape (N,)."""
        return torch.cat(self.rows).cpu().numpy()

    def _fold(self, vectors: Tensor, length: int) -> Tensor:
        """Fold vectors (n, d) of float64, with signs unless they are folded already."""
        signs = self._signs if vectors.shape[1] == len(self.origin) else 1.0
        return torch.cat([fold(part * signs, length) for (part,) in few_at_once(vectors)])

    @cached_property
    def _signs(self) -> Tensor:
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
    are of first order in the weights of the images, with D as their mean. Where that is an estimate
    from folded features, they vary by its error as well, the same for layers of one width.
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
    for layer, scatter in enumerate(scatters):
        weights = scatter.folded_influence().numpy()
        words = seed if isinstance(seed, Sequence) else [seed]
        seeds = np.random.default_rng([*words, len(scatter.origin)])
        draws[:, layer] += seeds.normal(size=(resamples, len(weights))) @ weights
    return separation + draws - draws.mean(axis=0)
