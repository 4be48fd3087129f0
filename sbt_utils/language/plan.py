"""Which tokens of some texts are measured, and as what: classes, texts, and their scatter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sbt_utils.language.states import Reader, chosen_states, rms_normalised
from sbt_utils.language.tasks import (
    Classes,
    Task,
    causal_task,
    check_counts,
    class_finder,
    masked_task,
)
from sbt_utils.language.text_scatter import TextScatter, group_count
from sbt_utils.language.tokens import Batch, check_vocabulary
from sbt_utils.measuring.scatter import read_together

Take = Callable[[str, Tensor, int], None]
"""Gets a layer's states (rows, tokens, d), and the place of their task."""


class Plan:
    """The tasks of some texts, and the class of each of their tokens.

    Attributes
    ----------
    tasks : list of Task
    ids : tuple of int
        The ids that are classes; empty where the caller has classes of their own.
    counts : mapping of int to int
        The tokens of each class, the most frequent first.
    texts, tokens : int
        How many texts there are, and how many tokens have a class that occurs twice or more.
    """

    def __init__(
        self,
        reader: Reader,
        batches: Sequence[Batch],
        tokenizer: Any,
        classes: Classes,
        seed: int = 0,
    ) -> None:
        self.reader = reader
        rng = np.random.default_rng(seed)
        self.tasks = [
            causal_task(batch) if reader.causal else masked_task(batch, tokenizer, rng)
            for batch in batches
        ]
        tasks = [task.batch for task in self.tasks]
        check_vocabulary(tasks, reader.vocabulary)
        if not reader.causal:
            reader.check_padding(tasks)
        self.ids, find = class_finder(classes, self.tasks)
        self._classes = [find(task) for task in self.tasks]
        ids, numbers = torch.cat([c[c >= 0] for c in self._classes]).unique(return_counts=True)
        found = dict(zip(ids.tolist(), numbers.tolist(), strict=True))
        check_counts(found)
        self.counts: Mapping[int, int] = dict(
            sorted(found.items(), key=lambda item: (-item[1], item[0]))
        )
        several = [number for number in self.counts.values() if number > 1]
        self.tokens = sum(several)
        self.floor = float(np.log((self.tokens - len(several)) / (len(several) - 1)))
        self._texts = torch.cat([task.texts for task in self.tasks]).unique()
        self.texts = len(self._texts)
        if self.texts < 2:
            raise ValueError(
                "data: one text given; intervals over texts need two or more: give its paragraphs"
            )
        self.groups = group_count(self.texts, len(self.counts))

    def place(self, task: Task) -> Tensor:
        """Return the places of the texts of a task among all texts, by row (rows,)."""
        return torch.searchsorted(self._texts, task.texts)

    def scatters(self, take: Take | None = None) -> dict[str, TextScatter]:
        """Return the scatter of the states of each l = 0..L, from one pass.

        `take` gets all states as well.
        """
        found: dict[str, TextScatter] = {}

        def add(name: str, states: Tensor, place: int) -> None:
            if take is not None:
                take(name, states, place)
            classes = self._classes[place]
            keep = classes >= 0
            if not keep.any():
                return
            if name not in found:
                found[name] = TextScatter(self.groups, len(self.counts))
            groups = (self.place(self.tasks[place]) % self.groups)[:, None].expand_as(keep)
            x = rms_normalised(chosen_states(states, keep))
            found[name].add_texts(x, classes[keep], groups[keep])

        self.reader.read(((task.batch, n) for n, task in enumerate(self.tasks)), add)
        read_together(list(found.values()))
        return {point.name: found[point.name] for point in self.reader.points}
