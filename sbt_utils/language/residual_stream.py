"""Where attention and MLP have added to what passes from block to block: the residual stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sbt_utils.models.calls import ATTENTION
from sbt_utils.models.trunk import Chain, Look
from sbt_utils.text import shown


@dataclass(frozen=True)
class Point:
    """What a call takes or makes: a state of each token."""

    name: str
    call: str
    side: str = "output"  # or "input", or "sum": what the call makes, added to what `around` takes
    around: str = ""


def stream_points(seen: Look, blocks: Sequence[int]) -> tuple[tuple[Point, ...], str]:
    """Return where attention, and then the MLP, has added to the stream, for each of the blocks.

    After attention is the first point behind it through which everything passes: most often what
    the normalisation ahead of the MLP reads, or what that behind the attention makes, in a model
    that normalises last. Where the two run side by side, as in GPT-NeoX, there is none, and the
    output of the attention is added to the input of the block. After the MLP is the output of the
    block. Raises ``ValueError`` for a block without attention.
    """
    chain = next(chain for chain in seen.chains if chain.points.issuperset(blocks))
    points: list[Point] = []
    beside = False
    for block in blocks:
        name = seen.calls[block].name
        after = _after_attention(seen, chain, block)
        beside |= after.side == "sum"
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
    nodes = sorted(node for node in chain.path if made <= node < last)
    if not nodes:
        return Point(name, calls[attention].name, "sum", whole)
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
