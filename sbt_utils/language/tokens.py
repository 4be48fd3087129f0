"""Texts as batches of tokens, and what each token is to be told apart by: what comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sbt_utils.models.batches import LABELS, as_tensor
from sbt_utils.text import quoted, shown

Batch = Mapping[str, Any]
Tokenizer = Callable[[str], Any]
Classes = int | Sequence[int] | Callable[[Batch], Any]

TARGETS = {"next": 1, "current": 0, "previous": -1, "next next": 2}
"""Whose id can be fitted to the state of a token: how many places behind it."""

NONE = -1  # stands for no target, and no class


def token_batches(
    texts: Sequence[str], tokenizer: Tokenizer, *, length: int = 512, batch_size: int = 4
) -> list[dict[str, Tensor]]:
    """Return texts as batches of tokens, padded at their ends.

    A text that is longer than `length` is cut into several rows, whose last one has two tokens or
    more: a single one left over is dropped, for it has no next.

    Parameters
    ----------
    texts : sequence of str
        Two tokens or more each.
    tokenizer : callable
        Returns the ids of a text, or a mapping with them under ``"input_ids"``, such as a
        tokenizer of the package transformers.
    length : int
        Tokens in a row, at most; 2 or more. No more than the model takes.
    batch_size : int
        Rows in a batch.

    Returns
    -------
    list of dict of Tensor, int64
        ``"input_ids"`` and ``"attention_mask"`` (rows, tokens), 1 where a token counts, 0 where it
        pads; ``"texts"`` (rows,), the number of the text that a row is of.

    Raises
    ------
    TypeError, ValueError
        No texts, or something else; a text of fewer than two tokens; sizes that are too small.

    Examples
    --------
    >>> batch, = token_batches(["abcab", "ab"], lambda text: [ord(c) - 97 for c in text], length=3)
    >>> batch["input_ids"].tolist(), batch["texts"].tolist()
    ([[0, 1, 2], [0, 1, 0], [0, 1, 0]], [0, 0, 1])
    >>> batch["attention_mask"].tolist()
    [[1, 1, 1], [1, 1, 0], [1, 1, 0]]
    """
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise TypeError(f"texts: {type(texts).__name__} given; give a list of texts")
    if not len(texts):
        raise ValueError("texts: none given; give one text or more")
    if not callable(tokenizer):
        raise TypeError(
            f"tokenizer: {type(tokenizer).__name__} given; texts need a function that returns the "
            "ids of a text, such as the model's own tokenizer"
        )
    check_integer("length", length, 2)
    check_integer("batch_size", batch_size, 1)
    rows: list[tuple[int, Tensor]] = []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts: text {number} is {type(text).__name__}; give a str")
        ids = _ids_of(tokenizer(text))
        if len(ids) < 2:
            raise ValueError(
                f"texts: text {number} has {len(ids)} tokens; leave it out or join it with another "
                "one: a token needs a next one"
            )
        rows += [(number, part) for part in ids.split(length) if len(part) > 1]
    return [_padded(rows[start : start + batch_size]) for start in range(0, len(rows), batch_size)]


def check_integer(name: str, value: Any, least: int) -> None:
    """Raise unless a value is an integer that is large enough."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}: {quoted(value)} given; give an integer of {least} or more")


def _ids_of(tokens: Any) -> Tensor:
    """Return what a tokenizer made of a text as ids (tokens,)."""
    ids = tokens["input_ids"] if hasattr(tokens, "keys") else tokens
    ids = torch.as_tensor(ids)
    if ids.numel() and ids.is_floating_point():
        raise TypeError("tokenizer: returns no integers; give one that returns the ids of a text")
    return ids.reshape(-1).long()


def _padded(rows: Sequence[tuple[int, Tensor]]) -> dict[str, Tensor]:
    numbers, ids = zip(*rows, strict=True)
    masks = [torch.ones_like(row) for row in ids]
    return {
        "input_ids": torch.nn.utils.rnn.pad_sequence(list(ids), batch_first=True),
        "attention_mask": torch.nn.utils.rnn.pad_sequence(masks, batch_first=True),
        "texts": torch.tensor(numbers),
    }


def as_token_batches(
    data: Any, tokenizer: Tokenizer | None, length: int, batch_size: int
) -> list[dict[str, Any]]:
    """Return texts, ids or batches of ids as checked batches, each row with the number of its text.

    All are held in memory: ids take little beside states.
    """
    if isinstance(data, str):
        data = [data]
    if isinstance(data, Mapping | Tensor | np.ndarray) or hasattr(data, "input_ids"):
        data = [data]
    if not isinstance(data, Iterable):
        kind = type(data).__name__
        raise TypeError(f"data: {kind} given; give a list of texts, or batches with 'input_ids'")
    items = list(data)
    if not items:
        raise ValueError("data: empty; give one text or more, or batches of ids")
    if any(isinstance(item, str) for item in items):
        if tokenizer is None:
            raise TypeError("tokenizer: None given; texts need the model's own tokenizer")
        return list(token_batches(items, tokenizer, length=length, batch_size=batch_size))
    batches, rows = [], 0
    for number, item in enumerate(items):
        batches.append(_checked(item, number, rows))
        rows += len(batches[-1]["input_ids"])
    return batches


def _checked(item: Any, number: int, rows: int) -> dict[str, Any]:
    """Return a batch as a dict, with its ids as a tensor and the numbers of its texts."""
    batch = {"input_ids": item} if isinstance(item, Tensor | np.ndarray) else item
    if not hasattr(batch, "keys") or "input_ids" not in batch:
        kind = type(item).__name__
        raise TypeError(f"data: batch {number} is {kind} without 'input_ids'; give ids of tokens")
    batch = {name: batch[name] for name in batch.keys()}  # noqa: SIM118  # not all iterate by name
    ids = as_tensor(batch["input_ids"])
    if ids.dim() != 2 or ids.is_floating_point() or not ids.numel():
        raise ValueError(
            f"data: 'input_ids' of batch {number} are {tuple(ids.shape)} of {ids.dtype}; give "
            "integers (rows, tokens)"
        )
    batch["input_ids"] = ids.long()
    mask = batch.get("attention_mask")
    if mask is not None and tuple(as_tensor(mask).shape) != tuple(ids.shape):
        raise ValueError(
            f"data: 'attention_mask' of batch {number} is {tuple(as_tensor(mask).shape)}, its ids "
            f"{tuple(ids.shape)}; give both one shape"
        )
    if (counting(batch).sum(1) < 2).any():
        row = int((counting(batch).sum(1) < 2).nonzero()[0])
        raise ValueError(
            f"data: row {row} of batch {number} has fewer than two tokens; leave it out: a token "
            "needs a next one"
        )
    batch.setdefault("texts", torch.arange(rows, rows + len(ids)))
    return batch


def counting(batch: Batch) -> Tensor:
    """Return where tokens of a batch count, and where they pad, (rows, tokens)."""
    mask = batch.get("attention_mask")
    return (
        torch.ones_like(batch["input_ids"], dtype=torch.bool)
        if mask is None
        else (as_tensor(mask).cpu() != 0)
    )


def check_vocabulary(batches: Sequence[Batch], size: int | None) -> None:
    """Raise unless all ids are those of the model's vocabulary."""
    for number, batch in enumerate(batches):
        ids = batch["input_ids"]
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or (size is not None and high >= size):
            raise ValueError(
                f"data: batch {number} holds id {low if low < 0 else high}, but the model knows "
                f"{size} tokens; use the tokenizer that belongs to the model"
            )


def shifted(batch: Batch, places: int) -> Tensor:
    """Return the ids of the tokens so many places behind each token of a batch, (rows, tokens).

    `NONE` where either of them does not count or is not there.
    """
    ids, counts = batch["input_ids"].cpu(), counting(batch)
    found = torch.full_like(ids, NONE)
    here, there = (
        slice(max(0, -places), ids.shape[1] - max(0, places)),
        slice(max(0, places), ids.shape[1] + min(0, places)),
    )
    found[:, here] = torch.where(counts[:, here] & counts[:, there], ids[:, there], NONE)
    return found


@dataclass(frozen=True)
class Task:
    """A batch as the model gets it, and the id that each token of it is to predict."""

    batch: Batch
    targets: Tensor  # (rows, tokens), `NONE` where there is none

    @property
    def texts(self) -> Tensor:
        """The number of the text of each row, (rows,)."""
        return as_tensor(self.batch["texts"]).cpu()


def causal_task(batch: Batch) -> Task:
    """Return the task of a model that reads from left to right: the next token."""
    return Task(_inputs(batch), shifted(batch, 1))


MASKED_SHARE = 0.15
"""Of the tokens of a text, those that a masked model has to guess, as in its training (BERT)."""


def masked_task(batch: Batch, tokenizer: Any, rng: np.random.Generator) -> Task:
    """Return the task of a model that sees both sides: the tokens that are masked.

    Those of the batch, where it has labels for its tokens, else `MASKED_SHARE` at random: none of
    the special ones.
    """
    ids, counts = batch["input_ids"].cpu(), counting(batch)
    labels = next((batch[name] for name in LABELS if name in batch), None)
    if labels is not None and tuple(as_tensor(labels).shape) == tuple(ids.shape):
        labels = as_tensor(labels).cpu()
        return Task(_inputs(batch), torch.where((labels >= 0) & counts, labels, NONE))
    mask_id = getattr(tokenizer, "mask_token_id", None)
    if mask_id is None:
        raise ValueError(
            "tokenizer: has no mask_token_id, which a model that sees both sides of a token needs; "
            "give the tokenizer of the model, or batches with 'labels' (rows, tokens), negative "
            "but for what is masked"
        )
    special = torch.tensor(list(getattr(tokenizer, "all_special_ids", [])))
    free = counts & ~torch.isin(ids, special)
    hidden = free & torch.from_numpy(rng.random(tuple(ids.shape)) < MASKED_SHARE)
    inputs = _inputs(batch) | {"input_ids": torch.where(hidden, mask_id, ids)}
    return Task(inputs, torch.where(hidden, ids, NONE))


def _inputs(batch: Batch) -> dict[str, Any]:
    return {name: batch[name] for name in batch if name not in LABELS}


def frequent(tasks: Iterable[Task], number: int) -> tuple[int, ...]:
    """Return the most frequent targets, the most frequent first; of equal ones the lowest ids."""
    counts: Counter[int] = Counter()
    for task in tasks:
        ids, numbers = task.targets[task.targets >= 0].unique(return_counts=True)
        counts.update(dict(zip(ids.tolist(), numbers.tolist(), strict=True)))
    return tuple(sorted(counts, key=lambda name: (-counts[name], name))[:number])


def class_finder(classes: Classes, tasks: Sequence[Task]) -> tuple[tuple[int, ...], Any]:
    """Return the ids that are classes, if ids are, and what finds the class of each token."""
    if callable(classes):
        return (), lambda task: _callers(classes, task)
    if isinstance(classes, int | np.integer) and not isinstance(classes, bool):
        check_integer("classes", classes, 2)
        ids = frequent(tasks, int(classes))
    else:
        ids = _listed(classes)
    table = torch.tensor(ids)
    return ids, lambda task: torch.where(torch.isin(task.targets, table), task.targets, NONE)


def _listed(classes: Any) -> tuple[int, ...]:
    """Return ids that are given as classes."""
    try:
        ids = tuple(int(name) for name in classes)
        whole = all(one == name for one, name in zip(ids, classes, strict=True))
    except (TypeError, ValueError):
        whole = False
    if not whole or len(set(ids)) < 2 or min(ids) < 0:
        raise ValueError(
            f"classes: {quoted(classes)} given; give a number of classes of 2 or more, the ids of "
            "two next tokens or more, or a function of a batch"
        )
    return ids


def _callers(classes: Callable[[Batch], Any], task: Task) -> Tensor:
    """Return the classes that the caller's function finds, less those of tokens that pad."""
    found = as_tensor(classes(task.batch), "classes").cpu()
    shape = tuple(task.targets.shape)
    if tuple(found.shape) != shape or found.is_floating_point():
        raise ValueError(
            f"classes: the function returns {tuple(found.shape)} of {found.dtype} for tokens of "
            f"{shape}; return an integer for each, negative where a token has no class"
        )
    return torch.where((found >= 0) & counting(task.batch), found.long(), NONE)


def check_counts(counts: Mapping[int, int]) -> None:
    """Raise unless two classes occur twice or more; those that occur once are left out of D."""
    if sum(number > 1 for number in counts.values()) < 2:
        named = shown(", ".join(f"{name}: {number}" for name, number in counts.items()) or "none")
        raise ValueError(
            f"classes: tokens of each class: {named}; D needs two classes of two tokens or more: "
            "give more text, or other classes"
        )


def renumbering(tasks: Sequence[Task], seed: int) -> Tensor:
    """Return other numbers for the targets, at random: a table by id, of those that occur."""
    ids = torch.cat([task.targets[task.targets >= 0].unique() for task in tasks]).unique()
    table = torch.full((int(ids.max()) + 1,), NONE)
    table[ids] = ids[torch.from_numpy(np.random.default_rng(seed).permutation(len(ids)))]
    return table


def target_ids(task: Task, names: Sequence[str], renumbered: Tensor) -> Tensor:
    """Return the ids to fit to the state of each token, (targets, rows, tokens)."""
    found = []
    for name in names:
        if name == "shuffled":
            found.append(torch.where(task.targets >= 0, renumbered[task.targets], NONE))
        else:
            found.append(task.targets if name == "next" else shifted(task.batch, TARGETS[name]))
    return torch.stack(found)
