"""Blocks that are left out, against the whole model run without them."""

import numpy as np
import pytest
import torch
from torch import nn

from sbt_book.language.removal import Stack, removed_runs, removed_sets, stack_of

pytestmark = pytest.mark.usefixtures("one_thread")
BLOCKS, WIDTH, WORDS, FIRST = 5, 6, 11, 3


@pytest.fixture
def toy():
    """Return the layers of a model whose blocks see the tokens so far, and ids."""
    torch.manual_seed(0)
    table, readout = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WORDS)
    inner = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(BLOCKS))
    blocks = [lambda h, m=m: h + torch.tanh(m(h.cumsum(1))) for m in inner]
    return Stack(table, blocks, readout), torch.randint(WORDS, (4, 8))


def loss_by_hand(stack, ids, dropped):
    """Return the loss of each piece, one piece and one token at a time."""
    found = []
    with torch.no_grad():
        for row in ids:
            h = stack.embed(row[None])
            for number, block in enumerate(stack.blocks, start=1):
                h = h if number in dropped else block(h)
            chance = stack.read(h)[0].double().softmax(1).numpy()
            found.append(np.mean([-np.log(chance[t - 1, row[t]]) for t in range(FIRST, len(row))]))
    return np.array(found)


def test_runs_cost_what_the_model_without_them_costs(toy):
    stack, ids = toy
    found = removed_runs(stack, ids, FIRST, longest=3)
    assert found.loss.values == pytest.approx(loss_by_hand(stack, ids, []), rel=1e-5)
    for start in range(1, BLOCKS + 1):
        for length in (1, 2, 3):
            values = found.loss_without.sel(start=start, length=length).values
            if start + length > BLOCKS + 1:
                assert np.isnan(values).all()
                continue
            by_hand = loss_by_hand(stack, ids, range(start, start + length))
            assert values == pytest.approx(by_hand, rel=1e-5)


def test_proxies_are_those_of_the_states_before_and_after(toy):
    stack, ids = toy
    found = removed_runs(stack, ids, FIRST, longest=3).sel(piece=2, start=2, length=3)
    with torch.no_grad():
        states = [state[2].double().numpy() for state in stack.states(ids)]
        lens = [stack.read(state)[2].double().softmax(1).numpy() for state in stack.states(ids)]
    before, after = states[1], states[4]
    norms = [np.linalg.norm(state, axis=1) for state in (before, after)]
    cosine = (before * after).sum(1) / norms[0] / norms[1]
    angles = np.arccos(cosine) / np.pi
    said, read = lens[4][FIRST - 1 : -1], lens[1][FIRST - 1 : -1]
    expected = {
        "influence": 1 - cosine.mean(),
        "angle": angles.mean(),
        "last angle": angles[-1],
        "update": np.mean(np.linalg.norm(after - before, axis=1) / norms[0]),
        "lens change": np.mean((said * np.log(said / read)).sum(1)),
    }
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, rel=1e-4), name


def test_sets_need_not_be_adjacent(toy):
    stack, ids = toy
    sets = {"apart": [1, 4], "run": [2, 3, 4], "all": list(range(1, BLOCKS + 1))}
    found = removed_sets(stack, ids, FIRST, sets)
    for name, dropped in sets.items():
        assert found.sel(set=name).values == pytest.approx(
            loss_by_hand(stack, ids, dropped), rel=1e-5
        )


def test_a_llama_in_parts_is_the_whole_one():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "vocab_size": 40}
    heads = {"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **heads)).eval()
    ids = torch.randint(40, (2, 9))
    stack = stack_of(model)
    with torch.no_grad():
        expected = model(input_ids=ids).logits
        assert torch.allclose(stack.read(stack.states(ids)[-1]), expected, atol=1e-6)
