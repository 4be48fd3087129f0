"""What a language model loses without some of its blocks, from states that are kept.

A run of blocks that is left out leaves the states before it as they are: only what follows is
computed again, and all runs that end at the same block together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

LONGEST_RUN = 8
"""Blocks in the longest run that is left out."""

PROXIES = ("influence", "angle", "last angle", "update", "lens change")
"""What two states say of the blocks between them, without a loss."""

_TOGETHER = 512  # tokens whose logits are in memory at once


@dataclass(frozen=True)
class Stack:
    """A language model in parts.

    Attributes
    ----------
    embed : callable
        From ids (pieces, tokens) to states (pieces, tokens, d).
    blocks : sequence of callables
        From states to states.
    read : callable
        From states to logits (pieces, tokens, vocabulary).
    """

    embed: Callable[[Tensor], Tensor]
    blocks: Sequence[Callable[[Tensor], Tensor]]
    read: Callable[[Tensor], Tensor]

    def states(self, ids: Tensor) -> list[Tensor]:
        """Return the states l = 0..L."""
        states = [self.embed(ids)]
        for block in self.blocks:
            states.append(block(states[-1]))
        return states


def stack_of(model: Any) -> Stack:
    """Return the parts of a Llama of transformers, with its logits.

    Examples
    --------
    >>> stack_of(language_model()[0])  # doctest: +SKIP
    """
    core = model.model

    def block_of(layer: Any) -> Callable[[Tensor], Tensor]:
        def block(states: Tensor) -> Tensor:
            places = torch.arange(states.shape[1])[None]
            rotation = core.rotary_emb(states, places)
            output = layer(states, position_embeddings=rotation, position_ids=places)
            return output if isinstance(output, Tensor) else output[0]

        return block

    blocks = [block_of(layer) for layer in core.layers]
    return Stack(core.embed_tokens, blocks, lambda states: model.lm_head(core.norm(states)))


def scored_loss(stack: Stack, states: Tensor, ids: Tensor, first: int) -> np.ndarray:
    """Return the mean loss (pieces,) of the tokens of each piece from number `first` on, in nats.

    `states` (pieces, tokens, d) are those of the last block.
    """
    found = []
    step = max(1, _TOGETHER // ids.shape[1])
    for part, numbers in zip(states.split(step), ids.split(step), strict=True):
        logits = stack.read(part[:, first - 1 : -1]).transpose(1, 2)
        found.append(cross_entropy(logits, numbers[:, first:], reduction="none").double().mean(1))
    return torch.cat(found).numpy()


@torch.no_grad()
def removed_runs(stack: Stack, ids: Tensor, first: int, longest: int = LONGEST_RUN) -> xr.Dataset:
    r"""Leave out each run of adjacent blocks, and measure the loss.

    Parameters
    ----------
    stack : Stack
    ids : Tensor, shape (pieces, tokens)
    first : int
        The first token that is scored, counted from 0; those before are its context.
    longest : int
        The length of the longest run.

    Returns
    -------
    xarray.Dataset
        ``loss`` (piece) of the whole model, in nats; over (piece, start, length), of the run of
        ``length`` blocks of which ``start`` (1..L) is the first, and nan where there is none:
        ``loss_without``; of the states h before and g after it the `PROXIES`: ``influence``,
        1 - cos(h, g), and ``angle``, the angle in units of π, means over the tokens;
        ``last angle`` of the last token alone; ``update``, the mean of \|g - h\| / \|h\|;
        ``lens change``, the mean divergence KL(p_g \|\| p_h) of what is read from them of the
        scored tokens, in nats.

    Examples
    --------
    >>> table = torch.eye(3)
    >>> stack = Stack(lambda ids: table[ids], [lambda h: 2 * h, lambda h: h + 1], lambda h: h)
    >>> found = removed_runs(stack, torch.tensor([[0, 1, 2, 0]]), 2)
    >>> found.loss_without.sel(piece=0, length=2, start=1).item() < found.loss.item()
    True
    """
    states = stack.states(ids)
    blocks, count = len(stack.blocks), len(ids)
    lens = [stack.read(h[:, first - 1 : -1]).log_softmax(2) for h in states]
    axes = ("piece", "start", "length")
    values = {
        name: np.full((count, blocks, longest), np.nan) for name in ("loss_without", *PROXIES)
    }
    for end in range(1, blocks + 1):
        starts = range(max(1, end + 1 - longest), end + 1)
        after = torch.cat([states[start - 1] for start in starts])
        for block in stack.blocks[end:]:
            after = block(after)
        losses = scored_loss(stack, after, ids.repeat(len(starts), 1), first)
        for start, loss in zip(starts, losses.reshape(len(starts), count), strict=True):
            place = (slice(None), start - 1, end - start)
            values["loss_without"][place] = loss
            known = proxies(states[start - 1], states[end], lens[start - 1], lens[end])
            for name, value in known.items():
                values[name][place] = value.numpy()
    found = {name: (axes, table) for name, table in values.items()}
    coords = {"start": np.arange(1, blocks + 1), "length": np.arange(1, longest + 1)}
    whole = scored_loss(stack, states[-1], ids, first)
    return xr.Dataset({"loss": ("piece", whole), **found}, coords).assign_coords(
        piece=np.arange(count)
    )


def proxies(before: Tensor, after: Tensor, read: Tensor, said: Tensor) -> dict[str, Tensor]:
    """Return the `PROXIES` (pieces,) of states (pieces, tokens, d) and of what is read from them.

    `read` and `said` are logarithms of probabilities (pieces, tokens, vocabulary).
    """
    h, g = before.double(), after.double()
    cosine = cosine_similarity(h, g, dim=2).clamp(-1, 1)
    angle = cosine.arccos() / torch.pi
    return {
        "influence": 1 - cosine.mean(1),
        "angle": angle.mean(1),
        "last angle": angle[:, -1],
        "update": ((g - h).norm(dim=2) / h.norm(dim=2)).mean(1),
        "lens change": (said.exp() * (said - read)).sum(2).mean(1),
    }


@torch.no_grad()
def removed_sets(
    stack: Stack, ids: Tensor, first: int, sets: Mapping[str, Sequence[int]]
) -> xr.DataArray:
    """Return the loss (piece, set) without sets of blocks, numbered 1..L.

    Examples
    --------
    >>> table = torch.eye(3)
    >>> stack = Stack(lambda ids: table[ids], [lambda h: 2 * h] * 3, lambda h: h)
    >>> removed_sets(stack, torch.tensor([[0, 1, 2, 0]]), 2, {"a": [1, 3]}).shape
    (1, 1)
    """
    states = stack.states(ids)
    losses = []
    for dropped in sets.values():
        after = states[min(dropped) - 1]
        for number in range(min(dropped), len(stack.blocks) + 1):
            if number not in dropped:
                after = stack.blocks[number - 1](after)
        losses.append(scored_loss(stack, after, ids, first))
    return xr.DataArray(
        np.array(losses).T, {"piece": np.arange(len(ids)), "set": list(sets)}, ("piece", "set")
    )
