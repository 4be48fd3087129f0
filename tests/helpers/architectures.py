"""Small architectures, members' states and batches, for tests of ensembles."""

from collections import OrderedDict

import torch
from torch import nn

from sbt_utils.training.networks import CNN, MLP

CLASSES = 4
SLOPES = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
DROPOUTS = torch.tensor([0.0, 0.2, 0.5], dtype=torch.float64)
MEMBERS = len(SLOPES)

# Every architecture takes images of 6 pixels, (2, 3) where it flattens them.
ARCHITECTURES = {
    "published": lambda: MLP(inputs=6, width=5, hidden_layers=3, classes=CLASSES),
    "all widths equal to the batch": lambda: MLP(inputs=6, width=6, hidden_layers=3, classes=6),
    "no batch norm": lambda: MLP(
        inputs=6, width=5, hidden_layers=2, classes=CLASSES, batch_norm=False
    ),
    "linear": lambda: nn.Sequential(nn.Linear(6, CLASSES)),
    "ReLU beside leaky ReLU": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 5), nn.LeakyReLU(), nn.Linear(5, CLASSES)
    ),
    "no bias": lambda: nn.Sequential(
        nn.Linear(6, 5, bias=False),
        nn.BatchNorm1d(5),
        nn.LeakyReLU(),
        nn.Linear(5, CLASSES, bias=False),
    ),
    "norm first": lambda: nn.Sequential(nn.BatchNorm1d(6), nn.LeakyReLU(), nn.Linear(6, CLASSES)),
    "nested": lambda: nn.Sequential(
        OrderedDict(
            stem=nn.Sequential(nn.Flatten(), nn.Sequential(nn.BatchNorm1d(6))),
            body=nn.Sequential(nn.Linear(6, 5), nn.LeakyReLU(), nn.Dropout()),
            head=nn.Linear(5, CLASSES),
        )
    ),
    "dropout first": lambda: nn.Sequential(
        nn.Dropout(), nn.Flatten(), nn.Linear(6, 5), nn.LeakyReLU(), nn.Linear(5, CLASSES)
    ),
    "leaky ReLU first": lambda: nn.Sequential(
        nn.LeakyReLU(), nn.Flatten(), nn.BatchNorm1d(6), nn.Linear(6, CLASSES)
    ),
    "dropout, leaky ReLU and dropout first": lambda: nn.Sequential(
        nn.Dropout(), nn.LeakyReLU(), nn.Dropout(), nn.Linear(6, 5), nn.Linear(5, CLASSES)
    ),
    "linear layers in a row": lambda: nn.Sequential(
        nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)
    ),
    "activations and dropouts in a row": lambda: nn.Sequential(
        nn.Linear(6, 5),
        nn.LeakyReLU(),
        nn.Dropout(),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(5, CLASSES),
    ),
    "norms in a row and other constants": lambda: nn.Sequential(
        nn.BatchNorm1d(6, eps=0.1),
        nn.BatchNorm1d(6, momentum=0.3),
        nn.Linear(6, 5),
        nn.LeakyReLU(),
        nn.BatchNorm1d(5, eps=0.01, momentum=1.0),
        nn.Linear(5, CLASSES),
    ),
    "width 1": lambda: MLP(inputs=6, width=1, hidden_layers=2, classes=CLASSES),
    "norm before ReLU, dropout or neither": lambda: nn.Sequential(
        nn.Linear(6, 5),
        nn.BatchNorm1d(5),
        nn.ReLU(),
        nn.Linear(5, 7),
        nn.BatchNorm1d(7),
        nn.Dropout(),
        nn.LeakyReLU(),
        nn.Linear(7, 5),
        nn.BatchNorm1d(5),
        nn.Linear(5, CLASSES),
    ),
    "norm last": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.LeakyReLU(), nn.Linear(5, CLASSES), nn.BatchNorm1d(CLASSES)
    ),
    "activation and dropout last": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.LeakyReLU(), nn.Linear(5, CLASSES), nn.LeakyReLU(), nn.Dropout()
    ),
}

# These take images of 2 channels and 4 x 6 pixels.
ARCHITECTURES |= {
    "published convolutions": lambda: nn.Sequential(
        *list(CNN(inputs=2, channels=3, hidden_layers=3).children())[:-1],
        nn.Linear(3 * 4 * 6, CLASSES),
    ),
    "convolution first, no bias, another geometry": lambda: nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=(1, 2), padding=(0, 1), bias=False),
        nn.ReLU(),
        nn.Conv2d(4, 6, 2, dilation=(1, 2), groups=2),
        nn.Dropout(),
        nn.Upsample(scale_factor=3),
        nn.LeakyReLU(),
        nn.MaxPool2d((2, 3), stride=1, padding=1, ceil_mode=True),
        nn.BatchNorm2d(6),
        nn.Flatten(),
        nn.BatchNorm1d(6 * 4 * 6),
        nn.Linear(6 * 4 * 6, CLASSES),
    ),
    "pooling, dropout, norm and flat layers around": lambda: nn.Sequential(
        nn.Dropout(),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(2),
        nn.Dropout(),
        nn.LeakyReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(2, 3, 1),
        nn.Flatten(),
        nn.Linear(3 * 4 * 6, 5),
        nn.LeakyReLU(),
        nn.Linear(5, CLASSES),
    ),
}


def random_state(network, seed=0):
    """Weights, biases, scales and running statistics, none of them at its default."""
    generator = torch.Generator().manual_seed(seed)

    def values(tensor):
        shape = (MEMBERS, *tensor.shape)
        return torch.rand(shape, generator=generator, dtype=torch.float64) * 1.5 - 0.5

    return {
        name: torch.full((MEMBERS,), 7) if tensor.dtype == torch.int64 else values(tensor)
        for name, tensor in network.state_dict().items()
    } | {
        name: values(tensor).abs() + 0.1
        for name, tensor in network.state_dict().items()
        if "running_var" in name
    }


def batch(size, shape=(6,), seed=1):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(MEMBERS, size, *shape, generator=generator, dtype=torch.float64)
    return images, torch.randint(CLASSES, (MEMBERS, size), generator=generator)


def image_shape(network):
    kinds = {type(layer) for layer in network.modules()}
    return (2, 4, 6) if nn.Conv2d in kinds else (2, 3) if nn.Flatten in kinds else (6,)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
