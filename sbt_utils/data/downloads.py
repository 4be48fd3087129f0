"""Full data sets from the network: fetched once, checked, and read without pickle.

Every file is checked against its SHA-256 before it is read; one packed by others is unpacked to the
published size and no further. Files in the folder that the
environment variable ``SBT_DATA`` names come first (`sbt_utils.data.datasets` shows its layout);
else `pooch` downloads them into its cache. Loads no PyTorch.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from errno import ENOTDIR
from importlib import resources
from pathlib import Path

import numpy as np

from sbt_utils.text import shown

Pools = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Training images, training labels, test images, test labels; uint8, images (n, channels, h, w)."""


class DatasetError(RuntimeError):
    """The data are not available, or not what was published: missing, truncated, altered."""


def fetch(name: str) -> tuple[Pools, str]:
    """Return a full data set, from ``SBT_DATA``, the cache or the network, and its source."""
    remote = REMOTES[name]
    files = [file for file in CHECKSUMS if file.startswith(f"{remote.folder}/")]
    return remote.read([_by_hand(file) or _by_pooch(remote, file) for file in files]), remote.source


def sha256(raw: bytes) -> str:
    """Return the SHA-256 of some bytes in hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True)
class Published:
    """What is known of a file: SHA-256 of it and of what it unpacks to, and bytes of the latter."""

    packed: str
    unpacked: str
    size: int  # 0 where what it unpacks to is not known


def _read_checksums() -> dict[str, Published]:
    """Return what is known of each file."""
    text = (resources.files("sbt_utils") / "data" / "checksums.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {
        file: Published(packed, unpacked, 0 if size == "-" else int(size))
        for file, packed, unpacked, size in rows
    }


CHECKSUMS = _read_checksums()
_LARGEST = 1 << 28  # bytes that none of these files has, packed or not


def _read_idx(contents: list[bytes]) -> Pools:
    """Read the four idx files of MNIST: big-endian sizes, then the bytes."""
    arrays = []
    for raw in contents:
        shape = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
        arrays.append(np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape))
    train_images, train_labels, test_images, test_labels = arrays
    return train_images[:, None], train_labels, test_images[:, None], test_labels


def _read_cifar(contents: list[bytes]) -> Pools:
    """Read CIFAR-10's binary form: per image 1 byte of label and 3 x 32 x 32 bytes of pixels."""
    batches = []
    with tarfile.open(fileobj=io.BytesIO(contents[0])) as archive:
        for batch in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
            member = archive.extractfile(f"cifar-10-batches-bin/{batch}.bin")
            assert member is not None  # a plain file in the one archive that has this hash
            batches.append(np.frombuffer(member.read(), np.uint8).reshape(-1, 1 + 3 * 32 * 32))
    train, test = np.concatenate(batches[:5]), batches[5]
    train_images, test_images = (rows[:, 1:].reshape(-1, 3, 32, 32) for rows in (train, test))
    return train_images, train[:, 0], test_images, test[:, 0]


@dataclass(frozen=True)
class Remote:
    """Where the files of a data set are, and how to read them."""

    folder: str  # in the cache, in SBT_DATA and in checksums.txt
    mirrors: tuple[str, ...]
    read: Callable[[list[bytes]], Pools]
    source: str


REMOTES = {
    "mnist_full": Remote(
        folder="mnist",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        read=_read_idx,
        source="MNIST (LeCun, Cortes and Burges; CC BY-SA 3.0), all 70,000 digits.",
    ),
    "fashion_mnist": Remote(
        folder="fashion_mnist",
        mirrors=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        read=_read_idx,
        source="Fashion-MNIST (Xiao, Rasul and Vollgraf; MIT), github.com/zalandoresearch.",
    ),
    "cifar10": Remote(
        folder="cifar10",
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        read=_read_cifar,
        source="CIFAR-10 (Krizhevsky, 2009), www.cs.toronto.edu/~kriz/cifar.html.",
    ),
}

NAMES = ("mnist", *REMOTES, "gaussian_mixture")
"""The data sets that `sbt_utils.data.datasets.load_data` knows."""


def by_hand() -> dict[str, Path]:
    """Return the files that are in the folder SBT_DATA, by what they are called there."""
    folder = os.environ.get("SBT_DATA")
    if not folder:
        return {}
    try:
        home = Path(folder).expanduser()
        if home.exists() and not home.is_dir():
            raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR))
        paths = {file: home / file for file in CHECKSUMS}
        # Unpacked, they lack the .gz.
        paths = {f: p if p.is_file() else p.with_suffix("") for f, p in paths.items()}
        return {file: path for file, path in paths.items() if path.is_file()}
    except (OSError, RuntimeError) as error:  # RuntimeError: ~ of a user that there is not
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(
            f"SBT_DATA={shown(folder, 300)}: cannot be read ({reason}); name a folder, or unset it"
        ) from None


def _by_hand(file: str) -> bytes | None:
    """Return the unpacked contents of a file in the folder SBT_DATA, None if it is not there."""
    if (path := by_hand().get(file)) is None:
        return None
    named = f"{shown(path, 300)}, found through SBT_DATA, is"
    if (size := path.stat().st_size) > _LARGEST:
        raise DatasetError(
            f"{named} not the published file: it has {size:,} bytes; replace it, or remove it to "
            "download it"
        )
    raw = path.read_bytes()
    published, digest = CHECKSUMS[file], sha256(raw)
    if digest == published.packed:
        return gzip.decompress(raw)
    content = raw if digest == published.unpacked else _unpacked(raw, published.size)
    if sha256(content) != published.unpacked:
        raise DatasetError(
            f"{named} truncated or not the published file: its SHA-256 is {digest}, not "
            f"{published.packed}; replace it, or remove it to download it"
        )
    return content


def _unpacked(raw: bytes, size: int) -> bytes:
    """Return at most `size` bytes, and one, of what an unknown file unpacks to, if it does."""
    try:
        with gzip.open(io.BytesIO(raw)) as stream:
            return stream.read(size + 1)
    except (OSError, EOFError, zlib.error):  # of another kind, or truncated
        return b""


def _by_pooch(remote: Remote, file: str) -> bytes:
    """Return the unpacked contents of a file in the cache, downloaded if it is not there yet."""
    import pooch  # only here: it takes about as long to import as all else in this module

    cache = pooch.os_cache("sbt_utils")
    failures = []
    for url in (mirror + Path(file).name for mirror in remote.mirrors):
        try:
            path = pooch.retrieve(url, CHECKSUMS[file].packed, file, cache, progressbar=True)
        except (OSError, ValueError) as error:  # out of reach (requests), wrong hash (pooch)
            failures.append(f"  {url}: {type(error).__name__}: {shown(error, 300)}")
        else:
            return gzip.decompress(Path(path).read_bytes())
    # Pooch would have returned a cached file with the right hash: this one is damaged.
    with suppress(OSError):
        (cache / file).unlink()
    by_hand = Path(os.environ.get("SBT_DATA") or "$SBT_DATA") / remote.folder
    names = " ".join(Path(file).name for file in CHECKSUMS if file.startswith(f"{remote.folder}/"))
    raise DatasetError(
        f"{file} could not be downloaded:\n" + "\n".join(failures) + "\n"
        f"Get the files of this data set ({names}) elsewhere and put them into {by_hand} (the "
        "environment variable SBT_DATA names a folder of your choice) or, as published, into "
        f'{cache / remote.folder}. Or load "mnist": 10,000 digits that come with the package and '
        "need no network."
    )
