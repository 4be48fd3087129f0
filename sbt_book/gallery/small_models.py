"""Small networks of other kinds than the paper's, in stock PyTorch, and how to train them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sbt_utils.training.ranges import check_range


def class_token(tokens: Tensor) -> Tensor:
    """Return the first token of each sample: (N, tokens, d) to (N, d)."""
    return tokens[:, 0]


def mean_token(tokens: Tensor) -> Tensor:
    """Return the mean over the tokens of each sample: (N, tokens, d) to (N, d)."""
    return tokens.mean(1)


class ResidualBlock(nn.Module):
    """A basic residual block: two convolutions beside a skip connection, then ReLU.

    Dropout acts between the two convolutions. He, Zhang, Ren & Sun, CVPR 2016, arXiv:1512.03385.
    """

    def __init__(self, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.activation = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Return the rectified sum of input and branch."""
        return self.activation(images + self.branch(images))


class ResNet(nn.Module):
    """A small residual network for images (N, inputs, height, width)."""

    def __init__(
        self, inputs: int = 1, blocks: int = 6, classes: int = 10, dropout: float = 0.0
    ) -> None:
        check_range("dropout", dropout)
        super().__init__()
        self.input_norm = nn.BatchNorm2d(inputs)
        self.stem = nn.Conv2d(inputs, 16, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(16, dropout) for _ in range(blocks)))
        self.readout = nn.Linear(16, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes)."""
        features = self.blocks(self.stem(self.input_norm(images)))
        return self.readout(features.mean((2, 3)))


class VisionTransformer(nn.Module):
    """A small vision transformer for images (N, inputs, size, size), size at least 4.

    Patches of 4 x 4 pixels, 3 pixels apart, become tokens; a class token precedes them. `pool`,
    `class_token` or `mean_token`, makes of the last tokens (N, tokens, width) what the readout
    takes. Dosovitskiy et al., ICLR 2021, arXiv:2010.11929.
    """

    def __init__(
        self,
        inputs: int = 1,
        size: int = 10,
        width: int = 32,
        blocks: int = 6,
        classes: int = 10,
        dropout: float = 0.0,
        pool: Callable[[Tensor], Tensor] = class_token,
    ) -> None:
        check_range("dropout", dropout)
        super().__init__()
        self.patches = nn.Conv2d(inputs, width, 4, stride=3)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        count = 1 + ((size - 4) // 3 + 1) ** 2
        self.positions = nn.Parameter(0.02 * torch.randn(1, count, width))
        options = {"batch_first": True, "norm_first": True, "activation": "gelu"}
        self.blocks = nn.Sequential(
            *(nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, **options)  # type: ignore[arg-type]
              for _ in range(blocks))
        )  # fmt: skip
        self.pool = pool
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], 1)
        return self.readout(self.norm(self.pool(self.blocks(tokens + self.positions))))


class SequenceBlock(nn.Sequential):
    """A convolution over three neighbouring positions, batch normalisation, ReLU and dropout."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__(
            nn.Conv1d(width, width, 3, padding=1),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )


class SequenceClassifier(nn.Module):
    """A small classifier of sequences (N, positions) of symbols, int64, such as text."""

    def __init__(
        self, symbols: int = 8, blocks: int = 6, classes: int = 8, dropout: float = 0.0
    ) -> None:
        check_range("dropout", dropout)
        super().__init__()
        self.embedding = nn.Embedding(symbols, 40)
        self.blocks = nn.Sequential(*(SequenceBlock(40, dropout) for _ in range(blocks)))
        self.readout = nn.Linear(40, classes)

    def forward(self, sequences: Tensor) -> Tensor:
        """Return the logits (N, classes)."""
        features = self.blocks(self.embedding(sequences).transpose(1, 2))
        return self.readout(features.mean(2))


def fit(
    build: Callable[[], nn.Module],
    images: Tensor,
    labels: Tensor,
    epochs: int,
    seed: int = 0,
    learning_rate: float = 3e-3,
    batch_size: int = 50,
) -> nn.Module:
    """Build a network, train it with AdamW on the cross-entropy, and return it in evaluation mode.

    The seed decides the first weights, the order of the images and the dropout; the random numbers
    of the caller go on as if nothing had been drawn.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = build().train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate)
        for _ in range(epochs):
            for batch in torch.randperm(len(images)).split(batch_size):
                loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return network.eval()
