"""Generated sentences whose class shows only when they are parsed, level by level."""

import numpy as np
import torch

from sbt_utils.data.datasets import Dataset


def grammar(
    symbols: int = 8, synonyms: int = 2, levels: int = 4, seed: int = 0
) -> list[np.ndarray]:
    """Draw the rules by which a symbol becomes a pair of symbols, level by level from the class.

    Each level is an array (symbols, synonyms, 2) of int. No pair stands for two symbols, so a
    sentence can be read back to its class without doubt. The random hierarchy model: Cagnetta,
    Petrini, Tomasini, Favero & Wyart, Phys. Rev. X 14, 031001 (2024), arXiv:2307.02129.
    """
    if not 1 <= synonyms <= symbols:
        raise ValueError(
            f"synonyms={synonyms}: {symbols} symbols make {symbols**2} pairs, {symbols} for each; "
            f"give 1 to {symbols}"
        )
    rng = np.random.default_rng(seed)
    pairs = np.stack(np.divmod(np.arange(symbols**2), symbols), axis=-1)
    drawn = [rng.permutation(pairs)[: symbols * synonyms] for _ in range(levels)]
    return [pairs.reshape(symbols, synonyms, 2) for pairs in drawn]


def sentences(train: int = 1000, test: int = 1000, levels: int = 4, seed: int = 0) -> Dataset:
    """Generate sentences of a random grammar, each with the class that it derives from.

    Every symbol is replaced by one of its two pairs, drawn at random, as often as there are levels.
    The ``images`` are sentences, int64 (n, 2**levels), of 8 symbols; there are 8 classes.
    """
    rules = grammar(levels=levels, seed=seed)
    # Separate streams: the test sentences do not depend on the number to train on.
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2)]
    parts = [_written(rules, rng, n) for rng, n in zip(streams, (train, test), strict=True)]
    source = f"Generated: sentences of a random grammar with {levels} levels, seed {seed}."
    return Dataset("sentences", *parts[0], *parts[1], len(rules[0]), source)


def _written(
    rules: list[np.ndarray], rng: np.random.Generator, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Derive sentences (count, 2**levels) from random classes (count,)."""
    labels = rng.integers(len(rules[0]), size=count)
    words = labels[:, None]
    for level in rules:
        chosen = rng.integers(level.shape[1], size=words.shape)
        words = level[words, chosen].reshape(count, -1)
    return torch.from_numpy(words), torch.from_numpy(labels)
