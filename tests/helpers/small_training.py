"""Small problems for training, and what a member of an ensemble must share with itself alone."""

import numpy as np
import torch

from sbt_utils.ensembles.noise import seed_words
from sbt_utils.ensembles.stages import StageLoop
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

COMPANY = {
    "seeds": [0, 1, 2, 3, 4],
    "negative_slope": [0.0, 0.2, 0.5, 1.0, 0.1],
    "dropout": [0.0, 0.1, 0.3, 0.0, 0.5],
    "learning_rate": [1e-3, 3e-3, 1e-2, 1e-4, 1e-3],
    "data_noise": [0.0, 0.0, 0.1, 0.5, 0.0],
    "weight_noise": [0.0, 0.1, 0.0, 0.02, 1.0],
}


def problem(images=60, inputs=8, classes=4, seed=0, dtype=torch.float32):
    """Return overlapping Gaussian classes: images (N, 1, 2, inputs / 2) and labels (N,)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(images) % classes
    centres = torch.randn(classes, inputs, generator=generator, dtype=torch.float64)
    noise = torch.randn(images, inputs, generator=generator, dtype=torch.float64)
    return (centres[labels] + noise).to(dtype).view(images, 1, 2, -1), labels


def network(**settings):
    return MLP(**{"inputs": 8, "width": 16, "hidden_layers": 2, "classes": 4} | settings)


def fit(model, images, labels, **settings):
    return train(model, images, labels, progress=False, **settings)


def of_member(settings, place):
    return {name: values[place] for name, values in settings.items()}


def assert_same_member(one, i, other, j):
    """Assert that two trainings gave a member the same history and state, bit for bit."""
    for name in ("loss", "accuracy"):
        np.testing.assert_array_equal(one.history[name][i], other.history[name][j])
    assert_same_state(one.state, i, other.state, j)


def assert_same_state(one, i, other, j):
    assert set(one) == set(other)
    for name, value in one.items():
        if isinstance(value, dict):
            assert_same_state(value, i, other[name], j)
        elif isinstance(value, str):
            assert value == other[name]
        else:
            assert torch.equal(value[i], other[name][j]), name


def plain_start(seed, **settings):
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(int(seed_words(seed)[0]))
        return network(**settings)


def captured(monkeypatch):
    """Record the images and labels (M, batch, ...) of every step, in order."""
    seen, take = [], StageLoop.take

    def recording(self, images, labels, order, *others):
        members = len(self.rows)
        if order.shape[1]:
            seen.extend((images[0][part], labels[0][part]) for part in order.split(self.batch, 1))
        else:
            seen.append(tuple(t.expand(members, *t.shape[1:]).clone() for t in (images, labels)))
        return take(self, images, labels, order, *others)

    monkeypatch.setattr(StageLoop, "take", recording)
    return seen
