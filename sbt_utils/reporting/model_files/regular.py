"""What all files have in common that somebody names: a path, and a message about it."""

from __future__ import annotations

from os import PathLike, stat
from stat import S_ISREG

from sbt_utils.text import shown

LONGEST = 300  # characters of a path, or of an error of others, in a message
ZIP = b"PK\x03\x04"  # by these first bytes PyTorch and NumPy take a file for an archive


def check_regular(path: str | PathLike[str], message: str, remedy: str) -> None:
    """Raise ValueError for what a path leads to if it is no file: a pipe would be waited for."""
    check_path(path, message, remedy)
    if not S_ISREG(stat(path).st_mode):
        raise ValueError(f"{message} (it is no regular file); {remedy}")


def check_path(path: object, message: str, remedy: str) -> None:
    """Raise TypeError for what is no path: a number would be that of an open file."""
    if not isinstance(path, str | PathLike):
        raise TypeError(f"{message} ({type(path).__name__} given); {remedy}")


def given(checkpoint: object) -> str:
    """Return how messages begin."""
    return f"checkpoint={shown(checkpoint, LONGEST)}"


def reason(error: Exception) -> str:
    """Return an error of others as part of a message."""
    return shown(f"{type(error).__name__}: {error}", LONGEST)
