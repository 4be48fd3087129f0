r"""Data separation of tokens, and how it varies from text to text: a bootstrap over texts.

Tokens of one text are alike, so that a bootstrap over tokens would make intervals too short. Beside
the statistics of all tokens, each text, or group of texts, keeps the number of its tokens of each
class, the sum of their states and that of their squares. These give D of any resampled texts
exactly: with the weights :math:`w_t` of texts and the sums :math:`S_c = \sum_t w_t S_{tc}`, it is

.. math::

    D = \log \frac{\sum_t w_t Q_t - \sum_c |S_c|^2 / n_c}
                  {\sum_c |S_c|^2 / n_c - |\sum_c S_c|^2 / N}.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sbt_utils.measuring.scatter import ScatterStatistics

MOST_GROUPS = 64
"""Texts, or groups of texts, that are resampled; more texts are put into so many groups."""

_FEWEST_GROUPS = 16
_ROOM = 2**21  # sums of a layer of about a thousand features, in thousands


def group_count(texts: int, classes: int) -> int:
    """Return how many groups of texts there are to be: fewer where there are many classes."""
    room = _ROOM // (1024 * max(1, classes))
    return min(texts, max(_FEWEST_GROUPS, min(MOST_GROUPS, room)))


class TextScatter(ScatterStatistics):
    """Scatter statistics that also know the sums of each group of texts.

    Keeps groups x classes x d numbers of float64 more than `ScatterStatistics`.
    """

    error = 0.0  # of D, which is exact

    def __init__(self, groups: int, classes: int) -> None:
        super().__init__()
        self.groups, self.room = groups, classes
        self.centre = self.sums = self.squares = self.numbers = torch.empty(0)

    def add_texts(self, x: Tensor, labels: Tensor, groups: Tensor) -> None:
        """Add states (n, d) with the class and the group of texts of each, (n,)."""
        self.update(x, labels)
        x = x.to(self.origin.device).double()
        if not len(self.sums):
            self.centre = x.mean(0)
            self.sums = x.new_zeros(self.groups, self.room, x.shape[1])
            self.squares, self.numbers = x.new_zeros(2, self.groups, self.room)
        rows = torch.tensor([self.classes[label] for label in labels.tolist()])
        if (new := int(rows.max()) + 1 - self.room) > 0:
            self._widen(new)
        x = x - self.centre
        for group in groups.unique().tolist():
            # A product with zeros and ones: index_add_ would add in any order on a GPU.
            of_group = groups == group
            part = x[of_group.to(x.device)]
            members = torch.nn.functional.one_hot(rows[of_group], self.room).to(part).T
            self.sums[group] += members @ part
            self.squares[group] += members @ part.square().sum(1)
            self.numbers[group] += members.sum(1)

    def _widen(self, more: int) -> None:
        """Make room for more classes than were announced."""
        self.room += more
        self.sums = torch.nn.functional.pad(self.sums, (0, 0, 0, more))
        self.squares, self.numbers = (
            torch.nn.functional.pad(kept, (0, more)) for kept in (self.squares, self.numbers)
        )

    def resampled(self, weights: np.ndarray) -> np.ndarray:
        """Return D for weights (draws, groups) of the groups; NaN where a draw leaves none."""
        numbers = self.numbers.sum(0)
        used = torch.where(numbers > 1, 1.0, 0.0).to(self.sums)  # others have no scatter
        w = torch.from_numpy(weights).to(self.sums)
        counts = (w @ self.numbers) * used
        sums = torch.zeros_like(counts)
        total = w.new_zeros(len(w), self.sums.shape[2])
        for row in used.nonzero()[:, 0].tolist():
            mean = w @ self.sums[:, row]
            total += mean
            sums[:, row] = mean.square().sum(1)
        explained = (sums / counts.clamp(min=1)).sum(1)
        within = (w @ self.squares * used).sum(1) - explained
        between = explained - total.square().sum(1) / counts.sum(1).clamp(min=1)
        return (within / between).log().cpu().numpy()


def text_bootstrap(
    scatters: Sequence[TextScatter], resamples: int, seed: int | Sequence[int]
) -> np.ndarray:
    """Return D of each layer with the groups of texts drawn anew, (resamples, layers), float64.

    The same groups for all layers; D as measured is the mean of the draws.
    """
    groups = scatters[0].groups
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(float)
    separation = np.array([scatter.separation for scatter in scatters])
    draws = np.stack([scatter.resampled(weights) for scatter in scatters], axis=1)
    kept = np.isfinite(draws).all(axis=1)
    if not kept.any():
        raise ValueError("data: too few texts to resample; give more texts")
    # Few texts may leave a draw with one class; the others stand in for it.
    draws = draws[kept][np.arange(resamples) % kept.sum()]
    return separation + draws - draws.mean(axis=0)
