"""Compiled loops are kept where a folder can be written, work where none can, and are announced."""

import gc
import importlib.util
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import TypingError
from numba.core import event
from scipy.stats import norm

import sbt_utils
from sbt_utils import compiling

PACKAGE = Path(sbt_utils.__file__).parent


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def kernel(tmp_path):
    """Return a kernel that no process has compiled before."""
    source = tmp_path / "loops.py"
    text = "@compiled()\ndef total(x):\n    return x.sum()\n"
    source.write_text(f"from sbt_utils.compiling import compiled\n\n\n{text}")
    spec = importlib.util.spec_from_file_location("loops", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.total


def run(code, folder, cache):
    """Run code in a process whose package cannot be written, nor any but one cache folder."""
    if not (folder / "sbt_utils").exists():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PACKAGE, folder / "sbt_utils", ignore=ignored)
        for file in sorted((folder / "sbt_utils").rglob("__init__.py")):
            (file.parent / "__pycache__").touch()  # not even the administrator makes it a folder
    places = {name: str(cache) for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")}
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | places
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, timeout=120
    )


CODE = """
from sbt_utils.measuring import scatter_loops
from sbt_utils.mechanics import chain_steps, linkage
print(chain_steps._excess(0.5), *chain_steps._excess.stats.cache_hits.values())
"""


def test_kernels_of_a_package_that_cannot_be_written_are_kept_for_the_user(tmp_path):
    excess = norm.pdf(0.5) - 0.5 * norm.sf(0.5)
    for hits in ([], [1.0]):
        done = run(CODE, tmp_path, tmp_path / "cache")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        np.testing.assert_allclose([float(x) for x in done.stdout.split()], [excess, *hits])
    assert list((tmp_path / "cache").rglob("chain_steps._excess-*.nbc"))


def test_kernels_work_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    done = run(CODE, tmp_path, tmp_path / "file" / "cache")
    assert (done.returncode, done.stderr) == (0, "")
    np.testing.assert_allclose(float(done.stdout), norm.pdf(0.5) - 0.5 * norm.sf(0.5))


def test_every_kernel_of_the_library_is_made_so():
    sources = {path.name: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert [name for name, text in sources.items() if "njit" in text] == ["compiling.py"]


@pytest.mark.parametrize("place", ["terminal", "notebook", "nowhere"])
def test_long_compiling_is_told_once_at_a_terminal(place, kernel, tmp_path, monkeypatch):
    stream = {"terminal": Terminal(), "notebook": io.StringIO(), "nowhere": None}[place]
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(compiling, "_PATIENCE", 0.0)
    monkeypatch.setattr(compiling._watch, "told", False)
    for dtype in (np.float32, np.float64):
        assert kernel(np.ones(3, dtype)) == 3
    if stream is not None:
        written = stream.getvalue().strip().splitlines()
        assert len(written) == (place == "terminal")
    if place == "terminal":
        folder = Path(os.environ.get("NUMBA_CACHE_DIR", tmp_path))
        assert str(folder) in written[0]


def test_short_compiling_is_not_told(kernel, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(compiling, "_PATIENCE", 1e6)
    monkeypatch.setattr(compiling._watch, "told", False)
    assert kernel(np.ones(3)) == 3
    assert sys.stderr.getvalue() == ""


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_searched_for_after_compiling_as_before(collects, kernel):
    seen = []

    class Look(event.Listener):
        def on_start(self, event):
            seen.append(gc.isenabled())

        def on_end(self, event):
            pass

    if not collects:
        gc.disable()
    look = Look()
    try:
        with event.install_listener("numba:compile", look):
            kernel(np.ones(3))
            with pytest.raises(TypingError):
                kernel("text")
        assert gc.isenabled() == collects
    finally:
        gc.enable()
    assert len(seen) > 1
    assert not any(seen)
