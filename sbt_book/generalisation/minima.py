"""How sharp the minimum is in which a network has ended."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor, nn
from torch.func import functional_call, grad, vjp

from sbt_utils.models.running import evaluation_mode

Loss = Callable[[dict[str, Tensor]], Tensor]
"""A function of named parameters, twice differentiable where it is asked for."""


def top_eigenvalue(loss: Loss, parameters: Mapping[str, Tensor], tolerance: float = 0.01) -> float:
    """Return the largest (not the largest in magnitude) eigenvalue of the Hessian of a loss.

    `tolerance` is relative. nan if a product with the Hessian is not finite or the iteration does
    not converge. ARPACK's Lanczos iteration (Lehoucq, Sorensen & Yang, ARPACK users' guide, SIAM
    (1998)) asks for products of the Hessian with vectors, for most networks about a dozen.
    """
    values = {name: tensor.detach() for name, tensor in parameters.items()}
    count = sum(tensor.numel() for tensor in values.values())
    if count < 2:
        raise ValueError(f"parameters hold {count} numbers: give at least 2")
    # The Hessian is symmetric: its product with a vector is the gradient differentiated backwards
    # (Pearlmutter, Neural Computation 6 (1994) 147). Loss and gradient are computed but once.
    pull_back = vjp(grad(loss), values)[1]

    def product(vector: np.ndarray) -> np.ndarray:
        (along,) = pull_back(_unravel(vector, values))
        return torch.cat([tensor.flatten() for tensor in along.values()]).double().cpu().numpy()

    start = np.random.default_rng(0).standard_normal(count)
    if not np.isfinite(product(start)).all():
        return float("nan")
    hessian = LinearOperator((count, count), matvec=product, dtype=np.float64)
    settings = {"which": "LA", "v0": start, "ncv": min(6, count), "tol": tolerance}
    try:
        (top,) = eigsh(hessian, 1, return_eigenvectors=False, **settings)
    except ArpackNoConvergence:
        return float("nan")
    return float(top)


def sharpness(network: nn.Module, images: Tensor, labels: Tensor, tolerance: float = 0.01) -> float:
    """Return the sharpness of a network: the largest eigenvalue of the Hessian of its loss.

    The loss is the mean cross-entropy over the images, as a function of all parameters that are
    trained, in evaluation mode: no dropout, and batch normalisation with its running statistics,
    which stay fixed. That is the mode in which load curves are measured, and the only one in which
    the loss is a sum over images; the optimiser sees another loss, with the batch's statistics
    (Keskar et al., ICLR 2017, arXiv:1609.04836). In nats over squared units of the parameters, with
    the relative `tolerance`; nan if it is not finite.
    """
    if not len(images) or labels.shape != images.shape[:1]:
        raise ValueError(
            f"labels of shape {tuple(labels.shape)} for {len(images)} images: "
            "give at least one image, and one label for each"
        )
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        logits = functional_call(network, parameters, (images,))
        return nn.functional.cross_entropy(logits, labels)

    with evaluation_mode(network):
        return top_eigenvalue(loss, trained, tolerance)


def _unravel(vector: np.ndarray, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """Cut a vector into tensors like the given ones."""
    first = next(iter(like.values()))
    pieces = torch.from_numpy(vector.ravel()).split([tensor.numel() for tensor in like.values()])
    return {
        name: piece.view(tensor.shape).to(first.device, tensor.dtype)
        for piece, (name, tensor) in zip(pieces, like.items(), strict=True)
    }
