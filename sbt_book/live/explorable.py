"""Explorables: live pictures that run in the reader's browser, with or without a kernel.

The mechanics are written once more in JavaScript (`pages/`); tests hold both to the same numbers.
"""

import base64
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anywidget
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sbt_utils.drawing import STYLE

PAGES = Path(__file__).with_name("pages")
_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[\w./]+\.js)";\n', re.MULTILINE)


def joined(*mains: str) -> str:
    """Return JavaScript files of `PAGES` and all that they import as one text.

    An explorable is one text, saved with the notebook, and cannot load a neighbouring file. The
    files use only ``import { a, b } from "../folder/file.js";`` and ``export`` at the start of a
    line, and no two of them use the same name at their top level. Imported files come first, each
    once; only a main file's default is exported.
    """
    texts: dict[Path, str] = {}

    def add(file: Path) -> None:
        text = file.read_text(encoding="utf-8")
        for imported in _IMPORT.findall(text):
            path = (file.parent / imported).resolve()
            if path not in texts:
                add(path)
        texts[file] = re.sub(r"^export (?!default)", "", _IMPORT.sub("", text), flags=re.MULTILINE)

    for main in mains:
        add((PAGES / main).resolve())
    return "\n".join(texts.values())


def classic(*mains: str, last: str = "") -> str:
    """Return JavaScript files of `PAGES` as a script that a page loads with ``<script src=...>``.

    Unlike a module it also runs in a page opened from a disk. ``last`` are its last lines; in them
    ``explorable`` is what the main file exports, if it does.
    """
    text = re.sub(r"^export default ", "const explorable = ", joined(*mains), flags=re.MULTILINE)
    return f'(() => {{\n"use strict";\n{text}\n{last}\n}})();\n'


def styles(*names: str) -> str:
    """Return the style sheet that all explorables share, and others of `PAGES` after it."""
    names = ("shared/explorables.css", *names)
    return "\n".join((PAGES / name).read_text(encoding="utf-8") for name in names)


def picture(curves: Iterable[tuple[str, np.ndarray, str]], xlabel: str, ylabel: str) -> Figure:
    """Return a small figure of curves, each with its label and its style."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.0, 3.4))
        axes = figure.add_subplot()
        for label, curve, style in curves:
            axes.plot(curve, style, label=label)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        if axes.lines:
            axes.legend()
    return figure


class Explorable(anywidget.AnyWidget):
    """What all explorables share: a still picture where scripts cannot run.

    Parameters are traits, named as in the Python functions: what a reader sets in the page can be
    read here, what is set here moves the page.
    """

    words = ""
    """One sentence: what the still picture shows."""

    # ipywidgets 7 has one of its own, which would leave out the still picture.
    _ipython_display_ = None

    def still(self) -> Figure:
        """Return the still picture."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        file = io.BytesIO()
        self.still().savefig(file, format="png")
        png = base64.b64encode(file.getvalue()).decode()
        return {**data, "text/plain": self.words, "image/png": png}, metadata
