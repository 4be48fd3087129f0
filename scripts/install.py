"""Install this checkout and what it needs, by the hashes in locks/, into the Python that runs this.

python scripts/install.py book|test [CONSTRAINTS]: with other constraints than the project's own,
pip chooses the packages, unlocked.
"""

import subprocess
import sys
from pathlib import Path

from lock import LOCKS, ROOT

PINNED = "constraints.txt"


def pip(*arguments: str, **settings: int) -> int:
    """Run pip; return its exit status."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, cwd=ROOT, **settings).returncode


def locked(name: str, **settings: int) -> int:
    """Install what a lock lists, nothing of another content, and nothing that has to be built."""
    options = ("--require-hashes", "--no-deps", "--only-binary=:all:")
    return pip("install", *options, "-r", str(LOCKS / f"{name}.txt"), **settings)


def install(extra: str, constraints: str = PINNED) -> int:
    """Install the packages of an extra; `test` includes `book`. Return the exit status."""
    extras = ("book",) if extra == "book" else ("book", "test")
    if Path(constraints).name != PINNED:
        return pip("install", "-c", constraints, "-e", f".[{','.join(extras)}]")
    # Only where pip has been told of another index than PyPI is there a PyTorch without CUDA.
    return (
        (locked("torch-cpu", stderr=subprocess.DEVNULL) and locked("torch"))
        or any(map(locked, extras))
        # setuptools, which builds it, is locked like all else.
        or pip("install", "--no-deps", "--no-index", "--no-build-isolation", "-e", ".")
        or pip("check")
    )


if __name__ == "__main__":
    sys.exit(install(*sys.argv[1:]))
