"""The load curve of any `torch.nn.Module`, measured through forward hooks.

Features go straight into scatter statistics: one batch of them at most is in memory.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from sbt_utils.measuring.batches import Data, as_batches, on_model
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.layer_choice import NORMS, PASSIVE, Layers, choose
from sbt_utils.measuring.models import check_model, evaluation_mode, run_model
from sbt_utils.measuring.scatter import ProjectedScatter, ScatterStatistics, read_together
from sbt_utils.measuring.separation import check_measure

Pool = Callable[[torch.Tensor], torch.Tensor]
"""What to measure of a layer's features, such as ``lambda h: h[:, 0]`` for a class token."""

_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


def load_curve(
    model: nn.Module,
    data: Data,
    labels: ArrayLike | torch.Tensor | None = None,
    layers: Layers | None = None,
    measure: str = "trace",
    batch_size: int = 512,
    pool: Pool | None = None,
) -> LoadCurve:
    """Measure the load curve of a network: the data separation D_l of its layers, in turn.

    The model runs in evaluation mode without gradients. Its training flags, hooks, gradients and
    buffers are afterwards as before, also when its forward pass fails.

    Parameters
    ----------
    model : torch.nn.Module
        Any module, on one device and of any floating dtype; it gets one batch as its argument.
    data : tuple (inputs, labels), loader of such batches, or inputs
        Inputs are a tensor or an array (N, ...). Batches are moved to the device of the model and,
        if floating, cast to its dtype.
    labels : array_like or Tensor of int, shape (N,), optional
        Class of each sample, where `data` holds the inputs alone.
    layers : optional
        What to measure: names as in ``model.named_modules()``, module types, or a function
        ``(name, module) -> bool``. If None, the repeated blocks of the model (residual blocks,
        transformer layers): modules with children whose class occurs twice or more, outside other
        such blocks. Where it has none, all activation modules: features are then measured after
        the activation, before the dropout.
    measure : {"trace", "fuzziness"}
        See `sbt_utils.measuring.separation.data_separation`. ``"fuzziness"`` reads the data twice.
    batch_size : int
        Samples in one forward pass; a loader sets its own.
    pool : callable, optional
        From a layer's features (N, ...) to what to measure of them (N, ...). Features (N, tokens,
        d) count whole by default; ``lambda h: h[:, 0]`` takes a class token, ``lambda h:
        h.mean(1)`` the mean over the tokens. The inputs themselves are not pooled.

    Returns
    -------
    LoadCurve
        l = 0 is the output of the normalisation or embedding of the input, where such a layer is
        the first to run, else the input, called ``"images"``; l = 1..L are the chosen layers as
        they run. A layer that runs again in one forward pass counts again, as ``"name#2"``; of a
        tuple, list or dict the first floating tensor counts.

    Raises
    ------
    TypeError, ValueError
        Arguments that do not fit together; no such layer, or none that runs; a layer that gives
        no floating tensor, that runs a varying number of times, or whose features leave D
        undefined (see `data_separation`; a note names the layer).

    Warns
    -----
    UserWarning
        Some of the chosen layers never ran. Hooks do not see activations that are called as
        functions (``torch.relu``): choose the modules around them.

    References
    ----------
    C. Shi, L. Pan & I. Dokmanić, "Spring-block theory of feature learning in deep neural
    networks", PRL 2025, arXiv:2407.19353.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> images, labels = torch.randn(20, 5), torch.arange(20) % 2
    >>> load_curve(model, images, labels).layers
    ('0', '2')
    """
    check_measure(measure)
    batches = as_batches(data, labels, batch_size)
    if measure == "fuzziness" and isinstance(batches, Iterator):
        raise TypeError(
            "data: this iterator can be read once, measure 'fuzziness' reads it twice; give a "
            "DataLoader or a list of batches"
        )
    first = layer_scatter(model, batches, layers, pool, lambda name: ScatterStatistics())
    statistics: dict[str, Any] = first
    if measure == "fuzziness":
        statistics = layer_scatter(
            model, batches, layers, pool, lambda name: ProjectedScatter(first[name])
        )
    separation = []
    for name, scatter in statistics.items():
        with noting(f"in layer {name!r}"):
            separation.append(scatter.separation)
    return LoadCurve(np.array(separation), measure, tuple(statistics))


def layer_scatter(
    model: nn.Module,
    batches: Iterable[Any],
    layers: Layers | None,
    pool: Pool | None,
    new_statistics: Callable[[str], Any],
) -> dict[str, Any]:
    """Return statistics of the features of each layer l = 0..L, by its name, from one pass.

    `new_statistics` makes from the name of a layer what has an ``update(features, labels)``, such
    as `sbt_utils.measuring.scatter.ScatterStatistics`.
    """
    check_model(model)
    if not (pool is None or callable(pool)):
        raise TypeError(f"pool: {pool!r} given; give a function of features (N, ...)")
    chosen = choose(model, layers)
    probe = _Probe(model, chosen, pool, new_statistics)
    probe.run(batches)
    if skipped := [name for module, name in chosen.items() if not probe.calls[module]]:
        message = f"layers: the forward pass never calls {', '.join(skipped)}"
        if len(probe.names) < 2:
            raise ValueError(f"{message}, nor any other chosen layer; choose layers that it calls")
        warnings.warn(f"{message}; left out of the load curve", stacklevel=3)
    if len(probe.names) < 2:
        raise ValueError(f"layers: {probe.names[0]!r} alone is l = 0; choose layers after it")
    scatters = [s for s in probe.statistics.values() if isinstance(s, ScatterStatistics)]
    if scatters:
        read_together(scatters)
    return {name: probe.statistics[name] for name in probe.names}


@dataclass
class _Probe:
    """The hooks on a model, and the statistics that they feed layer by layer.

    l = 0 is settled as layers run, by the first that computes. One that normalises or embeds the
    input is l = 0 itself; ahead of any other, the input is measured.
    """

    model: nn.Module
    chosen: dict[nn.Module, str]
    pool: Pool | None
    new_statistics: Callable[[str], Any]
    statistics: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()  # l = 0..L, settled by the first batch

    def run(self, batches: Iterable[Any]) -> None:
        """Pass all batches through the model and leave it as it was."""
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(evaluation_mode(self.model))
            for name, module in self.model.named_modules():
                if next(module.children(), None) is None and not isinstance(module, PASSIVE):
                    stack.enter_context(module.register_forward_pre_hook(self.before))
                if module in self.chosen or isinstance(module, (*NORMS, *_EMBEDDINGS)):
                    after = partial(self.after, self.chosen.get(module, name))
                    stack.enter_context(module.register_forward_hook(after))
            for batch in batches:
                self.run_batch(*on_model(batch, self.model))
        if not self.names:
            raise ValueError("data: the loader yields no batch; give one or more")

    def run_batch(self, inputs: torch.Tensor, labels: Any) -> None:
        """Pass a batch through the model, while the hooks measure it."""
        # Read back from a GPU once, not for each layer.
        self.inputs = inputs
        self.labels = labels.cpu() if isinstance(labels, torch.Tensor) else labels
        self.first: nn.Module | None = None  # the first layer that computes
        self.first_is_start = False  # it normalises or embeds the input
        self.start = "images"  # the name of l = 0
        self.calls: Counter[nn.Module] = Counter()
        self.measured: list[str] = []
        run_model(self.model, inputs)
        if self.first is None:
            self.measure("images", inputs)
        # A chosen layer that only hands the input on may have run ahead of l = 0.
        self.measured.sort(key=lambda name: name != self.start)
        self.names = self.names or tuple(self.measured)
        if varying := set(self.names).symmetric_difference(self.measured):
            raise ValueError(
                f"layer {min(varying)!r}: does not run equally often for all batches; give batches "
                "that take the same path through the model"
            )

    def before(self, module: nn.Module, args: Any) -> None:
        """Settle l = 0 when the first layer is about to compute."""
        if self.first is None:
            self.first = module
            # An embedding of positions has another shape than the input.
            embeds = isinstance(module, _EMBEDDINGS) and args[0].shape == self.inputs.shape
            self.first_is_start = embeds or isinstance(module, NORMS)
            if not self.first_is_start:
                # Now, since the layer may work in place.
                self.measure("images", self.inputs)

    def after(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        """Measure the output of a layer that is chosen, or that is l = 0."""
        starts = self.first_is_start and module is self.first and not self.calls[module]
        if not (starts or module in self.chosen):
            return
        self.calls[module] += 1
        if self.calls[module] > 1:
            name += f"#{self.calls[module]}"
        elif starts:
            self.start = name
        features = _first_tensor(output)
        if features is None:
            kind = type(output).__name__
            raise TypeError(f"layer {name!r}: no floating tensor in its {kind}; leave it out")
        if self.pool is not None:
            shape = tuple(features.shape)
            with noting(f"in pool, on layer {name!r} with features {shape}; make it suit them"):
                features = self.pool(features)
            if not isinstance(features, torch.Tensor):
                kind = type(features).__name__
                raise TypeError(f"pool: returns {kind}; give a function that returns a tensor")
        self.measure(name, features)

    def measure(self, name: str, features: torch.Tensor) -> None:
        """Feed features to the statistics of a layer, new ones if it has none yet."""
        self.measured.append(name)
        with noting(f"in layer {name!r}"):
            if name not in self.statistics:
                self.statistics[name] = self.new_statistics(name)
            self.statistics[name].update(features, self.labels)


@contextmanager
def noting(note: str) -> Iterator[None]:
    """Add a note to errors, which keep their type and traceback (PEP 678)."""
    try:
        yield
    except Exception as error:
        error.add_note(note)
        raise


def _first_tensor(output: Any) -> torch.Tensor | None:
    """Return the first floating tensor in nested tuples, lists and dicts."""
    if isinstance(output, torch.Tensor):
        return output if output.is_floating_point() else None
    if not isinstance(output, (tuple, list, Mapping)):
        return None
    parts = output.values() if isinstance(output, Mapping) else output
    return next((tensor for part in parts if (tensor := _first_tensor(part)) is not None), None)
