"""A network that trains in the page."""

import functools
from typing import Any

import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure

from sbt_book.live.explorable import Explorable, joined, picture, styles
from sbt_utils.data.datasets import Dataset, load_data
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

LEARNING_RATES = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1]
BATCH_SIZES = [8, 16, 32, 64, 128, 256, 512]
_KNOBS = {"negative_slope": 0.0, "learning_rate": 1e-3, "batch_size": 256, "label_noise": 0.0}
TRAINING_PRESETS: dict[str, dict[str, float]] = {
    "Lazy": {**_KNOBS, "dropout": 0.0},
    "Equiseparated": {**_KNOBS, "dropout": 0.06},
    "Active": {**_KNOBS, "dropout": 0.3},
}
"""Settings with which the network of `TrainingExplorable` comes into each of the regimes."""


class TrainingExplorable(Explorable):
    """A network in training, whose knobs turn while its load curve bends.

    An `sbt_utils.training.networks.MLP`, trained with Adam in the page on the embedded digits.
    ``negative_slope``, ``dropout``, ``learning_rate`` and ``batch_size`` are as in
    `sbt_utils.training.trainer.train`; ``label_noise`` is the part of its ``data_noise`` that falls
    on the labels: this fraction is redrawn at every step. ``width``, ``hidden_layers`` and ``seed``
    make a new network. With ``second`` another network, of the same first weights, is trained
    beside it; its knobs begin with ``second_``. ``separation`` (D_0..D_L of the training images),
    ``steps``, ``loss`` (of the latest batches, as trained), ``accuracy_train``, ``accuracy_test``
    (None without test images) and ``second_separation`` are what the page shows. The digits or the
    table that a reader brings stay in the page. A value out of range raises
    ``traitlets.TraitError``.
    """

    _esm = joined("training/training.js")
    _css = styles("training/training.css")

    negative_slope = traitlets.Float(0.0, min=0.0, max=1.0).tag(sync=True)
    dropout = traitlets.Float(0.0, min=0.0, max=0.5).tag(sync=True)
    learning_rate = traitlets.Enum(LEARNING_RATES, 1e-3).tag(sync=True)
    batch_size = traitlets.Enum(BATCH_SIZES, 256).tag(sync=True)
    label_noise = traitlets.Float(0.0, min=0.0, max=1.0).tag(sync=True)
    second = traitlets.Bool(False).tag(sync=True)
    second_negative_slope = traitlets.Float(0.0, min=0.0, max=1.0).tag(sync=True)
    second_dropout = traitlets.Float(0.3, min=0.0, max=0.5).tag(sync=True)
    second_learning_rate = traitlets.Enum(LEARNING_RATES, 1e-3).tag(sync=True)
    second_batch_size = traitlets.Enum(BATCH_SIZES, 256).tag(sync=True)
    second_label_noise = traitlets.Float(0.0, min=0.0, max=1.0).tag(sync=True)
    width = traitlets.Int(32, min=1, max=200).tag(sync=True)
    hidden_layers = traitlets.Int(7, min=1, max=20).tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)
    separation = traitlets.List(traitlets.Float()).tag(sync=True)
    second_separation = traitlets.List(traitlets.Float()).tag(sync=True)
    steps = traitlets.Int(0, min=0).tag(sync=True)
    loss = traitlets.Float(None, allow_none=True).tag(sync=True)
    accuracy_train = traitlets.Float(None, allow_none=True).tag(sync=True)
    accuracy_test = traitlets.Float(None, allow_none=True).tag(sync=True)

    _worker = traitlets.Unicode(joined("training/training_worker.js")).tag(sync=True)
    _images = traitlets.Bytes().tag(sync=True)
    _labels = traitlets.Bytes().tag(sync=True)
    _training_images = traitlets.Int(512).tag(sync=True)
    # Pairs: a notebook sorts the names of what it saves.
    _presets = traitlets.List(list(TRAINING_PRESETS.items())).tag(sync=True)
    _learning_rates = traitlets.List(LEARNING_RATES).tag(sync=True)
    _batch_sizes = traitlets.List(BATCH_SIZES).tag(sync=True)

    words = "Load curves of three networks: lazy without dropout, equiseparated with a little, "
    words += "active with much."

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        digits = _digits()
        images = torch.cat([digits.train_images, digits.test_images])
        labels = torch.cat([digits.train_labels, digits.test_labels])
        grey = (images * 15).round().to(torch.uint8).numpy().ravel()
        self._images = (grey[::2] << 4 | grey[1::2]).tobytes()  # two in a byte
        self._labels = labels.to(torch.uint8).numpy().tobytes()

    @property
    def load_curve(self) -> LoadCurve | None:
        """Load curve of the network in the page; None before it is seen, or if D is undefined."""
        return LoadCurve(np.array(self.separation)) if self.separation else None

    def still(self) -> Figure:
        """Return the load curves of three networks, each trained with one of the presets."""
        curves = [
            (f"{name.lower()}: dropout {TRAINING_PRESETS[name]['dropout']}", curve, "o-")
            for name, curve in _preset_curves().items()
        ]
        return picture(curves, "layer l", "data separation D")


@functools.cache
def _digits() -> Dataset:
    return load_data("mnist", train=512, test=480)


@functools.cache
def _preset_curves() -> dict[str, np.ndarray]:
    """Train the network of the page for 400 steps with each of the presets; return D_0..D_L."""
    digits = _digits()
    data = digits.train_images, digits.train_labels
    trained = train(
        MLP(width=32),
        data,
        seeds=[0] * len(TRAINING_PRESETS),
        dropout=[preset["dropout"] for preset in TRAINING_PRESETS.values()],
        batch_size=256,
        epochs=200,
        progress=False,
    )
    curves = evaluate(trained.networks, data).separation.values
    return dict(zip(TRAINING_PRESETS, curves, strict=True))
