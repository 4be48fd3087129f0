"""Where attention and MLP have added to what passes from block to block: the residual stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sbt_utils.models.calls import ACTIVATIONS, ATTENTION, first_tensor, watching
from sbt_utils.models.trunk import Chain, Look
from sbt_utils.text import shown


@dataclass(frozen=True)
class Point:
    """What a call takes or makes: a state of each token."""

    name: str
    call: str
    side: str = "output"  # or "input", or "sum": what the call makes, added to what `around` takes
    around: str = ""
    beside: bool = False  # whether the MLP runs beside the attention, and reads nothing of it


def stream_points(seen: Look, blocks: Sequence[int]) -> tuple[tuple[Point, ...], str]:
    """Return where attention, and then the MLP, has added to the stream, for each of the blocks.

    After attention is the first point behind it through which everything passes: most often what
    the normalisation ahead of the MLP reads, or what that behind the attention makes, in a model
    that normalises last. Where the two run side by side, as in GPT-NeoX, there is none, and the
    output of the attention is added to the input of the block. After the MLP is the output of the
    block. Raises ``ValueError`` for a block without attention, or with other layers ahead of it.
    """
    chain = next(chain for chain in seen.chains if chain.points.issuperset(blocks))
    points: list[Point] = []
    beside = False
    for block in blocks:
        name = seen.calls[block].name
        after = _after_attention(seen, chain, block)
        beside |= after.beside
        points += [after, Point(f"{name} MLP", name)]
    rule = f"attention and MLP of {len(blocks)} blocks ({seen.calls[blocks[0]].kind})"
    return tuple(points), rule + ", which run side by side" * beside


def _after_attention(seen: Look, chain: Chain, block: int) -> Point:
    calls = seen.calls
    inside = [n for n in range(block + 1, len(calls)) if _is_inside(seen, n, block)]
    found = [n for n in inside if calls[n].module is None and calls[n].kind in ATTENTION]
    whole = calls[block].name
    name = f"{whole} attention"
    if not found:
        raise ValueError(
            f"layers: no attention in block '{shown(whole)}'; leave layers out, or choose by name"
        )
    attention, last = found[0], calls[block].made
    while (parent := calls[attention].parent) not in (None, block) and calls[parent].made != last:
        attention = parent  # the whole of it, but no block inside of the block
    made = calls[attention].made
    if made is None or last is None:
        raise ValueError(f"layers: attention of '{shown(whole)}' makes no tensor; choose by name")
    others = {
        calls[n].made
        for n in inside
        if calls[n].kind in ACTIVATIONS and not _is_inside(seen, n, attention)
    }
    if not others.isdisjoint(seen.flow.ways(made, range(made))):
        # Such as the experts behind a recurrent layer, whose router takes a softmax, too.
        raise ValueError(
            f"layers: '{shown(calls[attention].name)}' is not the first in block '{shown(whole)}'; "
            "leave layers out, or choose by name"
        )
    nodes = sorted(node for node in chain.path if made <= node < last)
    if not nodes or not others.isdisjoint(seen.flow.ways(nodes[0], range(nodes[0]))):
        return Point(name, calls[attention].name, "sum", whole, beside=True)
    node = nodes[0]
    for n in inside:
        # What normalises it, with no way around, belongs to it.
        normalises = "norm" in calls[n].kind.lower() and calls[n].read == node
        if normalises and calls[n].made in nodes:
            node = calls[n].made or node
    for n in inside:
        if calls[n].made == node and n >= attention:
            return Point(name, calls[n].name)
    for n in inside:
        if calls[n].read == node:
            return Point(name, calls[n].name, "input")
    return Point(name, calls[attention].name, "sum", whole)


def _is_inside(seen: Look, number: int, block: int) -> bool:
    parent = seen.calls[number].parent
    while parent is not None and parent > block:
        parent = seen.calls[parent].parent
    return parent == block


@torch.no_grad()
def check_sum(model: nn.Module, run: Callable[[], Any], point: Point) -> None:
    """Raise unless what a block takes and what its attention makes add up to what goes on.

    It is tried out. Where the MLP runs beside the attention, what is added to the output of the
    latter reaches the output of the block as it is. Else nothing changes if the block takes as much
    more as the attention makes less.
    """

    def tried(more: Tensor | float = 0.0, attention: Tensor | None = None) -> list[Tensor]:
        """Return what the block takes, what its attention makes, and what the block makes."""
        seen: dict[str, Tensor] = {}

        def begin(name: str, module: nn.Module | None, arguments: Any) -> None:
            if name == point.around and (tensor := first_tensor(arguments)) is not None:
                seen["taken"] = tensor.add_(more).clone()

        def end(name: str, output: Any) -> None:
            if name in (point.call, point.around) and (tensor := first_tensor(output)) is not None:
                if name == point.call and attention is not None:
                    tensor.copy_(attention)
                seen[name] = tensor.clone()

        with watching(model, end, begin, functions="()" in point.call):
            run()
        return [seen[name] for name in ("taken", point.call, point.around)]

    taken, made, output = tried()
    fits = taken.shape == made.shape == output.shape
    if fits:
        size = output.abs().max().item() or 1.0
        more = size * torch.arange(output.numel()).sin().reshape(output.shape).to(output)
        changed = tried(0.0, made + more)[2] - more if point.beside else tried(more, made - more)[2]
        fits = bool((changed - output).abs().max() <= 16 * torch.finfo(output.dtype).eps * size)
    if not fits:
        raise ValueError(
            f"layers: what '{shown(point.call)}' makes is not just added to what block "
            f"'{shown(point.around)}' takes; leave layers out, or choose by name"
        )
