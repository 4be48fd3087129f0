"""The experiment on small stand-ins, and what was saved."""

import json
import sys

import numpy as np
import pytest
import torch
import xarray as xr
from stand_ins import Encoder, LanguageModel, PitchNetwork

from sbt_book.common.committed import load_committed
from sbt_book.trained_models import data, experiment, losses, models
from sbt_book.trained_models.experiment import (
    CONFIGURATION,
    TOKENS,
    all_but_the_first,
    everything,
    main,
    removals,
    stress_of,
    text_parts,
)
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.skipping import removal
from sbt_utils.reporting.stress_map import report

pytestmark = pytest.mark.usefixtures("one_thread")


class Tokenizer:
    """A token for each word: 1 to 19, by its first letters."""

    def __call__(self, texts, max_length, **options):
        one = isinstance(texts, str)
        rows = [
            [1 + sum(map(ord, word[:3])) % 19 for word in text.split()][:max_length]
            for text in ([texts] if one else texts)
        ]
        if one:
            return {"input_ids": rows[0]}
        rows = torch.nn.utils.rnn.pad_sequence(list(map(torch.tensor, rows)), batch_first=True)
        return {"input_ids": rows, "attention_mask": (rows > 0).long()}


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Stand-ins in place of the models, and little data."""
    torch.manual_seed(0)
    stand_ins = {
        "pitch_network": PitchNetwork().eval(),
        "sentence_encoder": (Encoder().eval(), Tokenizer()),
        "language_model": (LanguageModel().eval(), Tokenizer()),
    }
    for name, made in stand_ins.items():
        monkeypatch.setattr(models, name, lambda made=made: made)
    weights = tmp_path / "weights"
    weights.write_bytes(b"some")
    monkeypatch.setattr(models, "weights_file", lambda model: weights)
    monkeypatch.setattr(models, "PACKAGES", {name: ("numpy",) for name in models.PACKAGES})
    few = {
        "sounds": {"each": 3, "unseen": 2, "seeds": [0, 1]},
        "texts": {"each": 4, "unseen": 2, "tokens": 10, "seed": 0},
        "prose": {"pieces": 3, "tokens": 12},
        "resamples": 50,
    }
    monkeypatch.setattr(experiment, "CONFIGURATION", CONFIGURATION | few)
    chapters = {"dates": "calendar", "words": "textwrap string", "numbers": "fractions"}
    monkeypatch.setattr(data, "CHAPTERS", chapters)
    return stand_ins


def test_everything(small, tmp_path, monkeypatch):
    found = everything(tmp_path / "parts")
    assert found.model.values.tolist() == list(models.PACKAGES)
    assert found.tokens.values.tolist() == list(TOKENS)
    assert found.sizes["layer"] == 8  # the language model has seven blocks
    assert (found.name != "").sum("layer").values.tolist() == [7, 4, 8]
    assert found.classes.values.tolist() == [24, 3, 3]
    assert found.inputs_train.values.tolist() == [72, 12, 12]
    assert found.inputs_test.values.tolist() == [48, 6, 6]
    skipped = found.loss_without.notnull().any("unit")
    assert skipped.sum("layer").values.tolist() == [2, 3, 7]
    assert found.layer[skipped[0].values].values.tolist() == [3, 4]
    assert found.loss.notnull().sum("unit").values.tolist() == [6, 1, 3]
    assert set(json.loads(found.attrs["packages"])) == {"numpy"}
    assert set(json.loads(found.attrs["weights"])) == set(models.PACKAGES)
    # Finished parts are not measured again, and the command writes the same.
    for name in small:
        monkeypatch.setattr(models, name, None)
    monkeypatch.setattr(sys, "argv", ["experiment", str(tmp_path / "parts")])
    main()
    written = xr.load_dataset(tmp_path / "parts/trained_models.nc")
    xr.testing.assert_equal(written, found)


def test_maps_are_those_of_report(small, tmp_path):
    found = everything(tmp_path)
    waves = [data.sounds(each, seed)[:2] for each, seed in ((3, 0), (2, 1))]
    expected = report(small["pitch_network"], *waves, resamples=50, batch_size=32)
    again = stress_of(found, "pitch network")
    assert again.layers == expected.layers
    assert again.rule == expected.rule
    assert again.images == expected.images == (72, 48)
    for one, other in ((again.train, expected.train), (again.test, expected.test)):
        # To STEP, and float32.
        assert one.separation == pytest.approx(other.separation, abs=2e-4)
    encoder, tokenizer = small["sentence_encoder"]
    train, test = text_parts(tokenizer)
    for tokens, mask in zip(TOKENS, (None, all_but_the_first), strict=True):
        for part, batches in (("train", train), ("test", test)):
            curve = getattr(stress_of(found, "sentence encoder", tokens), part)
            whole = load_curve(encoder, batches, mask=mask)
            assert curve.mean == pytest.approx(whole.separation, abs=3e-4)


def test_without_first_tokens_what_they_hold_does_not_matter():
    torch.manual_seed(0)
    ids = torch.randint(1, 20, (8, 5))
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": torch.arange(8) % 2,
    }
    assert all_but_the_first(batch)[:, 0].sum() == 0
    assert batch["attention_mask"].all()
    embedding = Encoder().embedding

    class Words(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.end = embedding, torch.nn.Tanh()

        def forward(self, input_ids):
            return self.end(self.embedding(input_ids))

    curve = load_curve(Words(), [batch], mask=all_but_the_first)
    other = batch | {"input_ids": torch.cat([torch.full((8, 1), 3), ids[:, 1:]], 1)}
    assert load_curve(Words(), [other], mask=all_but_the_first).separation == pytest.approx(
        curve.separation
    )


def test_removals_are_those_of_each_batch(small):
    model, _ = small["language_model"]
    batches = list(torch.randint(20, (4, 6)).split(2))
    blocks = type(model.model.layers[0])
    found = removals(model, batches, range(1, 8), layers=blocks, loss=losses.next_token_loss)
    for unit, batch in enumerate(batches):
        one = removal(model, iter([batch]), layers=blocks, loss=losses.next_token_loss)
        assert found.loss[unit].item() == pytest.approx(one.loss)
        assert found.loss_without[unit].values == pytest.approx(one.loss_without)
        assert found.influence[unit].values == pytest.approx(one.influence)
    # By hand: the third block handed on what it got.
    kept, model.model.layers[2] = model.model.layers[2], HandsOn()
    with torch.no_grad():
        expected = losses.next_token_loss(model, batches[0]).item()
    model.model.layers[2] = kept
    assert found.loss_without[0, 2].item() == pytest.approx(expected)


class HandsOn(torch.nn.Module):
    def forward(self, tokens, mask):
        return tokens


# What was saved -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved():
    return load_committed("trained_models")


def test_the_saved_results_are_whole(saved):
    assert json.loads(saved.attrs["configuration"]) == CONFIGURATION
    assert "dirty" not in saved.attrs["commit"]
    assert saved.model.values.tolist() == list(models.PACKAGES)
    assert (saved.name != "").sum("layer").values.tolist() == [7, 7, 31]
    defined = saved.separation_train.notnull().all("draw").sum("layer")
    assert defined.values.tolist() == [[7, 0], [7, 7], [31, 31]]
    assert saved.loss_without.notnull().any("unit").sum("layer").values.tolist() == [2, 6, 30]
    assert saved.loss.notnull().sum("unit").values.tolist() == [36, 36, 40]
    needed = {package.replace("_", "-") for names in models.PACKAGES.values() for package in names}
    assert set(json.loads(saved.attrs["packages"])) == needed
    assert (saved.accuracy.dropna("layer", how="all").max("layer").dropna("model") <= 1).all()
    assert np.isfinite(saved.accuracy.sel(model="sentence encoder")).sum() == 7
