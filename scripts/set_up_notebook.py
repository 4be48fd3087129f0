"""Install the checkout that the first cell of a notebook has fetched, on Colab or anywhere else.

Only packages that are missing are installed with it. Those that are there stay as they are: some
are loaded already, and some fit the machine's GPU.
"""

import importlib
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("sbt_utils", "sbt_book")
HELD = ("ipython", "ipywidgets", "numpy", "torch")


def set_up(wanted: str) -> None:
    """Install this checkout for the running notebook, which asked for a version of it."""
    started = time.monotonic()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    replaced, missing = _version(project["name"]), _missing(_requirements(project))
    # pip would look at what the installed packages require as well, and add what Colab left out.
    _pip("install", "--no-deps", "--editable", str(ROOT))
    if missing:
        with tempfile.TemporaryDirectory() as folder:
            held = Path(folder, "held.txt")
            pins = {name: _version(name) for name in HELD}
            held.write_text("".join(f"{n}=={v}\n" for n, v in pins.items() if v), encoding="utf-8")
            _pip("install", "--constraint", str(held), *missing)
    for name in list(sys.modules):  # of another version
        if name.split(".")[0] in PACKAGES:
            del sys.modules[name]
    importlib.invalidate_caches()
    words = [f"Installed {project['name']} {project['version']} ({_source(wanted)}) in {ROOT}"]
    words += [f"in place of {replaced}"] if replaced else []
    words += [f"with {', '.join(missing)}" if missing else "with no other package"]
    print(f"{', '.join(words)}, in {time.monotonic() - started:.0f} s.")


def _requirements(project: dict) -> list[str]:
    """Return what a notebook needs: the library's dependencies, and what shows live pictures."""
    book = project["optional-dependencies"]["book"]
    return project["dependencies"] + [line for line in book if line.startswith("anywidget")]


def _missing(requirements: list[str]) -> list[str]:
    """Return the requirements that no installed package meets."""
    missing = []
    for requirement in map(Requirement, requirements):
        version = _version(requirement.name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            missing.append(str(requirement))
    return missing


def _version(name: str) -> str | None:
    """Return the installed version of a package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _source(wanted: str) -> str:
    """Return the tag that the checkout is of, or its commit where there is no such tag."""
    if f"v{wanted}" in _git("tag", "--points-at", "HEAD").split():
        return f"tag v{wanted}"
    return f"commit {_git('rev-parse', '--short', 'HEAD').strip()}, as there is no tag v{wanted}"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True).stdout


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{run.stderr}")
