"""Rivals of the load curve: what else is said to predict test accuracy from training images.

All of them read a network in evaluation mode, on labelled images that it may have been trained on.
"""

from typing import cast

import numpy as np
import torch
from scipy.stats import kurtosis
from torch import Tensor, nn

from sbt_utils.models.running import evaluation_mode


@torch.no_grad()
def hidden_features(network: nn.Sequential, images: Tensor) -> list[Tensor]:
    """Return what each leaky ReLU of a network gives, each (N, width), and last the logits."""
    features = []
    with evaluation_mode(network):
        for module in network:
            images = module(images)
            if isinstance(module, nn.LeakyReLU):
                features.append(images)
    return [*features, images]


def davies_bouldin(features: Tensor, labels: Tensor) -> float:
    """Return the Davies-Bouldin index of features (N, d) grouped by their classes: low is apart.

    With the mean distance s_a of a class from its centroid, and the distance m_ab between the
    centroids of two classes, it is the mean over a of the largest (s_a + s_b) / m_ab (Davies &
    Bouldin, IEEE PAMI 1 (1979) 224). inf where two centroids coincide, nan where all points do.

    Examples
    --------
    >>> points, classes = torch.tensor([[-1.0], [1.0], [9.0], [11.0]]), torch.tensor([0, 0, 1, 1])
    >>> davies_bouldin(points, classes)
    0.2
    """
    points, classes = features.double().numpy(), labels.numpy()
    groups = [points[classes == label] for label in np.unique(classes)]
    centroids = np.stack([group.mean(0) for group in groups])
    spreads = np.array(
        [
            np.linalg.norm(group - centroid, axis=1).mean()
            for group, centroid in zip(groups, centroids, strict=True)
        ]
    )
    apart = np.linalg.norm(centroids[:, None] - centroids, axis=-1)
    pairs = ~np.eye(len(groups), dtype=bool)
    ratios = np.full(apart.shape, -np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(spreads[:, None] + spreads, apart, out=ratios, where=pairs)
    return float(ratios.max(1).mean())


def effective_rank(features: Tensor) -> float:
    """Return the effective rank of features (N, d), less their mean: between 1 and d.

    It is exp(-Σ p_k ln p_k), p_k the k-th singular value over the sum of all (Roy & Vetterli,
    EUSIPCO 2007); nan where all features are the same.

    Examples
    --------
    >>> square = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> f"{effective_rank(square):.1f}"
    '2.0'
    """
    centred = features.double() - features.double().mean(0)
    values = torch.linalg.svdvals(centred).numpy()
    if not values.sum() > 0:
        return float("nan")
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def probe_error(features: Tensor, labels: Tensor) -> float:
    """Return the error of a linear classifier of features (N, d), fitted to every other image.

    Least squares on one output per class with an intercept, tested on the images in between. A
    linear probe (Alain & Bengio, arXiv:1610.01644) in closed form.
    """
    inputs = np.column_stack([features.double().numpy(), np.ones(len(features))])
    targets = nn.functional.one_hot(labels).double().numpy()
    weights = np.linalg.lstsq(inputs[::2], targets[::2])[0]
    told = (inputs[1::2] @ weights).argmax(1)
    return float((told != labels[1::2].numpy()).mean())


@torch.no_grad()
def mixup_error(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of means of two images of one class that a network assigns to another.

    Label-wise mixup with equal weights (Natekar & Sharma, arXiv:2012.02775, who won the competition
    *Predicting Generalization in Deep Learning* of NeurIPS 2020 with the Davies-Bouldin index times
    this). Each image meets the next one of its class, the last one the first.
    """
    order = torch.cat([(labels == label).nonzero()[:, 0] for label in labels.unique()])
    following = torch.cat([(labels == label).nonzero()[:, 0].roll(-1) for label in labels.unique()])
    with evaluation_mode(network):
        logits = network((images[order] + images[following]) / 2)
    return float((logits.argmax(1) != labels[order]).double().mean())


def gradient_weight_alignment(
    features: Tensor, weight: Tensor, bias: Tensor, labels: Tensor
) -> float:
    """Return the gradient-weight alignment of a linear read-out (C, d) of features (N, d).

    γ_i is the cosine between the weights and the descent direction of image i, minus the gradient
    of its cross-entropy with respect to them; GWA = mean(γ) / (κ + 1.2), κ the excess kurtosis of
    all γ_i, -1.2 if they are spread evenly (Hölzl, Rueckert & Kaissis, NeurIPS 2025,
    arXiv:2510.25480). There it is taken while the network trains; here in evaluation mode. An image
    without a gradient has γ = 0.
    """
    features, weight = features.double(), weight.detach().double()
    logits = features @ weight.T + bias.detach().double()
    residual = logits.softmax(1) - nn.functional.one_hot(labels, len(weight))
    along = -(residual * (features @ weight.T)).sum(1)  # the gradient is residual ⊗ features
    length = features.norm(dim=1) * residual.norm(dim=1) * weight.norm()
    cosines = torch.where(length > 0, along / length, 0.0).numpy()
    return float(cosines.mean() / (kurtosis(cosines) + 1.2))


def readout_alignment(network: nn.Sequential, images: Tensor, labels: Tensor) -> float:
    """Return `gradient_weight_alignment` of the last layer of an MLP."""
    *_, features, _ = hidden_features(network, images)
    readout = cast(nn.Linear, network[-1])
    return gradient_weight_alignment(features, readout.weight, readout.bias, labels)
