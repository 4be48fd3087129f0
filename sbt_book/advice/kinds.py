"""The kinds of network on which advice is calibrated, and what they learn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial

from torch import nn

from sbt_book.gallery.sentences import sentences
from sbt_book.gallery.small_models import (
    GatedNetwork,
    Mixer,
    RecurrentNetwork,
    ResNet,
    SequenceClassifier,
    SequenceTransformer,
    VisionTransformer,
    class_token,
    mean_token,
)
from sbt_utils.data.datasets import Dataset, load_data
from sbt_utils.measuring.probe import Layers, Pool
from sbt_utils.training.networks import CNN, MLP

SAMPLES = 1000
"""How many images or sentences a network is trained on, and how many others it is tested on."""

DATA = {
    "images": ("mnist", "fashion_mnist"),
    "sentences": ("grammar 0", "grammar 1"),
}
"""The data sets: images of 10 x 10 pixels, and sentences of two grammars."""

CLASSES = {"images": 10, "sentences": 8}
"""How many classes each of them has."""

FRESH_DATA = {
    "images": ("fresh mnist", "fresh fashion_mnist"),
    "sentences": ("grammar 2", "grammar 3"),
}
"""As `DATA`: other images of the same sets, and sentences of other grammars."""


@dataclass(frozen=True)
class Kind:
    """An architecture, how it is trained, and where it is measured.

    `build` returns a network of the usual size and takes the arguments in `sizes`, which are its
    other sizes by their names. `layers` and `pool` are as in
    `sbt_utils.measuring.probe.load_curve`; it learns a key of `DATA`.
    """

    build: Callable[..., nn.Module]
    sizes: Mapping[str, Mapping[str, int]] = field(repr=False)
    epochs: int
    batch_size: int = 100
    learning_rate: float = 3e-3
    layers: Layers | None = None
    pool: Pool | None = None
    learns: str = "images"


def _sizes(width: int, shallow: int = 3, deep: int = 9) -> dict[str, dict[str, int]]:
    sizes = {"shallow": {"blocks": shallow}, "deep": {"blocks": deep}, "wide": {"width": width}}
    return {"usual": {}} | sizes


def _published(**arguments: int) -> dict[str, dict[str, int]]:
    """Return the sizes of a published network, of 4, 7 or 10 hidden layers."""
    depths = {"shallow": {"hidden_layers": 4}, "deep": {"hidden_layers": 10}}
    return {"usual": {}} | depths | {"wide": arguments}


KINDS = {
    "MLP": Kind(MLP, _published(width=200), 100, SAMPLES, 1e-3),
    "CNN": Kind(
        partial(CNN, inputs=1, channels=8), _published(channels=16), 12, layers=nn.MaxPool2d
    ),
    "residual network": Kind(ResNet, _sizes(24), 12),
    "pre-norm transformer": Kind(VisionTransformer, _sizes(64), 16, pool=class_token),
    "post-norm transformer": Kind(
        partial(VisionTransformer, norm_first=False, pool=mean_token),
        _sizes(64),
        16,
        learning_rate=1e-3,
        pool=mean_token,
    ),
    "mixer": Kind(Mixer, _sizes(64), 12),
    "gated network": Kind(GatedNetwork, _sizes(128), 12),
    "recurrent network": Kind(RecurrentNetwork, _sizes(64), 16),
    "sequence classifier": Kind(SequenceClassifier, _sizes(80), 12, learns="sentences"),
    "sequence transformer": Kind(
        SequenceTransformer, _sizes(64), 20, pool=mean_token, learns="sentences"
    ),
}
"""The kinds, by name."""


_PARTS = ("train_images", "train_labels", "test_images", "test_labels")


@cache
def data_of(name: str) -> Dataset:
    """Return a data set of `DATA` or `FRESH_DATA` by its name."""
    if name.startswith("grammar"):
        return sentences(SAMPLES, SAMPLES, seed=int(name.split()[1]))
    if name.startswith("fresh "):
        more = load_data(name.split()[1], train=2 * SAMPLES, test=2 * SAMPLES)
        parts = {part: getattr(more, part)[SAMPLES:] for part in _PARTS}
        return replace(more, **parts, source=f"{more.source} The second {SAMPLES} of each part.")
    return load_data(name, train=SAMPLES, test=SAMPLES)
