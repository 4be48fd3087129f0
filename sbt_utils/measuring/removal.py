"""Can a layer go? The loss of a network without each of its blocks in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy

from sbt_utils.measuring.batches import Data, as_batches, on_model
from sbt_utils.measuring.layer_choice import Layers, choose
from sbt_utils.measuring.models import check_model, evaluation_mode, run_model

Loss = Callable[[nn.Module, Any], Any]
"""From a model and a batch to the mean loss over the batch, such as
``lambda model, batch: model(**batch).loss``."""


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
        ``(model, batch)`` to the mean loss over a batch, which is as the loader yields it; batches
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
    chosen = choose(model, layers)
    passes = _Passes(model, chosen)
    measure = _cross_entropy if loss is None else _checked(loss)
    weights, whole, without = [], [], []
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluation_mode(model))
        stack.enter_context(passes.hooked())
        for batch in as_batches(data, labels, batch_size):
            weight, value = measure(model, batch)
            weights.append(weight)
            whole.append(value)
            names = passes.settle()
            without.append([measure(model, batch)[1] for _ in passes.skipping()])
    if not weights:
        raise ValueError("data: the loader yields no batch; give one or more")
    share = np.array(weights) / np.sum(weights)
    cosines, angles = passes.means()
    if np.isnan(cosines).all():
        raise ValueError(
            f"layers: {', '.join(names)} change the shape of what they get, so that none can be "
            "skipped; choose blocks whose output has the shape of their input"
        )
    kept = np.where(np.isnan(cosines), np.nan, share @ np.array(without))
    return Removal(names, float(share @ np.array(whole)), kept, 1 - cosines, angles)


class _Passes:
    """The hooks on a model: they look at each block, or skip one of them."""

    def __init__(self, model: nn.Module, chosen: Mapping[nn.Module, str]) -> None:
        self.model, self.chosen = model, chosen
        self.names: tuple[str, ...] = ()
        self.sums: dict[str, list[float]] = {}  # of cosines and angles, and their number
        self.skipped: str | None = None
        self.start()

    def start(self) -> None:
        """Begin a forward pass."""
        self.calls = dict.fromkeys(self.chosen, 0)
        self.seen: list[str] = []
        self.inputs: dict[nn.Module, Tensor | None] = {}

    def settle(self) -> tuple[str, ...]:
        """Return the names of the blocks that ran; the same for all batches."""
        if not self.seen:
            raise ValueError(
                f"layers: the forward pass calls none of {', '.join(self.chosen.values())}; choose "
                "modules that it calls"
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
            for module in self.chosen:
                before = module.register_forward_pre_hook(self.before, with_kwargs=True)
                after = module.register_forward_hook(self.after, with_kwargs=True)
                stack.enter_context(before)
                stack.enter_context(after)
            yield

    def before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """Keep what a block gets, since it may work in place."""
        given = _first_tensor([args, kwargs])
        self.inputs[module] = None if given is None else given.clone()

    def after(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        """Look at a block, or return what it got instead of its output."""
        self.calls[module] += 1
        name = self.chosen[module]
        if self.calls[module] > 1:
            name += f"#{self.calls[module]}"
        given, made = self.inputs.pop(module), _first_tensor(output)
        if self.skipped is None:
            self.seen.append(name)
        if given is None or made is None or given.shape != made.shape:
            return None
        if self.skipped is None:
            self.look(name, given, made)
        return _exchanged(output, given) if name == self.skipped else None

    def look(self, name: str, given: Tensor, made: Tensor) -> None:
        """Add the cosines of what a block gets and what it makes of it."""
        before, after = (
            x.double().flatten(0, 1) if x.dim() == 3 else x.double().flatten(1)
            for x in (given, made)
        )
        cosines = cosine_similarity(before, after, dim=1).clamp(-1, 1)
        cosines = torch.where((before == after).all(1), 1.0, cosines)  # also where both are 0
        angles = cosines.arccos() / torch.pi
        sums = self.sums.setdefault(name, [0.0, 0.0, 0.0])
        parts = cosines.sum().item(), angles.sum().item(), float(len(cosines))
        self.sums[name] = [old + new for old, new in zip(sums, parts, strict=True)]


def _first_tensor(output: Any) -> Tensor | None:
    """Return the first floating tensor in nested tuples, lists and dicts."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() else None
    if not isinstance(output, tuple | list | Mapping):
        return None
    parts = output.values() if isinstance(output, Mapping) else output
    return next((tensor for part in parts if (tensor := _first_tensor(part)) is not None), None)


def _exchanged(output: Any, tensor: Tensor) -> Any:
    """Return an output with another tensor in place of its first floating one."""
    if isinstance(output, Tensor):
        return tensor
    if isinstance(output, Mapping):
        key = next(key for key, part in output.items() if _first_tensor(part) is not None)
        return type(output)({**output, key: _exchanged(output[key], tensor)})  # type: ignore[call-arg]
    place = next(i for i, part in enumerate(output) if _first_tensor(part) is not None)
    parts = [*output[:place], _exchanged(output[place], tensor), *output[place + 1 :]]
    return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)


def _cross_entropy(model: nn.Module, batch: Any) -> tuple[float, float]:
    """Return the number of samples of a batch, and their mean cross-entropy."""
    inputs, labels = on_model(batch, model)
    output = run_model(model, inputs)
    logits = getattr(output, "logits", output)
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        kind = f"of shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(output)
        raise TypeError(f"model: its output is {kind}, not logits (N, classes); give loss=")
    classes = torch.as_tensor(labels, dtype=torch.int64, device=logits.device)
    return float(len(logits)), cross_entropy(logits.double(), classes).item()


def _checked(loss: Loss) -> Callable[[nn.Module, Any], tuple[float, float]]:
    """Return a function to the weight of a batch and its loss."""
    if not callable(loss):
        raise TypeError(f"loss: {loss!r} given; give a function of model and batch")
    return lambda model, batch: (1.0, float(loss(model, batch)))
