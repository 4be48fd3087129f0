"""Scatter of features whose class means would take too much memory: from sums of features.

Features are folded to a length K = 251, 502, 1004, ...: each of the K numbers is the sum of every
K-th feature, with random signs, so that squared distances are kept on average. Three traces of the
features themselves are exact all the same: of their scatter around the means of *runs*, samples of
one class in one batch or in two or more that follow each other; of the scatter of these means; and
so of all scatter. Only the middle one has to be divided into what is within the classes and what is
between them, in the proportion that folded means have. If each class is one run, nothing is within.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakSet

import torch
from torch import Tensor

from sbt_utils.measuring import scatter_passes as passes
from sbt_utils.measuring.device_passes import few_at_once, fold

SKETCH = 251
"""Numbers kept per image; a prime, so that it does not divide numbers of channels or pixels."""

ROOM = 50_000_000
"""Numbers of float64, 400 MB, that the class means of all layers may take together on a CPU."""


class _Layer(Protocol):
    """What shares a room: class means (C, d), and the origin (d,) of all features."""

    origin: Tensor
    means: Tensor

    def shorten(self, length: int) -> None: ...


class Room:
    """Room in memory for the class means of several layers.

    Parameters
    ----------
    numbers : int
        How many numbers of float64 may be kept together.
    """

    def __init__(self, numbers: int = ROOM) -> None:
        self.numbers = numbers
        self.layers: WeakSet[_Layer] = WeakSet()  # what is dropped takes no room

    def fit(self, classes: int) -> None:
        """Fold the means of the longest layers until there is room for so many classes."""
        length = SKETCH << 40
        while length > SKETCH and classes * self._numbers(length) > self.numbers:
            length //= 2
        for layer in self.layers:
            if layer.means.shape[1] > length:
                layer.shorten(length)

    def _numbers(self, length: int) -> int:
        """Return how many numbers a class takes, with no means longer than that."""
        return sum(min(length, len(layer.origin)) for layer in self.layers)


@dataclass
class Run:
    """Samples of one class: its row, their number, and their mean as it is and folded."""

    row: int
    number: int
    mean: Tensor
    folded: Tensor

    def joined(self, other: Run) -> tuple[Run, float]:
        """Return both as one, and half the harmonic mean of their numbers."""
        number = self.number + other.number
        share = other.number / number
        mean, folded = (
            torch.lerp(one, two, share)
            for one, two in ((self.mean, other.mean), (self.folded, other.folded))
        )
        return Run(self.row, number, mean, folded), self.number * share


@dataclass
class Folding:
    """What is known of the features (n, d) of a layer beside their folded class means (C, K).

    `signs` (d,) are those of the folding, `mean` (d,) is the mean of all samples so far, relative
    to the origin, `inside` the scatter of samples around the means of their runs, and `apart` that
    of these means. Of folded features `folded_mean` (K,) is the mean, and `moved` (K,) the part of
    the scatter of the means of runs that is within the classes. `last` is a run that may go on.
    """

    signs: Tensor
    mean: Tensor
    inside: float
    apart: float
    last: Run | None
    moved: Tensor
    folded_mean: Tensor

    def shorten(self, length: int) -> None:
        """Fold further, to a length that divides the former one."""
        pair = fold(torch.stack([self.moved, self.folded_mean]), length)
        self.moved, self.folded_mean = pair
        if self.last is not None:
            self.last.folded = fold(self.last.folded[None], length)[0]

    def add(
        self, x: Tensor, origin: Tensor, rows: Tensor, counts: Tensor, means: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Add samples, of which `counts` (C,) and folded `means` (C, K) don't know yet.

        Returns the folded samples (n, K), and what these lack of the squared distances of the
        samples from the mean of all so far, (n,).
        """
        number, length = int(counts.sum()), len(self.moved)
        folded, distances, inside, apart = passes.fold_samples(
            x, origin, rows, number, self.mean, self.signs, length
        )
        self.inside += inside
        self.apart += apart
        classes, places, new = rows.unique(return_inverse=True, return_counts=True)
        own = means.new_zeros(len(classes), length).index_add_(0, places, folded.double())
        away = own.div_(new[:, None]) - means.index_select(0, classes)
        before = counts[classes]
        self.moved += (before * new / (before + new)) @ away.square_()

        def run(row: int) -> Run:
            members, place = (rows == row).nonzero()[:, 0], int((classes == row).nonzero()[0])
            mean = passes.mean_of(x, origin, members)
            return Run(row, len(members), mean, own[place])

        self._go_on(run, {*classes.tolist()}, int(rows[-1]))
        centre = fold((self.mean * self.signs)[None], length).float()
        return folded, distances - (folded - centre).square_().sum(1)

    def _go_on(self, run: Callable[[int], Run], present: set[int], row: int) -> None:
        """Join what goes on the last run, and note the run that is the last now."""
        newest = run(row)
        if self.last is not None and self.last.row in present:
            more = newest if self.last.row == row else run(self.last.row)
            joined, weight = self.last.joined(more)
            across = weight * float((more.mean - self.last.mean).square().sum())
            self.inside += across
            self.apart -= across
            self.moved -= weight * (more.folded - self.last.folded).square()
            newest = joined if self.last.row == row else newest
        self.last = newest

    def shares(self, means: Tensor, weights: Tensor, counts: Tensor) -> tuple[Tensor, ...]:
        """Return what each folded feature adds to the scatter of the means of runs, (K,) each.

        Within the classes, between those that have a weight, and in all; this adds up to `apart`.
        """
        moved = self.moved.clamp(min=0)  # but for rounding
        between, whole = (_between(means, numbers) for numbers in (weights, counts))
        whole += moved
        scale = self.apart / (float(whole.sum()) or 1.0)
        return moved * scale, between * scale, whole * scale

    def influence(self, means: Tensor, weights: Tensor, counts: Tensor) -> Tensor:
        """Return how much each folded feature adds to log(tr Σw / tr Σb), (K,), sum 0."""
        moved, between, whole = self.shares(means, weights, counts)
        share = whole / whole.sum()
        within = (moved - moved.sum() * share) / (self.inside + moved.sum())
        return within - between / between.sum() + share

    def rescale(self, factor: float) -> None:
        """Multiply the features so far by a factor."""
        for part in (self, self.last):
            if part is not None:
                part.mean = part.mean * factor
        self.folded_mean, self.moved = self.folded_mean * factor, self.moved * factor**2
        self.inside, self.apart = self.inside * factor**2, self.apart * factor**2
        if self.last is not None:
            self.last.folded = self.last.folded * factor


def _between(means: Tensor, numbers: Tensor) -> Tensor:
    """Return the scatter of class means (C, K) of so many samples each, column by column."""
    mean = (numbers / numbers.sum()) @ means
    pairs = few_at_once(numbers, means)
    return torch.stack([n @ (m - mean).square() for n, m in pairs]).sum(0)
