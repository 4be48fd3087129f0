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
        self,
        inputs: int = 1,
        width: int = 16,
        blocks: int = 6,
        classes: int = 10,
        dropout: float = 0.0,
    ) -> None:
        check_range("dropout", dropout)
        super().__init__()
        self.input_norm = nn.BatchNorm2d(inputs)
        self.stem = nn.Conv2d(inputs, width, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(width, dropout) for _ in range(blocks)))
        self.readout = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes)."""
        features = self.blocks(self.stem(self.input_norm(images)))
        return self.readout(features.mean((2, 3)))


class VisionTransformer(nn.Module):
    """A small vision transformer for images (N, inputs, size, size), size at least 4.

    Patches of 4 x 4 pixels, 3 pixels apart, become tokens; a class token precedes them. `pool`,
    `class_token` or `mean_token`, makes of the last tokens (N, tokens, width) what the readout
    takes. Its blocks normalise the input of their branches (`norm_first`) or the sums behind them.
    Dosovitskiy et al., ICLR 2021, arXiv:2010.11929.
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
        norm_first: bool = True,
    ) -> None:
        check_range("dropout", dropout)
        super().__init__()
        self.patches = nn.Conv2d(inputs, width, 4, stride=3)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        count = 1 + ((size - 4) // 3 + 1) ** 2
        self.positions = nn.Parameter(0.02 * torch.randn(1, count, width))
        self.blocks = encoder_blocks(blocks, width, dropout, norm_first)
        self.pool = pool
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], 1)
        return self.readout(self.norm(self.pool(self.blocks(tokens + self.positions))))


def encoder_blocks(
    blocks: int, width: int, dropout: float, norm_first: bool = True
) -> nn.Sequential:
    """Return transformer layers for tokens (N, tokens, width), with four heads."""
    return nn.Sequential(
        *(nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, "gelu", batch_first=True,
                                     norm_first=norm_first) for _ in range(blocks))
    )  # fmt: skip


class MixerBlock(nn.Module):
    """Two perceptrons beside skip connections: one mixes the tokens, one the channels.

    Tolstikhin et al., NeurIPS 2021, arXiv:2105.01601.
    """

    def __init__(self, tokens: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.token_norm, self.channel_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix_tokens = _perceptron(tokens, 2 * tokens, dropout)
        self.mix_channels = _perceptron(width, 2 * width, dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens (N, tokens, width) with what both perceptrons add."""
        mixed = self.mix_tokens(self.token_norm(tokens).transpose(1, 2))
        tokens = tokens + mixed.transpose(1, 2)
        return tokens + self.mix_channels(self.channel_norm(tokens))


class Mixer(nn.Module):
    """A small MLP-Mixer for images (N, inputs, size, size), with patches of 4 x 4, 3 apart."""

    def __init__(
        self,
        inputs: int = 1,
        size: int = 10,
        width: int = 32,
        blocks: int = 6,
        classes: int = 10,
        dropout: float = 0.0,
    ) -> None:
        check_range("dropout", dropout)
        super().__init__()
        self.patches = nn.Conv2d(inputs, width, 4, stride=3)
        count = ((size - 4) // 3 + 1) ** 2
        self.blocks = nn.Sequential(*(MixerBlock(count, width, dropout) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes)."""
        tokens = self.blocks(self.patches(images).flatten(2).transpose(1, 2))
        return self.readout(self.norm(tokens).mean(1))


class GatedBlock(nn.Module):
    """A gated linear unit beside a skip connection (SwiGLU: Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.value, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        self.activation, self.dropout = nn.SiLU(), nn.Dropout(dropout)
        self.out = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Return features (N, width) with what the gated branch adds."""
        normed = self.norm(features)
        gated = self.value(normed) * self.activation(self.gate(normed))
        return features + self.out(self.dropout(gated))


class GatedNetwork(nn.Module):
    """A residual network of gated linear units for images of `inputs` values in all."""

    def __init__(
        self,
        inputs: int = 100,
        width: int = 64,
        blocks: int = 6,
        classes: int = 10,
        dropout: float = 0.0,
    ) -> None:
        check_range("dropout", dropout)
        super().__init__()
        self.stem = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(inputs), nn.Linear(inputs, width))
        self.blocks = nn.Sequential(*(GatedBlock(width, dropout) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes)."""
        return self.readout(self.norm(self.blocks(self.stem(images))))


class RecurrentBlock(nn.Module):
    """A gated recurrent unit (GRU) over the positions of a sequence, beside a skip connection."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.unit = nn.GRU(width, width, batch_first=True)
        self.dropout, self.out = nn.Dropout(dropout), nn.Linear(width, width)

    def forward(self, sequence: Tensor) -> Tensor:
        """Return a sequence (N, positions, width) with what the recurrent branch adds."""
        return sequence + self.out(self.dropout(self.unit(self.norm(sequence))[0]))


class RecurrentNetwork(nn.Module):
    """A small residual recurrent network that reads images (N, 1, size, size) row by row."""

    def __init__(
        self,
        size: int = 10,
        width: int = 32,
        blocks: int = 6,
        classes: int = 10,
        dropout: float = 0.0,
    ) -> None:
        check_range("dropout", dropout)
        super().__init__()
        self.stem = nn.Linear(size, width)
        self.blocks = nn.Sequential(*(RecurrentBlock(width, dropout) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes)."""
        return self.readout(self.norm(self.blocks(self.stem(images[:, 0])).mean(1)))


def _perceptron(width: int, hidden: int, dropout: float) -> nn.Sequential:
    """Return a perceptron with one hidden layer that keeps the width."""
    layers = nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width)
    return nn.Sequential(*layers)


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
        self,
        symbols: int = 8,
        width: int = 40,
        blocks: int = 6,
        classes: int = 8,
        dropout: float = 0.0,
    ) -> None:
        check_range("dropout", dropout)
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.blocks = nn.Sequential(*(SequenceBlock(width, dropout) for _ in range(blocks)))
        self.readout = nn.Linear(width, classes)

    def forward(self, sequences: Tensor) -> Tensor:
        """Return the logits (N, classes)."""
        features = self.blocks(self.embedding(sequences).transpose(1, 2))
        return self.readout(features.mean(2))


class SequenceTransformer(nn.Module):
    """A small transformer that classifies sequences (N, positions) of symbols, int64."""

    def __init__(
        self,
        symbols: int = 8,
        positions: int = 16,
        width: int = 32,
        blocks: int = 6,
        classes: int = 8,
        dropout: float = 0.0,
    ) -> None:
        check_range("dropout", dropout)
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.positions = nn.Parameter(torch.randn(1, positions, width))
        self.blocks = encoder_blocks(blocks, width, dropout)
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, classes)

    def forward(self, sequences: Tensor) -> Tensor:
        """Return the logits (N, classes)."""
        tokens = self.blocks(self.embedding(sequences) + self.positions)
        return self.readout(self.norm(tokens.mean(1)))


def fit(
    build: Callable[[], nn.Module],
    images: Tensor,
    labels: Tensor,
    epochs: int,
    seed: int = 0,
    learning_rate: float = 3e-3,
    batch_size: int = 50,
    until: Callable[[nn.Module], bool] = lambda network: False,
) -> nn.Module:
    """Build a network, train it with AdamW on the cross-entropy, and return it in evaluation mode.

    The seed decides the first weights, the order of the images and the dropout; the random numbers
    of the caller go on as if nothing had been drawn. `until` is asked after each epoch, with the
    network in evaluation mode, whether to stop before the last.
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
            if until(network.eval()):
                break
            network.train()
    return network.eval()
