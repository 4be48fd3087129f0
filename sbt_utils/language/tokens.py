"""Texts as batches of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sbt_utils.models.batches import LABELS, as_tensor
from sbt_utils.text import quoted

Batch = Mapping[str, Any]
Tokenizer = Callable[[str], Any]
LENGTH, ROWS = 512, 4  # tokens in a row, and rows in a batch, where nothing else is asked for


def token_batches(
    texts: Sequence[str], tokenizer: Tokenizer, *, length: int = LENGTH, batch_size: int = ROWS
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
    try:
        ids = torch.as_tensor(getattr(ids, "ids", ids))  # as the package tokenizers has them
    except (TypeError, ValueError, RuntimeError):
        ids = torch.ones(1)
    if ids.numel() and (ids.is_floating_point() or ids.dtype is torch.bool):
        kind = type(tokens).__name__
        raise TypeError(
            f"tokenizer: returns no integers but {kind}; give one that returns the ids of a text"
        )
    return ids.reshape(-1).long()


def _padded(rows: Sequence[tuple[int, Tensor]]) -> dict[str, Tensor]:
    numbers, ids = zip(*rows, strict=True)
    masks = [torch.ones_like(row) for row in ids]
    return {
        "input_ids": torch.nn.utils.rnn.pad_sequence(list(ids), batch_first=True),
        "attention_mask": torch.nn.utils.rnn.pad_sequence(masks, batch_first=True),
        "texts": torch.tensor(numbers),
    }


def are_tokens(data: Any) -> bool:
    """Tell whether data are texts, or ids of tokens without a class for each row."""
    if isinstance(data, list | tuple) and data:
        kinds = {hasattr(item, "keys") and are_tokens(item) for item in data}
        return kinds == {True} or all(isinstance(item, str) for item in data)
    if isinstance(data, str) or not hasattr(data, "keys") or "input_ids" not in data:
        return isinstance(data, str)
    labels = next((data[name] for name in LABELS if name in data), None)
    return labels is None or _depth(labels) >= _depth(data["input_ids"]) > 0


def _depth(value: Any) -> int:
    """Return the number of dimensions of an array or of nested lists, which may be uneven."""
    if isinstance(value, list | tuple):
        return 1 + (_depth(value[0]) if value else 0)
    return int(getattr(value, "ndim", 0))


def as_token_batches(
    data: Any, tokenizer: Tokenizer | None, length: int, batch_size: int
) -> list[dict[str, Any]]:
    """Return texts, ids or batches of ids as checked batches, each row with the number of its text.

    All are held in memory: ids take little beside states.
    """
    if isinstance(data, str):
        data = [data]
    of_texts = isinstance(data, np.ndarray) and data.dtype.kind in "UO"
    if isinstance(data, Mapping | Tensor | np.ndarray) or hasattr(data, "input_ids"):
        data = list(data) if of_texts else [data]
    if not isinstance(data, Iterable):
        kind = type(data).__name__
        raise TypeError(f"data: {kind} given; give a list of texts, or batches with 'input_ids'")
    items = list(data)
    if not items:
        raise ValueError("data: empty; give one text or more, or batches of ids")
    if any(isinstance(item, str | bytes) for item in items):
        if tokenizer is None:
            raise TypeError("tokenizer: None given; texts need the model's own tokenizer")
        return list(token_batches(items, tokenizer, length=length, batch_size=batch_size))
    batches, rows = [], 0
    for number, item in enumerate(_rows_joined(items, batch_size)):
        batches.append(_checked(item, number, rows))
        rows += len(batches[-1]["input_ids"])
    return batches


def _named(item: Any) -> Any:
    """Return ids of tokens, of a row or a batch, under their name; other things as they are."""
    return item if hasattr(item, "keys") or _depth(item) not in (1, 2) else {"input_ids": item}


def _rows_joined(items: list[Any], batch_size: int) -> list[Any]:
    """Return rows, as a tokenized dataset has them, as batches; batches as they are."""
    rows = [_named(item) for item in items]
    if not all(
        hasattr(row, "keys") and "input_ids" in row and _depth(row["input_ids"]) == 1
        for row in rows
    ):
        return items
    check_integer("batch_size", batch_size, 1)
    names = [name for name in rows[0].keys() if all(name in row for row in rows)]  # noqa: SIM118
    parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return [{name: [row[name] for row in part] for name in names} for part in parts]


def _evened(batch: dict[str, Any]) -> dict[str, Any]:
    """Return lists of rows as tensors; uneven rows are padded at their ends, and get a mask."""
    sizes = [len(row) for row in batch["input_ids"]]
    found = dict(batch)
    for name, value in batch.items():
        if _depth(value) == 2 and [len(row) for row in value] == sizes:
            rows = [as_tensor(row) for row in value]
            found[name] = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    if len(set(sizes)) > 1:
        counts = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
        found.setdefault("attention_mask", counts.long())
    return found


def _checked(item: Any, number: int, rows: int) -> dict[str, Any]:
    """Return a batch as a dict, with its ids as a tensor and the numbers of its texts."""
    batch = _named(item)
    if not hasattr(batch, "keys") or "input_ids" not in batch:
        kind = type(item).__name__
        raise TypeError(
            f"data: batch {number} is {kind} without 'input_ids'; give ids of tokens, or a mapping "
            "that has them"
        )
    batch = {name: batch[name] for name in batch.keys()}  # noqa: SIM118  # not all iterate by name
    if _depth(batch["input_ids"]) == 2 and not isinstance(batch["input_ids"], Tensor | np.ndarray):
        batch = _evened(batch)
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
    texts = as_tensor(batch.get("texts", torch.arange(rows, rows + len(ids))), "texts")
    if tuple(texts.shape) != (len(ids),):
        raise ValueError(
            f"data: 'texts' of batch {number} are {tuple(texts.shape)}; give a number for each of "
            f"its {len(ids)} rows"
        )
    return batch | {"texts": texts}


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
