"""The Makefile sees every file that a notebook or a page depends on."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MADE = ("__pycache__", "vendor", ".ipynb_checkpoints")


def value(variable):
    """Return the words of a variable of the Makefile."""
    if shutil.which("make") is None:
        pytest.skip("no make on the path")
    rule = f"show:\n\t@echo $({variable})\n"
    command = ["make", "--no-print-directory", "-f", "Makefile", "-f", "-", "show"]
    run = subprocess.run(command, input=rule, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def files(*folders):
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in paths if not set(path.parts) & set(MADE)}


def test_notebooks_run_again_when_the_code_or_a_result_changes():
    assert value("SOURCES") == files("sbt_utils", "sbt_book", "results")


def test_pages_are_built_again_when_what_makes_them_changes():
    named = {"_config.yml", "_toc.yml", "CITATION.cff"}
    assert value("PAGES") == files("book", "_ext", "scripts") | named


def test_paths_in_recipes_exist():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    paths = re.findall(r"(?<![\w/.-])(?:tests|scripts|sbt_utils|sbt_book|book)(?:/\w[\w.]*)+", text)
    assert len(paths) > 8
    for path in paths:
        assert (ROOT / path).exists(), path
