"""An explorable in JupyterLab: driven from Python, and Python from it."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress

import nbformat
import pytest
from serving import watched

CELLS = (
    "from sbt_utils.mechanical_explorables import ChainExplorable\n"
    "chain = ChainExplorable()\n"
    "chain",
    "chain.friction_right = 0.01\nchain.noise = 0.0",
    "print('Python reads', chain.friction_right, chain.load_curve.regime, len(chain.positions))",
)


@pytest.fixture
def lab(tmp_path):
    """Serve a notebook of three cells with JupyterLab; yield the notebook's address."""
    pytest.importorskip("jupyterlab")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "chain.ipynb")
    folders = {"HOME": tmp_path, "JUPYTER_CONFIG_DIR": tmp_path, "JUPYTER_RUNTIME_DIR": tmp_path}
    options = ["--no-browser", "--allow-root", "--port=0", f"--ServerApp.root_dir={tmp_path}"]
    options += ["--IdentityProvider.token=secret", "--LabApp.news_url=None"]
    options.append("--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate")
    command = [sys.executable, "-m", "jupyterlab", *options]
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(
            command,
            env=os.environ | {k: str(v) for k, v in folders.items()},
            stdout=log,
            stderr=log,
        )
    try:
        yield _address(tmp_path, server)
    finally:
        server.terminate()
        server.wait(20)


def _address(folder, server):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert server.poll() is None, (folder / "log").read_text()
        for found in folder.glob("jpserver-*.json"):
            with suppress(OSError, ValueError):
                address = json.loads(found.read_text())["url"]
                urllib.request.urlopen(f"{address}api", timeout=5).close()
                return address
        time.sleep(0.2)
    raise TimeoutError((folder / "log").read_text())


def test_python_and_the_page_drive_each_other(lab, browser):
    context = browser.new_context(viewport={"width": 1300, "height": 1400})
    page, complaints = watched(context, lab)
    page.set_default_timeout(60_000)
    page.goto(f"{lab}lab/tree/chain.ipynb?token=secret")
    page.locator(".jp-Notebook .jp-CodeCell").first.click()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    page.keyboard.press("Shift+Enter")
    slider = page.get_by_role("slider", name="Friction to the right")
    slider.wait_for()
    assert slider.input_value() == "0.003"
    readout = page.locator(".sbt-readout")
    assert "equiseparated" in readout.inner_text()

    page.keyboard.press("Shift+Enter")  # Python moves the page
    page.wait_for_function("document.querySelector('.sbt-readout').textContent.includes('lazy')")
    assert slider.input_value() == "0.01"

    slider.focus()  # the page moves Python
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert slider.input_value() == "0.012"
    page.wait_for_timeout(1000)  # until Python has heard of it
    page.locator(".jp-Notebook .jp-CodeCell").nth(2).locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    printed = page.locator(".jp-CodeCell").nth(2).locator(".jp-OutputArea-output")
    printed.wait_for()
    assert printed.inner_text().strip() == "Python reads 0.012 lazy 7"
    assert not [each for each in complaints if "outside request" in each]
    context.close()
