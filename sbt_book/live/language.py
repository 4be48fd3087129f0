"""A sentence on its way through the blocks of a language model."""

import json
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
import traitlets
import xarray as xr
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from sbt_book.common.committed import load_committed
from sbt_book.live.explorable import Explorable, joined, styles
from sbt_utils.drawing import STYLE
from sbt_utils.measuring.curves import LoadCurve

_LONGEST_WORD = 12  # characters that a page shows of a token


class LanguageExplorable(Explorable):
    """What a language model would say after each block, and what it loses without some.

    ``sentence`` is one of the names in ``results/language_sentences.nc``; ``token`` and ``depth``
    choose a cell: the state after that token and block (0: before the first). ``length`` blocks,
    none by default, are left out, from block ``start`` on or as far up as so many follow. A value
    out of range raises ``traitlets.TraitError``.
    """

    _esm = joined("language/language.js")
    _css = styles("language/language.css")

    sentence = traitlets.Unicode("a fact").tag(sync=True)
    token = traitlets.Int(7, min=0).tag(sync=True)
    depth = traitlets.Int(30, min=0, max=30).tag(sync=True)
    start = traitlets.Int(19, min=1, max=30).tag(sync=True)
    length = traitlets.Int(0, min=0, max=8).tag(sync=True)
    # One text: a notebook would write nested lists with a line for every number.
    content = traitlets.Unicode(read_only=True).tag(sync=True)

    words = "How far the next token of a sentence is decided at each block of a language model, "
    words += "beside the model's load curve."

    @traitlets.default("content")
    def _pack(self) -> str:
        return json.dumps(packed_sentences() | packed_model(), separators=(",", ":"))

    @traitlets.validate("sentence")
    def _known(self, proposal: Any) -> str:
        names = load_committed("language_sentences").sentence.values.tolist()
        if proposal["value"] not in names:
            raise traitlets.TraitError(
                f"sentence={proposal['value']!r}: choose one of {', '.join(map(repr, names))}"
            )
        return str(proposal["value"])

    @property
    def load_curve(self) -> LoadCurve:
        """Load curve of the whole model, mean over the texts."""
        return LoadCurve(np.array(packed_model()["separation"]))

    def still(self) -> Figure:
        """Return the ranks of the last word of the chosen sentence, and the load curve."""
        one = packed_sentences()["sentences"][self.sentence]
        ranks, separation = np.array(one["rank"]), self.load_curve.mean
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(6.4, 5.2))
            left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1])
            norm = BoundaryNorm([0.5, 1.5, 10.5, 100.5, 1000.5, 1e6], 256)
            drawn = left.imshow(ranks, "Blues_r", norm, aspect="auto", interpolation="none")
            left.set_xticks(range(len(one["tokens"])), one["tokens"], rotation=60)
            left.set(xlabel="after token", ylabel="block l")
            bar = figure.colorbar(drawn, ax=[left, right], label="rank of the model's last word")
            bar.set_ticks([1, 10, 100, 1000], labels=["1", "10", "100", "1000"])
            right.plot(separation, range(len(separation)), "o-")
            right.set(xlabel="data separation D")
        return figure


@cache
def packed_sentences() -> dict[str, Any]:
    """Return the sentences as nested lists, to be sent to a page; tokens are places in `words`.

    Lists over the depth or over the length and the start of a run, then over the token;
    probabilities in percent. Do not change the result: the next call returns the same.
    """
    found = load_committed("language_sentences")
    numbers = found.entry.values.tolist()
    place = dict(zip(numbers, range(len(numbers)), strict=True)) | {-1: -1}
    packed = {}
    for name in found.sentence.values.tolist():
        one = found.sel(sentence=name).isel(token=found.id.sel(sentence=name).values >= 0)
        words = one.word.sel(entry=one.id).values.tolist()
        top = np.vectorize(place.__getitem__)(one.top.transpose("depth", "token"))
        without = np.vectorize(place.__getitem__)(
            one.top_without.transpose("length", "start", "token")
        )
        packed[name] = {
            "text": " ".join(one.text.item().split()),
            "tokens": [shown_token(word) for word in words],
            "top": top.tolist(),
            "top_probability": _percent(one.top_probability),
            "rank": one.final_rank.transpose("depth", "token").values.tolist(),
            "without": without.tolist(),
        }
    return {"sentences": packed, "words": [shown_token(word) for word in found.word.values]}


def packed_model() -> dict[str, Any]:
    """Return the load curve of the model and its losses without runs of blocks, mean over texts.

    ``separation`` over l; ``loss`` with that of the ``whole`` model and ``without`` over the length
    and the start of a run, None where so many blocks do not follow; in nats per token.
    """
    found = load_committed("language")
    whole_blocks = found.depth.values % 1 == 0  # others lie behind the attention of a block
    separation = found.separation.isel(depth=whole_blocks).mean(["text", "draw"]).values
    without = found.loss_without.mean(["text", "piece"]).transpose("length", "start").values
    return {
        "separation": separation.astype(np.float64).round(3).tolist(),
        "loss": {
            "whole": round(found.loss.mean().item(), 3),
            "without": [
                [round(value, 3) if np.isfinite(value) else None for value in row]
                for row in without.tolist()
            ],
        },
    }


def shown_token(word: str) -> str:
    """Return a token as a page shows it: without spaces around it, unless it is nothing else."""
    shown = word.strip() or ("(new line)" if "\n" in word else "(space)")
    return shown if len(shown) <= _LONGEST_WORD else f"{shown[: _LONGEST_WORD - 1]}…"


def _percent(probability: xr.DataArray) -> list[list[float]]:
    values = 100 * probability.transpose("depth", "token").values.astype(np.float64)
    return [[round(value, 1) for value in row] for row in values.tolist()]
