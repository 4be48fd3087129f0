"""The folders in which long experiments keep their finished parts until the whole is there."""

from collections.abc import Iterable
from pathlib import Path


def remove_parts(parts: Iterable[Path]) -> None:
    """Remove the files of an experiment's parts, and their folder unless it holds anything else."""
    files = list(parts)
    for file in files:
        file.unlink(missing_ok=True)
    for folder in {file.parent for file in files}:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
