"""How sharp the minimum is in which a network has ended."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor, nn
from torch.func import functional_call, grad, vjp

Loss = Callable[[dict[str, Tensor]], Tensor]
"""A function of named parameters, twice differentiable where it is asked for."""


def top_eigenvalue(
    loss: Loss, parameters: Mapping[str, Tensor], tolerance: float = 0.01, seed: int = 0
) -> float:
    """Return the largest eigenvalue of the Hessian of a loss.

    The Hessian is never formed: ARPACK's implicitly restarted Lanczos iteration asks for its
    products with vectors, and each is taken by differentiating the gradient once more, backwards;
    the loss and its gradient are computed but once. A dozen products are enough for most networks.

    Parameters
    ----------
    loss : callable
        Maps the parameters to a scalar Tensor, through operations that `torch.func` can transform.
    parameters : mapping of str to Tensor, floating point
        Where to take the Hessian, by name: P numbers in all, at least 2. Left as they are.
    tolerance : float
        Relative, of the eigenvalue.
    seed : int
        Of the vector that the iteration starts from.

    Returns
    -------
    float
        The largest eigenvalue, not the largest in magnitude; nan if a product with the Hessian is
        not finite or the iteration does not converge.

    Raises
    ------
    ValueError
        If there are fewer than 2 numbers among the parameters.

    References
    ----------
    B. A. Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994) 147;
    R. B. Lehoucq, D. C. Sorensen & C. Yang, ARPACK users' guide, SIAM (1998).

    Examples
    --------
    >>> curvatures = torch.tensor([3.0, -7.0, 1.0])
    >>> top = top_eigenvalue(lambda p: (curvatures * p["x"] ** 2).sum() / 2, {"x": torch.ones(3)})
    >>> round(top, 4)
    3.0
    """
    own = {name: tensor.detach() for name, tensor in parameters.items()}
    count = sum(tensor.numel() for tensor in own.values())
    if count < 2:
        raise ValueError(f"parameters hold {count} numbers: give at least 2")
    pull_back = vjp(grad(loss), own)[1]

    def product(vector: np.ndarray) -> np.ndarray:
        (along,) = pull_back(_unravel(vector, own))
        return torch.cat([tensor.flatten() for tensor in along.values()]).double().cpu().numpy()

    start = np.random.default_rng(seed).standard_normal(count)
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
    the loss is a sum over images; the optimiser sees another loss, with the batch's statistics.

    Parameters
    ----------
    network : torch.nn.Module
        Maps images to logits (N, classes). Left as it is.
    images : Tensor, shape (N, ...), floating point
    labels : Tensor, shape (N,), integer
    tolerance : float
        Relative, of the eigenvalue.

    Returns
    -------
    float
        In nats over squared units of the parameters; nan if it is not finite.

    Raises
    ------
    ValueError
        If there are no images, labels do not match them in number, or fewer than 2 numbers are
        trained.

    References
    ----------
    S. Hochreiter & J. Schmidhuber, Flat minima, Neural Computation 9 (1997) 1; N. S. Keskar et al.,
    On large-batch training for deep learning, ICLR 2017, arXiv:1609.04836.

    Examples
    --------
    >>> from sbt_utils.data.datasets import load_data
    >>> from sbt_utils.training.networks import MLP
    >>> digits, _ = load_data("mnist", train=100), torch.manual_seed(0)
    >>> sharpness(MLP(width=20), digits.train_images, digits.train_labels) > 0
    True
    """
    if not len(images) or labels.shape != images.shape[:1]:
        raise ValueError(
            f"labels of shape {tuple(labels.shape)} for {len(images)} images: "
            "give at least one image, and one label for each"
        )
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    mode = {module: module.training for module in network.modules()}

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        logits = functional_call(network, parameters, (images,))
        return nn.functional.cross_entropy(logits, labels)

    network.eval()
    try:
        return top_eigenvalue(loss, trained, tolerance)
    finally:
        for module, training in mode.items():
            module.training = training


def _unravel(vector: np.ndarray, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """Cut a vector into tensors like the given ones."""
    first = next(iter(like.values()))
    pieces = torch.from_numpy(vector.ravel()).split([tensor.numel() for tensor in like.values()])
    return {
        name: piece.view(tensor.shape).to(first.device, tensor.dtype)
        for piece, (name, tensor) in zip(pieces, like.items(), strict=True)
    }
