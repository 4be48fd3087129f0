"""The stress map of a language model: of blocks, attention and MLP; intervals over texts."""

import json

import numpy as np
import pytest
import torch
from language_models import VOCABULARY, language_model, texts, tokenizer
from torch import nn

from sbt_utils.language import token_curves
from sbt_utils.language.text_scatter import TextScatter, group_count, text_bootstrap
from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting.stress_map import report

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = texts(20)
ROWS = torch.randint(VOCABULARY, (8, 30), generator=torch.Generator().manual_seed(0))


def test_the_map_of_a_causal_model():
    model = language_model()
    stress = report(model, TEXTS[:12], TEXTS[12:], tokenizer=tokenizer, classes=5)
    assert stress.table.layer.tolist() == ["blocks.0", "blocks.1", "blocks.2"]
    curves = token_curves(model, TEXTS[:12], tokenizer=tokenizer, classes=5, targets=())
    np.testing.assert_allclose(stress.train.mean, curves.separation.mean, atol=1e-12)
    # Classes of unseen texts are those of the training texts.
    ids = curves.classes
    unseen = token_curves(model, TEXTS[12:], tokenizer=tokenizer, classes=ids, targets=())
    np.testing.assert_allclose(stress.test.mean, unseen.separation.mean, atol=1e-12)
    assert stress.images == (curves.tokens, unseen.tokens)
    text = str(stress)
    assert f"Stress map of 3 layers, {curves.tokens} training tokens and {unseen.tokens} " in text
    assert "their classes the 5 most frequent next tokens" in text
    assert "12 texts were drawn anew" in text
    assert "sbt_utils.removal" not in text
    assert json.loads(stress.to_json())["unit"] == "tokens"


def test_that_an_idle_block_can_go_is_not_said():
    model = language_model()
    with torch.no_grad():
        for last in (model.blocks[1].attention.out, model.blocks[1].mlp[2]):
            last.weight.zero_()
            last.bias.zero_()
        model.blocks[0].mlp[2].weight.mul_(3)
    stress = report(model, TEXTS * 3, tokenizer=tokenizer, classes=5)
    assert stress.network == "language model"
    idle = next(advice for advice in stress.advice if advice.finding == "idle")
    assert (idle.layers, idle.kind) == (("blocks.1",), "observation")
    assert "leave it out" not in idle.text


def test_ids_without_labels_are_tokens():
    model = language_model()
    given = report(model, {"input_ids": ROWS, "attention_mask": torch.ones_like(ROWS)}, classes=3)
    listed = report(model, [{"input_ids": rows} for rows in ROWS.split(3)], classes=3)
    np.testing.assert_allclose(given.train.mean, listed.train.mean, atol=1e-12)
    assert given.unit == "tokens"
    assert len(given.table) == 3


def test_one_label_for_each_row_is_a_class_of_the_text():
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = language_model()

        def forward(self, input_ids, attention_mask=None):
            return self.trunk(input_ids, attention_mask)[:, -1, :2]

    data = {"input_ids": ROWS, "attention_mask": torch.ones_like(ROWS)}
    stress = report(Classifier(), data | {"labels": torch.arange(8) % 2})
    assert (stress.unit, stress.images) == ("inputs", (8,))
    with pytest.raises(ValueError, match=r"model: puts out \(1, 2\).*or else labels, one for each"):
        report(Classifier(), data)


@pytest.mark.parametrize("order", ["before", "after", "beside"])
def test_attention_and_mlp_apart(order):
    model = language_model(order=order)
    stress = report(model, TEXTS, tokenizer=tokenizer, classes=5, layers="attention and mlp")
    names = [f"blocks.{n} {part}" for n in range(3) for part in ("attention", "MLP")]
    assert stress.table.layer.tolist() == names
    assert "attention and MLP of 3 blocks (Block)" in stress.rule
    assert ("side by side" in stress.rule) == (order == "beside")
    blocks = report(model, TEXTS, tokenizer=tokenizer, classes=5)
    np.testing.assert_allclose(stress.train.mean[::2], blocks.train.mean, atol=1e-12)
    # After attention, by hand.
    states, ids, mask = [], [], torch.ones(1, 1)
    for text in TEXTS:
        tokens = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            x, block = model.embed(tokens), model.blocks[0]
            mask = torch.ones_like(tokens)
            if order == "after":
                x = block.norm1(x + block.attention(x, mask))
            else:
                x = x + block.attention(block.norm1(x), mask)
        states.append(x[0, :-1])
        ids.append(tokens[0, 1:])
    states, ids = torch.cat(states), torch.cat(ids).numpy()
    classes = token_curves(model, TEXTS, tokenizer=tokenizer, classes=5, targets=()).classes
    keep = np.isin(ids, classes)
    x = states / states.square().mean(1, keepdim=True).sqrt()
    assert stress.train.mean[1] == pytest.approx(data_separation(x[keep], ids[keep]), abs=1e-9)


def test_a_masked_model_leaves_out_an_embedding_that_is_the_same_for_all():
    def masking(text):
        return tokenizer(text)

    masking.mask_token_id = VOCABULARY - 1
    stress = report(language_model(causal=False), TEXTS * 3, tokenizer=masking, classes=4)
    assert stress.layers == ("blocks.0", "blocks.1", "blocks.2")
    assert any("masked token is the same for all" in note for note in stress.notes)
    assert not stress.undefined
    with pytest.raises(ValueError, match=r"tokenizer: has no mask_token_id"):
        report(language_model(causal=False), TEXTS, tokenizer=tokenizer)


def sampled(x, labels, texts_, number):
    scatter = TextScatter(number, int(labels.max()) + 1)
    for part in torch.arange(len(x)).split(37):
        scatter.add_texts(x[part], labels[part], texts_[part])
    return scatter


def test_resampled_texts_are_measured_exactly(rng):
    labels = torch.from_numpy(rng.integers(4, size=300))
    texts_ = torch.from_numpy(rng.integers(6, size=300))
    x = torch.from_numpy(rng.normal(size=(300, 7))) + labels[:, None] * 0.4 + texts_[:, None] * 0.3
    scatter = sampled(x, labels, texts_, 6)
    weights = rng.multinomial(6, np.full(6, 1 / 6), size=20).astype(float)
    for draw, found in zip(weights, scatter.resampled(weights), strict=True):
        again = np.repeat(np.arange(300), draw[texts_.numpy()].astype(int))
        assert found == pytest.approx(data_separation(x[again], labels[again]), abs=1e-9)
    assert scatter.resampled(np.ones((1, 6)))[0] == pytest.approx(scatter.separation, abs=1e-12)


def test_intervals_are_over_texts_not_tokens():
    # All tokens of a text and a class are one state: texts are what varies, and there are 30.
    rng = np.random.default_rng(0)
    texts_ = torch.arange(30).repeat_interleave(40)
    labels = torch.arange(1200) % 2

    def measured():
        own = torch.from_numpy(rng.normal(size=(30, 2, 3)))
        return own[texts_, labels] + labels[:, None] * 1.0

    true = np.std([data_separation(measured(), labels) for _ in range(300)])
    spreads = []
    for seed in range(20):
        draws = text_bootstrap([sampled(measured(), labels, texts_, 30)], 200, seed)
        spreads.append(draws.std())
    assert np.mean(spreads) == pytest.approx(true, rel=0.2)
    # As if tokens were independent, it would be less than a third.
    alone = text_bootstrap([sampled(measured(), labels, torch.arange(1200), 1200)], 200, 0)
    assert alone.std() < true / 3


def test_many_texts_are_put_into_groups():
    assert [group_count(t, c) for t, c in ((5, 20), (1000, 20), (1000, 100), (1000, 9999))] == [
        *(5, 64, 20, 16)
    ]
    stress = report(language_model(), texts(70), tokenizer=tokenizer, classes=3)
    assert "intervals: 64 groups of 70 texts were drawn anew" in stress.notes
