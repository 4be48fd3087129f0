"""Which axis of a layer's features counts the samples, and whether samples are kept apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sbt_utils.models.calls import watching
from sbt_utils.models.forward import Feed, cut
from sbt_utils.models.layer_choice import Chosen
from sbt_utils.models.pools import features_in
from sbt_utils.models.running import evaluation_mode
from sbt_utils.text import shown

SAMPLES = 3  # in the first of two forward passes; the other one has a sample less
_MIXED = 0.01  # of a sample's features; rounding changes less, and attention to others more


def batch_axes(feed: Feed, batch: Any, samples: int, names: Chosen) -> dict[str, int]:
    """Return the axis of the samples, by layer, from passes with three and two samples of a batch.

    Layers whose axis is not found, and all layers where passes with so few samples are not to be
    had, are left out. Raises ``ValueError`` where the features of a sample depend on the others.
    """
    if samples < SAMPLES:
        return {}
    try:
        more = _features(feed, cut(batch, samples, SAMPLES), names)
        fewer = _features(feed, cut(batch, samples, SAMPLES - 1), names)
    except Exception:  # the model's own, or of a batch that is more than its parts
        return {}
    axes = {}
    for name in more:
        axis = _axis(more[name], fewer.get(name))
        if axis is None:
            continue
        axes[name] = axis
        if _differ(more[name].select(axis, 0), fewer[name].select(axis, 0)) and not _varies(
            feed.model
        ):
            again = _features(feed, cut(batch, samples, SAMPLES - 1), names)
            if not _differ(again[name], fewer[name]):
                raise ValueError(
                    f"layer '{shown(name)}': the features of a sample depend on the other samples "
                    "of its batch; give inputs as the model wants them: with sequences first, or "
                    "the model made with batch_first=True"
                )
    return axes


@torch.no_grad()
def _features(feed: Feed, batch: Any, names: Chosen) -> dict[str, Tensor]:
    """Return the features of the named layers for a batch."""
    found: dict[str, Tensor] = {}

    def end(name: str, output: Any) -> None:
        features, _ = features_in(output, None)
        if (name in names or name == names.start) and features is not None:
            found[name] = features.clone()

    with evaluation_mode(feed.model), watching(feed.model, end):
        feed.of(batch).run()
    return found


def _axis(more: Tensor, fewer: Tensor | None) -> int | None:
    """Return the axis that is shorter by a sample, where it is the only one that differs."""
    if fewer is None or more.dim() != fewer.dim():
        return None
    pairs = list(zip(more.shape, fewer.shape, strict=True))
    differing = [axis for axis, (long, short) in enumerate(pairs) if long != short]
    return differing[0] if [pairs[a] for a in differing] == [(SAMPLES, SAMPLES - 1)] else None


def _differ(one: Tensor, other: Tensor) -> bool:
    one, other = one.double().nan_to_num(), other.double().nan_to_num()
    return bool((one - other).norm() > _MIXED * one.norm())


def _varies(model: nn.Module) -> bool:
    """Tell whether a model takes statistics of a batch, as some do knowingly."""
    return any(
        (isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None)
        or "quantized" in type(module).__module__
        for module in model.modules()
    )
