"""Can a layer go? The loss of a network without each of its blocks in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy

from sbt_utils.models.batches import Data, as_batches, moved
from sbt_utils.models.calls import base_name, first_tensor, names_of, tensors, unwrapped
from sbt_utils.models.forward import Feed, cut
from sbt_utils.models.layer_choice import Chosen, Layers, choose_layers
from sbt_utils.models.running import check_model, evaluation_mode
from sbt_utils.models.trunk import look
from sbt_utils.text import quoted, shown

Loss = Callable[[nn.Module, Any], Any]
"""From a model and a batch to the mean loss over the batch, such as
``lambda model, batch: model(**batch).loss``."""

_FEW = 3  # samples in a look at the model


@dataclass(frozen=True, eq=False)
class Removal:
    """What each block of a network changes, and what the network loses without it.

    Made by `removal`. Arrays have one entry per block, in the order in which blocks run.

    Attributes
    ----------
    layers : tuple of str
        Names of the blocks; one that runs again counts again, as ``"name#2"``.
    loss : float
        Mean loss of the whole network, in nats where it is the cross-entropy.
    loss_without : ndarray, shape (blocks,), float64
        Mean loss where this block hands on what it gets; nan for a block that changes the shape and
        cannot be skipped.
    influence : ndarray, shape (blocks,), float64
        Block influence: 1 less the mean cosine of a block's input and output, in [0, 2]; nan where
        the shape changes.
    angular_distance : ndarray, shape (blocks,), float64
        Mean angle between them, in units of π, in [0, 1].

    Examples
    --------
    >>> found = Removal(("one", "two"), 0.5, [0.9, 0.5], [0.2, 0.01], [0.2, 0.05])
    >>> found.cost
    array([0.4, 0. ])
    """

    layers: tuple[str, ...]
    loss: float
    loss_without: np.ndarray = field(repr=False)
    influence: np.ndarray = field(repr=False)
    angular_distance: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("loss_without", "influence", "angular_distance"):
            values = np.array(getattr(self, name), np.float64)
            if values.shape != (len(self.layers),):
                raise ValueError(
                    f"{name}: shape {values.shape} for {len(self.layers)} blocks; give one each"
                )
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    @property
    def cost(self) -> np.ndarray:
        """What removing each block adds to the loss, shape (blocks,)."""
        return self.loss_without - self.loss

    @property
    def unskippable(self) -> tuple[str, ...]:
        """Names of the blocks that change the shape of their input."""
        return tuple(np.array(self.layers, object)[np.isnan(self.influence)])


def removal(
    model: nn.Module,
    data: Data,
    labels: ArrayLike | Tensor | None = None,
    *,
    layers: Layers | None = None,
    batch_size: int = 512,
    loss: Loss | None = None,
) -> Removal:
    """Skip each block of a network in turn and measure the loss.

    Nothing is trained in between. The model runs in evaluation mode without gradients, once as it
    is and once for each block; it is left as it was.

    Parameters
    ----------
    model : torch.nn.Module
        One whose blocks keep the shape of their input, as residual blocks and transformer layers
        do. Others are left out.
    data, labels
        As for `sbt_utils.measuring.probe.load_curve`: best what the model has not seen.
    layers : optional
        Which blocks, as in `sbt_utils.measuring.probe.load_curve`. Give modules that are whole
        blocks: of a bare activation only the activation is skipped.
    batch_size : int
        Samples in one forward pass; a loader sets its own.
    loss : callable, optional
        ``(model, batch)`` to the mean loss over a batch, a copy on the device of the model; batches
        weigh equally. By default the cross-entropy of the model's logits (its output, or the
        output's ``logits``) and the labels, each sample with the same weight.

    Returns
    -------
    Removal

    Raises
    ------
    TypeError, ValueError
        Arguments that do not fit together; no such layer; none that keeps the shape of its input.

    Notes
    -----
    Cosines are those of each token, averaged over samples and tokens, where features are
    (N, tokens, d); otherwise of all features of a sample. Gromov et al. take the last token of
    texts alone for the angular distance.

    References
    ----------
    X. Men et al., "ShortGPT: layers in large language models are more redundant than you expect",
    2024, arXiv:2403.03853 (block influence); A. Gromov et al., "The unreasonable ineffectiveness of
    the deeper layers", 2024, arXiv:2403.17887 (angular distance).

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> block = lambda: nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    >>> model = nn.Sequential(block(), block(), nn.Linear(4, 2))
    >>> inputs, labels = torch.randn(20, 4), torch.arange(20) % 2
    >>> found = removal(model, inputs, labels, layers=["0", "1"])
    >>> found.layers, found.cost.shape
    (('0', '1'), (2,))
    """
    check_model(model)
    model = unwrapped(model)
    evaluate = _CrossEntropy(Feed(model)) if loss is None else _Given(model, loss)
    passes: _Passes | None = None
    weights, whole, without = [], [], []
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluation_mode(model))
        for batch in as_batches(data, labels, batch_size):
            if passes is None:
                passes = _Passes(model, _chosen(model, layers, evaluate, batch))
                stack.enter_context(passes.hooked())
            passes.mask = evaluate.mask(batch)
            weight, value = evaluate(batch)
            weights.append(weight)
            whole.append(value)
            names = passes.settle()
            without.append([evaluate(batch)[1] for _ in passes.skipping()])
    if passes is None:
        raise ValueError("data: the loader yields no batch; give one or more")
    share = np.array(weights) / np.sum(weights)
    cosines, angles = passes.means()
    if np.isnan(cosines).all():
        raise ValueError(
            f"layers: {shown(', '.join(names), 300)} change the shape of what they get, so that "
            "none can be skipped; choose blocks whose output has the shape of their input"
        )
    kept = np.where(np.isnan(cosines), np.nan, share @ np.array(without))
    return Removal(names, float(share @ np.array(whole)), kept, 1 - cosines, angles)


@dataclass(frozen=True)
class _CrossEntropy:
    """The cross-entropy of a model's logits and the labels of a batch."""

    feed: Feed

    def __call__(self, batch: Any) -> tuple[float, float]:
        """Return the number of samples, and their mean loss."""
        one = self.feed.of(batch)
        output = one.run()
        logits = getattr(output, "logits", output)
        if not isinstance(logits, Tensor) or logits.dim() != 2:
            is_tensor = isinstance(logits, Tensor)
            kind = f"of shape {tuple(logits.shape)}" if is_tensor else type(output).__name__
            raise TypeError(f"model: its output is {kind}, not logits (N, classes); give loss=")
        classes = torch.as_tensor(one.labels, dtype=torch.int64, device=logits.device)
        return float(len(logits)), cross_entropy(logits.double(), classes).item()

    def mask(self, batch: Any) -> Tensor | None:
        """Return where tokens count."""
        return self.feed.of(batch).mask

    def output(self, batch: Any) -> Any:
        """Return what the model makes of a few samples of a batch."""
        return self.feed.of(cut(batch, len(self.feed.of(batch).labels), _FEW)).run()


@dataclass(frozen=True)
class _Given:
    """The loss that the user gives."""

    model: nn.Module
    loss: Loss

    def __post_init__(self) -> None:
        if not callable(self.loss):
            raise TypeError(f"loss: {quoted(self.loss)} given; give a function of model and batch")

    def __call__(self, batch: Any) -> tuple[float, float]:
        """Return the weight of a batch, and its mean loss."""
        return 1.0, float(self.output(batch))

    def mask(self, batch: Any) -> None:
        """Return that all tokens count."""

    def output(self, batch: Any) -> Any:
        """Return the loss: what of a batch belongs to a sample is not known."""
        return self.loss(self.model, moved(batch, self.model))


def _chosen(
    model: nn.Module, layers: Layers | None, evaluate: _CrossEntropy | _Given, batch: Any
) -> Chosen:
    """Return the blocks that are asked for, or those that a look at the model shows."""
    if layers is not None:
        return choose_layers(model, layers, None)
    chosen = choose_layers(model, None, look(model, lambda: evaluate.output(batch)))
    if any("()" in name for name in chosen.names):
        raise ValueError(
            f"layers: {chosen.rule} cannot be skipped, being functions; choose modules that are "
            "whole blocks by name or type"
        )
    return chosen


class _Passes:
    """The hooks on a model: they look at each block, or skip one of them."""

    def __init__(self, model: nn.Module, chosen: Chosen) -> None:
        self.chosen = chosen
        asked = {base_name(name) for name in chosen.names}
        self.modules = {module: name for module, name in names_of(model).items() if name in asked}
        self.names: tuple[str, ...] = ()
        self.sums: dict[str, list[float]] = {}  # of cosines and angles, and their number
        self.skipped: str | None = None
        self.mask: Tensor | None = None
        self.start()

    def start(self) -> None:
        """Begin a forward pass."""
        self.calls = dict.fromkeys(self.modules, 0)
        self.seen: list[str] = []
        self.given: dict[nn.Module, list[Tensor]] = {}

    def settle(self) -> tuple[str, ...]:
        """Return the names of the blocks that ran; the same for all batches."""
        if not self.seen:
            raise ValueError(
                f"layers: the forward pass calls none of {shown(', '.join(self.chosen.names))}; "
                "choose modules that it calls"
            )
        self.names = self.names or tuple(self.seen)
        if self.names != tuple(self.seen):
            raise ValueError(
                "layers: not the same blocks run for all batches; give batches that take the same "
                "path through the model"
            )
        return self.names

    def skipping(self) -> Iterator[None]:
        """Yield once for each block, while it is skipped."""
        for name in self.names:
            self.skipped = name
            self.start()
            yield
        self.skipped = None
        self.start()

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean cosine and the mean angle in units of π of each block."""
        found = [self.sums.get(name, [np.nan, np.nan, 1.0]) for name in self.names]
        cosines, angles, counts = np.array(found).T
        return cosines / counts, angles / counts

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Keep the hooks on the model."""
        with ExitStack() as stack:
            for module in self.modules:
                before = module.register_forward_pre_hook(self.before, with_kwargs=True)
                stack.callback(before.remove)
                stack.callback(module.register_forward_hook(self.after).remove)
            yield

    def before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """Keep what a block gets, since it may work in place."""
        given = tensors((args, kwargs))
        self.given[module] = [one.clone() for one in given if one.is_floating_point()]

    def after(self, module: nn.Module, args: Any, output: Any) -> Any:
        """Look at a block, or return what it got instead of its output."""
        self.calls[module] += 1
        name = self.modules[module]
        if self.calls[module] > 1:
            name += f"#{self.calls[module]}"
        if name not in self.chosen:
            return None
        self.seen.append(name)
        made = first_tensor(output)
        if made is None or not isinstance(output, Tensor | tuple | list):
            return None
        given = next((one for one in self.given[module] if one.shape == made.shape), None)
        if given is None:
            return None
        if self.skipped is None:
            self.compare(name, given, made)
        return _exchanged(output, given) if name == self.skipped else None

    def compare(self, name: str, given: Tensor, made: Tensor) -> None:
        """Add the cosines of what a block gets and what it makes of it."""
        before, after = given.double(), made.double()
        if made.dim() == 3:
            counts = self.mask is not None and self.mask.shape == made.shape[:2]
            rows = self.mask if counts else torch.ones(made.shape[:2], dtype=torch.bool)
            before, after = before[rows], after[rows]
        before, after = before.flatten(1), after.flatten(1)
        cosines = cosine_similarity(before, after, dim=1).clamp(-1, 1)
        cosines = torch.where((before == after).all(1), 1.0, cosines)  # also where both are 0
        angles = cosines.arccos() / torch.pi
        sums = self.sums.setdefault(name, [0.0, 0.0, 0.0])
        parts = cosines.sum().item(), angles.sum().item(), float(len(cosines))
        self.sums[name] = [old + new for old, new in zip(sums, parts, strict=True)]


def _exchanged(output: Any, tensor: Tensor) -> Any:
    """Return an output with another tensor in place of its first floating one."""
    if isinstance(output, Tensor):
        return tensor
    place = next(i for i, part in enumerate(output) if first_tensor(part) is not None)
    parts = [*output[:place], _exchanged(output[place], tensor), *output[place + 1 :]]
    return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)
