"""The wheel holds both packages, and works where there is no checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PACKAGES = ("sbt_utils", "sbt_book")
# For what the README leaves to its reader: a network, its checkpoint, and images.
OWN_MODEL = """
import sbt_utils, torch
from pathlib import Path
assert Path(sbt_utils.__file__).is_relative_to({environment!r}), sbt_utils.__file__
data = sbt_utils.load_data("mnist", train=200, test=100)
images, labels = data.train_images, data.train_labels
new_images, new_labels = data.test_images, data.test_labels
Net = lambda: sbt_utils.MLP(width=10, hidden_layers=2)
torch.save(Net().state_dict(), "model.pt")
"""


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # A copy, because a build leaves files beside its sources.
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / "source" / package, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    offline = ("--no-deps", "--no-index", "--no-build-isolation")
    pip("wheel", *offline, "--wheel-dir", str(folder), str(folder / "source"))
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """Return a fresh environment with the wheel and this environment's other packages."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A folder named in a .pth file comes last, and its own .pth files, that of the editable
    # install among them, are not read.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    offline = ("--no-deps", "--no-index", "--ignore-installed")
    pip("--python", str(folder / "bin" / "python"), "install", *offline, str(wheel))
    return folder


@pytest.fixture
def run(environment, tmp_path):
    """Return a function that runs a command of the environment in an empty folder."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(command, *arguments):
        line = [environment / "bin" / command, *arguments]
        return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=variables)

    return run


def test_every_file_of_both_packages_is_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = {name for name in archive.namelist() if ".dist-info/licenses/" in name}
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*")]
    files = {path.relative_to(ROOT).as_posix() for path in paths if path.is_file()}
    assert names == {name for name in files if "__pycache__" not in name}
    assert "sbt_utils/data/mnist_10x10.npz" in names
    assert {name.rpartition("/")[2] for name in licences} == {"LICENSE", "LICENSE-mnist.txt"}


def test_the_lines_of_the_readme_run(environment, run):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", readme, re.M | re.S)
    assert len(blocks) == 3
    done = run("python", "-c", "".join([OWN_MODEL.format(environment=str(environment)), *blocks]))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Stress map of 2 layers, 200 training inputs and 100 unseen")
    assert done.stdout.endswith("\nlazy\nactive\n")


def test_the_command_line_is_installed(run):
    done = run("sbt-utils", "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: sbt-utils [-h] COMMAND ...")
    done = run("sbt-utils", "report", "model:Net", "model.pt")
    assert done.returncode == 2
    assert done.stderr.startswith("sbt-utils: error: checkpoint=model.pt: there is no such file")


@pytest.mark.parametrize("theirs", [False, True])
@pytest.mark.parametrize(
    "code",
    [
        "from sbt_book.common import load_committed; load_committed('dropout')",
        "from sbt_book.phase_diagram import published_diagram; published_diagram('dropout')",
        "from sbt_book.live.phase_diagram import PhaseDiagramExplorable as P; P()",
    ],
)
def test_results_that_only_a_checkout_has_say_so(environment, run, code, theirs):
    (packages,) = environment.glob("lib/python*/site-packages")
    if theirs:  # another package may have a folder of this name
        (packages / "results").mkdir(exist_ok=True)
    elif (packages / "results").exists():
        (packages / "results").rmdir()
    done = run("python", "-c", code)
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert error.startswith("FileNotFoundError: ")
    assert "comes with a checkout of the repository, not with the installed package" in error
