"""Work in progress: by one process at a time, in a folder where only its own files are removed."""

from __future__ import annotations

import errno
import os
import platform
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sbt_utils.text import shown

try:
    import fcntl
except ImportError:  # Windows: processes do not exclude one another there
    fcntl = None  # type: ignore[assignment]

_LONGEST = 300  # characters of a path in a message
_HOLDER = b"process "  # what a lock file begins with, if it is ours
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # or what a link leads to would be overwritten

LOCK = "sbt-utils.lock"
"""The file that marks a folder of work as one, and that its process holds."""

# A process does not exclude itself by its locks, so its threads do here: (process, file).
_held: set[tuple[int, str]] = set()
_held_lock = threading.Lock()


@contextmanager
def locked(file: Path, work: str) -> Iterator[int]:
    """Hold a lock file, which is made if need be, along with its folder.

    The lock of a process that ended, however it did, is free. ValueError if another process or
    thread holds it, or it cannot be made: `work` is what is computed, in the message.
    """
    key = os.getpid(), os.path.realpath(file)
    with _held_lock:
        if key in _held:
            raise ValueError(_is_busy(work, "another thread of this process"))
        _held.add(key)
    try:
        descriptor = _acquire(file, work)
        try:
            yield descriptor
        finally:
            os.close(descriptor)  # and the lock is free
    finally:
        with _held_lock:
            _held.discard(key)


@contextmanager
def owned(folder: Path, work: str, done: Path | None = None) -> Iterator[None]:
    """Hold a folder of work, which is made if need be; ValueError if it is somebody else's.

    It may be so because a process has just ended its work there: not if the file `done` is there.
    """
    names = set()
    with suppress(FileNotFoundError, NotADirectoryError):  # `locked` says so
        names = set(os.listdir(folder))  # once: who holds it may be removing it
    if names and LOCK not in names and not (done and done.exists()):
        raise ValueError(
            f"{shown(folder, _LONGEST)} holds files of somebody else, and {shown(work, _LONGEST)} "
            "would keep its own there: move the folder away, or give another out"
        )
    with locked(folder / LOCK, work) as descriptor:
        try:
            yield
        except BaseException:
            with suppress(OSError):  # of a folder that was given up, and may be another's by now
                held = os.path.samestat(os.stat(folder / LOCK), os.fstat(descriptor))
                if held and os.listdir(folder) == [LOCK]:  # nothing to keep
                    give_up(folder)
            raise


def is_work(folder: Path) -> bool:
    """Say whether a folder is one of work in progress."""
    return os.path.isfile(folder / LOCK)


def clear(folder: Path, own: str) -> None:
    """Remove the files whose whole names match a pattern, and nothing else."""
    for path in folder.iterdir():
        if re.fullmatch(own, path.name) and not path.is_dir():
            path.unlink()


def give_up(folder: Path) -> None:
    """Remove the mark of a folder of work, and the folder unless somebody's files are in it."""
    (folder / LOCK).unlink(missing_ok=True)
    with suppress(OSError):  # not empty, or a link to a folder elsewhere
        folder.rmdir()


def _acquire(file: Path, work: str) -> int:
    """Return the descriptor of a file that is locked and still there."""
    fault = _is_busy(work, "other processes, in turn")
    for _ in range(100):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
        except OSError as error:
            if not isinstance(error, FileExistsError | FileNotFoundError):
                raise ValueError(_cannot_be_made(file, work, error)) from None
            fault = _cannot_be_made(file, work, error)
            continue  # unless who held it has just removed the folder
        try:
            _lock(descriptor, work)
            # Who held it may have removed it, and another made it anew, since it was opened.
            if os.path.samestat(os.stat(file), os.fstat(descriptor)):
                if not _is_ours(descriptor):
                    raise ValueError(_cannot_be_made(file, work, "it is somebody else's"))
                with suppress(OSError):  # a full disk; this is for people only
                    os.ftruncate(descriptor, 0)
                    os.lseek(descriptor, 0, os.SEEK_SET)
                    holder = f"{os.getpid()} on {platform.node()}"
                    os.write(descriptor, _HOLDER + holder.encode())
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise ValueError(fault)


def _lock(descriptor: int, work: str) -> None:
    if fcntl is None:
        return
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            holder = os.read(descriptor, 1000).decode(errors="replace") or "another process"
            raise ValueError(_is_busy(work, holder)) from None
        # A file system without locks: nothing is lost, but work may be done twice.


def _is_ours(descriptor: int) -> bool:
    """Say whether a lock file is new, or of a process of ours that has ended."""
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)  # a pipe would be waited for
    return regular and os.read(descriptor, len(_HOLDER)) in (b"", _HOLDER)


def _is_busy(work: str, holder: str) -> str:
    return (
        f"{shown(work, _LONGEST)} is being computed by {shown(holder)}: wait for it, end it, or "
        "give another file"
    )


def _cannot_be_made(file: Path, work: str, reason: object) -> str:
    reason = getattr(reason, "strerror", reason)
    return (
        f"{shown(file, _LONGEST)}, which says who computes {shown(work, _LONGEST)}, cannot be made "
        f"({reason}): move away what is there, or give another file"
    )
