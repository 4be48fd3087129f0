"""The small language model: causal, of the right size, and scaled where it should be."""

import math

import pytest
import torch

from sbt_book.language_training.models import SmallLanguageModel


def model_of(**settings):
    torch.manual_seed(0)
    return SmallLanguageModel(vocabulary=11, depth=3, width=8, heads=2, context=6, **settings)


def test_a_later_character_does_not_change_earlier_outputs():
    model = model_of().eval()
    ids = torch.tensor([[1, 2, 3, 4, 5, 6]])
    changed = ids.clone()
    changed[0, 4] = 9
    one, other = model(ids), model(changed)
    assert torch.equal(one[:, :4], other[:, :4])
    assert not torch.allclose(one[:, 4:], other[:, 4:])


def test_it_has_as_many_parameters_as_one_counts():
    width, depth, vocabulary, context = 8, 3, 11, 6
    # Two norms; queries, keys and values; their mixture; up to four widths and down again.
    block = 4 * width + (3 + 1 + 4 + 4) * width**2 + (3 + 1 + 4 + 1) * width
    ends = (vocabulary + context) * width + 2 * width + (width + 1) * vocabulary
    assert sum(p.numel() for p in model_of().parameters()) == depth * block + ends


def test_scaled_norms_are_those_with_smaller_weights():
    # A layer norm whose weight and bias are multiplied gives multiplied outputs.
    scaled, plain = model_of(scaled=True).eval(), model_of().eval()
    for number, block in enumerate(plain.blocks, start=1):
        for norm in (block.attention_norm, block.mlp_norm):
            norm.weight.data /= math.sqrt(number)
            norm.bias.data /= math.sqrt(number)
    ids = torch.tensor([[1, 2, 3, 4, 5, 6]])
    torch.testing.assert_close(scaled(ids), plain(ids))
    assert not torch.allclose(scaled(ids), model_of().eval()(ids))


def test_it_begins_with_the_loss_of_guessing():
    ids = torch.randint(11, (50, 7), generator=torch.Generator().manual_seed(0))
    logits = model_of().eval()(ids[:, :6])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(11), abs=0.02)


def test_dropout_acts_on_what_blocks_add_while_training():
    model, ids = model_of(dropout=0.5), torch.tensor([[1, 2, 3]])
    assert not torch.equal(model(ids), model(ids))
    assert torch.equal(model.eval()(ids), model(ids))
