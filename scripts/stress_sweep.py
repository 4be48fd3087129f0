"""Disturb a sweep at random, and compare what it ends with bit by bit with an undisturbed one.

It is killed, stopped, raced by a second one, starved of disk space and fed with damaged shards,
over and over, for about so many seconds::

    .venv/bin/python scripts/stress_sweep.py 600
"""

import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import torch
import xarray as xr

from sbt_utils.results import load
from sbt_utils.sweeping.experiments import Experiment
from sbt_utils.sweeping.shards import SweepError
from sbt_utils.sweeping.storage import folder_of
from sbt_utils.sweeping.sweeps import sweep

GRID = Experiment(
    {"dropout": [0.0, 0.1, 0.2], "negative_slope": [0.0, 1.0]},
    seeds=2,
    hidden_layers=2,
    width=8,
    epochs=2,
    train=100,
    test=60,
)
REFUSED, UNWRITTEN, WRONG = 3, 4, 5
"""Exit statuses: another process is at work, no room, anything else."""


def attempt(out: Path, shard_size: int, room: int | None) -> None:
    """Sweep in a process of its own, which may write files of so many bytes."""
    os.setpgrp()
    torch.set_num_threads(1)
    if room is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        sweep(GRID, out=out, shard_size=shard_size, progress=False)
    except ValueError as error:
        sys.exit(REFUSED if "is being computed by" in str(error) else f"{WRONG} {error}")
    except SweepError as error:
        sys.exit(UNWRITTEN if "make room and call again" in str(error) else f"{WRONG} {error}")


def damage(folder: Path, rng: random.Random) -> None:
    """Change, cut, empty or extend one of the shards, as if the disk had."""
    if not (shards := sorted(folder.glob("[0-9]*.nc"))):
        return
    shard = rng.choice(shards)
    data = bytearray(shard.read_bytes())
    kind = rng.choice(["flip", "cut", "empty", "extend"])
    if kind == "flip" and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "extend":
        data += rng.randbytes(rng.randrange(1, 100))
    else:
        del data[0 if kind == "empty" else rng.randrange(len(data) + 1) :]
    shard.write_bytes(data)


def disturb(out: Path, rng: random.Random) -> str:
    """Run a sweep, or two, disturb them in one way, and say in which."""
    spawn = multiprocessing.get_context("forkserver")
    kind = rng.choice(["killed", "stopped", "raced", "starved", "damaged", "undisturbed"])
    if kind == "damaged":
        damage(folder_of(out), rng)
    room = rng.randrange(0, 30_000) if kind == "starved" else None
    size = rng.choice([1, 2, 4])
    count = 2 if kind in ("raced", "stopped") else 1
    processes = [spawn.Process(target=attempt, args=(out, size, room)) for _ in range(count)]
    for number, process in enumerate(processes):
        process.start()
        if kind in ("killed", "stopped"):
            time.sleep(rng.uniform(0.0, 0.6))
        if kind == "stopped" and number == 0:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGSTOP)
    if kind == "stopped":
        processes[1].join()
        with suppress(ProcessLookupError):
            os.kill(processes[0].pid, signal.SIGCONT)
    if kind == "killed" or (kind in ("raced", "stopped") and rng.random() < 0.5):
        time.sleep(rng.uniform(0.0, 0.3))
        processes[0].kill()
    for process in processes:
        process.join()
    allowed = {0, -signal.SIGKILL}
    allowed |= {REFUSED} if count == 2 else {UNWRITTEN} if kind == "starved" else set()
    if unexpected := {process.exitcode for process in processes} - allowed:
        raise AssertionError(f"{kind}: exit statuses {unexpected}")
    return kind


def values(diagram: xr.Dataset) -> dict[str, bytes]:
    """Return everything of a result but when and in what pieces it was made."""
    found = {name: variable.values.tobytes() for name, variable in diagram.variables.items()}
    return found | {"configuration": diagram.attrs["configuration"].encode()}


def stress(seconds: float, seed: int = 0) -> Counter[str]:
    """Go on for so many seconds; return how often what was done, unless anything differs."""
    rng, done, end = random.Random(seed), Counter(), time.monotonic() + seconds
    torch.set_num_threads(1)
    expected = values(sweep(GRID, progress=False))
    multiprocessing.get_context("forkserver").set_forkserver_preload(["sbt_utils.sweeping.sweeps"])
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "grid.nc"
        thesis = folder_of(out) / "thesis.txt"
        while time.monotonic() < end or not done["compared"]:
            done[disturb(out, rng)] += 1
            # Not before the sweep has marked its folder: it takes none that somebody uses.
            ours = folder_of(out).is_dir() and any(folder_of(out).iterdir())
            if ours and not thesis.exists():
                thesis.write_text("hi")
                done["a file of somebody else added"] += 1
            if out.exists():
                assert values(load(out)) == expected
                sweep(GRID, out=out, progress=False)  # tidies what a killed one has left
                if thesis.exists():
                    assert os.listdir(thesis.parent) == [thesis.name], os.listdir(thesis.parent)
                    thesis.unlink()
                    thesis.parent.rmdir()
                assert os.listdir(temporary) == [out.name], os.listdir(temporary)
                out.unlink()
                done["compared"] += 1
    return done


if __name__ == "__main__":
    seed = int(time.time())
    print(f"seed {seed}", file=sys.stderr, flush=True)
    print(json.dumps(stress(float(sys.argv[1]), seed), indent=1))
