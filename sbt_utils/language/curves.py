"""Curves over the depth of a language model: data separation and prediction residual of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sbt_utils.language.plan import Plan
from sbt_utils.language.residual import LeastSquares, check_enough
from sbt_utils.language.states import Reader, chosen_states
from sbt_utils.language.tasks import NONE, TARGETS, Classes, renumbering, target_ids
from sbt_utils.language.text_scatter import TextScatter, text_bootstrap
from sbt_utils.language.tokens import LENGTH, ROWS, Tokenizer, as_token_batches, check_integer
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.probing import noting
from sbt_utils.measuring.scatter import UndefinedSeparation
from sbt_utils.models.layer_choice import Layers
from sbt_utils.text import quoted, shown


@dataclass(frozen=True, eq=False)
class TokenCurves:
    """Data separation and prediction residual of tokens over the depths l = 0..L of a model.

    Made by `token_curves`.

    Attributes
    ----------
    separation : LoadCurve
        D of measure ``"trace"``; one row for each draw of the bootstrap over texts, whose mean is
        what was measured. Its layers are those that have a D: the embedding of a masked token, for
        one, is the same for all.
    layers : tuple of str
        Names of all l = 0..L.
    floor : float
        D of shuffled classes, log((N - C) / (C - 1)) for N tokens of C classes: the same for all
        states.
    counts : mapping of int to int
        The tokens of each class, by id, the most frequent first.
    texts, tokens, positions : int
        How many texts were read; how many tokens have a class; how many entered the least squares.
    residual : mapping of str to ndarray, shape (L + 1,)
        Prediction residual by target, on the tokens of the fit.
    held_out : mapping of str to ndarray, shape (folds, L + 1)
        The same on each fold of the texts, fitted to the others.
    rule : str
        How the layers were chosen.
    causal : bool
        Whether the model reads from left to right; if not, tokens were masked, and ``"next"``
        stands for the token that is masked.
    """

    separation: LoadCurve
    layers: tuple[str, ...]
    floor: float
    counts: Mapping[int, int]
    texts: int
    tokens: int
    positions: int = 0
    residual: Mapping[str, np.ndarray] = field(default_factory=dict)
    held_out: Mapping[str, np.ndarray] = field(default_factory=dict)
    rule: str = ""
    causal: bool = True

    @property
    def classes(self) -> tuple[int, ...]:
        """The ids that are classes, the most frequent first."""
        return tuple(self.counts)

    def r(self, target: str = "next", held_out: bool = False) -> float:
        """Return Pearson's r of depth and log PR over l = 1..L: -1 is the law of He & Su.

        The embedding, l = 0, is left out, as they do. Held out: of the mean over the folds.
        """
        curves = self.held_out if held_out else self.residual
        if target not in curves:
            raise ValueError(f"target: {quoted(target)} given; choose one of {tuple(curves)}")
        values = np.atleast_2d(curves[target]).mean(axis=0)[1:]
        if len(values) < 2 or np.ptp(values) == 0:
            return float("nan")
        return float(np.corrcoef(np.arange(len(values)), np.log(values))[0, 1])


def token_curves(
    model: nn.Module,
    data: Any,
    *,
    tokenizer: Tokenizer | None = None,
    classes: Classes = 20,
    layers: Layers | None = None,
    targets: Sequence[str] = ("next",),
    folds: int = 2,
    length: int = LENGTH,
    batch_size: int = ROWS,
    resamples: int = 200,
    seed: int = 0,
) -> TokenCurves:
    r"""Measure how the layers of a language model come to tell apart what comes next.

    One pass over the texts, in evaluation mode and without gradients. Each token is a sample.

    *Data separation*: its class is the id of the token behind it; the most frequent ones count, and
    states are over their root mean squares, :math:`h / \sqrt{\overline{h^2}}`, for what passes
    from block to block grows with the depth, and every block normalises what it reads.

    *Prediction residual* [1]_: as `sbt_utils.language.residual.prediction_residual`, of states
    after the model's final normalisation without its weights. That of the last block is what the
    model itself normalises: the weights there leave PR as it is, since they scale features. A
    model that normalises at the end of its blocks has none, and its states enter as they are.

    Padding does not enter, nor does the last token of a row, which has no next one. A model that
    sees both sides of a token (told from what it puts out) gets texts of which 15 % of the tokens
    are masked; those are measured, and the token that stood there is what is to be told.

    Parameters
    ----------
    model : torch.nn.Module
        Takes ids (rows, tokens) and puts out logits, or states, of each token.
    data : sequence of str, mapping, or iterable of mappings or of ids
        Texts, or batches with ``"input_ids"`` (rows, tokens) and, where they are padded,
        ``"attention_mask"``; other entries that the model's forward pass names are handed on.
        Uneven rows in lists are padded here. Rows of their own, as a tokenized dataset has them,
        are put into batches.
        ``"texts"`` (rows,) numbers the texts; each row is one without. ``"labels"`` are used for
        masked models alone: negative but at masked tokens.
    tokenizer : callable, optional
        The model's own, see `sbt_utils.language.tokens.token_batches`; for texts, and for masked
        models (its ``mask_token_id``, ``all_special_ids``).
    classes : int, sequence of int, or callable
        How many of the most frequent next tokens are classes; or their ids; or a function of a
        batch that returns the class of each token (rows, tokens), negative where it has none.
    layers : optional
        As for `sbt_utils.measuring.probe.load_curve`; None: the blocks. ``"attention and mlp"``:
        what passes from block to block, after the attention of each and after its MLP; see
        `sbt_utils.language.residual_stream`.
    targets : sequence of str
        Whose ids to fit: ``"next"``, ``"shuffled"`` (the next, all ids renumbered at random),
        ``"current"``, ``"previous"``, ``"next next"``. All on tokens that have each of them. None
        at all saves time.
    folds : int
        Parts of the texts, in turn, of which each is held out; at least 2. A part keeps
        (d + 1 + targets)^2 numbers for each l.
    length, batch_size : int
        Tokens in a row, for texts, and rows in a batch, for texts and rows.
    resamples : int
        Draws of the bootstrap over texts, or groups of them: 64 at most, fewer if there are more
        than 32 classes.
    seed : int
        Of the draws, of masks and of other numbers for ids.

    Returns
    -------
    TokenCurves
        l = 0 is what the first block reads: the embedding. With layers of your own it is the output
        of the embedding.

    Raises
    ------
    TypeError, ValueError
        Texts of fewer than two tokens, or fewer than two texts; ids that the model does not know;
        no classes, or fewer than two that occur twice; fewer tokens than a fit has coefficients,
        also without a fold; layers without a state for each token; states that are not finite;
        padding that a model that sees both sides takes for tokens.

    Warns
    -----
    UserWarning
        A class of one token, which is left out.

    Notes
    -----
    States are measured as they pass: what is kept is class sums for the groups of texts and
    triangular factors, whatever the number of tokens. Ids are kept.

    References
    ----------
    .. [1] H. He & W. J. Su, "A law of next-token prediction in large language models", 2024,
       arXiv:2408.13442.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 9))
    >>> ids = torch.randint(9, (6, 40))
    >>> curves = token_curves(model, ids, classes=3, layers=["1", "2"])
    >>> curves.layers, len(curves.classes), curves.residual["next"].shape
    (('0', '1', '2'), 3, (3,))
    """
    names = _checked_targets(targets)
    for name, value, least in (("folds", folds, 2), ("resamples", resamples, 2), ("seed", seed, 0)):
        check_integer(name, value, least)
    batches = as_token_batches(data, tokenizer, length, batch_size)
    reader = Reader(model, layers, batches[0])
    plan = Plan(reader, batches, tokenizer, classes, seed)
    squares = _Squares(plan, names, folds, seed)
    scatters = plan.scatters(squares.take if names else None)
    defined = _defined(scatters)
    draws = text_bootstrap(list(defined.values()), int(resamples), seed)
    return TokenCurves(
        separation=LoadCurve(draws, "trace", tuple(defined)),
        layers=tuple(scatters),
        floor=plan.floor,
        counts=plan.counts,
        texts=plan.texts,
        tokens=plan.tokens,
        positions=squares.positions,
        residual=squares.residual(),
        held_out=squares.held_out(),
        rule=reader.rule,
        causal=reader.causal,
    )


def _defined(scatters: Mapping[str, TextScatter]) -> dict[str, TextScatter]:
    """Return the scatter of layers that have a D; raise unless there are two."""
    found = {}
    for place, (name, scatter) in enumerate(scatters.items()):
        with noting(f"in layer '{shown(name)}'"):
            try:
                scatter.scatter()
                found[name] = scatter
            except UndefinedSeparation as error:
                if not error.state or len(found) + len(scatters) - place - 1 < 2:
                    raise
    return found


def _checked_targets(targets: Sequence[str]) -> tuple[str, ...]:
    known = (*TARGETS, "shuffled")
    names = tuple(targets) if isinstance(targets, list | tuple) else (targets,)
    if not all(isinstance(name, str) and name in known for name in names):
        raise ValueError(f"targets: {quoted(targets)} given; choose some of {known}")
    return tuple(dict.fromkeys(names))


class _Squares:
    """The least squares of each layer and each part of the texts."""

    def __init__(self, plan: Plan, names: tuple[str, ...], folds: int, seed: int) -> None:
        self.plan, self.names, self.folds = plan, names, folds
        others = [name for name in names if name not in ("next", "shuffled")]
        if others and not plan.reader.causal:
            raise ValueError(
                f"targets: '{others[0]}' given for a model that sees both sides of a token; choose "
                "'next', the token that is masked, or 'shuffled'"
            )
        self.parts: dict[str, list[LeastSquares]] = {}
        self.ids, self.numbers = [], []
        table = renumbering(plan.tasks, seed) if "shuffled" in names else torch.empty(0)
        for task in plan.tasks if names else ():
            ids = target_ids(task, names, table)
            self.ids.append(ids)
            fold = plan.place(task) % folds
            self.numbers.append(torch.where((ids >= 0).all(0), fold[:, None], NONE))
        every = [numbers[numbers >= 0] for numbers in self.numbers]
        self.rows = torch.cat(every).bincount(minlength=folds).tolist() if every else [0]
        self.positions = sum(self.rows)
        if names and min(self.rows) < 1:
            raise ValueError(
                f"folds: {folds} given for {plan.texts} texts; give as many texts, or fewer folds"
            )

    def take(self, name: str, states: Tensor, place: int) -> None:
        """Add the states (rows, tokens, d) of a layer for a task, by its place in the plan."""
        if name not in self.parts:
            least = self.positions - max(self.rows)
            check_enough(least, states.shape[2], f", without one of {self.folds} folds")
            self.parts[name] = [LeastSquares() for _ in range(self.folds)]
        ids, numbers = self.ids[place], self.numbers[place]
        for fold, squares in enumerate(self.parts[name]):
            if (numbers == fold).any():
                x = chosen_states(states, numbers == fold)
                squares.update(self.plan.reader.norm(x), ids[:, numbers == fold].T)

    def residual(self) -> dict[str, np.ndarray]:
        return self._by_target([LeastSquares.joined(p).residual() for p in self.parts.values()])

    def held_out(self) -> dict[str, np.ndarray]:
        """Return the residual on each fold, fitted to the others, (folds, L + 1)."""
        found = []
        for parts in self.parts.values():
            others = [[one for one in parts if one is not part] for part in parts]
            fits = [LeastSquares.joined(rest) for rest in others]
            found.append([fit.residual(one) for fit, one in zip(fits, parts, strict=True)])
        return self._by_target(found)

    def _by_target(self, values: list[Any]) -> dict[str, np.ndarray]:
        """Return values (L + 1, ..., targets) by target."""
        table = np.moveaxis(np.array(values), 0, -2) if values else np.empty((0, 0))
        return {name: table[..., place] for place, name in enumerate(self.names)}
