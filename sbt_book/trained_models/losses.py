"""What removal needs: blocks that can be skipped, and an output that can be right or wrong."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class TextClassifier(nn.Module):
    """A sentence encoder with a linear readout of its embeddings, (N, tokens) to (N, classes)."""

    def __init__(self, encoder: nn.Module, readout: nn.Linear) -> None:
        super().__init__()
        self.encoder, self.readout = encoder, readout

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the logits of the classes, (N, classes)."""
        tokens = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.readout(sentence_embedding(tokens, attention_mask))


def sentence_embedding(tokens: Tensor, attention_mask: Tensor) -> Tensor:
    """Return the mean (N, d) of the tokens (N, tokens, d) that count, at length 1."""
    mask = attention_mask[..., None].to(tokens.dtype)
    return nn.functional.normalize((tokens * mask).sum(1) / mask.sum(1), dim=1)


def fitted_readout(features: Tensor, labels: Tensor, decay: float = 1e-3) -> nn.Linear:
    """Fit a linear readout of features (N, d), of length 1 or so, to labels (N,).

    Logistic regression: the mean cross-entropy and half of `decay` times the squared weights,
    minimised from zero: always the same.
    """
    readout = nn.Linear(features.shape[1], int(labels.max()) + 1, dtype=torch.float64)
    for parameter in readout.parameters():
        nn.init.zeros_(parameter)
    wide = features.detach().double()
    descent = torch.optim.LBFGS(readout.parameters(), max_iter=1000, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        descent.zero_grad()
        penalty = decay / 2 * readout.weight.square().sum()
        value = nn.functional.cross_entropy(readout(wide), labels) + penalty
        value.backward()
        return value

    with torch.enable_grad():
        descent.step(loss)
    return readout.to(features.dtype).requires_grad_(False)


def in_layers(network: Any) -> nn.Sequential:
    """Return the pitch network as a row of modules, for its logits: the same numbers.

    Its own forward pass calls functions for a layer's parts. Here ``layer1`` to ``layer6`` pad,
    convolve, cut off and normalise, and keep the length of the sound; ``pool1`` to ``pool6`` halve
    it.
    """
    modules: dict[str, nn.Module] = {"open": nn.Unflatten(1, (1, -1, 1))}
    for number in range(1, 7):
        padding = (0, 0, 254, 254) if number == 1 else (0, 0, 31, 32)
        modules[f"layer{number}"] = nn.Sequential(
            nn.ZeroPad2d(padding),
            getattr(network, f"conv{number}"),
            nn.ReLU(),
            getattr(network, f"conv{number}_BN"),
        )
        modules[f"pool{number}"] = nn.MaxPool2d((2, 1))
    modules["flat"] = _TimeFirst()
    modules["classifier"] = network.classifier
    return nn.Sequential(OrderedDict(modules)).eval()


def keeps_channels(convolution: Any) -> bool:
    """Tell whether a convolution gives as many channels as it takes."""
    return bool(convolution.in_channels == convolution.out_channels)


class _TimeFirst(nn.Module):
    """From (N, channels, time, 1) to (N, time x channels)."""

    def forward(self, features: Tensor) -> Tensor:
        """Return the features in the order in which the pitch network reads them."""
        return features.transpose(1, 2).flatten(1)


def pitch_loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return what the pitch network was trained to make small, of sounds and their pitch in cents.

    The cross-entropy of its 360 outputs with a bell of 25 cents around the pitch, added up.
    """
    inputs, cents = batch
    target = torch.exp(-((_pitches() - cents[:, None]) ** 2) / (2 * 25.0**2)).to(inputs.dtype)
    losses = nn.functional.binary_cross_entropy_with_logits(
        network(inputs), target, reduction="none"
    )
    return losses.sum(1).mean()


def _pitches() -> Tensor:
    """Return the pitches of the outputs of the pitch network, in cents above 10 Hz, (360,)."""
    return 1997.3794084376191 + 20 * torch.arange(360, dtype=torch.float64)


@torch.no_grad()
def pitch_accuracy(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Return the fraction of sounds whose highest output is within 50 cents of the pitch."""
    errors = [_pitches()[network(inputs).argmax(1)] - cents for inputs, cents in batches]
    return (torch.cat(errors).abs() < 50).double().mean().item()


def next_token_loss(model: nn.Module, pieces: Tensor) -> Tensor:
    """Return the mean cross-entropy of a language model's next tokens in pieces (N, tokens)."""
    logits = model(input_ids=pieces).logits[:, :-1]
    return nn.functional.cross_entropy(logits.flatten(0, 1).double(), pieces[:, 1:].flatten())
