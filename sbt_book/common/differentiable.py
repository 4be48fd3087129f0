"""Data separation with a gradient, for what pushes it or follows it back to the weights."""

from torch import Tensor
from torch.nn.functional import one_hot


def differentiable_separation(features: Tensor, labels: Tensor) -> Tensor:
    """Return D = log(tr Σw / tr Σb) of a batch of features as a tensor with a gradient.

    `sbt_utils.measuring.data_separation` measures the same in double precision, and has none.

    Parameters
    ----------
    features : Tensor, shape (N, d)
    labels : Tensor of int, shape (N,)
        Classes 0..C-1, each of which occurs.

    Returns
    -------
    Tensor, shape ()

    Examples
    --------
    >>> import torch
    >>> features = torch.tensor([[0.0], [2.0], [4.0], [6.0]], requires_grad=True)
    >>> separation = differentiable_separation(features, torch.tensor([0, 0, 1, 1]))
    >>> round(separation.item(), 4)  # log(1 / 4)
    -1.3863
    """
    members = one_hot(labels).to(features)
    means = (members.T @ features) / members.sum(0)[:, None]
    within = (features - means[labels]).square().sum()
    between = (means[labels] - features.mean(0)).square().sum()
    return (within / between).log()
