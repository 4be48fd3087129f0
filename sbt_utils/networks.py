"""The published network: a multilayer perceptron with batch normalisation and dropout."""

from collections import OrderedDict

from torch import nn

from sbt_utils.settings import check_range


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
    hidden_layers : int
        Number of hidden layers, at least 1.
    classes : int
        Number of classes, at least 2.
    negative_slope : float
        α in [0, 1]: 0 is ReLU, 1 a linear network. The nonlinearity is 1 - α.
    dropout : float
        p in [0, 1): probability that a hidden unit is silenced in a training step.
    batch_norm : bool
        False leaves out every batch normalisation but that of the input.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    References
    ----------
    Shi, Pan & Dokmanić, Spring-block theory of feature learning in deep neural networks,
    Phys. Rev. Lett. (2025), arXiv:2407.19353.

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
        sizes = {"inputs": inputs, "width": width, "hidden_layers": hidden_layers}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name}={size!r}: give at least 1")
        if classes < 2:
            raise ValueError(f"classes={classes!r}: give at least 2")
        check_range("negative_slope", negative_slope)
        check_range("dropout", dropout)
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
