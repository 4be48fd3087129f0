"""The load curve of any `torch.nn.Module`, measured through forward hooks.

Features go straight into scatter statistics: one batch of them at most is in memory.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from sbt_utils.scatter import Array, ProjectedScatter, ScatterStatistics
from sbt_utils.separation import LoadCurve, check_measure

Layers = str | type[nn.Module] | Sequence[str | type[nn.Module]] | Callable[[str, nn.Module], bool]
"""How to choose layers: names, module types, or a function of name and module."""

# What torch counts as an activation, less what mixes features into probabilities or attention.
ACTIVATIONS = tuple(
    getattr(nn, name)
    for name in nn.modules.activation.__all__
    if not name.startswith("Softm") and name not in ("LogSoftmax", "MultiheadAttention")
)
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
# Layers that hand the values of the input on in evaluation mode (a leaf nn.Sequential is empty).
_PASSIVE = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Sequential, nn.modules.dropout._DropoutNd)


def load_curve(
    model: nn.Module,
    images: Array | Iterable[tuple[Any, Any]],
    labels: ArrayLike | torch.Tensor | None = None,
    layers: Layers | None = None,
    measure: str = "trace",
    batch_size: int = 512,
) -> LoadCurve:
    """Measure the load curve of a network: the data separation D_l of its layers, in turn.

    The model runs in evaluation mode without gradients. Its training flags, hooks, gradients and
    buffers are afterwards as before, also when its forward pass fails.

    Parameters
    ----------
    model : torch.nn.Module
        Any module, on any device and of any floating dtype; it gets one batch as its argument.
    images : Tensor or ndarray, shape (N, ...), or iterable of (images, labels)
        Inputs of the model, or a loader that yields batches of inputs and labels. Batches are
        moved to the device of the model and, if floating, cast to its dtype.
    labels : array_like or Tensor of int, shape (N,), optional
        Class of each image; None if `images` is a loader.
    layers : optional
        What to measure: names as in ``model.named_modules()``, module types, or a function
        ``(name, module) -> bool``. All activation modules if None: features are then measured
        after the activation, before the dropout.
    measure : {"trace", "fuzziness"}
        See `sbt_utils.separation.data_separation`. ``"fuzziness"`` runs the images twice.
    batch_size : int
        Images in one forward pass; a loader sets its own.

    Returns
    -------
    LoadCurve
        l = 0 is the output of the normalisation of the input, where a norm layer is the first
        layer to run, else the images; l = 1..L are the chosen layers as they run. A layer that
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
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: {type(model).__name__} given; give a torch.nn.Module")
    if any(nn.parameter.is_lazy(tensor) for tensor in chain(model.parameters(), model.buffers())):
        raise ValueError("model: has lazy parameters without a shape; run it once on a batch")
    chosen = _choose(model, layers)
    batches = _batches(images, labels, batch_size)
    if measure == "fuzziness" and isinstance(batches, Iterator):
        raise TypeError(
            "images: this iterator can be read once, measure 'fuzziness' reads it twice; give a "
            "DataLoader or a list of batches"
        )
    probe = _Probe(model, chosen)
    probe.run(batches)
    if skipped := [name for module, name in chosen.items() if not probe.calls[module]]:
        message = f"layers: the forward pass never calls {', '.join(skipped)}"
        if len(probe.names) < 2:
            raise ValueError(f"{message}, nor any other chosen layer; choose layers that it calls")
        warnings.warn(f"{message}; left out of the load curve", stacklevel=2)
    if len(probe.names) < 2:
        raise ValueError(f"layers: {probe.names[0]!r} alone is l = 0; choose layers after it")
    if measure == "fuzziness":
        for name in probe.names:
            with _naming(name):
                probe.statistics[name] = ProjectedScatter(probe.statistics[name])
        probe.run(batches)
    separation = []
    for name in probe.names:
        with _naming(name):
            separation.append(probe.statistics[name].separation)
    return LoadCurve(np.array(separation), measure, probe.names)


class _Probe:
    """The hooks on a model, and the scatter statistics that they feed layer by layer."""

    def __init__(self, model: nn.Module, chosen: dict[nn.Module, str]) -> None:
        self.model, self.chosen = model, chosen
        self.statistics: dict[str, Any] = {}
        self.names: tuple[str, ...] = ()  # l = 0..L, settled by the first batch

    def run(self, batches: Iterable[Any]) -> None:
        """Pass all batches through the model and leave it as it was."""
        training = {module: module.training for module in self.model.modules()}
        handles = []
        try:
            for name, module in self.model.named_modules():
                # Not by eval(): a model may override it to do more.
                module.training = False
                if next(module.children(), None) is None and not isinstance(module, _PASSIVE):
                    handles.append(module.register_forward_pre_hook(self.before))
                if module in self.chosen or isinstance(module, _NORMS):
                    after = partial(self.after, self.chosen.get(module, name))
                    handles.append(module.register_forward_hook(after))
            with torch.no_grad():
                for batch in batches:
                    self.run_batch(*_on_model(batch, self.model))
        finally:
            for handle in handles:
                handle.remove()
            for module, flag in training.items():
                module.training = flag
        if not self.names:
            raise ValueError("images: the loader yields no batch; give one or more")

    def run_batch(self, images: torch.Tensor, labels: Any) -> None:
        self.images, self.labels = images, labels
        self.first: nn.Module | None = None  # the first layer that computes
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
            if not isinstance(module, _NORMS):
                # Now, since the layer may work in place.
                self.measure("images", self.images)

    def after(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        normalises_input = isinstance(module, _NORMS) and module is self.first
        if module in self.chosen or (normalises_input and not self.calls[module]):
            self.calls[module] += 1
            if self.calls[module] > 1:
                name += f"#{self.calls[module]}"
            elif normalises_input:
                self.input = name
            features = _first_tensor(output)
            if features is None:
                kind = type(output).__name__
                raise TypeError(f"layer {name!r}: no floating tensor in its {kind}; leave it out")
            self.measure(name, features)

    def measure(self, name: str, features: torch.Tensor) -> None:
        self.seen.append(name)
        with _naming(name):
            self.statistics.setdefault(name, ScatterStatistics()).update(features, self.labels)


@contextmanager
def _naming(layer: str) -> Iterator[None]:
    """Name the layer in the errors of its statistics."""
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


def _choose(model: nn.Module, layers: Layers | None) -> dict[nn.Module, str]:
    """Return the chosen modules with their names."""
    modules = dict(model.named_modules(remove_duplicate=False))
    leaves = (module for module in modules.values() if next(module.children(), None) is None)
    kinds = ", ".join(sorted({type(module).__name__ for module in leaves}))
    remedy = (
        f"its layers are {kinds}; choose by name as in model.named_modules(), by type, or by a "
        "function (name, module) -> bool"
    )
    names: set[str] = set()
    types: tuple[type, ...] = ACTIVATIONS
    function = None
    if callable(layers) and not isinstance(layers, type):
        function = layers
    elif layers is not None:
        asked = [layers] if isinstance(layers, (str, type)) else list(layers)
        if not all(isinstance(layer, (str, type)) for layer in asked):
            raise TypeError(f"layers: {layers!r} given; give names, module types or a function")
        names = {layer for layer in asked if isinstance(layer, str)}
        types = tuple(layer for layer in asked if isinstance(layer, type))
        if unknown := names - set(modules):
            raise ValueError(f"layers: the model has no layer {min(unknown)!r}; {remedy}")
    chosen: dict[nn.Module, str] = {}
    for name, module in modules.items():
        if function(name, module) if function else name in names or isinstance(module, types):
            chosen.setdefault(module, name or type(module).__name__)
    if not chosen:
        what = "activation module" if layers is None else f"layer for {layers!r}"
        raise ValueError(f"layers: {type(model).__name__} has no {what}; {remedy}")
    return chosen


def _batches(images: Any, labels: Any, batch_size: int) -> Iterable[Any]:
    if isinstance(images, (torch.Tensor, np.ndarray)):
        if labels is None:
            raise TypeError("labels: None given; images in an array need labels, one an image")
        if not isinstance(labels, torch.Tensor):
            labels = np.asarray(labels)
        if labels.shape[:1] != images.shape[:1]:
            raise ValueError(
                f"labels: shape {tuple(labels.shape)} does not match images of shape "
                f"{tuple(images.shape)}; give one label an image"
            )
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size: {batch_size!r} given; give an integer of 1 or more")
        starts = range(0, len(images), batch_size)
        return [(images[i : i + batch_size], labels[i : i + batch_size]) for i in starts]
    if labels is not None:
        raise TypeError("labels: given beside a loader; its batches bring their own, leave None")
    if not isinstance(images, Iterable):
        raise TypeError(f"images: {type(images).__name__} given; give a tensor or a loader")
    return images


def _on_model(batch: Any, model: nn.Module) -> tuple[torch.Tensor, Any]:
    """Return images on the device and of the dtype of the model, and the labels as they are."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"images: a batch is {type(batch).__name__}; yield (images, labels) pairs")
    images, labels = batch
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(np.array(images))
    if not isinstance(images, torch.Tensor):
        raise TypeError(f"images: a batch holds {type(images).__name__}; yield tensors")
    tensors = chain(model.parameters(), model.buffers())
    like = next((tensor for tensor in tensors if tensor.is_floating_point()), images)
    dtype = like.dtype if images.is_floating_point() else images.dtype
    # A copy, so that a model that works in place leaves the images alone.
    return images.to(like.device, dtype, copy=True), labels
