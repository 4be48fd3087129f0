"""What each token of a batch is to be told apart by: the token behind it, or the one masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sbt_utils.language.tokens import Batch, check_integer, counting
from sbt_utils.models.batches import LABELS, as_tensor
from sbt_utils.text import quoted, shown

Classes = int | Sequence[int] | Callable[[Batch], Any]

TARGETS = {"next": 1, "current": 0, "previous": -1, "next next": 2}
"""Whose id can be fitted to the state of a token: how many places behind it."""

NONE = -1  # stands for no target, and no class


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
