"""What the trained models are given: sounds that are synthesised, and texts that Python brings.

The texts are docstrings and the language reference of the Python that runs, of the Python Software
Foundation and under its licence; what is committed holds numbers alone. Each docstring comes with
the chapter of the library reference to which its module belongs, which serves as its label.
"""

import ast
import re
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

SAMPLE_RATE, LENGTH = 16000, 1024
LOWEST, SEMITONES = 110.0, 24  # of the sounds, in Hz

CHAPTERS: Mapping[str, str] = {
    "Numeric and Mathematical Modules": "numbers fractions random statistics _pydecimal",
    "File and Directory Access": "pathlib posixpath ntpath genericpath shutil tempfile glob "
    "fnmatch filecmp fileinput linecache",
    "Data Compression and Archiving": "gzip bz2 lzma zipfile tarfile",
    "Concurrent Execution": "threading multiprocessing concurrent subprocess sched queue",
    "Networking and Interprocess Communication": "asyncio socket ssl selectors",
    "Internet Data Handling": "email json mailbox mimetypes base64 quopri",
    "Structured Markup Processing Tools": "html xml",
    "Internet Protocols and Support": "http urllib ftplib poplib imaplib smtplib socketserver "
    "xmlrpc wsgiref ipaddress uuid webbrowser",
    "Graphical User Interfaces with Tk": "tkinter",
    "Development Tools": "unittest doctest pydoc",
    "Importing Modules": "importlib pkgutil zipimport runpy modulefinder",
    "Python Language Services": "ast tokenize dis symtable pyclbr inspect",
}
"""Chapters of the reference of Python's library, and the modules of each whose texts are taken."""

FEWEST_WORDS = 6


def sounds(each: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Synthesise tones of 64 ms within two octaves above 110 Hz, as unlike as instruments are.

    Each has up to 20 harmonics of random strengths and phases, in a third of them the even ones
    are weak as in a clarinet, a slow vibrato of up to a sixth of a semitone, and white noise up
    to 30 dB below it. It lies at most 30 cents beside its semitone.

    Parameters
    ----------
    each : int
        Sounds per semitone.

    Returns
    -------
    sounds : Tensor of float32, shape (24 * each, 1024)
        At 16 kHz, of mean 0 and standard deviation 1, in random order.
    labels : Tensor of int64, shape (24 * each,)
        The semitone, 0 to 23.
    cents : Tensor of float64, shape (24 * each,)
        The mean pitch in cents above 10 Hz.
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(SEMITONES), each))
    count = len(labels)
    time = np.arange(LENGTH) / SAMPLE_RATE
    vibrato = rng.uniform(0, 1 / 6, (count, 1)) * np.sin(
        2 * np.pi * (rng.uniform(4, 7, (count, 1)) * time + rng.uniform(size=(count, 1)))
    )
    semitones = labels[:, None] + rng.uniform(-0.3, 0.3, (count, 1)) + vibrato
    turns = np.cumsum(LOWEST * 2 ** (semitones / 12), axis=1) / SAMPLE_RATE
    waves = np.zeros((count, LENGTH))
    tilt = rng.uniform(0.5, 2, count)
    even = np.where(rng.uniform(size=count) < 1 / 3, 0.1, 1.0)
    for harmonic in range(1, 21):
        strength = harmonic**-tilt * np.exp(0.5 * rng.normal(size=count))
        if harmonic % 2 == 0:
            strength *= even
        strength *= LOWEST * 2 ** (labels / 12) * harmonic < 0.45 * SAMPLE_RATE
        phase = rng.uniform(size=(count, 1))
        waves += strength[:, None] * np.sin(2 * np.pi * (harmonic * turns + phase))
    noise = rng.normal(size=waves.shape) * 10 ** (-rng.uniform(0, 30, (count, 1)) / 20)
    waves += noise * waves.std(axis=1, keepdims=True)
    waves -= waves.mean(axis=1, keepdims=True)
    waves /= waves.std(axis=1, keepdims=True)
    cents = 1200 * np.log2(LOWEST / 10) + 100 * semitones.mean(axis=1)
    return torch.from_numpy(waves).float(), torch.from_numpy(labels), torch.from_numpy(cents)


def docstrings(each: int, unseen: int, seed: int = 0) -> dict[str, tuple[list[str], Tensor]]:
    """Return docstrings of Python's library with their chapters, the parts of `CHAPTERS`.

    A text is the first paragraph of the docstring of a class or function, of `FEWEST_WORDS` words
    or more. None comes twice.

    Parameters
    ----------
    each, unseen : int
        Texts per chapter, in the two parts.

    Returns
    -------
    dict
        Under ``"train"`` and ``"test"`` the texts, in random order, and their labels, int64.

    Raises
    ------
    ValueError
        A chapter of this Python's library has fewer texts.
    """
    rng = np.random.default_rng(seed)
    found = _by_chapter()
    parts: dict[str, list[tuple[str, int]]] = {"train": [], "test": []}
    for label, (chapter, texts) in enumerate(found.items()):
        if len(texts) < each + unseen:
            raise ValueError(
                f"each={each}, unseen={unseen}: chapter {chapter!r} has {len(texts)} texts in this "
                "Python's library; ask for fewer"
            )
        order = rng.permutation(len(texts))
        for part, chosen in (("train", order[:each]), ("test", order[each : each + unseen])):
            parts[part] += [(texts[number], label) for number in chosen]
    return {name: _shuffled(pairs, rng) for name, pairs in parts.items()}


def _shuffled(pairs: list[tuple[str, int]], rng: np.random.Generator) -> tuple[list[str], Tensor]:
    chosen = [pairs[number] for number in rng.permutation(len(pairs))]
    labels = torch.tensor([label for _, label in chosen], dtype=torch.int64)
    return [text for text, _ in chosen], labels


def _by_chapter() -> dict[str, list[str]]:
    """Return the texts of each chapter, sorted; those that several chapters have are left out."""
    library = Path(sysconfig.get_path("stdlib"))
    found = {
        chapter: frozenset().union(*(_texts(library, name) for name in modules.split()))
        for chapter, modules in CHAPTERS.items()
    }
    return {
        chapter: sorted(
            texts.difference(*(other for name, other in found.items() if name != chapter))
        )
        for chapter, texts in found.items()
    }


@cache  # a few seconds for all modules
def _texts(library: Path, module: str) -> frozenset[str]:
    """Return the first paragraphs of a module's docstrings; nothing is imported."""
    found = set()
    folder = library / module
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [library / f"{module}.py"]
    for file in files:
        if {"test", "tests"} & set(file.relative_to(library).parts):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                paragraph = re.split(r"\n\s*\n|\n\s*>>>", ast.get_docstring(node) or "")[0]
                words = paragraph.split()
                if len(words) >= FEWEST_WORDS and ">>>" not in words:
                    found.add(" ".join(words))
    return frozenset(found)


def text_batches(
    tokenizer: Callable[..., Any],
    texts: Sequence[str],
    labels: Tensor,
    size: int = 32,
    tokens: int = 32,
) -> list[dict[str, Tensor]]:
    """Return texts as batches of token numbers with a mask and labels, cut off after `tokens`."""
    batches = []
    for start in range(0, len(texts), size):
        part = slice(start, start + size)
        options = {"padding": True, "truncation": True, "max_length": tokens}
        words = tokenizer(list(texts[part]), return_tensors="pt", **options)
        batch = {name: words[name] for name in ("input_ids", "attention_mask")}
        batches.append(batch | {"labels": labels[part]})
    return batches


def prose(tokenizer: Callable[..., Any], pieces: int, tokens: int = 64) -> Tensor:
    """Return the beginnings of articles of Python's language reference, int64 (pieces, tokens).

    They are what ``help()`` shows, one piece of each article that is long enough, in the order of
    their names.
    """
    from pydoc_data.topics import topics

    found = []
    for name in sorted(topics):
        text = " ".join(topics[name].split("\n", 3)[-1].split())  # without the heading
        numbers = tokenizer(text, truncation=True, max_length=tokens)["input_ids"]
        if len(numbers) == tokens:
            found.append(numbers)
    if len(found) < pieces:
        raise ValueError(
            f"pieces={pieces}: {len(found)} articles have {tokens} tokens; ask for fewer"
        )
    return torch.tensor(found[:pieces])
