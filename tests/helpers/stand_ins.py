"""Small stand-ins for trained models, which are called as those are."""

from itertools import pairwise
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F

WORDS, WIDTH = 20, 8


class Block(nn.Module):
    """Add to each token what is made of it and of the mean of those that count so far."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, tokens, mask):
        weights = torch.tril(mask[:, None, :].to(tokens.dtype).expand(-1, tokens.shape[1], -1))
        means = weights @ tokens / weights.sum(2, keepdim=True).clamp(min=1)
        return tokens + torch.tanh(self.inner(torch.cat([tokens, means], dim=2)))


class Encoder(nn.Module):
    """Three blocks over embedded words."""

    def __init__(self, blocks=3):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(blocks))

    def forward(self, input_ids, attention_mask=None):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        tokens = self.embedding(input_ids)
        for layer in self.layers:
            tokens = layer(tokens, mask)
        return SimpleNamespace(last_hidden_state=tokens)


class LanguageModel(nn.Module):
    """Blocks that see the words so far, and the logits of the next one."""

    def __init__(self, blocks=7):
        super().__init__()
        self.model = Encoder(blocks)
        self.readout = nn.Linear(WIDTH, WORDS)

    def forward(self, input_ids):
        return SimpleNamespace(logits=self.readout(self.model(input_ids).last_hidden_state))


class PitchNetwork(nn.Module):
    """Six convolutions of the lengths of CREPE, with few channels; functions between them."""

    def __init__(self, channels=(1, 4, 2, 2, 2, 3, 5)):
        super().__init__()
        for number, sizes in enumerate(pairwise(channels), start=1):
            length, step = (512, 4) if number == 1 else (64, 1)
            convolution = nn.Conv2d(*sizes, (length, 1), stride=(step, 1))
            setattr(self, f"conv{number}", convolution)
            setattr(self, f"conv{number}_BN", nn.BatchNorm2d(sizes[1]))
        self.classifier = nn.Linear(4 * channels[-1], 360)

    def forward(self, x):
        x = x[:, None, :, None]
        for number in range(1, 7):
            x = F.pad(x, (0, 0, 254, 254) if number == 1 else (0, 0, 31, 32))
            x = F.relu(getattr(self, f"conv{number}")(x))
            x = F.max_pool2d(getattr(self, f"conv{number}_BN")(x), (2, 1), (2, 1))
        return torch.sigmoid(self.classifier(x.permute(0, 2, 1, 3).reshape(len(x), -1)))
