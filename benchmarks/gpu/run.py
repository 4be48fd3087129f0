"""Check, time and run the paper's experiments on a GPU, with ``--out DIR``; or by `make gpu`.

Five parts in this order, of the published size within about 8 minutes on an H100:

- ``tests``: the tests marked ``gpu``;
- ``speed``: rates of the card, and networks a second against plain PyTorch and `torch.compile`;
- ``diagrams``: all four phase diagrams, 2,820 networks, into ``gpu.nc``;
- ``convolutions``: 80 convolutional networks, 2,000 epochs, into ``cnn_dropout.nc``;
- ``reports``: what the report of a large model costs over its forward pass.

A part consists of rounds. The result of a round is in ``DIR/gpu.json`` before the next begins, and
rounds with a result are not run again: call it as often as need be, also with the folder copied to
another machine. After ``--seconds`` no further round begins, nor one of the convolutional networks
that would hardly end by then. There are never more than eight files to keep, each below 16 MiB. A
round that fails is noted and tried again by the next call; the exit status is 1 then, and 0
otherwise, whether or not anything is left to do.

The folder that this file lies in need not be installed, and nothing that only the book needs has
to be there. What is missing on a machine without a network travels as wheels, made with ::

    pip download --no-deps --only-binary=:all: -d wheels h5netcdf pooch platformdirs \
        threadpoolctl
    pip wheel --no-deps -w wheels .

and installed beside the others, for this command alone, with ::

    pip install --no-index --no-deps --target site wheels/*.whl
    PYTHONPATH=site python3 benchmarks/gpu/run.py --out DIR
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "tests": "marked_tests",
    "speed": "speed",
    "diagrams": "diagrams",
    "convolutions": "convolutions",
    "reports": "reports",
}
"""The parts in their order, and the files beside this one that they are in."""
RESERVED = {"convolutions": 45.0}
"""Seconds that a part leaves to those after it: the convolutional networks would take all."""
LONG = {"convolutions": 100.0}
"""Seconds that must be left for a part's first round; for each other, 1.2 times its last one."""


def options_of(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, required=True, help="the folder of results, made if need be")
    add("--profile", choices=("smoke", "paper"), default="paper", help="how much to compute")
    add("--device", default="cuda", help="cuda, or cpu for a dry run")
    add("--seconds", type=float, default=440.0, help="begin no further round after so many")
    add(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=list(PARTS),
        help="default: all, in their order",
    )
    add("--images", type=Path, help="CIFAR-10 at 10 x 10 pixels, see convolutions.py")
    add("--commit", help="of the code, where its folder is no checkout")
    return parser.parse_args(words)


def provenance() -> dict[str, Any]:
    """Say what computes here: card, driver, versions, commit, date."""
    import torch

    from sbt_utils import results

    there = torch.cuda.is_available()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "card": torch.cuda.get_device_name() if there else None,
        "driver": driver() if there else None,
        "cuda": torch.version.cuda,
        "processors": os.cpu_count(),
        "python": sys.version.split()[0],
        "versions": results.versions(),
        "commit": results.commit(),
    }


def driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.check_output(command, text=True).split()[0]
    except (OSError, IndexError, subprocess.CalledProcessError):
        return None


def write(file: Path, record: dict[str, Any]) -> None:
    from sbt_utils.outputs import whole_file

    with whole_file(file) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def opened(file: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what earlier calls have recorded; refuse that of other settings."""
    if not file.exists():
        return {"settings": settings, "runs": [], "parts": {}, "left": {}}
    record = json.loads(file.read_text(encoding="utf-8"))
    if record["settings"] != settings:
        raise SystemExit(
            f"{file} is of {record['settings']}, not of {settings}: give another --out"
        )
    return record


def go_through(
    name: str, options: argparse.Namespace, record: dict[str, Any], deadline: float
) -> list[str]:
    """Run the rounds of a part that have no result yet; return those that were not begun."""
    part = record["parts"].setdefault(name, {"results": {}, "errors": {}})
    part["errors"], failures, left = {}, 0, []
    deadline, needed = deadline - RESERVED.get(name, 0.0), LONG.get(name, 0.0)
    try:
        for label, measure in importlib.import_module(PARTS[name]).rounds(options):
            if label in part["results"]:
                continue
            # What fails twice in a row would fail on.
            if failures == 2 or time.monotonic() + needed > deadline:
                left.append(label)
                continue
            begun = time.monotonic()
            print(f"{name}: {label}", flush=True)
            try:
                result, failures = measure(), 0
                spent = round(time.monotonic() - begun, 2)
                mark = {"round_seconds": spent, "run": len(record["runs"]) - 1}
                part["results"][label] = result | mark
                needed = 1.2 * spent if name in LONG else 0.0
                print(f"  {spent} s: {json.dumps(result)[:400]}", flush=True)
            except Exception:
                part["errors"][label], failures = traceback.format_exc(), failures + 1
                print(part["errors"][label], flush=True)
            write(options.out / "gpu.json", record)
    except Exception:  # the part cannot say which rounds it has
        part["errors"]["rounds"] = traceback.format_exc()
        print(part["errors"]["rounds"], flush=True)
    return left


def main(words: list[str] | None = None) -> int:
    begun, options = time.monotonic(), options_of(words)
    # This checkout's code, here and in the processes that are started from here.
    here = [str(ROOT), str(ROOT / "benchmarks")]
    sys.path[:0] = here
    os.environ["PYTHONPATH"] = os.pathsep.join([*here, os.environ.get("PYTHONPATH", "")])
    from sbt_utils.training.settings import check_device

    check_device(options.device)
    if options.commit:
        os.environ["SBT_COMMIT"] = options.commit
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "gpu.json"
    record = opened(file, {"profile": options.profile, "device": options.device})
    record["runs"].append(provenance())
    for name in (part for part in PARTS if part in options.parts):
        record["left"][name] = go_through(name, options, record, begun + options.seconds)
        write(file, record)
    failed = {name: list(part["errors"]) for name, part in record["parts"].items()}
    left = {name: labels for name, labels in record["left"].items() if labels}
    print(f"left to do: {json.dumps(left) if left else 'nothing'}; results are in {options.out}")
    return int(any(failed.values()))


if __name__ == "__main__":
    sys.exit(main())
