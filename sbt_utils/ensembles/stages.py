"""Multilayer perceptrons as stages, for `sbt_utils.ensembles.perceptron_steps`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  (what numba calls: loaded before threads are limited)
import torch
from torch import Tensor, nn

from sbt_utils.ensembles.ensemble import Ensemble, stock_layers
from sbt_utils.ensembles.noise import dropout_limits
from sbt_utils.ensembles.perceptron_steps import Work, take_steps
from sbt_utils.ensembles.row_loops import SUMMED
from sbt_utils.ensembles.stacked_layers import State
from sbt_utils.threads import check_stopped

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Of Adam (Kingma & Ba, ICLR 2015)."""
MOMENTUM = 0.9
"""Of stochastic gradient descent with momentum."""
MOMENTS = {"sgd": (), "momentum": ("momentum_buffer",), "adam": ("exp_avg", "exp_avg_sq")}
"""What an optimizer remembers of each parameter, by PyTorch's names."""

_AT_ONCE = 1e10  # operations, roughly: a call that takes longer would hold up Ctrl-C


@dataclass(frozen=True)
class Stages:
    """A multilayer perceptron of H hidden layers as H + 1 stages.

    Attributes
    ----------
    widths : ndarray of int, shape (H + 2,)
        Of the input, the hidden layers and the logits.
    places : ndarray of int, shape (H + 1, 5)
        Where in a row of parameters these start: weight and bias of the norm, bias of the linear
        layer before, weight and bias of the linear layer; -1 where there is none.
    slopes : ndarray, shape (H + 1,)
        The activation's negative slope, nan where it is the member's.
    numbers : ndarray, shape (H + 1, 2)
        Momentum and ε of the norm.
    drops : ndarray of int, shape (H + 1,)
        Number of the dropout layer; -1 where there is none.
    norms : tuple of str or None
        Names of the batch norms.
    """

    widths: np.ndarray
    places: np.ndarray
    slopes: np.ndarray
    numbers: np.ndarray
    drops: np.ndarray
    norms: tuple[str | None, ...]


def stages_of(network: nn.Sequential, parts: State, *, flat: bool) -> Stages | None:
    """Return the stages of a multilayer perceptron; None if a network is something else.

    `parts` are those of its `Ensemble`; `flat` says whether a network is given vectors.
    """

    def place(name: str) -> int:
        return int(parts[name].storage_offset()) if name in parts else -1

    rest = stock_layers(network)[::-1]
    if isinstance(rest[-1][1], nn.Flatten):
        rest.pop()
    elif not flat:
        return None
    widths, places, slopes, numbers, drops, norms = ([] for _ in range(6))
    bias, dropouts = "none", 0

    def take(*kinds: type[nn.Module]) -> tuple[str, nn.Module] | tuple[None, None]:
        return rest.pop() if rest and isinstance(rest[-1][1], kinds) else (None, None)

    while rest:
        norm, normalises = take(nn.BatchNorm1d)
        _, activation = take(nn.LeakyReLU, nn.ReLU)
        _, dropout = take(nn.Dropout)
        linear, product = take(nn.Linear)
        if product is None:
            return None
        slope = 1.0 if activation is None else 0.0 if isinstance(activation, nn.ReLU) else np.nan
        of_norm = (normalises.momentum, normalises.eps) if normalises is not None else (0.0, 1.0)
        widths.append(product.in_features)
        names = f"{norm}.weight", f"{norm}.bias", bias, f"{linear}.weight", f"{linear}.bias"
        places.append([place(name) for name in names])
        slopes.append(slope)
        numbers.append(of_norm)
        drops.append(dropouts if dropout is not None else -1)
        norms.append(norm)
        dropouts += dropout is not None
        bias = f"{linear}.bias"
        last = product.out_features
    return Stages(
        np.array([*widths, last]),
        np.array(places),
        np.array(slopes),
        np.array(numbers),
        np.array(drops),
        tuple(norms),
    )


def block_rows(width: int) -> int:
    """Return how many rows of activations go through a stage at once."""
    # OpenBLAS has quicker kernels for products of less than a million multiply-adds; wider layers
    # have no use for them, and a block need only be larger than what products take at a time.
    rows = 10_000 // width // SUMMED * SUMMED
    return rows if rows >= 96 else 192


class StageLoop:
    """The steps of an ensemble of multilayer perceptrons; its members' settings stay.

    `moments` are what the optimizer remembers, (M, P) by name, and Adam's ``step`` (M,). They, the
    ensemble's rows and its running statistics are what steps change.
    """

    def __init__(
        self,
        stages: Stages,
        ensemble: Ensemble,
        algorithm: str,
        moments: State,
        members: Mapping[str, np.ndarray],
    ) -> None:
        batch = self.batch = int(members["batch_size"][0])
        self.moments = moments
        self.rows, self.state, self.norms = ensemble.rows.numpy(), ensemble.parts, stages.norms
        self.stages = stages.widths, stages.places, stages.numbers, stages.drops
        dtype, widths, wide = self.rows.dtype, stages.widths, int(stages.widths.max())
        own = np.isnan(stages.slopes)
        leaks = np.where(own, members["negative_slope"][:, None], stages.slopes)
        self.leaks = leaks.astype(dtype)
        dropout = torch.from_numpy(np.nan_to_num(members["dropout"]))  # nan: no such layers
        limits, scales = dropout_limits(dropout.to(ensemble.rows.dtype))
        self.limits, self.scales = limits.flatten().numpy(), -scales.flatten().numpy()
        rates = [*BETAS, EPSILON] if algorithm == "adam" else [MOMENTUM]
        self.rates = [np.array([rate, *rates]) for rate in members["learning_rate"]]
        self.remembered = [moments[name].numpy() for name in MOMENTS[algorithm]]
        self.gradient = np.zeros_like(self.rows[0])
        block = self.block = min(block_rows(wide), batch + batch % 2)  # even, as masks ask for
        room = partial(np.zeros, dtype=dtype)
        self.work = Work(
            words=np.zeros(block * wide // 2, np.uint32),
            images=room(batch * widths[0]),
            products=room(batch * widths[1:-1].sum()),
            behind=room(batch * wide),
            before=room(batch * wide),
            active=room(block * wide),
            factor=room(block * wide),
            wanted=room(block * wide),
            to_weight=room(wide * wide),
            turned=room(wide * wide),
            near=room((5, wide)),
            scales=room((len(stages.norms), 4, wide)),
        )
        self.running = room((len(self.rows), len(stages.norms), 2, wide))
        for here, there in self._statistics():
            here[:] = there
        self.at_once = max(1, int(_AT_ONCE / (6 * batch * self.rows.shape[1])))

    def take(
        self, images: Tensor, labels: Tensor, order: Tensor, keys: Tensor, totals: Tensor
    ) -> None:
        """Take the steps of `keys` (M, steps, draws) and add losses and right answers to `totals`.

        `images` (M or 1, N, ...) and `labels` (M or 1, N) are of all members if of one; `order`
        (M, N), or (M, 0) where a step takes all images.
        """
        images, results = images.flatten(1).contiguous(), totals.numpy()
        steps, own = keys.shape[1], len(images) > 1
        every_key, every_order = keys.contiguous().numpy(), order.numpy()
        for m, row in enumerate(self.rows):
            remembered = [array[m] for array in self.remembered]
            moments = (remembered + [self.gradient] * 2)[:2]
            done = int(self.moments["step"][m]) if "step" in self.moments else 0
            sums = np.zeros(2)
            for start in range(0, steps, self.at_once):
                check_stopped()
                stop = start + self.at_once
                take_steps(
                    self.stages,
                    self.leaks[m],
                    self.block,
                    images[m * own].numpy(),
                    labels[m * own].numpy(),
                    every_order[m, start * self.batch : stop * self.batch],
                    self.batch,
                    every_key[m, start:stop],
                    self.limits[m],
                    self.scales[m],
                    row,
                    self.gradient,
                    self.running[m],
                    len(remembered),
                    tuple(moments),
                    self.rates[m],
                    done + start,
                    self.work,
                    sums,
                )
            results[:, m] += sums
        if "step" in self.moments:
            self.moments["step"] += steps
        for here, there in self._statistics():
            there[:] = here
        for norm in filter(None, self.norms):
            self.state[f"{norm}.num_batches_tracked"] += steps

    def _statistics(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield running statistics as they stand here, and as they stand in the ensemble."""
        for stage, norm in enumerate(self.norms):
            for place, name in enumerate(("running_mean", "running_var") if norm else ()):
                there = self.state[f"{norm}.{name}"].numpy()
                yield self.running[:, stage, place, : there.shape[1]], there
