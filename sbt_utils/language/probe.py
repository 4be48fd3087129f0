"""What a report asks of a language model: the scatter of its states, part by part of the texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from sbt_utils.language.plan import Plan
from sbt_utils.language.states import EMBEDDING, Reader
from sbt_utils.language.tasks import Classes
from sbt_utils.language.text_scatter import TextScatter
from sbt_utils.language.tokens import LENGTH, ROWS, Batch, Tokenizer, are_tokens, as_token_batches
from sbt_utils.measuring.scatter import UndefinedSeparation
from sbt_utils.models.layer_choice import Layers


class TokenProbe:
    """Tokens, told apart by what comes next; the first texts settle layers and classes.

    Attributes
    ----------
    model : torch.nn.Module
    rule : str
        How the layers were chosen.
    notes : list of str
        What was measured, and what was left out.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Layers | None,
        tokenizer: Tokenizer | None,
        classes: Classes,
        seed: int,
    ) -> None:
        self.model, self.layers, self.tokenizer = model, layers, tokenizer
        self.classes, self.seed = classes, seed
        self.reader: Reader | None = None
        self.rule, self.notes = "", list[str]()

    def statistics(self, batches: Sequence[Batch], new: Callable[..., Any]) -> dict[str, Any]:
        """Return the scatter of each layer; as `sbt_utils.measuring.probing.Probe` does."""
        if self.reader is None:
            self.reader = Reader(self.model, self.layers, batches[0])
            self.model, self.rule = self.reader.model, self.reader.rule
        plan = Plan(self.reader, batches, self.tokenizer, self.classes, self.seed)
        scatters: dict[str, Any] = dict(plan.scatters())
        if not self.notes:
            kind = "next" if self.reader.causal else "masked"
            which = f"the {len(plan.ids)} most frequent {kind} tokens" if plan.ids else "as given"
            self.notes.append(f"samples are tokens, their classes {which}")
        self.notes.append(f"intervals: {_texts(plan.groups, plan.texts)} were drawn anew")
        if not self.reader.causal and _is_constant(scatters.get(EMBEDDING)):
            del scatters[EMBEDDING]
            self.notes.append("the embedding of a masked token is the same for all: left out")
        self.classes = plan.ids or self.classes
        return scatters


def _texts(groups: int, texts: int) -> str:
    return f"{texts} texts" if groups == texts else f"{groups} groups of {texts} texts"


def is_of_tokens(data: Any, tokenizer: Tokenizer | None, others: Sequence[Any]) -> bool:
    """Tell whether tokens are to be measured; `others` are arguments for inputs with labels."""
    given = any(argument is not None for argument in others)
    if tokenizer is not None and given:
        raise TypeError("tokenizer: given beside pool, mask, forward or labels; leave these out")
    return tokenizer is not None or (are_tokens(data) and not given)


def token_probe(
    model: nn.Module,
    layers: Layers | None,
    parts: Mapping[str, Any],
    tokenizer: Tokenizer | None,
    classes: Classes,
    seed: int,
    batch_size: int | None,
) -> tuple[TokenProbe, dict[str, Callable[[], list[dict[str, Any]]]]]:
    """Return what measures tokens, and what gives the batches of each part of the texts."""
    rows = ROWS if batch_size is None else batch_size
    batches: dict[str, Callable[[], list[dict[str, Any]]]] = {
        name: partial(as_token_batches, data, tokenizer, LENGTH, rows)
        for name, data in parts.items()
    }
    return TokenProbe(model, layers, tokenizer, classes, seed), batches


def _is_constant(scatter: TextScatter | None) -> bool:
    """Tell whether the states are the same for all tokens."""
    try:
        if scatter is not None:
            scatter.scatter()
    except UndefinedSeparation as error:
        return error.state == "dead"
    return False
