"""The load curve of any `torch.nn.Module`, measured through forward hooks.

Features go straight into scatter statistics: one batch of them at most is in memory.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from sbt_utils.measuring.batches import as_batches, check_model, on_model
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.layer_choice import Layers, choose
from sbt_utils.measuring.scatter import Array, ProjectedScatter, ScatterStatistics
from sbt_utils.measuring.separation import check_measure

Pool = Callable[[torch.Tensor], torch.Tensor]
"""What to measure of a layer's features, such as ``lambda h: h[:, 0]`` for a class token."""

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
# Layers that hand the values of the input on in evaluation mode (a leaf nn.Sequential is empty).
_PASSIVE = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Sequential, nn.modules.dropout._DropoutNd)


def load_curve(
    model: nn.Module,
    images: Array | Iterable[tuple[Any, Any]],
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
    images : Tensor or ndarray, shape (N, ...), or iterable of (images, labels)
        Inputs of the model, or a loader that yields batches of inputs and labels. Batches are
        moved to the device of the model and, if floating, cast to its dtype.
    labels : array_like or Tensor of int, shape (N,), optional
        Class of each image; None if `images` is a loader.
    layers : optional
        What to measure: names as in ``model.named_modules()``, module types, or a function
        ``(name, module) -> bool``. If None, the repeated blocks of the model (residual blocks,
        transformer layers; see `sbt_utils.measuring.layer_choice.choose`) or, where it has none, all
        activation modules: features are then measured after the activation, before the dropout.
    measure : {"trace", "fuzziness"}
        See `sbt_utils.measuring.separation.data_separation`. ``"fuzziness"`` runs the images twice.
    batch_size : int
        Images in one forward pass; a loader sets its own.
    pool : callable, optional
        From a layer's features (N, ...) to what to measure of them (N, ...). Features (N, tokens,
        d) count whole by default; ``lambda h: h[:, 0]`` takes a class token, ``lambda h:
        h.mean(1)`` the mean over the tokens. The images themselves are not pooled.

    Returns
    -------
    LoadCurve
        l = 0 is the output of the normalisation or embedding of the input, where such a layer is
        the first to run, else the images; l = 1..L are the chosen layers as they run. A layer that
        runs again in one forward pass counts again, as ``"name#2"``; of a tuple, list or dict the
        first floating tensor counts.

    Raises
    ------
    TypeError, ValueError
        Arguments that do not fit together; no such layer, or none that runs; a layer that gives
        no floating tensor, that runs a varying number of times, or whose features leave D
        undefined (see `data_separation`; the message names the layer).

    Warns
    -----
    UserWarning
        Some of the chosen layers never ran. Activations called as functions (``torch.relu``) are
        out of a hook's sight: choose the modules around them.

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
    batches = as_batches(images, labels, batch_size)
    if measure == "fuzziness" and isinstance(batches, Iterator):
        raise TypeError(
            "images: this iterator can be read once, measure 'fuzziness' reads it twice; give a "
            "DataLoader or a list of batches"
        )
    statistics: dict[str, Any]
    statistics = layer_scatter(model, batches, layers, pool, lambda name: ScatterStatistics())
    if measure == "fuzziness":
        first = statistics
        statistics = layer_scatter(
            model, batches, layers, pool, lambda name: ProjectedScatter(first[name])
        )
    separation = []
    for name, scatter in statistics.items():
        with naming(name):
            separation.append(scatter.separation)
    return LoadCurve(np.array(separation), measure, tuple(statistics))


def layer_scatter(
    model: nn.Module,
    batches: Iterable[Any],
    layers: Layers | None,
    pool: Pool | None,
    statistics: Callable[[str], Any],
) -> dict[str, Any]:
    """Feed the features of each layer to statistics of its own, in one pass over the batches.

    Parameters
    ----------
    model, layers, pool
        As in `load_curve`.
    batches : iterable of (images, labels)
    statistics : callable
        From the name of a layer to what takes its features up, with an ``update(features,
        labels)``, such as `sbt_utils.measuring.scatter.ScatterStatistics`.

    Returns
    -------
    dict of str
        The statistics by the names of the layers l = 0..L, in this order.

    Raises
    ------
    TypeError, ValueError
        As `load_curve`.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> batches = [(torch.rand(4, 2), torch.arange(4) % 2)]
    >>> list(layer_scatter(model, batches, None, None, lambda name: ScatterStatistics()))
    ['images', '1']
    """
    check_model(model)
    chosen = choose(model, layers)
    probe = _Probe(model, chosen, pool, statistics)
    probe.run(batches)
    if skipped := [name for module, name in chosen.items() if not probe.calls[module]]:
        message = f"layers: the forward pass never calls {', '.join(skipped)}"
        if len(probe.names) < 2:
            raise ValueError(f"{message}, nor any other chosen layer; choose layers that it calls")
        warnings.warn(f"{message}; left out of the load curve", stacklevel=3)
    if len(probe.names) < 2:
        raise ValueError(f"layers: {probe.names[0]!r} alone is l = 0; choose layers after it")
    return {name: probe.statistics[name] for name in probe.names}


class _Probe:
    """The hooks on a model, and the scatter statistics that they feed layer by layer."""

    def __init__(
        self,
        model: nn.Module,
        chosen: dict[nn.Module, str],
        pool: Pool | None,
        take_up: Callable[[str], Any],
    ) -> None:
        self.model, self.chosen, self.pool, self.take_up = model, chosen, pool, take_up
        self.statistics: dict[str, Any] = {}
        self.names: tuple[str, ...] = ()  # l = 0..L, settled by the first batch

    def run(self, batches: Iterable[Any]) -> None:
        """Pass all batches through the model and leave it as it was."""
        training = {module: module.training for module in self.model.modules()}
        handles = []
        # Where tokens are masked, an encoder may hand on nested tensors, which have no shape.
        encoders = [m for m in self.model.modules() if isinstance(m, nn.TransformerEncoder)]
        nested = [encoder.use_nested_tensor for encoder in encoders]
        try:
            for encoder in encoders:
                encoder.use_nested_tensor = False
            for name, module in self.model.named_modules():
                # Not by eval(): a model may override it to do more.
                module.training = False
                if next(module.children(), None) is None and not isinstance(module, _PASSIVE):
                    handles.append(module.register_forward_pre_hook(self.before))
                if module in self.chosen or isinstance(module, (*_NORMS, *_EMBEDDINGS)):
                    after = partial(self.after, self.chosen.get(module, name))
                    handles.append(module.register_forward_hook(after))
            with torch.no_grad():
                for batch in batches:
                    self.run_batch(*on_model(batch, self.model))
        finally:
            for encoder, setting in zip(encoders, nested, strict=True):
                encoder.use_nested_tensor = setting
            for handle in handles:
                handle.remove()
            for module, flag in training.items():
                module.training = flag
        if not self.names:
            raise ValueError("data: the loader yields no batch; give one or more")

    def run_batch(self, images: torch.Tensor, labels: Any) -> None:
        self.images, self.labels = images, labels
        self.first: nn.Module | None = None  # the first layer that computes
        self.opens = False  # it normalises or embeds the input
        self.input = "images"  # l = 0
        self.calls: Counter[nn.Module] = Counter()
        self.seen: list[str] = []
        self.model(images)
        if self.first is None:
            self.measure("images", images)
        # A chosen layer that only hands the input on may have run ahead of l = 0.
        self.seen.sort(key=lambda name: name != self.input)
        self.names = self.names or tuple(self.seen)
        if varying := set(self.names).symmetric_difference(self.seen):
            raise ValueError(
                f"layer {min(varying)!r}: does not run equally often for all batches; give batches "
                "that take the same path through the model"
            )

    def before(self, module: nn.Module, args: Any) -> None:
        if self.first is None:
            self.first = module
            # An embedding of positions has another shape than the input.
            embeds = isinstance(module, _EMBEDDINGS) and args[0].shape == self.images.shape
            self.opens = embeds or isinstance(module, _NORMS)
            if not self.opens:
                # Now, since the layer may work in place.
                self.measure("images", self.images)

    def after(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        opens = self.opens and module is self.first and not self.calls[module]
        if module in self.chosen or opens:
            self.calls[module] += 1
            if self.calls[module] > 1:
                name += f"#{self.calls[module]}"
            elif opens:
                self.input = name
            features = _first_tensor(output)
            if features is None:
                kind = type(output).__name__
                raise TypeError(f"layer {name!r}: no floating tensor in its {kind}; leave it out")
            self.measure(name, self.pooled(name, features))

    def pooled(self, name: str, features: torch.Tensor) -> torch.Tensor:
        if self.pool is None:
            return features
        try:
            return self.pool(features)
        except Exception as error:
            shape = tuple(features.shape)
            raise ValueError(
                f"pool: fails on layer {name!r} with features of shape {shape} ({error}); give a "
                "function that suits all chosen layers, or choose others"
            ) from error

    def measure(self, name: str, features: torch.Tensor) -> None:
        self.seen.append(name)
        with naming(name):
            if name not in self.statistics:
                self.statistics[name] = self.take_up(name)
            self.statistics[name].update(features, self.labels)


@contextmanager
def naming(layer: str) -> Iterator[None]:
    """Name the layer in the errors of its statistics.

    Parameters
    ----------
    layer : str
        Its name.

    Examples
    --------
    >>> with naming("readout"):
    ...     raise ValueError("features: empty")
    Traceback (most recent call last):
    ValueError: layer 'readout': features: empty
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"layer {layer!r}: {error}") from error


def _first_tensor(output: Any) -> torch.Tensor | None:
    """Return the first floating tensor in nested tuples, lists and dicts."""
    if isinstance(output, torch.Tensor):
        return output if output.is_floating_point() else None
    parts = output.values() if isinstance(output, Mapping) else output
    if not isinstance(output, (tuple, list, Mapping)):
        return None
    return next((found for part in parts if (found := _first_tensor(part)) is not None), None)
