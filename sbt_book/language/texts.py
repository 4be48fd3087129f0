"""Texts of three kinds that are free and at hand.

============  ==================================  ==============================================
kind          what                                origin, licence
============  ==================================  ==============================================
manual        articles of Python's language       `pydoc_data.topics` of the Python that runs;
              reference, as ``help()`` has them   PSF licence
code          modules of Python's library         the library of the Python that runs; PSF licence
scripture     chapters of the King James Bible    Debian's package bible-kjv; public domain
============  ==================================  ==============================================

What is committed holds numbers alone.
"""

import re
import subprocess
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import torch
from torch import Tensor


def documents(kind: str) -> list[str]:
    """Return the documents of a kind of text.

    Parameters
    ----------
    kind : str
        One of `KINDS`.

    Raises
    ------
    ModuleNotFoundError
        The texts are not installed here; it says what to install.

    Examples
    --------
    >>> any("assert" in text for text in documents("manual"))
    True
    """
    return KINDS[kind]()


def _manual() -> list[str]:
    from pydoc_data.topics import topics

    # Without headings and line breaks.
    return [" ".join(topics[name].split("\n", 3)[-1].split()) for name in sorted(topics)]


def _code() -> list[str]:
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("[a-z]*.py"))
    return [file.read_text(encoding="utf-8") for file in files]


def _scripture() -> list[str]:
    program = which("bible")
    if program is None:
        raise ModuleNotFoundError("scripture: its text is not installed; apt-get install bible-kjv")
    command = [program, "-f", "gen1:1-rev22:21"]
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "text": True, "check": True}
    verses = subprocess.run(command, capture_output=True, **options).stdout
    chapters: dict[str, list[str]] = {}
    for chapter, verse in re.findall(r"^(\w+):\d+ (.+)$", verses, re.MULTILINE):
        chapters.setdefault(chapter, []).append(verse.strip())
    return [" ".join(verses) for verses in chapters.values()]


KINDS: Mapping[str, Callable[[], list[str]]] = {
    "manual": _manual,
    "code": _code,
    "scripture": _scripture,
}
"""The kinds of text, and what reads them."""


def pieces(
    texts: list[str], tokenizer: Callable[..., Any], counts: Mapping[int, int], seed: int = 0
) -> dict[int, tuple[Tensor, Tensor]]:
    """Cut pieces out of texts, all from other places.

    Parameters
    ----------
    texts : list of str
    tokenizer : callable
        The model's own.
    counts : mapping of int to int
        How many pieces of each length, in tokens.

    Returns
    -------
    dict
        For each length the ids (pieces, length) and the number of each piece's text (pieces,), in
        random order.

    Raises
    ------
    ValueError
        The texts are too short for so many pieces.

    Examples
    --------
    >>> letters = lambda text: {"input_ids": [ord(letter) - 97 for letter in text]}
    >>> ids, numbers = pieces(["abcdef"], letters, {2: 3})[2]
    >>> sorted(ids.tolist())
    [[0, 1], [2, 3], [4, 5]]
    """
    longest = max(counts)
    rows = [
        (number, ids[start : start + longest])
        for number, text in enumerate(texts)
        for ids in [tokenizer(text)["input_ids"]]
        for start in range(0, len(ids) - longest + 1, longest)
    ]
    if len(rows) < sum(counts.values()):
        raise ValueError(
            f"counts: {sum(counts.values())} pieces asked for, but the texts have {len(rows)} of "
            f"{longest} tokens; ask for fewer, or give more text"
        )
    order = iter(np.random.default_rng(seed).permutation(len(rows)))
    found = {}
    for length, count in counts.items():
        numbers, ids = zip(*(rows[next(order)] for _ in range(count)), strict=True)
        found[length] = torch.tensor(ids)[:, :length], torch.tensor(numbers)
    return found
