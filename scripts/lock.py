"""Write the locks: what constraints.txt pins and all it needs, with the hashes of all their files.

`make lock` runs this: python scripts/lock.py UV, with uv's path. It asks the index, and what
PIP_EXTRA_INDEX_URL and PIP_FIND_LINKS name for PyTorch's builds without CUDA; hashes of those that
it once found are kept as long as the version stays.
"""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "locks"
CUDA = re.compile("(cuda|nvidia)-|triton$")  # what PyTorch's builds with CUDA need besides
PYTHON = "3.11.5"  # the oldest that all packages run on
HEADERS = {
    "torch": "PyTorch as PyPI has it, and what CUDA, with which it comes on Linux, needs.",
    "torch-cpu": "PyTorch's builds without CUDA, which come from an index of their own.",
    "book": "What the book needs, but for PyTorch.",
    "test": "What the tests need besides.",
}


def compiled(uv: str, source: str, *options: str, text: str = "") -> dict[str, str]:
    """Return uv's lines for each package that some requirements need, on any platform."""
    command = [uv, "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--python-version", PYTHON, *options, source]
    run = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr)
    return entries(run.stdout)


def entries(text: str) -> dict[str, str]:
    """Return the lines of each package in a lock."""
    found = re.findall(r"^[a-z0-9][^#\n]*(?:\n    --hash.*)+", text, re.MULTILINE)
    return {re.split("[=; ]", entry)[0]: entry for entry in found}


def hashes(entry: str) -> set[str]:
    """Return the hashes of a package's files."""
    return set(re.findall("--hash=(sha256:[0-9a-f]{64})", entry))


def without_cuda(uv: str, pin: str) -> set[str]:
    """Return the hashes of PyTorch's builds without CUDA that an index or a folder has."""
    found = set()
    for place in os.environ.get("PIP_FIND_LINKS", "").split():
        for path in Path(place).glob(f"{pin.replace('==', '-')}+cpu-*.whl"):
            found.add(f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
    for index in os.environ.get("PIP_EXTRA_INDEX_URL", "").split():
        options = ("--no-deps", "--default-index", index)
        found |= hashes(compiled(uv, "-", *options, text=f"{pin}+cpu")["torch"])
    return found


def main(uv: str) -> None:
    """Write the locks."""
    pins = ("--constraints", "constraints.txt")
    book = compiled(uv, "pyproject.toml", "--extra", "book", *pins)
    whole = compiled(uv, "pyproject.toml", "--extra", "book", "--extra", "test", *pins)
    path, pin = LOCKS / "torch-cpu.txt", book["torch"].split()[0]
    known = without_cuda(uv, pin)
    before = entries(path.read_text(encoding="utf-8"))["torch"] if path.exists() else ""
    if before.split()[:1] == [f"{pin}+cpu"]:
        known |= hashes(before)
    lines = [f"{pin}+cpu", *(f"    --hash={each}" for each in sorted(known))]
    torch = {name: book.pop(name) for name in list(book) if name == "torch" or CUDA.match(name)}
    more = {name: entry for name, entry in whole.items() if entry != book.get(name)}
    locks = {
        "torch": torch,
        "torch-cpu": {"torch": " \\\n".join(lines)},
        "book": book,
        # A package that the book needs on some platforms may be needed on more.
        "test": {n: entry for n, entry in more.items() if n == "triton" or n not in torch},
    }
    LOCKS.mkdir(exist_ok=True)
    for name, packages in locks.items():
        lines = [
            f"# {HEADERS[name]} Made by `make lock`.",
            *(packages[n] for n in sorted(packages)),
        ]
        (LOCKS / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
