"""Load curves, accuracies and losses of trained networks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any, TypeVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from sbt_utils.measuring.probe import layer_scatter, load_curve
from sbt_utils.measuring.scatter import UndefinedSeparation
from sbt_utils.measuring.separation import check_measure
from sbt_utils.measuring.stacked import Stack, measured, stacked
from sbt_utils.models.batches import Data, as_batches, on_model, whole_arrays
from sbt_utils.models.layer_choice import Layers
from sbt_utils.models.running import check_model, evaluation_mode, run_model
from sbt_utils.threads import check_stopped, in_threads

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def evaluate(
    networks: nn.Module | Iterable[nn.Module] | Stack,
    data: Data,
    labels: Tensor | None = None,
    measure: str = "trace",
    layers: Layers | None = None,
) -> xr.Dataset:
    """Measure the load curve, the accuracy and the loss of each network on labelled data.

    Networks are measured in evaluation mode, and left in the mode that they were in. On a GPU, rows
    of stock layers (`torch.nn.Sequential`) of one architecture are measured in company, as in
    `sbt_utils.measuring.stacked`, others one by one.

    Parameters
    ----------
    networks : torch.nn.Module, iterable of them, or a stack
        For instance `sbt_utils.training.trainer.Training.networks`; all with the same number of
        layers.
    data : tuple (inputs, labels), loader of such batches, or inputs
        Inputs (N, ...). A loader is read whole.
    labels : Tensor or ndarray of int, shape (N,), optional
        Where `data` holds the inputs alone.
    measure : {"trace", "fuzziness"}
        See `sbt_utils.measuring.separation.data_separation`.
    layers : optional
        What to measure, as in `sbt_utils.measuring.probe.load_curve`; ``torch.nn.MaxPool2d`` for a
        `sbt_utils.training.networks.CNN`. A stack has its own.

    Returns
    -------
    xarray.Dataset
        ``separation`` (member, layer), NaN where a collapsed network leaves it undefined;
        ``accuracy`` (member), a fraction; ``loss`` (member), the mean cross-entropy in nats.

    Raises
    ------
    TypeError, ValueError
        No network, or as `sbt_utils.measuring.probe.load_curve`.

    Examples
    --------
    >>> from sbt_utils.data import load_data
    >>> from sbt_utils.training.networks import MLP
    >>> digits = load_data("mnist", train=100)
    >>> evaluate([MLP()], (digits.train_images, digits.train_labels)).separation.shape
    (1, 8)
    """
    check_measure(measure)
    inputs, classes = _finite(*whole_arrays(data, labels))
    if isinstance(networks, Stack):
        return _dataset(*measured(networks, inputs, classes, measure))
    if isinstance(networks, nn.Module) and not isinstance(networks, nn.ModuleList):
        networks = [networks]  # some are iterable themselves, over their layers
    if not isinstance(networks, Iterable):
        raise TypeError(f"networks: {type(networks).__name__} given; give torch.nn.Modules")
    members = list(networks)
    if not members:
        raise ValueError("networks: none given; give one network or more")
    if _on_gpu(members) and (stack := stacked(members, layers)) is not None:
        return _dataset(*measured(stack, inputs, classes, measure))

    def alone(network: nn.Module) -> tuple[np.ndarray, float, float]:
        with _stoppable(network):
            curve = separation_or_nan(network, inputs, classes, measure, layers)
            logits, targets = _logits(network, inputs, classes)
        if targets.max() >= (outputs := logits.shape[1]):
            raise ValueError(
                f"labels: class {targets.max()}, but the networks tell {outputs} apart; number the "
                "classes from 0"
            )
        loss = nn.functional.cross_entropy(logits.double(), targets).item()
        return curve, _fraction_correct(logits, targets), loss

    # Each network once, also if it is given twice: threads must not share one.
    distinct = list(dict.fromkeys(members))
    results = dict(zip(distinct, in_single_threads(alone, distinct), strict=True))
    curves, accuracies, losses = zip(*(results[network] for network in members), strict=True)
    if len(counts := dict.fromkeys(len(curve) - 1 for curve in curves)) > 1:
        different = " and ".join(map(str, counts))
        raise ValueError(f"networks: of {different} layers; give networks with the same number")
    return _dataset(np.stack(curves), np.array(accuracies), np.array(losses))


def _finite(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return inputs and labels; raise unless there are some, all inputs finite."""
    if not len(inputs):
        raise ValueError("data: no samples; give one or more")
    if len(bad := (~inputs.isfinite()).reshape(len(inputs), -1).any(1).nonzero()):
        raise ValueError(
            f"data: sample {int(bad[0])} holds NaN or infinite values; leave it out or mend it"
        )
    return inputs, labels


def _on_gpu(networks: Sequence[Any]) -> bool:
    parameters = (
        next(network.parameters(), None) if isinstance(network, nn.Module) else None
        for network in networks
    )
    return all(parameter is not None and parameter.is_cuda for parameter in parameters)


def _dataset(curves: np.ndarray, accuracies: np.ndarray, losses: np.ndarray) -> xr.Dataset:
    separation = ("member", "layer"), curves, {"long_name": "data separation D"}
    return xr.Dataset(
        {
            "separation": separation,
            "accuracy": ("member", accuracies, {"long_name": "accuracy"}),
            "loss": ("member", losses, {"long_name": "cross-entropy"}),
        }
    )


def accuracy(network: nn.Module, data: Data, labels: Tensor | None = None) -> float:
    """Return the fraction of samples that a network, in evaluation mode, classifies correctly.

    Parameters
    ----------
    network : torch.nn.Module
    data, labels
        As for `evaluate`.

    Examples
    --------
    >>> accuracy(nn.Identity(), torch.eye(4), torch.tensor([0, 1, 2, 0]))
    0.75
    """
    return _fraction_correct(*_logits(network, *_finite(*whole_arrays(data, labels))))


def in_single_threads(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Return ``[work(item) for item in items]``, by as many threads as PyTorch's, each on one.

    Faster than all threads on each operation; and sums keep one order, however many threads. Work
    that lasts asks `sbt_utils.threads.check_stopped`.
    """
    threads = torch.get_num_threads()

    def on_one(item: _Item, _: Event) -> _Result:
        torch.set_num_threads(1)
        return work(item)

    try:
        return in_threads(on_one, items, threads)
    finally:
        torch.set_num_threads(threads)


def separation_or_nan(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    measure: str = "trace",
    layers: Layers | None = None,
) -> np.ndarray:
    """Return D_l of a network, shape (L + 1,); NaN if it has collapsed so far that D is undefined.

    The arguments are those of `evaluate`.
    """
    batches = _Batches(inputs, labels)
    try:
        return load_curve(network, batches, None, layers, measure).separation
    except UndefinedSeparation:
        # A sample tells how often layers run.
        sample = [(inputs[:1], labels[:1])]
        return np.full(len(layer_scatter(network, sample, layers, None, _Unread)), np.nan)


@contextmanager
def _stoppable(network: nn.Module) -> Iterator[None]:
    """Let no further part of a network run in a thread that is to stop."""
    parts = network.children() if isinstance(network, nn.Module) else ()
    handles = [part.register_forward_pre_hook(lambda *_: check_stopped()) for part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Batches:
    """Batches as of a loader, of which none follows in a thread that is to stop."""

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self.batches = as_batches(inputs, labels, 4096)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches:
            check_stopped()
            yield batch


class _Unread:
    """Statistics of a layer that keep nothing."""

    def __init__(self, name: str) -> None:
        pass

    def update(self, features: Tensor, labels: Any) -> None:
        pass


@torch.no_grad()
def _logits(network: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs of a network in evaluation mode, and the labels beside them."""
    check_model(network)
    if labels.dim() != 1:
        raise ValueError(f"labels: shape {tuple(labels.shape)} given; give one label per sample")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise TypeError(f"labels: {labels.dtype} given; convert them to integers")
    with evaluation_mode(network):
        logits = run_model(network, on_model((inputs, labels), network)[0])
    if not isinstance(logits, Tensor):
        kind = type(logits).__name__
        raise TypeError(f"model: its output is {kind}; give one whose output is a tensor of logits")
    return logits, labels.to(logits.device, torch.int64)


def _fraction_correct(logits: Tensor, labels: Tensor) -> float:
    return (logits.argmax(1) == labels).double().mean().item()
