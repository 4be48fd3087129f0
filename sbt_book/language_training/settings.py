"""Which small language models are trained, and at which size."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Setting:
    """A network; what it does not say is as in the base.

    Attributes
    ----------
    depth : int
        Blocks.
    dropout : float
        p of what each half of a block adds.
    learning_rate : float
        Of Adam, after the warm-up.
    scaled : bool
        Whether layer norms of block l are multiplied by 1 / sqrt(l).
    steered : bool
        Whether the controller of chapter 8 sets the dropout, from 0.
    """

    depth: int = 6
    dropout: float = 0.0
    learning_rate: float = 2e-3
    scaled: bool = False
    steered: bool = False


@dataclass(frozen=True)
class Size:
    """How large the networks are, and how much they read.

    Attributes
    ----------
    width, heads : int
        As in ``sbt_book.language_training.models.SmallLanguageModel``.
    context, batch : int
        Characters of a window, and windows of a step.
    steps, readings : int
        Steps of training, and readings at equal intervals in between.
    warm_up : int
        Steps in which the learning rate rises to its value.
    training, held_out : int
        Characters, as in ``sbt_book.language_training.text.manual``.
    probe : int
        Windows of each part of the text that are read.
    classes : int
        The most frequent next characters, which are the classes of data separation.
    """

    width: int = 64
    heads: int = 4
    context: int = 64
    batch: int = 16
    steps: int = 600
    readings: int = 10
    warm_up: int = 50
    training: int = 40_000
    held_out: int = 30_000
    probe: int = 64
    classes: int = 20


BASE = "base"
"""The network from which the others differ."""

SETTINGS: dict[str, Setting] = {
    BASE: Setting(),
    "dropout 0.1": Setting(dropout=0.1),
    "dropout 0.2": Setting(dropout=0.2),
    "dropout 0.3": Setting(dropout=0.3),
    "rate 0.001": Setting(learning_rate=1e-3),
    "rate 0.004": Setting(learning_rate=4e-3),
    "3 blocks": Setting(depth=3),
    "12 blocks": Setting(depth=12),
    "scaled": Setting(scaled=True),
    "scaled, 12 blocks": Setting(depth=12, scaled=True),
    "steered": Setting(steered=True),
}
"""Networks that differ from the base in one respect, or in the scaling of the deepest."""

DROPOUTS = {BASE: 0.0, "dropout 0.1": 0.1, "dropout 0.2": 0.2, "dropout 0.3": 0.3}
"""The networks that differ in their dropout alone, and p."""

RATES = {"rate 0.001": 1e-3, BASE: 2e-3, "rate 0.004": 4e-3}
"""The networks that differ in their learning rate alone."""

DEPTHS = {"3 blocks": 3, BASE: 6, "12 blocks": 12}
"""The networks that differ in their number of blocks alone."""

SIZES = {
    "small": Size(),
    "full": Size(
        width=128,
        context=128,
        batch=32,
        steps=4000,
        readings=20,
        warm_up=200,
        training=300_000,
        held_out=60_000,
        probe=128,
    ),
}
"""What two processor cores can do, and what a GPU can: 1.2 million parameters in six blocks."""

SEEDS = range(5)


def configuration(size: str) -> dict[str, Any]:
    """Return what a file of results says of how it came about."""
    return {
        "size": asdict(SIZES[size]),
        "settings": {name: asdict(setting) for name, setting in SETTINGS.items()},
        "seeds": list(SEEDS),
    }
