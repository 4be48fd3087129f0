"""Small language models of a few lines, with known orders of normalisation, and their texts."""

import torch
from torch import nn
from torch.nn import functional

VOCABULARY, WIDTH = 40, 12


class Attention(nn.Module):
    def __init__(self, causal):
        super().__init__()
        self.causal = causal
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x, mask):
        q, k, v = self.qkv(x).chunk(3, -1)
        seen = mask[:, None, :].expand(-1, x.shape[1], -1).bool()
        if self.causal:
            seen = seen & torch.ones_like(seen).tril()
        seen = seen | torch.eye(x.shape[1], dtype=torch.bool)
        return self.out(functional.scaled_dot_product_attention(q, k, v, attn_mask=seen))


class Block(nn.Module):
    """Normalises before attention and MLP, or after them, or runs both side by side."""

    def __init__(self, order="before", causal=True, norm=nn.LayerNorm):
        super().__init__()
        self.order = order
        self.norm1, self.norm2 = norm(WIDTH), norm(WIDTH)
        self.attention = Attention(causal)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 24), nn.GELU(), nn.Linear(24, WIDTH))

    def forward(self, x, mask):
        if self.order == "after":
            x = self.norm1(x + self.attention(x, mask))
            return self.norm2(x + self.mlp(x))
        if self.order == "beside":
            return x + self.attention(self.norm1(x), mask) + self.mlp(self.norm2(x))
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


class LanguageModel(nn.Module):
    """Takes ids and a mask, puts out logits, and keeps what it measured itself in `states`."""

    def __init__(self, order="before", causal=True, norm=nn.LayerNorm, blocks=3):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleList(Block(order, causal, norm) for _ in range(blocks))
        self.norm = nn.Identity() if order == "after" else norm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, input_ids, attention_mask=None):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        x = self.embed(input_ids)
        self.states = [x]
        for block in self.blocks:
            x = block(x, mask)
            self.states.append(x)
        return self.head(self.norm(x))


def language_model(seed=0, **kinds):
    torch.manual_seed(seed)
    model = LanguageModel(**kinds).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


def tokenizer(text):
    return {"input_ids": [ord(letter) % VOCABULARY for letter in text]}


def texts(number=12, seed=0):
    """Return texts of 20 to 50 letters, some of them frequent."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(number):
        length = int(torch.randint(20, 51, (), generator=generator))
        chance = torch.rand(length, generator=generator)
        found.append("".join(chr(97 + int(26 * c**2)) for c in chance))
    return found
