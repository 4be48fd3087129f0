"""Live pictures in JupyterLab: driven from Python, and Python from them."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress

import nbformat
import pytest
from serving import expect, watched

CHAIN = (
    "from sbt_book.live.chain import ChainExplorable\nchain = ChainExplorable()\nchain",
    "chain.friction_right = 0.01\nchain.noise = 0.0",
    "print('Python reads', chain.friction_right, chain.load_curve.regime, len(chain.positions))",
)
LABORATORY = (
    "from sbt_book.live.laboratory import Laboratory\n"
    "laboratory = Laboratory(epochs=2_000, networks=1)\n"
    "laboratory",
    "print('runs:', laboratory.dataset.sizes['run'], laboratory.training)",
)
COMPARED = (
    "from sbt_book import live\nshown = live.compare([2.0, 1.9, 1.7, 1.4, 1.0, 0.5])\nshown",
    "shown.drive = 0.2",
    "print('Python reads', shown.friction, shown.residual > 0.03)",
)
EXPLORABLES = ("Chain", "Ruler", "PhaseDiagram", "Training", "Language")
# In one cell: JupyterLab keeps only the cells in view in its page.
EACH = (
    "from sbt_book import live\n"
    + "".join(f"display(live.{name}Explorable())\n" for name in EXPLORABLES),
)
NOTEBOOKS = {"chain": CHAIN, "laboratory": LABORATORY, "compared": COMPARED, "each": EACH}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Serve notebooks with JupyterLab; yield its address."""
    pytest.importorskip("jupyterlab")
    tmp_path = tmp_path_factory.mktemp("lab")
    for name, cells in NOTEBOOKS.items():
        notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
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
        for path in folder.glob("jpserver-*.json"):
            with suppress(OSError, ValueError):
                address = json.loads(path.read_text())["url"]
                urllib.request.urlopen(f"{address}api", timeout=5).close()
                return address
        time.sleep(0.2)
    raise TimeoutError((folder / "log").read_text())


@pytest.fixture
def notebook(lab, browser):
    """Yield a function that opens a notebook and runs its first cell; then `run` the next."""
    context = browser.new_context(viewport={"width": 1300, "height": 1400})
    page, complaints = watched(context, lab)

    def open_notebook(name):
        page.goto(f"{lab}lab/tree/{name}.ipynb?token=secret&reset")
        cell = page.locator(".jp-Notebook .jp-CodeCell").first
        cell.click()
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
        # It may say so before it is connected to the kernel, and drop what is run until then.
        for _ in range(20):
            cell.locator(".cm-content").click()
            page.keyboard.press("Shift+Enter")
            with suppress(AssertionError):
                prompt = cell.locator(".jp-InputPrompt").first
                expect(prompt).not_to_have_text("[ ]:", timeout=6_000)
                return page
        raise TimeoutError(f"{name}: the first cell does not run")

    yield open_notebook
    assert not [each for each in complaints if "outside request" in each]
    context.close()


def run(page, number):
    """Run a cell, wherever the focus is, and return what it prints."""
    cell = page.locator(".jp-CodeCell").nth(number)
    cell.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    printed = cell.locator(".jp-OutputArea-output")
    printed.wait_for()
    return printed.inner_text().strip()


def test_python_and_the_page_drive_each_other(notebook):
    page = notebook("chain")
    slider = page.get_by_role("slider", name="Friction to the right")
    slider.wait_for()
    readout = page.locator(".sbt-readout")
    assert slider.input_value() == "0.003"
    expect(readout).to_contain_text("equiseparated")

    page.keyboard.press("Shift+Enter")  # Python moves the page
    expect(readout).to_contain_text("lazy")
    assert slider.input_value() == "0.01"

    slider.focus()  # the page moves Python
    for _ in range(16):  # while Python answers to the first of them
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(30)
    assert slider.input_value() == "0.018"
    page.wait_for_timeout(1000)  # until Python has heard of it
    assert run(page, 2) == "Python reads 0.018 lazy 7"

    page.locator(".sbt").get_by_role("button", name="Pull").click()
    moment = page.get_by_role("slider", name="Time")
    expect(moment).not_to_have_value("700")
    expect(moment).to_have_value("700")  # what Python hears of it does not stop it


def test_a_load_curve_of_ones_own_stands_beside_a_chain_to_turn(notebook):
    page = notebook("compared")
    friction = page.get_by_role("slider", name="Friction")
    readout = page.locator(".sbt-readout")
    expect(readout).to_contain_text("a match")
    page.keyboard.press("Shift+Enter")  # Python moves the page
    expect(readout).to_contain_text("no match")
    assert page.get_by_role("slider", name="Drive").input_value() == "0.2"
    friction.press("Home")  # the page moves Python
    page.wait_for_timeout(1000)  # until Python has heard of it
    assert run(page, 2) == "Python reads 0.0 True"  # Python's own residual is as large


def test_each_explorable_takes_two_lines(notebook):
    page = notebook("each")
    expect(page.locator("section.sbt")).to_have_count(len(EXPLORABLES))
    expect(page.locator("section.sbt .sbt-readout:not(:empty)")).not_to_have_count(0)


def test_the_laboratory_trains_until_it_is_stopped(notebook):
    page = notebook("laboratory")
    page.get_by_text("A kernel is listening; it trains on cpu.").wait_for()
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Train", exact=True).wait_for()  # after the epochs it was at
    assert float(page.locator("progress").get_attribute("value") or 1) > 0
    assert page.locator(".sbt-curve.sbt-own").first.get_attribute("d")
    assert run(page, 1) == "runs: 1 False"
