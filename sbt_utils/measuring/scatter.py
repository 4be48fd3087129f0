"""Scatter of labelled features within and between their classes, batch by batch.

Class counts, class means and sums of squares are all that is kept, so that neither N nor d has to
be small. On a CPU all is float64; on a GPU as in `sbt_utils.measuring.device_passes`. For features
in one array see `sbt_utils.measuring.separation.data_separation`.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sbt_utils.measuring import device_passes
from sbt_utils.measuring import scatter_passes as passes
from sbt_utils.models.batches import Array
from sbt_utils.models.samples import SampleClasses, checked

_BLOCK = 2**21  # elements of a float64 working block: 16 MB, which allocators keep for reuse


class UndefinedSeparation(ValueError):
    """The features leave data separation undefined: no scatter, or non-finite values.

    `state` says which scatter is missing: ``"dead"``, all; ``"mixed"``, that between the classes;
    ``"collapsed"``, that within them; ``""``, none.
    """

    def __init__(self, message: str, state: str = "") -> None:
        super().__init__(message)
        self.state = state


class ScatterStatistics:
    """Class counts, class means and within-class scatter, batch by batch.

    Feed `update` the samples in any split, then read `separation` (measure ``"trace"``) or go on
    to `ProjectedScatter` (``"fuzziness"``). The device is that of the first batch, or the CPU if
    it has no float64. After an error, start again with a new one. On a GPU nothing is read back
    before `separation` is, nor are features looked at; see `read_together`.

    Where squares would leave the range of their type all is divided by 2^`exponent`, exactly.
    """

    reach = 400  # powers of two, up and down, that leave squares in the range of float64

    def __init__(self) -> None:
        self.classes: dict[int, int] = {}  # label -> row of counts and means
        self.counts = self.means = self.origin = self._rows = torch.empty(0)
        self.within: float | Tensor = 0.0  # sum of the squared residuals
        self.exponent = 0
        self.largest = 0.0  # distance from the origin along any axis
        # Smaller fractions of the whole standard deviation, or of what all share, are noise.
        self.rounding = self.precision = 2.0**-44
        self.totals: list[float] = []  # counts, |mean|^2, `within` and tr Σb, once read back
        self._squares: list[list[Tensor]] = []  # of each batch's samples, on a GPU

    def update(self, features: Array, labels: ArrayLike | Tensor | SampleClasses) -> None:
        """Add a batch of features (n, ...) with its labels (n,), or what has been found of them.

        Raises
        ------
        TypeError, ValueError
            As `sbt_utils.measuring.separation.data_separation`.
        """
        features, classes = checked(features, labels)
        if not self.classes:
            # One inside the data saves the digits that a large common offset would cost.
            device = "cpu" if features.device.type == "mps" else features.device
            self.origin = features[0].to(device, torch.float64, copy=True)
            self.counts = self.origin.new_zeros(0)
            self.means = self._rows = self.origin.new_zeros(0, len(self.origin))
            self.precision = device_passes.rounding(features.dtype)
            if not passes.in_loops(self.origin):
                self.rounding = device_passes.rounding(features.dtype)
        self.check_length(features)
        self.keep_in_range(features)
        if new := [name for name in classes.names if name not in self.classes]:
            self.classes |= {name: len(self.classes) + i for i, name in enumerate(new)}
            self.counts = torch.cat([self.counts, self.counts.new_zeros(len(new))])
            self.make_room()
        self.totals, done, kept = [], 0, []
        for x, rows in self.blocks(features, classes, whole=passes.in_loops(features)):
            within, squares = self.add(x, rows)
            if isinstance(within, Tensor):
                kept.append(squares)
            # Look at the samples only where the sum is spoilt; finite ones may also overflow it.
            elif not np.isfinite(within) and len(bad := (~x.isfinite()).any(1).nonzero()):
                raise _not_finite(f"sample {done + int(bad[0])} of batch {len(self._squares)}")
            done += x.shape[0]
            self.within += within
        self._squares.append(kept)

    def make_room(self) -> None:
        """Append means of zero for the classes that have none."""
        number = len(self.classes)
        if number > len(self._rows):
            # Twice as many rows as before, so that they are seldom copied.
            more = max(number - len(self.means), len(self.means))
            self._rows = torch.cat([self.means, self.means.new_zeros(more, self.means.shape[1])])
        self.means = self._rows[:number]

    def check_length(self, features: Tensor) -> None:
        """Raise unless features (n, d) are as long as those of the first batch."""
        if features.shape[1] != self.origin.shape[0]:
            raise ValueError(
                f"features: {features.shape[1]} values per sample, but {len(self.origin)} in an "
                "earlier batch; give all samples one shape"
            )

    def keep_in_range(self, features: Tensor) -> None:
        """Choose `exponent` anew if it suits no longer, with these features (n, d) to come."""
        narrow = device_passes.working_type(features.dtype) == torch.float32
        if not passes.in_loops(self.origin) or (narrow and self.reach > 150):
            return
        origin = self.origin * 2.0**self.exponent
        # Of all samples so far: a batch of small differences must not scale up what is kept.
        self.largest = max(self.largest, passes.largest_difference(features, origin))
        if not self.largest > 0 or abs(_exponent(self.largest) - self.exponent) <= self.reach:
            return
        # What the features have in common must stay finite, too.
        exponent = _exponent(max(self.largest, float(origin.abs().max()) * 2.0**-900))
        self.rescale(min(1000, max(-1000, exponent)))

    def rescale(self, exponent: int) -> float:
        """Set `exponent`, and return the factor by which all that is kept has changed."""
        self.origin.mul_(2.0**self.exponent).mul_(2.0**-exponent)
        # The largest difference only grows: nothing but zeros is ever scaled up.
        factor = 2.0 ** max(-1000, min(0, self.exponent - exponent))
        self.means *= factor
        self.within = self.within * factor * factor
        self.exponent = exponent
        return factor

    def add(self, x: Tensor, rows: Tensor) -> tuple[float | Tensor, Tensor]:
        """Add samples (n, d), as `sbt_utils.measuring.scatter_passes` does."""
        return passes.add_samples(x, self.origin, rows, self.counts, self.means)

    def blocks(
        self, features: Tensor, classes: SampleClasses, whole: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield samples in blocks (n, d) or `whole`, with the rows of their class means."""
        try:
            rows = classes.rows(tuple(map(self.classes.__getitem__, classes.names)))
        except KeyError as unknown:
            message = f"labels: class {unknown} is new; read the same samples twice"
            raise ValueError(message) from None
        rows = rows.to(self.origin.device, non_blocking=True)
        step = max(1, _BLOCK // len(self.origin))
        if not passes.in_loops(self.origin):
            step = device_passes.block_length(len(self.origin))
        parts = [slice(start, start + step) for start in range(0, len(rows), step)]
        # Whole rows stay the tensor that they are, in which classes are found once.
        pairs = [(features, rows)] if whole else ((features[part], rows[part]) for part in parts)
        for x, own in pairs:
            x = x.to(self.origin.device)
            yield x.double() * 2.0**-self.exponent if self.exponent else x, own

    def class_factor(self) -> Tensor:
        """Return B (C, d) with B^T B = Σb: the centred class means, weighted by sqrt(n_c / N)."""
        share = self.weights / self.weights.sum()
        return share.sqrt()[:, None] * (self.means - share @ self.means)

    def traces(self) -> Tensor:
        """Return the square of the mean of all samples, N tr Σw and tr Σb, float64 (3,)."""
        share = self.weights
        share /= share.sum()
        mean = share @ self.means
        pairs = device_passes.few_at_once(share, self.means)
        parts = [(s @ (m - mean).square_()).sum() for s, m in pairs]
        between = torch.stack(parts).sum() if len(parts) > 1 else parts[0]
        common = (self.origin + mean).square_().sum()
        within = torch.as_tensor(self.within, dtype=between.dtype, device=between.device)
        return torch.stack([common, within, between])

    @property
    def weights(self) -> Tensor:
        """Number of samples of each class, (C,); 0 for one alone, which has no scatter."""
        return torch.threshold(self.counts, 1, 0)

    def scatter(self) -> tuple[float, float]:
        """Return tr Σw and tr Σb; raise where they leave D undefined."""
        if not self.totals:
            read_together([self])
        *counts, _, within, between = self.totals
        all_numbers = dict(zip(self.classes, counts, strict=True))
        numbers = {label: n for label, n in all_numbers.items() if n > 1} or all_numbers
        check_counts(numbers, list(numbers.values()))
        within /= sum(numbers.values())
        self._check_range(within + between)
        if between <= self.rounding**2 * (within + between):
            raise UndefinedSeparation(
                "features: zero variance between the classes, so D is infinite: all class means "
                "coincide; leave out layers that carry nothing of the classes, such as dead ones",
                "mixed" if within > 0 else "dead",
            )
        _check_within(within, self.rounding**2 * (within + between))
        return within, between

    def _check_range(self, total: float) -> None:
        """Raise if the total scatter lacks digits; name the first sample that spoilt its mean."""
        lost = total < 2.0**-900 and self.class_factor().any()  # its parts are 2^-88 or more of it
        if np.isfinite(total) and not lost:
            return
        for number, squares in enumerate([] if self.means.isfinite().all() else self._squares):
            if squares and len(bad := (~torch.cat(squares).isfinite()).nonzero()):
                raise _not_finite(f"sample {int(bad[0])} of batch {number}")
        what = "squares leave the range of float64; multiply all features by one number"
        if self.rounding > 2.0**-44:
            what = (
                "one sample lies so far from the others that squares overflow float32, which a GPU "
                "uses; leave that sample out"
            )
        raise UndefinedSeparation(f"features: {what}, or measure on a CPU")

    @property
    def separation(self) -> float:
        """D of measure ``"trace"``."""
        within, between = self.scatter()
        return float(np.log(within / between))


class ProjectedScatter:
    """Second pass over the samples of `first`, in any split, for measure ``"fuzziness"``.

    With B = U S V^T the thin singular value decomposition of the weighted, centred class means,
    tr(Σw Σb^+) is the mean squared norm of the projected residuals (h_i - m_c) V S^-1.
    """

    def __init__(self, first: ScatterStatistics) -> None:
        self.first, self.samples = first, 0
        noise = first.rounding**2 * sum(first.scatter())
        # Not from B B^T, which would square the condition number of the class means.
        scale, directions = passes.decomposed(first.class_factor())
        # The centred means of C classes span no more than C - 1 directions.
        scale = scale[: int(first.weights.count_nonzero()) - 1]
        scale = scale[scale > noise**0.5]
        self.projection = directions[: len(scale)].T / scale
        self.noise = noise * float(scale.pow(-2).sum())
        self.within = first.origin.new_zeros(())

    def update(self, features: Array, labels: ArrayLike | Tensor | SampleClasses) -> None:
        """Add features (n, ...) with labels (n,): each sample of the first pass, once."""
        features, classes = checked(features, labels)
        self.first.check_length(features)
        for x, rows in self.first.blocks(features, classes):
            self.within += passes.projected_squares(
                x, self.first.origin, self.first.means, rows, self.projection
            )
            self.samples += len(x)

    @property
    def separation(self) -> float:
        """D of measure ``"fuzziness"``."""
        if self.samples != (expected := int(self.first.counts.sum())):
            raise ValueError(
                f"features: {self.samples} samples in the second pass after {expected} in the "
                "first; measure 'fuzziness' reads the same samples twice"
            )
        within = float(self.within) / float(self.first.weights.sum())
        if not np.isfinite(within):
            raise UndefinedSeparation(
                "features: differences overflow float32, which a GPU uses, or are not those of the "
                "first pass; halve all or measure on a CPU, and give the same samples twice"
            )
        _check_within(within, self.noise)
        return float(np.log(within))


def read_together(statistics: Sequence[ScatterStatistics]) -> None:
    """Read back what statistics of the same samples need, once; warn of samples left out."""
    totals = [torch.cat([one.counts, one.traces()]) for one in statistics]
    totals = totals if totals[0].is_cpu else device_passes.on_cpu(totals)
    for one, values in zip(statistics, totals, strict=True):
        one.totals = values.tolist()
    one = statistics[0]
    alone = [label for label, n in zip(one.classes, one.totals[:-3], strict=True) if n == 1]
    if alone and len(alone) < len(one.classes):
        which = "has 1 sample and is" if len(alone) == 1 else f"and {len(alone) - 1} more are"
        message = f"labels: class {min(alone)} {which} left out: D needs 2 samples of a class"
        warnings.warn(message, stacklevel=3)


def _exponent(value: float) -> int:
    """Return the power of two next above a value, be it infinite."""
    return math.frexp(min(value, sys.float_info.max))[1]


def _not_finite(sample: str) -> UndefinedSeparation:
    return UndefinedSeparation(
        f"features: {sample} holds NaN or infinite values; leave it out, or find where the network "
        "diverged"
    )


def _check_within(within: float, noise: float) -> None:
    """Raise if the scatter within the classes is no more than rounding noise."""
    if within <= noise:
        raise UndefinedSeparation(
            "features: zero variance within the classes, so D is minus infinity: all samples of a "
            "class coincide along the class means; measure earlier layers or more varied samples",
            "collapsed",
        )


def check_counts(classes: Iterable[int], counts: Sequence[float]) -> None:
    """Raise unless there are two classes or more, with two samples each or more."""
    if len(counts) < 2:
        raise ValueError(f"labels: one class only, {list(classes)}; give 2 or more")
    if single := [label for label, count in zip(classes, counts, strict=True) if count < 2]:
        raise ValueError(f"labels: class {min(single)} has 1 sample; give at least 2 of each")
