"""Colab: the list of its versions, and the first cell of the notebooks, which fetches the code."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from datetime import date
from pathlib import Path

import pytest
import set_up_notebook
from address import project
from colab_versions import (
    CONSTRAINTS,
    LIST,
    Runtime,
    constraints_text,
    list_text,
    read_runtime,
    renewed,
    requirements,
)
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from set_repository import filled_notebook

ROOT = Path(__file__).parents[2]
CHAPTER = ROOT / "notebooks/04_phase_diagram.ipynb"


class TestVersions:
    def test_list_and_constraints_are_what_the_script_writes(self):
        runtime = read_runtime()
        assert LIST.read_text(encoding="utf-8") == list_text(runtime)
        assert CONSTRAINTS.read_text(encoding="utf-8") == constraints_text(runtime, requirements())

    def test_no_package_is_listed_twice(self):
        runtime = read_runtime()
        names = [pin.split("==")[0] for pins in runtime.sources.values() for pin in pins]
        assert len({*names, *runtime.absent}) == len(names) + len(runtime.absent)
        assert all(name == canonicalize_name(name) for name in names)

    def test_everything_a_notebook_needs_is_there_in_a_version_that_is_accepted(self):
        runtime, book = read_runtime(), project()["optional-dependencies"]["book"]
        shown = [line for line in book if Requirement(line).name in ("anywidget", "ipywidgets")]
        needed = [*project()["dependencies"], *shown]
        assert len(needed) == len(project()["dependencies"]) + 2
        for requirement in map(Requirement, needed):
            assert runtime.versions[requirement.name] in requirement.specifier, requirement
        assert runtime.python in SpecifierSet(project()["requires-python"])

    def test_a_pin_that_the_tests_could_not_be_installed_with_is_a_comment(self):
        runtime = Runtime(date(2026, 8, 25), "3.13", ("jedi",), {"x": ("b==2.0", "a-a==1.5")})
        text = constraints_text(runtime, ["A_a>=1.4", "b>=3", "c"])
        assert [line for line in text.splitlines() if line[0] != "#"] == ["a-a==1.5"]
        assert "# b==2.0 is too old" in text
        assert "2026-08-25" in text
        assert "not on Colab: jedi" in text

    def test_a_saved_file_renews_the_list(self):
        old = Runtime(date(2026, 8, 25), "3.13", ("jedi",), {"x": ("torch==2.11.0", "six==1.17.0")})
        saved = (
            "2027-02-01\nPython 3.14.1\nJedi==0.20.1\nother==1\n"
            "google-colab @ file:///colabtools/x.tar.gz\ntorch==2.13.0+cu130\n"
        )
        new = renewed(old, saved)
        assert (new.day, new.python, new.absent) == (date(2027, 2, 1), "3.14", ("six",))
        assert new.versions == {"jedi": "0.20.1", "torch": "2.13.0"}
        with pytest.raises(ValueError, match="names no day or no Python"):
            renewed(old, "torch==2.13.0\n")


def first_cell(url, version="0.1.0"):
    """Return the first cell of a notebook for a repository."""
    text = filled_notebook(CHAPTER.read_text(encoding="utf-8"), url, version)
    cells = json.loads(text)["cells"]
    return "".join(next(cell for cell in cells if cell["cell_type"] == "code")["source"])


class TestFirstCell:
    def test_it_asks_for_the_version_of_the_project(self):
        text = CHAPTER.read_text(encoding="utf-8")
        url = re.search(r'REPOSITORY = \\"([^"\\]*)', text)[1]
        assert filled_notebook(text, url, project()["version"]) == text

    def test_it_does_nothing_in_a_checkout(self, capsys):
        path = list(sys.path)
        exec(first_cell("https://github.com/a/b", project()["version"]), {})
        assert capsys.readouterr() == ("", "")
        assert sys.path == path

    def test_without_an_address_it_asks_for_one(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ValueError, match="Set REPOSITORY above"):
            exec(first_cell(""), {})


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Let the script set up a small checkout; return pip's commands and the text of its pins."""
    lines = ["numpy>=1", "not-there-at-all>=2", "pandas>=900"]
    text = f'[project]\nname = "sbt-utils"\nversion = "9"\ndependencies = {lines}\n'
    text += '[project.optional-dependencies]\nbook = ["anywidget>=0.9", "nor-this"]\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    commands = []

    def pip(*arguments):
        files = [Path(each).read_text() for each in arguments if each.endswith("held.txt")]
        commands.append((arguments, *files))

    monkeypatch.setattr(set_up_notebook, "ROOT", tmp_path)
    monkeypatch.setattr(set_up_notebook, "PACKAGES", ())  # those of the tests stay
    monkeypatch.setattr(set_up_notebook, "_pip", pip)
    return commands


def test_what_is_missing_is_installed_without_changing_what_runs(checkout, capsys):
    set_up_notebook.set_up("9")
    (ours, *_), (others, held) = checkout
    assert ours[:3] == ("install", "--no-deps", "--editable")
    assert others[0] == "install"
    assert others[3:] == ("not-there-at-all>=2", "pandas>=900")
    versions = {name: set_up_notebook._version(name) for name in ("torch", "numpy", "ipython")}
    assert {f"{name}=={version}" for name, version in versions.items()} <= set(held.split())
    assert "with not-there-at-all>=2, pandas>=900" in capsys.readouterr().out


def test_a_failure_of_pip_shows_its_words():
    with pytest.raises(RuntimeError, match=r"(?i)no such option"):
        set_up_notebook._pip("install", "--no-such-option")


def git(folder, *words):
    options = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", folder, *options, *words], check=True, capture_output=True)


def commit(folder, version):
    """Commit a small library of a version, with the script that sets it up."""
    (folder / "scripts").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "scripts/set_up_notebook.py", folder / "scripts")
    (folder / "sbt_utils").mkdir(exist_ok=True)
    (folder / "sbt_utils/__init__.py").write_text(f'VERSION = "{version}"\n', encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "sbt-utils"\nversion = "{version}"\ndependencies = ["packaging"]\n'
        '[project.optional-dependencies]\nbook = []\n[tool.setuptools]\npackages = ["sbt_utils"]\n',
        encoding="utf-8",
    )
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", version)


@pytest.fixture
def machine(tmp_path):
    """Return a function that runs Python in an empty environment and folder, offline."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (packages,) = tmp_path.glob("venv/lib/python*/site-packages")
    for name in ("pip", "packaging", "setuptools", "_distutils_hack"):
        for source in Path(sysconfig.get_path("purelib")).glob(f"{name}*"):
            (packages / source.name).symlink_to(source)
    (tmp_path / "content").mkdir()
    # pip reads this switch of --no-build-isolation so; no index is asked for setuptools.
    variables = {**os.environ, "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    variables.pop("PYTHONPATH", None)

    def run(*words):
        line = [tmp_path / "venv/bin/python", *words]
        done = subprocess.run(
            line, cwd=tmp_path / "content", env=variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


USE = "\nimport sbt_utils; print(sbt_utils.VERSION)"


@pytest.mark.slow
def test_the_release_is_fetched_once_even_if_the_branch_has_moved_on(machine, tmp_path):
    commit(tmp_path / "origin", "0.1.0")
    git(tmp_path / "origin", "tag", "v0.1.0")
    commit(tmp_path / "origin", "0.2.0")
    cell = first_cell((tmp_path / "origin").as_uri())
    line, version = machine("-c", cell + USE)
    assert line.startswith("Installed sbt-utils 0.1.0 (tag v0.1.0) in ")
    assert ", with no other package, in " in line
    assert version == "0.1.0"
    assert machine("-c", cell + "\n" + cell + USE) == ["0.1.0"]
    # Where the notebook asks for a release that isn't made yet, it gets the newest code.
    line, version = machine("-c", first_cell((tmp_path / "origin").as_uri(), "0.2.0") + USE)
    assert re.match(
        r"Installed sbt-utils 0\.2\.0 \(commit \w+, as there is no tag v0\.2\.0\)", line
    )
    assert ", in place of 0.1.0, " in line
    assert version == "0.2.0"


@pytest.mark.slow
def test_another_version_gives_way_even_if_it_is_loaded(machine, tmp_path):
    commit(tmp_path / "other", "0.0.9")
    machine("-m", "pip", "install", "-q", "--no-deps", str(tmp_path / "other"))
    commit(tmp_path / "origin", "0.1.0")
    git(tmp_path / "origin", "tag", "v0.1.0")
    cell = first_cell((tmp_path / "origin").as_uri())
    before, line, after = machine("-c", f"{USE}\n{cell}{USE}")
    assert (before, after) == ("0.0.9", "0.1.0")
    assert ", in place of 0.0.9, " in line
    assert machine("-c", USE) == ["0.1.0"]
