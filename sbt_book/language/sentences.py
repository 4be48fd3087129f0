"""A few sentences on their way through a language model: what it would say after each block.

The logit lens (nostalgebraist, "interpreting GPT: the logit lens", 2020) reads a state on its way
as if it were the last one: through the model's final norm and its readout.
"""

import argparse
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from sbt_book.common.language_model import language_model, packaged_file
from sbt_utils.results import kept

SENTENCES: Mapping[str, str] = {
    "a fact": "The capital of Italy is the city of",
    "a proverb": "An apple a day keeps the doctor",
    "the week": "Monday, Tuesday, Wednesday, Thursday,",
    "a pattern": "red blue red blue red blue red",
    "a sum": "Two plus two is four, three plus three is",
    "Python": "def add(a, b): return a +",
}
"""The beginnings of sentences, by their kinds."""

LONGEST_RUN = 8  # of blocks that are left out together
NONE = -1  # no token
CONFIGURATION: Mapping[str, Any] = {"sentences": dict(SENTENCES), "longest_run": LONGEST_RUN}
_PACKED = {"zlib": True, "complevel": 9, "shuffle": True}


def sentences(model: Any, tokenizer: Any, texts: Mapping[str, str] = SENTENCES) -> xr.Dataset:
    """Read what a language model would say after each of its blocks, and without some of them.

    Parameters
    ----------
    model : torch.nn.Module
        A causal model of transformers with the parts of a Llama: ``model.layers``, ``model.norm``
        and ``lm_head``, in evaluation mode.
    tokenizer : callable
        Its tokenizer.
    texts : mapping of str to str
        A text for each name.

    Returns
    -------
    xarray.Dataset
        Over ``sentence``, the names, and ``token``: what follows each token of a text. Tokens are
        named by their numbers, -1 where a text has ended; ``word`` (entry) has the words of all
        that occur. ``depth`` 0 is the embedding, l the state after block l.

        ``text`` (sentence), ``id`` (sentence, token)
            The texts and their tokens.
        ``top``, ``top_probability`` (sentence, token, depth)
            The token that the state says, and its probability.
        ``final_probability``, ``final_rank`` (sentence, token, depth)
            The probability and the rank (1 is the highest) of the token that the whole model says.
        ``top_without``, ``top_probability_without`` (sentence, token, start, length)
            What the model says without ``length`` blocks, the first of them block ``start``; there
            is nothing, -1 and nan, where so many blocks do not follow.

    Examples
    --------
    >>> sentences(*language_model()).top.sel(sentence="a fact", token=7, depth=30)  # doctest: +SKIP
    """
    found = xr.concat(
        [_one(model, tokenizer(text)["input_ids"]) for text in texts.values()],
        "sentence",
        join="outer",
        fill_value=dict.fromkeys(("id", "top", "final_rank", "top_without"), NONE),
    )
    ids = np.unique([*found.id.values.flat, *found.top.values.flat, *found.top_without.values.flat])
    ids = ids[ids != NONE].astype(np.int32)
    words = [tokenizer.decode([entry]) for entry in ids.tolist()]
    found = found.assign_coords(sentence=np.array(list(texts), object), entry=ids)
    found["text"] = "sentence", np.array(list(texts.values()), object)
    found["word"] = "entry", np.array(words, object)
    for name, values in found.data_vars.items():
        if values.dtype.kind == "f":
            found[name] = values.astype(np.float32).round(3)
        if values.dtype.kind in "fi":
            found[name].encoding = dict(_PACKED)
    return found


@torch.no_grad()
def _one(model: Any, ids: list[int]) -> xr.Dataset:
    """Return the part of `sentences` that one text has."""
    tokens = torch.tensor([ids])
    logits = lens(model, tokens)
    top, probability = said(logits)
    final = logits.gather(2, top[-1].expand(len(logits), -1)[..., None])
    blocks = len(model.model.layers)
    runs = [(start, n) for n in range(1, LONGEST_RUN + 1) for start in range(1, blocks + 2 - n)]
    lens_axes, run_axes = ("depth", "token"), ("token", "start", "length")
    without = np.full((len(ids), blocks, LONGEST_RUN), NONE, np.int32)
    without_probability = np.full(without.shape, np.nan)
    for start, length in runs:
        with left_out(model, start, length):
            place = (slice(None), start - 1, length - 1)
            without[place], without_probability[place] = said(model(tokens).logits[0])
    return xr.Dataset(
        {
            "id": ("token", np.array(ids, np.int32)),
            "top": (lens_axes, top.numpy().astype(np.int32)),
            "top_probability": (lens_axes, probability.numpy()),
            "final_probability": (lens_axes, (final - logits.logsumexp(2, True)).exp()[..., 0]),
            "final_rank": (lens_axes, 1 + (logits > final).sum(2).numpy().astype(np.int32)),
            "top_without": (run_axes, without),
            "top_probability_without": (run_axes, without_probability),
        },
        coords={
            "token": np.arange(len(ids)),
            "depth": np.arange(blocks + 1),
            "start": np.arange(1, blocks + 1),
            "length": np.arange(1, LONGEST_RUN + 1),
        },
    )


def lens(model: Any, tokens: Tensor) -> Tensor:
    """Return the logits that the states of a text (1, tokens) have at each depth.

    Shape (blocks + 1, tokens, vocabulary), float64. The last are the model's own; its last hidden
    state, unlike the others, comes with the norm applied.
    """
    output = model(tokens, output_hidden_states=True)
    states = torch.cat(output.hidden_states[:-1])
    return torch.cat([model.lm_head(model.model.norm(states)), output.logits]).double()


def said(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the most probable tokens and their probabilities."""
    probability, top = logits.double().softmax(-1).max(-1)
    return top, probability


@contextmanager
def left_out(model: Any, start: int, length: int) -> Iterator[None]:
    """Leave out so many blocks of a model, counted from 1: what enters the run comes out of it."""
    blocks = model.model.layers
    model.model.layers = nn.ModuleList([*blocks[: start - 1], *blocks[start - 1 + length :]])
    try:
        yield
    finally:
        model.model.layers = blocks


def main() -> None:
    """Compute all, in six minutes on one core, and write ``language_sentences.nc``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="for the results")
    path = parser.parse_args().folder / "language_sentences.nc"

    def compute() -> xr.Dataset:
        digest = hashlib.sha256(packaged_file().read_bytes()).hexdigest()
        return sentences(*language_model()).assign_attrs(weights=digest)

    kept(path, CONFIGURATION, compute)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
