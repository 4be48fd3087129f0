"""Colab's versions: the list of what its runtime has, and the constraints made from it.

python scripts/colab_versions.py         writes .github/colab.txt from the list, .github/colab.toml
python scripts/colab_versions.py FREEZE  renews the list first, from a file that was saved on Colab
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from address import ROOT, project
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LIST, CONSTRAINTS = ROOT / ".github/colab.toml", ROOT / ".github/colab.txt"

LIST_HEADER = """\
# What Colab's runtime had on a day of what the notebooks need there: the packages that they import
# and what these require. CONTRIBUTING.md says how it is renewed; `make colab` finds what it lacks.
"""
CONSTRAINTS_HEADER = """\
# What Colab had on {day}, with Python {python}. The weekly run tests with these versions, and
# `make colab` with no others. Made from colab.toml by scripts/colab_versions.py; edit that file.
# Required by one of these, but not on Colab: {absent}.
# Not on Colab and not needed there: what builds the book's pages, and what tests them.
"""


@dataclass(frozen=True)
class Runtime:
    """What Colab's runtime had on a day: `sources` says from where which pins are known."""

    day: date
    python: str
    absent: tuple[str, ...]
    sources: dict[str, tuple[str, ...]]

    @property
    def versions(self) -> dict[str, str]:
        """The version of each package."""
        pins = (pin.split("==") for pins in self.sources.values() for pin in pins)
        return {name: version for name, version in pins}


def read_runtime(path: Path = LIST) -> Runtime:
    """Return the runtime that a list describes."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    sources = {known["source"]: tuple(known["packages"]) for known in content["known"]}
    return Runtime(content["day"], content["python"], tuple(content["absent"]), sources)


def list_text(runtime: Runtime) -> str:
    """Return the text of a runtime's list."""
    lines = [f"day = {runtime.day}", f'python = "{runtime.python}"']
    lines += [f"absent = {_array(runtime.absent)}  # required by one of these, but not on Colab"]
    for source, pins in runtime.sources.items():
        lines += ["", "[[known]]", f'source = """\\\n{source}"""', f"packages = {_array(pins)}"]
    return LIST_HEADER + "\n".join(lines) + "\n"


def _array(words: Iterable[str]) -> str:
    """Return words as an array of TOML, one a line where there are many."""
    words = [f'"{word}"' for word in words]
    return f"[{', '.join(words)}]" if len(words) < 3 else "[\n  " + ",\n  ".join(words) + ",\n]"


def constraints_text(runtime: Runtime, requirements: Iterable[str]) -> str:
    """Return pip's constraints; a pin outside the project's own requirements becomes a comment."""
    ranges = {canonicalize_name(r.name): r.specifier for r in map(Requirement, requirements)}
    lines = []
    for name, version in sorted(runtime.versions.items()):
        fits = name not in ranges or version in ranges[name]
        too_old = f"# {name}=={version} is too old for the tests, and no notebook imports it"
        lines.append(f"{name}=={version}" if fits else too_old)
    absent = ", ".join(runtime.absent)
    header = CONSTRAINTS_HEADER.format(day=runtime.day, python=runtime.python, absent=absent)
    return header + "\n".join(lines) + "\n"


def requirements() -> list[str]:
    """Return what this project requires, with all its extras."""
    about = project()
    return sum(about["optional-dependencies"].values(), about["dependencies"])


def renewed(runtime: Runtime, freeze: str) -> Runtime:
    """Return a runtime with the day, the Python and the versions of a file saved on Colab.

    The packages looked for in it are those that the runtime names, be it as absent.
    """
    day = re.search(r"^\d{4}-\d\d-\d\d$", freeze, re.M)
    python = re.search(r"^Python (\d+\.\d+)", freeze, re.M)
    if day is None or python is None:
        raise ValueError("the file names no day or no Python: save it as CONTRIBUTING.md says")
    # The build of PyTorch, "+cu128", is left out: it says which GPU, not which functions.
    pins = re.findall(r"^([\w.-]+)==([^\s+]+)", freeze, re.M)
    found = {canonicalize_name(name): version for name, version in pins}
    names = sorted({*runtime.versions, *runtime.absent})
    return Runtime(
        date.fromisoformat(day[0]),
        python[1],
        tuple(name for name in names if name not in found),
        {"`pip freeze` on that day.": tuple(f"{n}=={found[n]}" for n in names if n in found)},
    )


if __name__ == "__main__":
    runtime = read_runtime()
    if len(sys.argv) > 1:
        try:
            runtime = renewed(runtime, Path(sys.argv[1]).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            sys.exit(str(error))
        LIST.write_text(list_text(runtime), encoding="utf-8")
    CONSTRAINTS.write_text(constraints_text(runtime, requirements()), encoding="utf-8")
    print(f"{CONSTRAINTS.name}: {len(runtime.versions)} versions, as Colab had on {runtime.day}")
