"""Curves of tokens: against the states gathered and measured by the book."""

import numpy as np
import pytest
import torch
from language_models import VOCABULARY, WIDTH, language_model, texts, tokenizer
from models import fingerprint
from torch.nn import functional

from sbt_utils.language import token_batches, token_curves
from sbt_utils.language.tasks import masked_task
from sbt_utils.measuring.separation import data_separation

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = texts(16)


def gathered(model, places=(1,)):
    """Return the states (L + 1, n, d) of tokens, and the ids so many places behind each."""
    states, ids, rows = [], [], []
    for number, text in enumerate(TEXTS):
        tokens = torch.tensor(tokenizer(text)["input_ids"])
        with torch.no_grad():
            model(tokens[None])
        low, high = max(0, -min(places)), max(0, *places)
        keep = torch.arange(low, len(tokens) - high)
        states.append(torch.cat(model.states)[:, keep])
        ids.append(torch.stack([tokens[keep + place] for place in places]))
        rows.append(torch.full((len(keep),), number))
    return torch.cat(states, 1), torch.cat(ids, 1).numpy(), torch.cat(rows).numpy()


def textbook_separation(model, number):
    states, (ids,), _ = gathered(model)
    counts = np.bincount(ids, minlength=VOCABULARY)
    frequent = sorted(range(VOCABULARY), key=lambda name: (-counts[name], name))[:number]
    keep = np.isin(ids, frequent)
    x = states / states.square().mean(2, keepdim=True).sqrt()
    return [data_separation(h[keep], ids[keep]) for h in x], frequent, keep.sum()


def textbook_residual(states, ids, fit=None, judged=None):
    fit = np.ones(ids.shape[1], bool) if fit is None else fit
    judged = fit if judged is None else judged
    found = []
    for h in functional.layer_norm(states, (WIDTH,)).numpy():
        design = np.column_stack([np.ones(len(h)), h])
        solution = np.linalg.lstsq(design[fit], ids.T[fit], rcond=None)[0]
        y = ids.T[judged]
        left = y - design[judged] @ solution
        found.append((left**2).sum(0) / ((y - y.mean(0)) ** 2).sum(0))
    return np.array(found).T


def test_separation_is_that_of_the_states_normalised():
    model = language_model()
    curves = token_curves(model, TEXTS, tokenizer=tokenizer, classes=6, targets=())
    expected, frequent, tokens = textbook_separation(model, 6)
    np.testing.assert_allclose(curves.separation.mean, expected, rtol=0, atol=1e-9)
    assert curves.classes == tuple(frequent)
    assert (curves.tokens, curves.texts, curves.causal) == (tokens, 16, True)
    assert curves.layers == ("embedding", "blocks.0", "blocks.1", "blocks.2")
    assert curves.residual == curves.held_out == {}


def test_residual_is_that_of_numpy():
    model = language_model()
    names, places = ("next", "current", "previous", "next next"), (1, 0, -1, 2)
    curves = token_curves(model, TEXTS, tokenizer=tokenizer, targets=names)
    states, ids, rows = gathered(model, places)
    expected = textbook_residual(states, ids)
    for name, values in zip(names, expected, strict=True):
        np.testing.assert_allclose(curves.residual[name], values, rtol=0, atol=1e-9)
    assert curves.positions == len(rows)
    for fold in range(2):
        held = textbook_residual(states, ids, rows % 2 != fold, rows % 2 == fold)
        for name, values in zip(names, held, strict=True):
            np.testing.assert_allclose(curves.held_out[name][fold], values, rtol=0, atol=1e-9)
    # The token itself is a linear function of its embedding only as far as letters are.
    assert curves.residual["current"][0] < curves.residual["next"][0]
    log = np.log(expected[0][1:])
    assert curves.r() == pytest.approx(np.corrcoef(np.arange(3), log)[0, 1], abs=1e-9)
    log = np.log(curves.held_out["next"].mean(0)[1:])
    assert curves.r(held_out=True) == pytest.approx(np.corrcoef(np.arange(3), log)[0, 1])


def test_next_alone_takes_every_token_that_has_one():
    model = language_model()
    curves = token_curves(model, TEXTS, tokenizer=tokenizer)
    states, ids, rows = gathered(model)
    expected = textbook_residual(states, ids)[0]
    np.testing.assert_allclose(curves.residual["next"], expected, rtol=0, atol=1e-9)
    assert curves.positions == len(rows) == sum(len(text) - 1 for text in TEXTS)


def test_the_last_state_is_as_the_model_normalises_it():
    # He & Su take it with the weights of the final normalisation, which span the same.
    model = language_model()
    curves = token_curves(model, TEXTS, tokenizer=tokenizer)
    states, (ids,), _ = gathered(model)
    with torch.no_grad():
        last = model.norm(states[-1]).numpy()
    design = np.column_stack([np.ones(len(last)), last])
    left = ids - design @ np.linalg.lstsq(design, ids, rcond=None)[0]
    assert curves.residual["next"][-1] == pytest.approx(left.var() / ids.var(), abs=1e-9)


def test_shuffled_ids_are_the_same_ids_with_other_numbers():
    model = language_model()
    first, second = (
        token_curves(model, TEXTS, tokenizer=tokenizer, targets=("shuffled",), seed=seed)
        for seed in (0, 1)
    )
    ids = np.unique(gathered(model)[1])
    states, next_ids, _ = gathered(model)
    other = dict(zip(ids, np.random.default_rng(0).permutation(len(ids)), strict=True))
    renumbered = np.array([[ids[other[one]] for one in next_ids[0]]])
    expected = textbook_residual(states, renumbered)[0]
    np.testing.assert_allclose(first.residual["shuffled"], expected, atol=1e-9)
    assert (first.residual["shuffled"] != second.residual["shuffled"]).all()


@pytest.mark.parametrize("norm", [torch.nn.LayerNorm, torch.nn.RMSNorm])
@pytest.mark.parametrize("order", ["before", "after"])
def test_states_enter_as_the_model_normalises_its_last(norm, order):
    model = language_model(norm=norm, order=order)
    curves = token_curves(model, TEXTS, tokenizer=tokenizer)
    states, (ids,), _ = gathered(model)
    if order == "before" and norm is torch.nn.LayerNorm:
        states = functional.layer_norm(states, (WIDTH,))
    elif order == "before":
        eps = torch.finfo(torch.float64).eps
        states = functional.rms_norm(states, (WIDTH,), eps=eps)
    design = [np.column_stack([np.ones(len(ids)), h]) for h in states]
    left = [ids - x @ np.linalg.lstsq(x, ids, rcond=None)[0] for x in design]
    expected = [one.var() / ids.var() for one in left]
    np.testing.assert_allclose(curves.residual["next"], expected, atol=1e-9)


def test_batches_and_padding_change_nothing():
    model = language_model()
    whole = token_curves(model, TEXTS, tokenizer=tokenizer, batch_size=16)
    few = token_curves(model, TEXTS, tokenizer=tokenizer, batch_size=3)
    wide = token_batches(TEXTS, tokenizer, batch_size=5)
    for batch in wide:
        for name in ("input_ids", "attention_mask"):
            batch[name] = functional.pad(batch[name], (0, 7))
        batch["input_ids"][batch["attention_mask"] == 0] = VOCABULARY - 1
    padded = token_curves(model, wide)
    for other in (few, padded):
        np.testing.assert_allclose(
            other.separation.separation, whole.separation.separation, atol=1e-6
        )
        np.testing.assert_allclose(other.residual["next"], whole.residual["next"], atol=1e-6)
        np.testing.assert_allclose(other.held_out["next"], whole.held_out["next"], atol=1e-6)
    mean = few.separation.mean
    np.testing.assert_allclose(mean, whole.separation.mean, rtol=0, atol=1e-12)


def test_long_texts_are_cut_and_stay_one_text():
    batches = token_batches(["abcdefg", "hi"], tokenizer, length=3, batch_size=2)
    assert [batch["texts"].tolist() for batch in batches] == [[0, 0], [1]]
    joined = torch.cat([b["input_ids"][b["attention_mask"] == 1] for b in batches])
    assert joined.tolist() == tokenizer("abcdefhi")["input_ids"]  # g has no next one


def test_shuffled_classes_reach_the_floor(rng):
    ids = torch.from_numpy(rng.integers(VOCABULARY, size=(40, 60)))
    shuffled = torch.from_numpy(rng.integers(5, size=(40, 60)))
    batches = [
        {"input_ids": rows, "mine": mine}
        for rows, mine in zip(ids.split(8), shuffled.split(8), strict=True)
    ]
    curves = token_curves(language_model(), batches, classes=lambda b: b["mine"], targets=())
    np.testing.assert_allclose(curves.separation.mean, curves.floor, atol=0.4)
    assert curves.floor == pytest.approx(np.log((2400 - 5) / 4))
    assert curves.tokens == 2400


def test_classes_may_be_given_by_their_ids_or_by_a_function():
    model = language_model()
    own = token_curves(model, TEXTS, tokenizer=tokenizer, classes=4, targets=())
    listed = token_curves(model, TEXTS, tokenizer=tokenizer, classes=own.classes, targets=())

    def following(batch):
        ids, counts = batch["input_ids"], batch["attention_mask"] == 1
        behind = torch.where(counts.roll(-1, 1), ids.roll(-1, 1), -1)
        behind[:, -1] = -1
        return torch.where(torch.isin(behind, torch.tensor(own.classes)), behind, -1)

    mine = token_curves(model, TEXTS, tokenizer=tokenizer, classes=following, targets=())
    for other in (listed, mine):
        np.testing.assert_array_equal(other.separation.separation, own.separation.separation)
        assert other.counts == own.counts


def test_what_is_masked_is_to_be_guessed():
    model = language_model(causal=False)
    mask_id = VOCABULARY - 1

    def masking(text):
        return tokenizer(text)

    masking.mask_token_id, masking.all_special_ids = mask_id, [tokenizer("a")["input_ids"][0]]
    texts_ = TEXTS * 4
    curves = token_curves(model, texts_, tokenizer=masking, classes=3, targets=("next",))
    assert not curves.causal
    # Without positions, the embedding of a masked token is the same for all.
    assert curves.separation.layers == curves.layers[1:] == ("blocks.0", "blocks.1", "blocks.2")
    assert curves.residual["next"][0] == pytest.approx(1)
    states, ids = [], []
    rng = np.random.default_rng(0)
    for batch in token_batches(texts_, masking):
        task = masked_task(batch, masking, rng)
        hidden = task.targets >= 0
        assert (task.batch["input_ids"][hidden] == mask_id).all()
        assert torch.equal(task.batch["input_ids"][~hidden], batch["input_ids"][~hidden])
        assert not torch.isin(task.targets[hidden], torch.tensor(masking.all_special_ids)).any()
        with torch.no_grad():
            model(task.batch["input_ids"], task.batch["attention_mask"])
        states.append(torch.stack(model.states)[:, hidden])
        ids.append(batch["input_ids"][hidden])
    states, ids = torch.cat(states, 1), torch.cat(ids).numpy()
    assert 0.1 < len(ids) / sum(map(len, texts_)) < 0.17
    np.testing.assert_allclose(
        curves.residual["next"][1:], textbook_residual(states, ids[None])[0][1:], atol=1e-9
    )
    given = [{"input_ids": torch.full((2, 6), 3), "labels": torch.full((2, 6), -100)}]
    given[0]["labels"][0, 2] = 7
    assert masked_task({**given[0]}, None, rng).targets.tolist()[0] == [-1, -1, 7, -1, -1, -1]


def test_the_model_is_left_as_it_was():
    model = language_model().train()
    before = fingerprint(model)
    token_curves(model, TEXTS, tokenizer=tokenizer)
    assert fingerprint(model) == before


def test_a_million_tokens_stream():
    class Few(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(6, 3)
            self.mix = torch.nn.Linear(3, 3)

        def forward(self, input_ids):
            return self.mix(self.embed(input_ids))

    torch.manual_seed(0)
    ids = torch.randint(6, (1000, 1001))
    curves = token_curves(Few(), ids.split(100), classes=4, layers="mix", resamples=40)
    assert curves.positions == 10**6
    # Independent tokens: nothing is known of the next one.
    np.testing.assert_allclose(curves.residual["next"], 1, atol=1e-4)
    np.testing.assert_allclose(curves.separation.mean, curves.floor, atol=2)
