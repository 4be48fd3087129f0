"""Texts and ids in whatever form they come, and models called as their users call them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from language_models import VOCABULARY, LanguageModel, language_model, texts, tokenizer
from torch import nn

from sbt_utils.language import token_curves
from sbt_utils.reporting.stress_map import report

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = texts(8)
IDS = [tokenizer(text)["input_ids"] for text in TEXTS]
MODEL = language_model()
OPTIONS = {"classes": 4, "resamples": 100}


def separation(model, data, **options):
    return token_curves(model, data, targets=(), **OPTIONS, **options).separation.mean


EXPECTED = separation(MODEL, TEXTS, tokenizer=tokenizer)


@pytest.mark.parametrize(
    "data",
    [
        {"input_ids": IDS},
        {"input_ids": IDS, "attention_mask": [[1] * len(ids) for ids in IDS]},
        [{"input_ids": IDS[:3]}, {"input_ids": IDS[3:]}],
        [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in IDS],
        [{"input_ids": np.array(ids), "labels": ids} for ids in IDS],
        [{"input_ids": ids, f"of {n}": n} for n, ids in enumerate(IDS)],
    ],
)
def test_uneven_rows_as_a_tokenizer_or_a_dataset_has_them(data):
    np.testing.assert_allclose(separation(MODEL, data), EXPECTED, atol=1e-9)
    stress = report(MODEL, data, **OPTIONS)
    np.testing.assert_allclose(stress.train.mean, EXPECTED, atol=1e-9)


@pytest.mark.parametrize("rows", [IDS, [torch.tensor(ids) for ids in IDS]])
def test_rows_of_ids_alone(rows):
    np.testing.assert_allclose(separation(MODEL, rows), EXPECTED, atol=1e-9)


@pytest.mark.parametrize("made", [tuple, iter, np.array])
def test_texts_in_other_containers(made):
    found = separation(MODEL, made(TEXTS), tokenizer=tokenizer)
    np.testing.assert_allclose(found, EXPECTED, atol=1e-9)
    stress = report(MODEL, made(TEXTS), tokenizer=tokenizer, **OPTIONS)
    np.testing.assert_allclose(stress.train.mean, EXPECTED, atol=1e-9)


@pytest.mark.parametrize(
    "returned",
    [list, np.array, torch.tensor, lambda ids: [ids], lambda ids: SimpleNamespace(ids=ids)],
)
def test_what_tokenizers_return(returned):
    # None of them can pad.
    found = separation(MODEL, TEXTS, tokenizer=lambda t: returned(tokenizer(t)["input_ids"]))
    np.testing.assert_allclose(found, EXPECTED, atol=1e-9)


@pytest.mark.parametrize(("dtype", "digits"), [(torch.float16, 0.02), (torch.bfloat16, 0.15)])
@pytest.mark.parametrize("order", ["before", "beside"])
def test_models_of_half_precision(dtype, digits, order):
    options = {"tokenizer": tokenizer, "layers": "attention and mlp"}
    expected = separation(language_model(order=order), TEXTS, **options)
    found = separation(language_model(order=order).to(dtype), TEXTS, **options)
    np.testing.assert_allclose(found, expected, atol=digits)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weak_attention_to_both_sides_is_no_causal_model(dtype):
    class Masking:
        mask_token_id, all_special_ids = VOCABULARY - 1, ()

    model = language_model(causal=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.1)
    curves = token_curves(
        model.to(dtype), {"input_ids": torch.arange(900).reshape(30, 30) % 7}, tokenizer=Masking()
    )
    assert not curves.causal


class HandingOn(nn.Module):
    """Hands on what it gets, as wrappers for adapters do."""

    def __init__(self, trunk):
        super().__init__()
        self.trunk = trunk

    def forward(self, *args, **kwargs):
        return self.trunk(*args, **kwargs)


class OtherName(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = MODEL

    def forward(self, idx):
        return self.trunk(idx)


class NoStates(LanguageModel):
    def forward(self, input_ids, attention_mask=None, output_hidden_states=False):
        assert not output_hidden_states
        return super().forward(input_ids, attention_mask)


def test_wrappers_get_what_the_model_in_them_takes():
    found = separation(HandingOn(MODEL), TEXTS, tokenizer=tokenizer)
    np.testing.assert_allclose(found, EXPECTED, atol=1e-9)
    found = separation(HandingOn(OtherName()), TEXTS, tokenizer=tokenizer)
    np.testing.assert_allclose(found, EXPECTED, atol=1e-9)
    # The mask, too: else this model would read what pads.
    ids = torch.randint(VOCABULARY - 1, (9, 20), generator=torch.Generator().manual_seed(0))
    mask = torch.arange(20) < torch.arange(9)[:, None] + 8
    data = {"input_ids": ids, "attention_mask": mask, "labels": torch.where(ids < 5, ids, -100)}
    model = language_model(causal=False)
    np.testing.assert_array_equal(separation(HandingOn(model), data), separation(model, data))


def test_hidden_states_are_not_asked_for():
    model = NoStates().double()
    model.load_state_dict(MODEL.state_dict())
    np.testing.assert_allclose(separation(model, TEXTS, tokenizer=tokenizer), EXPECTED, atol=1e-9)
