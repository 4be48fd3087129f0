"""Files that are written whole or not at all, never over a file in use, and with their digest."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sbt_utils.text import shown
from sbt_utils.work_folders import is_work

FilePath = str | os.PathLike[str]
TEMPORARY = r"\.[0-9a-f]{16}\.part"
"""What `whole_file` calls its temporary files; one is left behind where a process is killed."""

_SEAL = b"\nsha256 of the bytes before this line: "
_SEAL_LENGTH = len(_SEAL) + 64 + 1


@contextmanager
def whole_file(path: FilePath) -> Iterator[Path]:
    """Yield a temporary path; what is written there becomes the file, whole or not at all.

    It lies beside the file, or beside the one that a link leads to. A device, a pipe or a stream of
    this process, such as ``/dev/stdout``, gets the bytes in the end and stays what it is.
    """
    target, special = Path(os.path.realpath(path)), _is_special(path)
    temporary = _temporary(Path(tempfile.gettempdir()) if special else target.parent)
    try:
        yield temporary
        if special:
            stream = _stream(path)
            with open(path if stream is None else os.dup(stream), "wb") as sink:
                sink.write(temporary.read_bytes())
        else:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())  # or a power cut could leave the new name without content
            if target.exists():
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def check_outputs(
    outputs: Mapping[str, FilePath | None], inputs: Mapping[str, FilePath | None] | None = None
) -> None:
    """Raise ValueError, before any work, if an output cannot be written or is another file in use.

    Both are files by the name of their argument, or None where it is not given. Names of new files
    that differ in their capitals alone count as one: many systems keep one file for both.
    """
    used = {name: file for name, file in (inputs or {}).items() if file is not None}
    for name, path in outputs.items():
        if path is None:
            continue
        check_writable(name, path)
        for other, file in used.items():
            if not _is_special(path) and _is_same(path, file):
                raise ValueError(
                    f"{name}={named(path)}: this is the file of {shown(other)}; give another one"
                )
        used[name] = path


def check_writable(name: str, path: FilePath) -> None:
    """Raise ValueError if a file cannot be written: its folder is tried."""
    target, given = real_path(name, path), f"{name}={named(path)}"
    try:
        if target.is_dir():
            raise ValueError(f"{given}: this is a folder; give the name of a file in it")
        if _is_special(path) or os.path.lexists(target):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, "it is write-protected")
        elif not (target.parent.is_dir() and os.path.isdir(os.path.dirname(path) or ".")):
            raise ValueError(f"{given}: there is no folder {named(target.parent)}; make it first")
        if is_work(target.parent):
            raise ValueError(f"{given}: this folder is of a sweep, which removes it; give another")
        if not _is_special(path):
            trial = _temporary(target.parent)
            trial.touch()
            trial.unlink()
    except OSError as error:
        raise ValueError(
            f"{given}: cannot be written ({error.strerror}); give another file"
        ) from None


def is_of_another_kind(path: FilePath, beginning: bytes) -> bool:
    """Tell whether there is a file, but for empty ones, that does not begin so: a slip, perhaps."""
    if _is_special(path) or not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(beginning)) not in (b"", beginning)


def named(path: FilePath) -> str:
    """Return a path as part of a message."""
    return shown(path, 300)


def real_path(name: str, path: FilePath) -> Path:
    """Return the file that a path leads to; raise ValueError where none can have its name."""
    try:
        if b"\0" in os.fsencode(path):  # behind a link to itself it would not be looked at
            raise ValueError
        return Path(os.path.realpath(path))
    except (TypeError, ValueError):  # no text, or with a zero or half a character in it
        raise ValueError(f"{name}={named(path)}: this cannot be a name; give another") from None


def sealed(data: bytes) -> bytes:
    """Return data with its SHA-256 digest after it; HDF5 ignores what follows its own data."""
    return data + _SEAL + hashlib.sha256(data).hexdigest().encode() + b"\n"


def is_intact(path: Path) -> bool | None:
    """Say whether a file still has the digest of `sealed`; None if it has none."""
    size = path.stat().st_size - _SEAL_LENGTH
    if size < 0:
        return None
    with path.open("rb") as file:
        file.seek(size)
        end = file.read()
    if not end.startswith(_SEAL):
        return None
    return end[len(_SEAL) :] == _digest(path, size) + b"\n"


def _digest(path: Path, size: int) -> bytes:
    """Return the SHA-256 digest of the first bytes of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, 2**20))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest().encode()


def _temporary(folder: Path) -> Path:
    # Short, because the name beside it may be as long as the file system allows.
    return folder / f".{secrets.token_hex(8)}.part"


def _is_same(one: FilePath, other: FilePath) -> bool:
    there = os.path.exists(one), os.path.exists(other)
    if all(there):
        return os.path.samefile(one, other)
    return not any(there) and _plain(one) == _plain(other)


def _plain(path: FilePath) -> str:
    """Return a path without what some systems ignore: capitals, and how accents are written."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


def _is_special(path: FilePath) -> bool:
    """Say whether a path leads to something else than a regular file or a new one."""
    if _stream(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(mode)


def _stream(path: FilePath) -> int | None:
    """Return the number of the open stream of this process that a path leads to."""
    path = os.path.abspath(path)
    for _ in range(40):  # links; the system allows no more
        folder, name = os.path.split(path)
        if name.isdigit() and os.path.realpath(folder) in ("/dev/fd", f"/proc/{os.getpid()}/fd"):
            return int(name)
        if not os.path.islink(path):
            break
        path = os.path.normpath(os.path.join(folder, os.readlink(path)))
    return None
