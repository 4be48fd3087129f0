"""Part 1 of the GPU command: the tests marked ``gpu``."""

import argparse
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIMIT = {"smoke": 60, "paper": 150}
"""Seconds that they may take."""


def rounds(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    yield "marked gpu", partial(marked, LIMIT[options.profile])


def marked(limit: float) -> dict[str, Any]:
    """Run the tests in a process of their own, and count; a failed test is a result, too."""
    # Files without the mark may import what is not there.
    files = [
        str(path)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if "pytest.mark.gpu" in path.read_text(encoding="utf-8")
    ]
    if not files:
        return {"exit_code": None, "tests": 0, "failures": {}}
    with TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
        command += ["-W", "default"]  # those of other versions are no errors here
        command += ["--continue-on-collection-errors", f"--junitxml={answers}", *files]
        run = subprocess.run(
            command, cwd=ROOT, timeout=limit, text=True, stdout=subprocess.PIPE, stderr=-2
        )
        if not answers.exists():
            raise RuntimeError(f"pytest gave no answers:\n{run.stdout[-3000:]}")
        return {"exit_code": run.returncode} | counted(answers)


def counted(answers: Path) -> dict[str, Any]:
    """Return the counts of a report in JUnit's form, and what failed with the end of its text."""
    (suite,) = ElementTree.parse(answers).getroot().iter("testsuite")
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    passed = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    found: dict[str, Any] = {
        "tests": counts["tests"],
        "passed": passed,
        "failed": counts["failures"],
        "errors": counts["errors"],
        "skipped": counts["skipped"],
    }
    failures, seconds = {}, {}
    for case in suite.iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        seconds[name] = float(case.get("time", 0))
        for kind in ("failure", "error"):
            for element in case.iter(kind):
                failures[name] = (element.text or element.get("message", ""))[-2000:]
    slowest = sorted(seconds, key=lambda name: -seconds[name])[:5]
    return found | {"slowest": {n: seconds[n] for n in slowest}, "failures": failures}
