"""Pushing one layer of a network, and one block of a chain, to see whether it sticks.

In the dictionary of the theory the position of block l is what the layers up to l have separated,
x_l = D_0 - D_l. A constant force f to the right on a block adds -f x_l to the energy of a chain; to
the loss of a network, λ D_l adds the same. So λ is a force, and both signs of it can be tried.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from sbt_book.common.differentiable import differentiable_separation
from sbt_utils.ensembles.stacked_layers import State, padded
from sbt_utils.measuring.evaluation import separation_or_nan

Optimize = Callable[[Sequence[nn.Parameter]], Optimizer]
"""Makes an optimizer of parameters."""


def pushed_network(
    network: nn.Sequential,
    optimize: Optimize,
    data: tuple[Tensor, Tensor],
    layer: int,
    steps: int,
    seed: int,
    force: float,
) -> np.ndarray:
    """Train a network on while one of its layers is pushed, and read its load curve.

    The loss is the cross-entropy of all images plus ``force`` times D of the hidden `layer`, taken
    from the same batch before the dropout.

    Parameters
    ----------
    network : torch.nn.Sequential
        An `sbt_utils.training.networks.MLP`; left as it is.
    optimize : callable
        Such as `continued_adam`.
    data : (Tensor, Tensor)
        Images (N, ...) and labels (N,).
    layer : int
        Its number, from 1.
    seed : int
        Of the dropout. The same seed gives the same masks, whatever the force.
    force : float
        λ; positive lowers D of the layer.

    Returns
    -------
    ndarray, shape (L + 1,)
        D_l in evaluation mode after the steps.
    """
    images, labels = data
    network = deepcopy(network).train()
    optimizer = optimize(list(network.parameters()))
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        for _ in range(steps):
            features, push = images, images.new_zeros(())
            for name, module in network.named_children():
                features = module(features)
                if name == f"activation{layer}":
                    push = force * differentiable_separation(features, labels)
            optimizer.zero_grad()
            (cross_entropy(features, labels) + push).backward()
            optimizer.step()
    return separation_or_nan(network.eval(), images, labels)


def continued_adam(moments: State, rate: float = 1e-3) -> Optimize:
    """Return what makes an Adam that remembers what the one of a training did.

    Parameters
    ----------
    moments : dict of str to Tensor
        Of one member, from ``Training.state["optimizer"]``: a row for all its parameters.
    rate : float
        The learning rate.
    """

    def optimize(parameters: Sequence[nn.Parameter]) -> Optimizer:
        optimizer = torch.optim.Adam(parameters, lr=rate)
        sizes = [parameter.numel() for parameter in parameters]
        for name in ("exp_avg", "exp_avg_sq"):
            pieces = moments[name].split([padded(size) for size in sizes])
            for piece, size, parameter in zip(pieces, sizes, parameters, strict=True):
                memory = piece[:size].view_as(parameter).clone()
                optimizer.state[parameter][name] = memory
        for parameter in parameters:
            optimizer.state[parameter]["step"] = moments["step"].clone()
        return optimizer

    return optimize
