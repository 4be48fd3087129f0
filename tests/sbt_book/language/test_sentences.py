"""The logit lens on a small model whose states are known in closed form."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sbt_book.common.committed import load_committed
from sbt_book.language.sentences import CONFIGURATION, NONE, left_out, lens, sentences

WORDS = ["a", "b", "c", "d"]


class Push(nn.Module):
    """A block that adds the same vector to every state."""

    def __init__(self, push):
        super().__init__()
        self.push = torch.tensor(push)

    def forward(self, states):
        return states + self.push


class Small(nn.Module):
    """Nine blocks over four words; the state of a word starts as its unit vector."""

    def __init__(self):
        super().__init__()
        pushes = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
        self.model = nn.Module()
        self.model.layers = nn.ModuleList(map(Push, pushes))
        self.model.norm = nn.LayerNorm(4, elementwise_affine=False, eps=0.0)
        self.lm_head = nn.Identity()
        self.pushes = pushes

    def forward(self, tokens, output_hidden_states=False):
        states = [torch.eye(4)[tokens]]
        for layer in self.model.layers:
            states.append(layer(states[-1]))
        states[-1] = self.model.norm(states[-1])
        return SimpleNamespace(logits=states[-1], hidden_states=states)


class Tokenizer:
    def __call__(self, text):
        return {"input_ids": [WORDS.index(letter) for letter in text]}

    def decode(self, ids):
        return "".join(WORDS[i] for i in ids)


def expected_logits(pushes, token):
    state = np.eye(4)[token] + pushes.sum(0)
    return (state - state.mean()) / state.std()


@pytest.fixture(scope="module")
def found():
    return sentences(Small(), Tokenizer(), {"one": "abcd", "two": "db"})


def test_each_depth_is_read_as_if_it_were_the_last(found):
    pushes = Small().pushes
    for depth in range(10):
        for token in range(4):
            logits = expected_logits(pushes[:depth], token)
            final = expected_logits(pushes, token).argmax()
            probability = np.exp(logits) / np.exp(logits).sum()
            at = found.sel(sentence="one", token=token, depth=depth)
            assert at.top == logits.argmax()
            assert at.top_probability == pytest.approx(probability.max(), abs=6e-4)
            assert at.final_probability == pytest.approx(probability[final], abs=6e-4)
            assert at.final_rank == 1 + (logits > logits[final]).sum()


def test_a_run_of_blocks_adds_nothing_when_it_is_left_out(found):
    pushes = Small().pushes
    for start in range(1, 10):
        for length in range(1, 9):
            at = found.sel(sentence="one", token=2, start=start, length=length)
            if start + length > 10:
                assert at.top_without == NONE
                assert np.isnan(at.top_probability_without)
                continue
            kept = np.delete(pushes, np.s_[start - 1 : start - 1 + length], axis=0)
            assert at.top_without == expected_logits(kept, 2).argmax()


def test_a_text_that_has_ended_has_no_tokens(found):
    assert found.id.sel(sentence="two").values.tolist() == [3, 1, NONE, NONE]
    assert (found.top.sel(sentence="two", token=[2, 3]) == NONE).all()
    assert found.word.values.tolist() == [WORDS[i] for i in found.entry.values]


def test_the_model_is_left_whole():
    model = Small()
    before = lens(model, torch.tensor([[0, 1]]))
    with left_out(model, 3, 4):
        assert len(model.model.layers) == 5
    torch.testing.assert_close(lens(model, torch.tensor([[0, 1]])), before, rtol=0, atol=0)


def test_what_was_saved_is_what_is_configured():
    saved = load_committed("language_sentences")
    assert (
        dict(zip(saved.sentence.values, saved.text.values, strict=True))
        == (CONFIGURATION["sentences"])
    )
    words = dict(zip(saved.entry.values.tolist(), saved.word.values, strict=True))
    for name, text in CONFIGURATION["sentences"].items():
        one = saved.sel(sentence=name)
        assert "".join(words[i] for i in one.id.values.tolist() if i != NONE) == text
    assert (saved.final_rank.isel(depth=-1) <= 1).all()
    assert saved.sizes["depth"] == 31
