"""Copy what pages load in a reader's browser into a folder of the book, so that they ask no CDN.

python scripts/vendor.py FOLDER, after `npm ci`: MathJax, and what shows widgets without a kernel.
"""

import re
import shutil
import sys
from pathlib import Path

import anywidget

MODULES = Path(__file__).parents[1] / "node_modules"
MANAGER = "@jupyter-widgets/html-manager/dist"


def copy_vendored(folder: Path) -> None:
    """Copy the files, each to where the others look for it."""
    mathjax = MODULES / "mathjax/es5"
    for part in ("a11y", "input", "output", "sre", "ui"):
        shutil.copytree(mathjax / part, folder / "mathjax" / part, dirs_exist_ok=True)
    widgets = folder / "widgets"
    fonts = widgets / MANAGER
    fonts.mkdir(parents=True, exist_ok=True)
    for font in (MODULES / MANAGER).glob("*.woff2"):
        shutil.copy(font, fonts)
    shutil.copy(mathjax / "tex-chtml.js", folder / "mathjax")
    shutil.copy(MODULES / "requirejs/require.js", widgets)
    manager = (MODULES / MANAGER / "embed-amd.js").read_text(encoding="utf-8")
    manager = with_one_folder_of_fonts(without_compiler(manager))
    (widgets / "embed-amd.js").write_text(manager, encoding="utf-8")
    shutil.copy(Path(anywidget.__path__[0]) / "nbextension/index.js", widgets / "anywidget.js")


def without_compiler(manager: str) -> str:
    """Return the widget manager with checks of its input that pass everything.

    It compiles those checks from schemas when it is loaded, for which pages would have to allow
    every text to be run ('unsafe-eval'). What it reads here is what the notebooks saved.
    """
    manager, count = re.subn(
        r"new\(\w+\(\)\)(?=[,;](?:\w+=)?\w+\.compile\()", "{compile:()=>()=>!0}", manager
    )
    if count != 2:
        raise SystemExit(f"{count} checks found in {MANAGER}/embed-amd.js, not 2: see what it does")
    return manager


def with_one_folder_of_fonts(manager: str) -> str:
    """Return the widget manager asking for its fonts in one folder.

    Each of the packages joined in it brings the same fonts and looks for them beside itself; which
    of them a page asks for depends on the order in which they load.
    """
    manager, count = re.subn(
        r'\b\w+\.p\+"(\w+\.(?:woff2?|ttf|eot|svg))"', rf'requirejs.toUrl("{MANAGER}/\1")', manager
    )
    if not count:
        raise SystemExit(f"no fonts found in {MANAGER}/embed-amd.js: see where it asks for them")
    return manager


if __name__ == "__main__":
    copy_vendored(Path(sys.argv[1]))
