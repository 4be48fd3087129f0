"""The load curve of any `torch.nn.Module`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.probing import Probe, noting
from sbt_utils.measuring.scatter import ProjectedScatter, ScatterStatistics
from sbt_utils.measuring.separation import check_measure
from sbt_utils.models.batches import Data, as_batches
from sbt_utils.models.forward import Forward
from sbt_utils.models.layer_choice import Layers
from sbt_utils.models.pools import Pool
from sbt_utils.text import shown

__all__ = ["Layers", "Pool", "layer_scatter", "load_curve", "noting"]


def load_curve(
    model: nn.Module,
    data: Data,
    labels: ArrayLike | torch.Tensor | Callable[[Any], Any] | None = None,
    layers: Layers | None = None,
    measure: str = "trace",
    batch_size: int = 512,
    pool: Pool | None = None,
    *,
    mask: Callable[[Any], Any] | None = None,
    forward: Forward | None = None,
) -> LoadCurve:
    """Measure the load curve of a network: the data separation D_l of its layers, in turn.

    The model runs in evaluation mode without gradients. Its training flags, hooks, gradients and
    buffers are afterwards as before, also when its forward pass fails.

    Parameters
    ----------
    model : torch.nn.Module
        Any module, on one device. What `torch.compile` or ``DataParallel`` made of it is measured
        as the module inside, and layers go by the names that they have there.
    data : tuple (inputs, labels), mapping, loader of batches, data set, or inputs
        Inputs are an array (N, ...), a tuple of arrays, or a mapping of names to arrays, such as a
        tokenizer returns. A batch is a pair (inputs, labels), a longer tuple, of which the parts
        that the model needs are inputs and those behind the labels are left alone, or a mapping
        with labels among the inputs, as ``"labels"``, ``"label"``, ``"targets"`` or ``"target"``.
        A data set that gives single samples, also as a list of dicts, is put into batches. The
        model gets an array as its argument, a tuple as its arguments, and of a mapping the
        arguments that its forward pass names, or else the mapping whole. Arrays are moved to its
        device and, if floating, cast to its dtype.
    labels : array_like or Tensor of int, shape (N,), or callable, optional
        Class of each sample, where `data` holds the inputs alone; or a function that finds the
        labels of a batch.
    layers : optional
        What to measure: names as in ``model.named_modules()``, module types, or a function
        ``(name, module) -> bool``. If None, as in `sbt_utils.models.layer_choice.choose_layers`.
    measure : {"trace", "fuzziness"}
        See `sbt_utils.measuring.separation.data_separation`. ``"fuzziness"`` reads the data twice.
    batch_size : int
        Samples in one forward pass; a loader sets its own.
    pool : {"mean", "cls", "last"} or callable, optional
        What to measure of a layer's features. Names are for features (N, tokens, ...), and leave
        others as they are: the mean over the tokens that count, the first of them, such as a class
        token, or the last. A function takes any features (N, ...), or these and the mask, and
        returns some (N, ...). By default features count whole, or, where there is a mask, as the
        mean. The inputs themselves are not pooled but by ``"mean"`` or a mask; nor is l = 0 where
        the pool would leave the same of each sample, as of a class token ahead of any attention.
    mask : callable, optional
        From a batch, as it comes, to booleans (N, tokens): True where a token counts, False where
        it pads. By default the batch's own ``attention_mask`` (or PyTorch's
        ``src_key_padding_mask``, where True pads), if it has one, or what its ``lengths`` say, by
        this name or another that ends so; packed sequences know it. What is masked enters no
        features whose second axis is as long as the mask, so that the curve does not depend on the
        length to which sequences are padded. Others are measured as they are, with a warning if
        they have three axes or more: give a pool for those. A function of the features alone gets
        them with what is masked. Without any mask a pool by name leaves out what the model's
        embedding knows as padding (``padding_idx``).
    forward : callable, optional
        ``(model, batch) -> anything`` runs the model where it is not called with the inputs alone,
        such as ``lambda model, batch: model.training_step(batch, 0)``. It gets the batch as it
        comes, on the device and of the dtype of the model.

    Returns
    -------
    LoadCurve
        l = 0 is the output of the normalisation or embedding of the input, where a layer takes the
        input itself and all passes through it, else the (first) input, called ``"images"`` if it
        has the four axes of images, and ``"inputs"`` otherwise; l = 1..L are the chosen layers as
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
        Some of the chosen layers never ran; a class has one sample, and is left out; features
        that a mask does not suit are measured whole.

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
    probe = Probe(model, layers, pool, mask, forward, labels if callable(labels) else None)
    first = probe.statistics(batches, lambda name: ScatterStatistics())
    statistics: dict[str, Any] = first
    if measure == "fuzziness":
        statistics = probe.statistics(batches, lambda name: ProjectedScatter(first[name]))
    separation = []
    for name, scatter in statistics.items():
        with noting(f"in layer '{shown(name)}'"):
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

    `new_statistics` is as in `sbt_utils.measuring.probing.Probe`.
    """
    return Probe(model, layers, pool).statistics(batches, new_statistics)
