"""Run every notebook as Colab does: alone in an empty folder, with the packages of its runtime.

`make colab` runs this with the project's environment: python scripts/check_colab.py PYTHON PROFILE.
All is under _build/colab/: Colab's environment, the notebooks as run (in source/notebooks) and
report.json. The notebooks fetch a copy of this checkout, tagged as a release, in place of the
repository on GitHub.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import papermill
from address import ROOT, project
from colab_versions import read_runtime
from set_repository import filled_notebook

FOLDER = ROOT / "_build/colab"
RUNTIME, REPOSITORY, EXECUTED, REPORT = (
    FOLDER / name for name in ("runtime", "repository", "source/notebooks", "report.json")
)
PATIENCE = 30.0  # seconds that the first cell may take


def command(*words: Any, cwd: Path = ROOT) -> str:
    """Run a command; return what it prints."""
    run = subprocess.run([*map(str, words)], cwd=cwd, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{run.stdout}{run.stderr}")
    return run.stdout


def pip(*words: Any) -> str:
    """Run pip of Colab's environment."""
    return command(RUNTIME / "bin/python", "-I", "-m", "pip", "--disable-pip-version-check", *words)


def packages() -> set[str]:
    """Return the packages in Colab's environment, each with its version."""
    return set(pip("list", "--format=freeze").splitlines())


def make_runtime(python: str) -> None:
    """Make an environment with the packages of Colab's runtime, unless it is there already."""
    listed = read_runtime()
    made, pins = RUNTIME / "made.txt", FOLDER / "pins.txt"
    text = "".join(f"{name}=={version}\n" for name, version in listed.versions.items())
    if made.exists() and made.read_text(encoding="utf-8") == text:
        return
    version = "import sys; print('{}.{}'.format(*sys.version_info))"
    if shutil.which(python) is None or command(python, "-c", version).strip() != listed.python:
        sys.exit(
            f"Colab has Python {listed.python}, and {python} is not on the path or is another one:"
            f" name it, as in `make colab COLAB_PYTHON=/usr/bin/python{listed.python}`."
        )
    print("Installing what Colab has; this takes some minutes.", flush=True)
    command(python, "-m", "venv", "--clear", RUNTIME)
    pins.write_text(text, encoding="utf-8")
    # PyTorch brings its CUDA libraries, where its build has any; all else is in the list.
    pip("install", "--quiet", "--constraint", pins, "torch")
    pip("install", "--quiet", "--no-deps", "--requirement", pins)
    check_list(listed.absent)
    made.write_text(text, encoding="utf-8")


def check_list(absent: tuple[str, ...]) -> None:
    """Stop if the packages that are listed need others, or other versions."""
    line = [RUNTIME / "bin/python", "-I", "-m", "pip", "check"]
    complaints = subprocess.run(line, capture_output=True, text=True).stdout.splitlines()
    known = [f" requires {name}, which is not installed." for name in absent]
    wrong = [each for each in complaints if " " in each and not each.endswith(tuple(known))]
    if wrong and wrong != ["No broken requirements found."]:
        sys.exit("\n".join([*wrong, "Complete .github/colab.toml: see CONTRIBUTING.md, Versions."]))


def make_repository() -> str:
    """Copy what git would commit here into a repository of its own, tagged; return its address."""
    shutil.rmtree(REPOSITORY, ignore_errors=True)
    for name in command("git", "ls-files", "-z", "-c", "-o", "--exclude-standard").split("\0"):
        if (ROOT / name).is_file():
            (REPOSITORY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, REPOSITORY / name)
    command("git", "init", "--quiet", cwd=REPOSITORY)
    command("git", "add", "--all", cwd=REPOSITORY)
    names = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    command("git", *names, "commit", "--quiet", "--message", "A copy", cwd=REPOSITORY)
    command("git", "tag", f"v{project()['version']}", cwd=REPOSITORY)
    return REPOSITORY.as_uri()


def make_kernel() -> None:
    """Let Jupyter start Colab's Python, as a runtime of Colab's without a GPU."""
    kernel = FOLDER / "jupyter/kernels/colab"
    kernel.mkdir(parents=True, exist_ok=True)
    start = [str(RUNTIME / "bin/python"), "-Xfrozen_modules=off", "-m", "ipykernel_launcher"]
    start += ["-f", "{connection_file}"]
    content = {
        "argv": start,
        "display_name": "Colab",
        "language": "python",
        "env": {"COLAB_RELEASE_TAG": "release", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ""},
    }
    (kernel / "kernel.json").write_text(json.dumps(content), encoding="utf-8")
    os.environ["JUPYTER_PATH"] = str(FOLDER / "jupyter")


def run_notebook(path: Path, url: str, profile: str) -> dict[str, Any]:
    """Run a notebook in an empty folder; return what is to be reported of it."""
    pip("uninstall", "--quiet", "--yes", project()["name"])  # of the notebook before
    before, started = packages(), time.monotonic()
    report: dict[str, Any] = {"notebook": path.stem, "error": None}
    executed = EXECUTED / path.name
    with tempfile.TemporaryDirectory() as folder:
        lone = Path(folder, path.name)
        text = filled_notebook(path.read_text(encoding="utf-8"), url, project()["version"])
        lone.write_text(text, encoding="utf-8")
        parameters = {} if profile == "quick" else {"profile": profile}
        options = {"kernel_name": "colab", "cwd": folder, "progress_bar": False}
        try:
            papermill.execute_notebook(lone, executed, parameters, **options)
        except papermill.PapermillExecutionError as error:
            report["error"] = re.sub(r"\x1b\[[\d;]*m", "", str(error))
    report["seconds"] = round(time.monotonic() - started, 1)
    notebook = json.loads(executed.read_text(encoding="utf-8"))
    first = next(cell for cell in notebook["cells"] if cell["id"] == "code-anywhere")
    printed = ["".join(output.get("text", "")) for output in first["outputs"]]
    report["first cell"] = "".join(printed).strip()
    report["first cell, seconds"] = first["metadata"]["papermill"]["duration"]
    first["outputs"] = []  # a committed notebook has none: all others are compared
    executed.write_text(json.dumps(notebook), encoding="utf-8")
    report["packages"] = sorted(before ^ packages())
    return report


def faults(report: dict[str, Any]) -> list[str]:
    """Return what is not as it should be with a notebook, by what was reported of it."""
    found = [report["error"]] if report["error"] else []
    if report["first cell, seconds"] > PATIENCE:
        found.append(f"the first cell took more than {PATIENCE:.0f} s")
    if report["packages"] != [f"{project()['name']}=={project()['version']}"]:
        found.append(f"other packages than sbt-utils were changed: {report['packages']}")
    if report["first cell"].count("\n") or not report["first cell"].startswith("Installed"):
        found.append(f"the first cell printed {report['first cell']!r}")
    return [f"{report['notebook']}: {fault}" for fault in found]


def main(python: str, profile: str) -> None:
    """Run all notebooks and report on them."""
    EXECUTED.mkdir(parents=True, exist_ok=True)
    make_runtime(python)
    make_kernel()
    url, reports = make_repository(), []
    print(f"{'notebook':<28}{'seconds':>8}{'first cell':>11}  packages changed")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        report = run_notebook(path, url, profile)
        reports.append(report)
        changed = ", ".join(report["packages"])
        times = f"{report['seconds']:>8.0f}{report['first cell, seconds']:>11.1f}"
        print(f"{path.stem:<28}{times}  {changed}", flush=True)
    about = {"colab": str(read_runtime().day), "profile": profile, "notebooks": reports}
    REPORT.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    wrong = [fault for report in reports for fault in faults(report)]
    print("\n".join([*wrong, f"The report is in {REPORT.relative_to(ROOT)}."]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(*sys.argv[1:])
