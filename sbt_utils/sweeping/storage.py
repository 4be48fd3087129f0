"""What a sweep has on disk: its file, and until that is complete the folder of its shards."""

import errno
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from sbt_utils import results
from sbt_utils.outputs import (
    TEMPORARY,
    FilePath,
    check_writable,
    is_intact,
    named,
    real_path,
    whole_file,
)
from sbt_utils.sweeping.shards import SweepError
from sbt_utils.sweeping.tasks import ALGORITHM
from sbt_utils.text import shown
from sbt_utils.training.progress import tell
from sbt_utils.work_folders import clear, give_up, is_work, owned

SHARD = r"\d{6,}\.nc"
OWN = rf"{SHARD}(\.damaged)?|complete\.nc|{TEMPORARY}"
"""The names of the files that a sweep writes into its folder, and the only ones it removes."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_out(out: FilePath) -> Path:
    """Return the file that `out` leads to; raise ValueError now, not after hours, if it is none."""
    path, given = real_path("out", out), f"out={named(out)}"
    if Path(out).suffix != ".nc" and not os.path.isdir(path):
        raise ValueError(f"{given}: give a file name that ends in .nc")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{given}: its folder cannot be made ({error.strerror})") from None
    check_writable("out", out)
    if path.exists() and not path.is_file():
        raise ValueError(f"{given}: this is no regular file; give another name")
    return path


def folder_of(path: Path) -> Path:
    """Return the folder of the shards of a file."""
    return path.with_name(path.name.removesuffix(".nc") + ".shards")


def check_folder(out: FilePath, folder: Path) -> None:
    """Raise ValueError if there can be no folder of this name, or it cannot be read."""
    try:
        os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):  # it is made, or refused, when it is taken
        pass
    except OSError as error:
        raise ValueError(
            f"out={named(out)}: the folder of its shards, {named(folder)}, cannot be used "
            f"({error.strerror}); give another file"
        ) from None


def check_replaceable(path: Path) -> None:
    """Raise ValueError if a file is none of ours, so that it must not be replaced."""
    if path.exists() and is_intact(path) is None and not _says(path, b"results_version"):
        raise ValueError(
            f"out={path}: this file holds no results of sbt-utils and is not replaced; give "
            "another out, or remove it yourself"
        )


def _says(path: Path, word: bytes) -> bool:
    """Say whether a word is in a file, which may be larger than memory."""
    with path.open("rb") as file:
        before = b""
        while block := file.read(2**20):
            if word in before + block:
                return True
            before = block[-len(word) :]
    return False


def check_same(
    name: str, stored: xr.Dataset, configuration: Mapping[str, Any], versions: bool = False
) -> None:
    """Raise ValueError if results were made with another configuration, or other versions."""
    # A file that is older than this setting was made without such noise.
    made = {"weight_noise": 0.0} | json.loads(stored.attrs["configuration"])
    wanted: dict[str, Any] = {"weight_noise": 0.0, **configuration}
    made["algorithm"], wanted["algorithm"] = int(stored.attrs.get("algorithm", 1)), ALGORITHM
    if versions:
        made |= json.loads(stored.attrs["versions"])
        wanted |= results.versions()
    wanted = json.loads(json.dumps(wanted))  # tuples become lists, as in the file
    for key in wanted | made:
        if made.get(key) != wanted.get(key):
            raise ValueError(
                f"{name} was made with {shown(key)} = {shown(repr(made.get(key)))}, not "
                f"{shown(repr(wanted.get(key)))}: give another out, or resume=False to replace it"
            )


def finished_shards(folder: Path, configuration: Mapping[str, Any]) -> list[xr.Dataset]:
    """Return the finished shards in a folder; those that are damaged are set aside."""
    shards = []
    for path in sorted(path for path in folder.iterdir() if re.fullmatch(SHARD, path.name)):
        if not path.is_file():
            raise ValueError(
                f"{shown(path, 300)} has the name of a shard and is no file: move it away, or give "
                "another out"
            )
        if not is_intact(path):
            aside = path.with_name(f"{path.name}.damaged")
            os.replace(path, aside)
            text = f"{path} is damaged: set aside as {aside.name}, and computed again"
            tell(text)
            continue
        shards.append(results.load(path))
        # Results of two versions must not end up in one file.
        name = f"the folder of finished shards {folder}"
        check_same(name, shards[-1], configuration, versions=True)
    return shards


def differences(shards: Iterable[xr.Dataset]) -> dict[str, str]:
    """Return an attribute that lists in what the origins of shards differ, if they do."""
    found = {
        name: sorted({str(shard.attrs[name]) for shard in shards})
        for name in ("commit", "python", "machine")
    }
    listed = {name: values for name, values in found.items() if len(values) > 1}
    return {"shards_differ_in": json.dumps(listed)} if listed else {}


def save(
    dataset: xr.Dataset, path: Path, configuration: Mapping[str, Any], wall_time: float
) -> None:
    """Write results; an error says what is kept."""
    try:
        dataset = dataset.assign_attrs(algorithm=ALGORITHM)
        results.save(dataset, path, configuration, wall_time)
    except (OSError, RuntimeError) as error:
        raise _unwritten(path, error, path.parent) from error


def put_in_place(complete: Path, path: Path, resume: bool) -> None:
    """Move the complete results to where they belong, maybe on another disk."""
    if resume and path.exists():
        raise SweepError(
            f"{path} was written by somebody else during the sweep and is not replaced: move it "
            f"away and call again; everything is kept in {complete.parent}"
        )
    try:
        try:
            os.replace(complete, path)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with whole_file(path) as temporary:
                temporary.write_bytes(complete.read_bytes())
    except OSError as error:
        raise _unwritten(path, error, complete.parent) from error


def tidy(folder: Path) -> None:
    """Remove a sweep's files and its folder, unless somebody else's files are in it."""
    clear(folder, OWN)
    give_up(folder)


def remove_leftovers(path: Path) -> None:
    """Remove the shards of a file that is complete: the sweep was killed while it tidied up."""
    folder = folder_of(path)
    if is_work(folder):
        try:
            with owned(folder, str(path)):
                tidy(folder)
        except ValueError:  # another process is at it
            pass


def _unwritten(path: Path, error: Exception, folder: Path) -> SweepError:
    number = getattr(error, "errno", None)
    # HDF5's message surrounds the reason with details of its own.
    reason = os.strerror(number) if number else str(error)
    remedy = "make room" if number in _FULL else "make it writable"
    return SweepError(
        f"{path} cannot be written ({reason}); the shards finished before are kept in {folder}: "
        f"{remedy} and call again to resume"
    )
