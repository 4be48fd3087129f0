"""What the small language models read: Python's own manual, character by character.

The texts come with every Python, under the licence of the Python Software Foundation; what is
committed holds numbers alone.
"""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Text:
    """Characters as numbers, to train on and to hold out.

    Attributes
    ----------
    characters : str
        Those that occur, sorted; the number of a character is its place here.
    training, validation, test : Tensor of int64, (characters,)
        Of different topics.
    digest : str
        SHA-256 of all three, in hexadecimal.
    """

    characters: str
    training: Tensor
    validation: Tensor
    test: Tensor
    digest: str


def manual(training: int, held_out: int) -> Text:
    """Return the help topics of the Python that runs, whole ones held out.

    Topics come in a random order, always the same. `training` characters are to train on, and
    `held_out` each to validate and to test on.

    Examples
    --------
    >>> text = manual(training=2000, held_out=1000)
    >>> len(text.training), len(text.validation), len(text.test)
    (2000, 1000, 1000)
    """
    from pydoc_data.topics import topics  # half a megabyte

    names = iter(np.random.default_rng(0).permutation(sorted(topics)).tolist())
    parts = []
    for count in (held_out, held_out, training):
        part = ""
        while len(part) < count:
            name = next(names, None)
            if name is None:
                raise ValueError(
                    f"training={training}, held_out={held_out}: Python's help topics have "
                    f"{sum(map(len, topics.values())):,} characters; take fewer"
                )
            part += topics[name]
        parts.append(part[:count])
    characters = "".join(sorted(set("".join(parts))))
    number = {character: place for place, character in enumerate(characters)}
    validation, test, train = (torch.tensor([number[c] for c in part]) for part in parts)
    digest = sha256("\0".join(parts).encode()).hexdigest()
    return Text(characters, train, validation, test, digest)


def windows(ids: Tensor, starts: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Return the windows (starts, context) of a text, and the next character at each place.

    Examples
    --------
    >>> windows(torch.arange(10), torch.tensor([0, 5]), 3)[1]
    tensor([[1, 2, 3],
            [6, 7, 8]])
    """
    cut = ids[starts[:, None] + torch.arange(context + 1)]
    return cut[:, :-1], cut[:, 1:]


def spread_starts(ids: Tensor, count: int, context: int) -> Tensor:
    """Return where `count` windows begin that are spread evenly over a text."""
    return torch.linspace(0, len(ids) - context - 1, count, dtype=torch.float64).long()
