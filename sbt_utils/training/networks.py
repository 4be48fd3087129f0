"""The published networks: a multilayer perceptron and a convolutional network.

Shi, Pan & Dokmanić, Spring-block theory of feature learning in deep neural networks,
Phys. Rev. Lett. (2025), arXiv:2407.19353. An argument out of its range is a ValueError.
"""

from collections import OrderedDict

import numpy as np
from torch import nn

from sbt_utils.text import quoted
from sbt_utils.training.ranges import check_counts, check_number

MOST_LAYERS = 10_000
"""Hidden layers of a network, at most: making more takes minutes."""
MOST_UNITS = 100_000
"""Of a layer's width, channels, inputs or classes, at most: the square are gigabytes."""


class MLP(nn.Sequential):
    """The multilayer perceptron of the paper, made of stock PyTorch layers.

    Input batch normalisation, then `hidden_layers` times linear, batch normalisation, leaky ReLU
    and dropout, then a linear read-out. The defaults are the published ones: 8 linear layers for
    images of 10 x 10 pixels.

    Parameters
    ----------
    inputs : int
        Pixels of an image, all channels counted.
    width : int
        Units of each hidden layer.
    hidden_layers, classes : int
        How many there are: at least 1 hidden layer and 2 classes.
    negative_slope : float
        α in [0, 1]: 0 is ReLU, 1 a linear network. The nonlinearity is 1 - α.
    dropout : float
        p in [0, 1): probability that a hidden unit is silenced in a training step.
    batch_norm : bool
        False leaves out every batch normalisation but that of the input.

    Examples
    --------
    >>> import torch
    >>> network = MLP(width=20, hidden_layers=2, negative_slope=0.2)
    >>> network(torch.zeros(5, 1, 10, 10)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        inputs: int = 100,
        width: int = 100,
        hidden_layers: int = 7,
        classes: int = 10,
        negative_slope: float = 0.0,
        dropout: float = 0.0,
        batch_norm: bool = True,
    ) -> None:
        check_counts(inputs=inputs, width=width, hidden_layers=hidden_layers)
        check_counts(2, classes=classes)
        check_number("negative_slope", negative_slope)
        check_number("dropout", dropout)
        if not isinstance(batch_norm, bool | np.bool_):
            raise ValueError(f"batch_norm={quoted(batch_norm)}: give True or False")
        _check_size(hidden_layers, width=width, inputs=inputs, classes=classes)
        layers: list[tuple[str, nn.Module]] = [
            ("flatten", nn.Flatten()),
            ("input_norm", nn.BatchNorm1d(inputs)),
        ]
        for number in range(1, hidden_layers + 1):
            layers.append((f"linear{number}", nn.Linear(inputs if number == 1 else width, width)))
            if batch_norm:
                layers.append((f"norm{number}", nn.BatchNorm1d(width)))
            layers.append((f"activation{number}", nn.LeakyReLU(negative_slope)))
            layers.append((f"dropout{number}", nn.Dropout(dropout)))
        layers.append(("readout", nn.Linear(width, classes)))
        super().__init__(OrderedDict(layers))


class CNN(nn.Sequential):
    """The convolutional network of the paper, made of stock PyTorch layers.

    Input batch normalisation, then `hidden_layers` times 3 x 3 convolution, batch normalisation,
    leaky ReLU, 2 x 2 max-pooling, upsampling to the former size by repeating pixels, and dropout,
    then a linear read-out. The defaults are the published ones: 7 hidden layers of 20 channels for
    colour images of 10 x 10 pixels. Its features are taken after the pooling: measure its load
    curve with ``layers=torch.nn.MaxPool2d``.

    Parameters
    ----------
    inputs : int
        Channels of an image.
    size : int
        Pixels of an image's side, even.
    channels : int
        Channels of each hidden layer.
    hidden_layers, classes, negative_slope, dropout
        As for `MLP`. α = 1 leaves the pooling as the only nonlinearity; dropout silences pixels.

    Examples
    --------
    >>> import torch
    >>> network = CNN(channels=4, hidden_layers=2)
    >>> network(torch.zeros(5, 3, 10, 10)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        inputs: int = 3,
        size: int = 10,
        channels: int = 20,
        hidden_layers: int = 7,
        classes: int = 10,
        negative_slope: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        check_counts(inputs=inputs, channels=channels, hidden_layers=hidden_layers)
        check_counts(2, classes=classes, size=size)
        check_number("negative_slope", negative_slope)
        check_number("dropout", dropout)
        _check_size(hidden_layers, channels=channels, inputs=inputs, size=size, classes=classes)
        if size % 2:
            raise ValueError(f"size={quoted(size)}: give an even number, so that pooling halves it")
        layers: list[tuple[str, nn.Module]] = [("input_norm", nn.BatchNorm2d(inputs))]
        for number in range(1, hidden_layers + 1):
            layers += [
                (f"conv{number}", nn.Conv2d(inputs, channels, 3, padding=1)),
                (f"norm{number}", nn.BatchNorm2d(channels)),
                (f"activation{number}", nn.LeakyReLU(negative_slope)),
                (f"pool{number}", nn.MaxPool2d(2)),
                (f"upsample{number}", nn.Upsample(scale_factor=2)),
                (f"dropout{number}", nn.Dropout(dropout)),
            ]
            inputs = channels
        layers += [("flatten", nn.Flatten()), ("readout", nn.Linear(channels * size**2, classes))]
        super().__init__(OrderedDict(layers))


def _check_size(hidden_layers: int, **sizes: int) -> None:
    """Raise ValueError, before it is made, if a network would fit into no memory."""
    if hidden_layers > MOST_LAYERS:
        raise ValueError(f"hidden_layers={hidden_layers}: give at most {MOST_LAYERS}")
    for name, size in sizes.items():
        if size > MOST_UNITS:
            raise ValueError(f"{name}={size}: give at most {MOST_UNITS}; more fit into no memory")
