"""Steps of gradient descent, taken by all members of a chunk at once.

What a step reads and adds to lies at fixed places in memory, and no step waits for the device: on a
GPU the first step of each size of batch, optimizer and all, is recorded as a CUDA graph, and the
others repeat it. Between steps the processor then does nothing, and once an epoch it asks for the
losses.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from sbt_utils.ensembles.ensemble import Ensemble
from sbt_utils.ensembles.noise import draw_keys, permutations, standard_normal, uniform
from sbt_utils.ensembles.stacked_layers import member_memory
from sbt_utils.ensembles.stages import StageLoop
from sbt_utils.threads import check_stopped
from sbt_utils.training.settings import Members

# The draws of a step: the order of the images (first step of an epoch), two words for Gaussian
# noise, which labels to redraw and what they become; dropout layers take the keys that follow, and
# noise of the weights, where there is any, the last two.
_ORDER, _GAUSS, _REDRAW, _LABEL, _DROPOUT = 0, slice(1, 3), 3, 4, 5


@dataclass(frozen=True)
class TrainingData:
    """Images (N, ...) and labels (N,) on the device to compute on."""

    images: Tensor
    labels: Tensor
    spread: float  # standard deviation of the images, the unit of the Gaussian data noise
    classes: int  # over which labels are redrawn


class Steps:
    """The steps of an ensemble and its optimizer, epoch by epoch.

    `members` are the settings, with the noise words (``word``), of one batch size. Where settings
    change, there are new steps to take: make another.
    """

    def __init__(
        self, data: TrainingData, ensemble: Ensemble, optimizer: Optimizer | None, members: Members
    ) -> None:
        self.data, self.ensemble, self.optimizer = data, ensemble, optimizer
        images, self.words = data.images, members["word"]
        self.slope, self.dropout, self.noise = (
            torch.from_numpy(members[name]).to(images.device, images.dtype)
            for name in ("negative_slope", "dropout", "data_noise")
        )
        self.drops = bool((members["dropout"] > 0).any())
        self.noisy = bool(members["data_noise"].any())
        self.shaken = bool(members["weight_noise"].any())
        if self.shaken:
            noise = torch.from_numpy(members["weight_noise"]).to(images.device, images.dtype)
            self.kick = noise[:, None] * ensemble.weight_spread()
        self.count, self.batch = len(images), int(members["batch_size"][0])
        self.starts = range(0, self.count, self.batch)
        draws = _DROPOUT + ensemble.draws + 2 * self.shaken
        shape = len(self.words), len(self.starts), draws
        self.keys = torch.empty(shape, dtype=torch.int32, device=images.device)
        self.order = torch.empty(
            len(self.words), self.count, dtype=torch.int64, device=images.device
        )
        self.number = torch.zeros(1, dtype=torch.int64, device=images.device)
        self.totals = self.slope.new_zeros(2, len(self.words), dtype=torch.float64)
        self._recorded: dict[int, torch.cuda.CUDAGraph] = {}

    def epoch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Take every member once through the images; return its mean loss and its accuracy."""
        # Steps are counted from the start of training, so that a resumed one draws what comes next.
        # The keys of all steps are drawn at once, as a single step's would cost as much.
        steps = range(number * len(self.starts), (number + 1) * len(self.starts))
        self.keys.copy_(draw_keys(self.words, steps, self.keys.shape[2]))
        if self.batch < self.count:
            self.order.copy_(permutations(self.keys[:, 0, _ORDER], self.count))
        self.number.zero_()
        self.totals.zero_()
        self._take_all()
        loss, accuracy = (self.totals / self.count).cpu().numpy()
        return loss, accuracy

    def _take_all(self) -> None:
        """Take the steps of an epoch."""
        for start in self.starts:
            check_stopped()
            self._run(min(self.batch, self.count - start))

    def _run(self, size: int) -> None:
        """Take the next step, on a batch of this size."""
        if size in self._recorded:
            self._recorded[size].replay()
            return
        self.take(size)
        # The next one is recorded, if there is one: this one compiled kernels and found memory.
        if self.slope.is_cuda:
            torch.cuda.empty_cache()  # a graph has memory of its own
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.take(size)
            self._recorded[size] = graph

    def take(self, size: int) -> None:
        """Take the next step, on a batch of this size, one operation after another."""
        images, labels, key = self._batch(size)
        dropout = self.dropout if self.drops else None
        keys = key[:, _DROPOUT : _DROPOUT + self.ensemble.draws]
        logits = self.ensemble.forward(images, keys, self.slope, dropout)
        loss, gradient = _cross_entropy(logits, labels)
        self.totals[0] += loss.double() * size
        self.totals[1] += (logits.argmax(2) == labels).sum(1)
        self.ensemble.backward(gradient)
        assert self.optimizer is not None
        self.optimizer.step()
        self._shake(key)
        self.number += 1

    def _batch(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return each member's next images and labels, with their noise, and its keys."""
        key = self.keys.index_select(1, self.number).squeeze(1)
        members = len(key)
        if size == self.count:
            images, labels = (
                t.expand(members, *t.shape) for t in (self.data.images, self.data.labels)
            )
        else:
            places = torch.arange(size, device=key.device) + self.number * self.batch
            chosen = self.order.index_select(1, places)
            images = self.data.images.index_select(0, chosen.flatten()).unflatten(0, chosen.shape)
            labels = self.data.labels[chosen]
        if self.noisy:
            images, labels = _noisy(images, labels, self.noise, key, self.data)
        return images, labels, key

    def _shake(self, key: Tensor) -> None:
        """Add noise to the weights."""
        if self.shaken:
            # Two operations, each rounded in one way only, wherever in an array a member stands.
            kick = standard_normal(key[:, -2:], self.kick.shape[1]).mul(self.kick)
            self.ensemble.rows.add_(kick)


class PerceptronSteps(Steps):
    """The same of multilayer perceptrons on a CPU, compiled."""

    def __init__(
        self, data: TrainingData, ensemble: Ensemble, members: Members, loop: StageLoop
    ) -> None:
        super().__init__(data, ensemble, None, members)
        self.loop = loop

    def _take_all(self) -> None:
        keys = self.keys[:, :, _DROPOUT : _DROPOUT + self.ensemble.draws]
        if not (self.noisy or self.shaken):
            order = self.order if self.batch < self.count else self.order[:, :0]
            images, labels = self.data.images[None], self.data.labels[None]
            self.loop.take(images, labels, order, keys, self.totals)
            return
        for number, start in enumerate(self.starts):
            images, labels, key = self._batch(min(self.batch, self.count - start))
            now = slice(number, number + 1)
            self.loop.take(images, labels, self.order[:, :0], keys[:, now], self.totals)
            self._shake(key)
            self.number += 1


def _noisy(
    images: Tensor, labels: Tensor, noise: Tensor, keys: Tensor, data: TrainingData
) -> tuple[Tensor, Tensor]:
    """Redraw a fraction of the labels and add Gaussian noise to the images."""
    # Uniform numbers are above 0 and reach 1: a member of level 0 keeps its labels, and its images
    # with 0 added, as if nobody had noise.
    normal = standard_normal(keys[:, _GAUSS], images[0].numel()).view(images.shape)
    amplitude = (noise * data.spread).view(-1, *(1,) * (images.dim() - 1))
    redrawn = uniform(keys[:, _REDRAW], labels.shape[1]) <= noise[:, None]
    drawn = (uniform(keys[:, _LABEL], labels.shape[1]) * data.classes).ceil().long() - 1
    return images + normal * amplitude, torch.where(redrawn, drawn, labels)


def _cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the members' losses (M,) and the losses' gradients (M, batch, classes)."""
    # PyTorch's softmax takes seven times as long over so few classes.
    batch, index = labels.shape[1], labels.unsqueeze(2)
    gradient = member_memory(logits, logits.shape)
    torch.sub(logits, logits.amax(2, keepdim=True), out=gradient)
    loss = gradient.gather(2, index).sum((1, 2))
    total = member_memory(logits, index.shape)
    torch.sum(gradient.exp_(), 2, keepdim=True, out=total)
    gradient.div_(total).scatter_add_(2, index, logits.new_full((), -1).expand(index.shape))
    loss = total.log_().sum((1, 2)).sub_(loss).div_(batch)
    return loss, gradient.div_(batch)
