"""Training and reading small language models, and keeping what is finished."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from sbt_book.language_training import experiment, training
from sbt_book.language_training.settings import SETTINGS, Setting, Size
from sbt_book.language_training.text import manual, spread_starts, windows
from sbt_utils.training.controllers import DropoutController

TINY = Size(8, 2, 16, 4, steps=4, readings=2, warm_up=2, training=900, held_out=600, probe=8)


@pytest.fixture(scope="module")
def text():
    return manual(TINY.training, TINY.held_out)


def test_parts_of_the_text_are_of_different_topics(text):
    said = ["".join(text.characters[i] for i in part) for part in (text.training, text.test)]
    assert said[0] != said[1]
    assert all(len(set(part)) >= 30 for part in said)
    with pytest.raises(ValueError, match="take fewer"):
        manual(10**7, 100)


def test_windows_of_the_probe_reach_from_the_beginning_to_the_end(text):
    starts = spread_starts(text.test, 5, 16)
    assert (starts[0], starts[-1]) == (0, len(text.test) - 17)
    characters, following = windows(text.test, starts, 16)
    assert torch.equal(characters[:, 1:], following[:, :-1])
    assert following[-1, -1] == text.test[-1]


def test_the_prediction_residual_is_that_of_a_textbook_fit():
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(200, 6, generator=generator, dtype=torch.float64)
    target = torch.randint(9, (200,), generator=generator)
    x = states.numpy()
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    design = np.column_stack([x, np.ones(200)])
    y = target.numpy().astype(float)
    fit = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    expected = ((y - fit) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert training.prediction_residual(states, target) == pytest.approx(expected, abs=1e-9)


@pytest.mark.filterwarnings("ignore:labels. class:UserWarning")  # few characters, many classes
def test_a_seed_gives_the_same_network_again_and_leaves_the_generator(text):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one = training.trained(Setting(depth=2, dropout=0.2), TINY, text, 3)[1]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    xr.testing.assert_identical(
        one, training.trained(Setting(depth=2, dropout=0.2), TINY, text, 3)[1]
    )
    assert one.reading.values.tolist() == [0, 2, 4]
    assert dict(one.separation.sizes) == {"part": 3, "reading": 3, "layer": 3}


@pytest.mark.filterwarnings("ignore:labels. class:UserWarning")
def test_the_controller_sets_the_dropout_by_the_curve_from_block_1_on(text, monkeypatch):
    monkeypatch.setattr(training, "steering_convexity", lambda reading: -0.1)
    found = training.trained(Setting(depth=2, steered=True), TINY, text, 0)[1]
    once = DropoutController().step(-0.1)
    assert found.dropout.values.tolist() == [0.0, 0.0, once.dropout]
    monkeypatch.undo()
    curve = [[5.0, 1.0, 0.2, 0.0]]
    reading = xr.Dataset({"separation": (("part", "layer"), curve)}, {"part": ["training"]})
    assert training.steering_convexity(reading) == pytest.approx(0.3)


@pytest.mark.filterwarnings("ignore:labels. class:UserWarning")
def test_resumed_is_uninterrupted(tmp_path, monkeypatch):
    monkeypatch.setitem(experiment.SIZES, "tiny", replace(TINY, steps=2))
    monkeypatch.setattr(experiment, "SETTINGS", dict(list(SETTINGS.items())[:2]))
    whole = experiment.everything(tmp_path / "whole", "tiny", [0, 1])
    cut = tmp_path / "cut"
    experiment.everything(cut, "tiny", [0])
    kept = experiment.part_of(cut, "base", 0)
    written = kept.stat().st_mtime_ns
    resumed = experiment.everything(cut, "tiny", [0, 1])
    assert kept.stat().st_mtime_ns == written
    xr.testing.assert_equal(whole, resumed)
