"""Labelled images, in arrays or from a loader, as batches that a model takes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import nn


def check_model(model: nn.Module) -> None:
    """Raise unless a model can be run: a module with all its values, on one device.

    Parameters
    ----------
    model : torch.nn.Module

    Raises
    ------
    TypeError, ValueError
        Otherwise.

    Examples
    --------
    >>> check_model(nn.Linear(2, 2, device="meta"))
    Traceback (most recent call last):
    ValueError: model: its parameters are on 'meta', without values; load them first
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: {type(model).__name__} given; give a torch.nn.Module")
    tensors = list(chain(model.parameters(), model.buffers()))
    if any(nn.parameter.is_lazy(tensor) for tensor in tensors):
        raise ValueError("model: has lazy parameters without a shape; run it once on a batch")
    devices = sorted({str(tensor.device) for tensor in tensors})
    if len(devices) > 1:
        raise ValueError(f"model: lies on {' and '.join(devices)}; move it to one device")
    if devices == ["meta"]:
        raise ValueError("model: its parameters are on 'meta', without values; load them first")


def arrays_or_loader(images: Any, batch_size: int) -> Iterable[Any]:
    """Return the batches of a tuple (images, labels) of arrays, or a loader as it is.

    Parameters
    ----------
    images : tuple of two arrays, or iterable of batches
    batch_size : int
        Images in a batch of the arrays.

    Returns
    -------
    iterable of (images, labels)

    Raises
    ------
    TypeError, ValueError
        As `in_batches`.

    Examples
    --------
    >>> [len(batch) for batch, _ in arrays_or_loader((np.zeros((5, 2)), np.zeros(5)), 3)]
    [3, 2]
    """
    arrays = (torch.Tensor, np.ndarray)
    if isinstance(images, (tuple, list)) and any(isinstance(part, arrays) for part in images):
        if len(images) != 2:
            raise ValueError(f"images: {len(images)} parts given; give (images, labels)")
        return in_batches(images[0], images[1], batch_size)
    return in_batches(images, None, batch_size)


def in_batches(images: Any, labels: Any, batch_size: int) -> Iterable[Any]:
    """Return the batches of images and labels in arrays, or a loader as it is.

    Parameters
    ----------
    images : array, or iterable of batches
    labels : array or None
        One an image; None with a loader.
    batch_size : int
        Images in a batch of the arrays.

    Returns
    -------
    iterable of (images, labels)

    Raises
    ------
    TypeError, ValueError
        Arguments that do not fit together.

    Examples
    --------
    >>> in_batches(np.zeros((3, 2)), [0, 1, 1], batch_size=2)[1][1]
    array([1])
    """
    if isinstance(images, (torch.Tensor, np.ndarray)):
        if labels is None:
            raise TypeError("labels: None given; images in an array need labels, one an image")
        if not isinstance(labels, torch.Tensor):
            labels = np.asarray(labels)
        if labels.shape[:1] != images.shape[:1]:
            raise ValueError(
                f"labels: shape {tuple(labels.shape)} does not match images of shape "
                f"{tuple(images.shape)}; give one label an image"
            )
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size: {batch_size!r} given; give an integer of 1 or more")
        starts = range(0, len(images), batch_size)
        return [(images[i : i + batch_size], labels[i : i + batch_size]) for i in starts]
    if labels is not None:
        raise TypeError("labels: given beside a loader; its batches bring their own, leave None")
    if not isinstance(images, Iterable):
        raise TypeError(f"images: {type(images).__name__} given; give a tensor or a loader")
    return images


def on_model(batch: Any, model: nn.Module) -> tuple[torch.Tensor, Any]:
    """Return images on the device and of the dtype of a model, and the labels as they are.

    Parameters
    ----------
    batch : tuple (images, labels)
    model : torch.nn.Module

    Returns
    -------
    images : Tensor
        A copy, so that a model that works in place leaves the images alone.
    labels : as given

    Raises
    ------
    TypeError
        A batch of another kind.

    Examples
    --------
    >>> images, _ = on_model((np.zeros(3), [0, 0, 1]), nn.Linear(3, 1))
    >>> images.dtype
    torch.float32
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"images: a batch is {type(batch).__name__}; yield (images, labels) pairs")
    images, labels = batch
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(np.array(images))
    if not isinstance(images, torch.Tensor):
        raise TypeError(f"images: a batch holds {type(images).__name__}; yield tensors")
    tensors = chain(model.parameters(), model.buffers())
    like = next((tensor for tensor in tensors if tensor.is_floating_point()), images)
    dtype = like.dtype if images.is_floating_point() else images.dtype
    return images.to(like.device, dtype, copy=True), labels
