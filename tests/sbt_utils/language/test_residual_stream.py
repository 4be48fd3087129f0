"""After attention and after the MLP, in blocks of any order: what is found, and what is refused."""

import numpy as np
import pytest
import torch
from language_models import VOCABULARY, WIDTH, Attention
from torch import nn
from torch.nn import functional

from sbt_utils.language.states import Reader

pytestmark = pytest.mark.usefixtures("one_thread")

IDS = torch.randint(VOCABULARY, (3, 9), generator=torch.Generator().manual_seed(0))


class Parts(nn.Module):
    """The parts of a block, which `forward` of the kinds below puts together."""

    def __init__(self):
        super().__init__()
        self.attention = Attention(causal=True)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 24), nn.GELU(), nn.Linear(24, WIDTH))
        self.other = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.SiLU())

    def attend(self, x):
        return self.attention(x, torch.ones(x.shape[:2]))


class FunctionalNorm(Parts):
    """Without modules that normalise, as nanoGPT's descendants have it."""

    def forward(self, x):
        x = x + self.attend(functional.layer_norm(x, (WIDTH,)))
        return x + self.mlp(functional.layer_norm(x, (WIDTH,)))

    def after(self, x):
        return x + self.attend(functional.layer_norm(x, (WIDTH,)))


class Beside(Parts):
    def forward(self, x):
        return x + self.mlp(self.norm2(x)) + self.attend(self.norm1(x))

    def after(self, x):
        return x + self.attend(self.norm1(x))


class Sandwich(Parts):
    def forward(self, x):
        x = x + self.norm1(self.attend(x))
        return x + self.norm2(self.mlp(x))

    def after(self, x):
        return x + self.norm1(self.attend(x))


class HalfBeside(Parts):
    """Half of what attention makes is added."""

    def forward(self, x):
        return x + 0.5 * self.attend(self.norm1(x)) + self.mlp(self.norm2(x))


class HalfFunctional(Parts):
    def forward(self, x):
        x = x + 0.5 * self.attend(functional.layer_norm(x, (WIDTH,)))
        return x + self.mlp(functional.layer_norm(x, (WIDTH,)))


class BesideThenNorm(Parts):
    """What normalises last reads attention and MLP at once."""

    def forward(self, x):
        return self.norm1(x + self.attend(x) + self.mlp(x))


class BesideAnother(Parts):
    """Another layer mixes beside attention, as in Falcon-H1."""

    def forward(self, x):
        x = x + self.attend(self.norm1(x)) + self.other(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Router(Parts):
    """No attention, but experts whose router takes a softmax, as in Qwen3-Next."""

    def forward(self, x):
        x = x + self.other(self.norm1(x)).cumsum(1)
        return x + self.experts(self.norm2(x))

    def experts(self, x):
        return torch.softmax(self.mlp(x), -1)


class Model(nn.Module):
    def __init__(self, kind, tokens_first=False):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleList(kind() for _ in range(2))
        self.head = nn.Linear(WIDTH, VOCABULARY)
        self.tokens_first = tokens_first

    def forward(self, input_ids):
        x = self.embed(input_ids)
        x = x.transpose(0, 1) if self.tokens_first else x
        for block in self.blocks:
            x = block(x)
        return self.head(x.transpose(0, 1) if self.tokens_first else x)


def made(kind, **options):
    torch.manual_seed(0)
    model = Model(kind, **options).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


def read(model, layers="attention and mlp", ids=IDS):
    found = []
    batch = {"input_ids": ids}
    reader = Reader(model, layers, batch)
    reader.read([(batch, None)], lambda name, states, item: found.append(states.clone()))
    return found, reader


@pytest.mark.parametrize("kind", [FunctionalNorm, Beside, Sandwich])
def test_after_attention_by_hand(kind):
    model = made(kind)
    found, reader = read(model)
    assert ("side by side" in reader.rule) == (kind is Beside)
    with torch.no_grad():
        x = model.embed(IDS)
        expected = [x]
        for block in model.blocks:
            expected.append(block.after(x))
            x = block(x)
            expected.append(x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (HalfBeside, r"'blocks.1.attention' makes is not just added to what block 'blocks.1'"),
        (HalfFunctional, r"'blocks.1.attention' makes is not just added to what block 'blocks.1'"),
        (BesideThenNorm, r"'blocks.1.attention' makes is not just added .* leave layers out"),
        (BesideAnother, r"'blocks.1.attention' makes is not just added .* leave layers out"),
        (Router, r"'.*softmax\(\)' is not the first in block 'blocks.0'; leave layers out"),
    ],
)
def test_what_cannot_be_told_apart_is_not_made_up(kind, message):
    model = made(kind)
    with pytest.raises(ValueError, match=message):
        read(model)
    states, _ = read(model, layers=None)  # blocks are measured all the same
    assert len(states) == 3


def test_padding_whose_embedding_is_zero_hides_nothing():
    model = made(HalfBeside)
    with torch.no_grad():
        model.embed.weight[0] = 0
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    with pytest.raises(ValueError, match="not just added"):
        read(model, ids=IDS.clamp(min=1))


@pytest.mark.parametrize("rows", [3, 9])
def test_tokens_may_come_first_inside(rows):
    # XLNet turns its states; with as many rows as tokens no shape would tell.
    model = made(FixedAttention, tokens_first=True)
    ids = torch.randint(VOCABULARY, (rows, 9), generator=torch.Generator().manual_seed(1))
    found, _ = read(model, layers=None, ids=ids)
    with torch.no_grad():
        x = model.embed(ids).transpose(0, 1)
        for states, block in zip(found, [*model.blocks, None], strict=True):
            np.testing.assert_array_equal(states, x.transpose(0, 1))
            x = x if block is None else block(x)


class FixedAttention(Parts):
    """Reads tokens along the first axis."""

    def forward(self, x):
        x = x + self.attend(self.norm1(x).transpose(0, 1)).transpose(0, 1)
        return x + self.mlp(self.norm2(x))
