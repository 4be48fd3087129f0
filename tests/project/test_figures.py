"""Pages offer the other forms of their figures and tables, where there are some."""

import base64
import hashlib
import re
import sys
import warnings
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

pytest.importorskip("myst_nb")

ROOT = Path(__file__).parents[2]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
OTHER = PNG + b"another"
TABLE = '<table id="T_grid"><tr><td>1</td></tr></table>'
SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'
REFERENCE = """
Here
====

.. figure:: three_regimes.png
   :alt: Three curves.

.. py:function:: sbt_book.law.figures.digits(images)
"""


def shows(source, data, **metadata):
    output = new_output("display_data", data={"text/plain": "<it>"} | data)
    return new_code_cell(source, outputs=[output], metadata=metadata)


def picture(png):
    return {"image/png": base64.b64encode(png).decode()}


KERNEL = {"name": "python3", "display_name": "Python 3"}
CELLS = [
    new_markdown_cell("# A chapter"),
    shows(
        "%matplotlib inline\n# Some digits\nlaw.digits([1, 2])",
        picture(PNG),
        mystnb={"figure": {"name": "fig-digits", "caption": "Digits."}, "image": {"alt": "Two."}},
    ),
    shows("watch.picture()", picture(OTHER)),
    shows(f"law.digits({'1 + ' * 40}1)", picture(PNG)),
    shows("law.digits()", picture(PNG), tags=["remove-input"]),
    shows("law.digits()", picture(b"a picture of which nothing is kept")),
    shows("table", {"text/html": TABLE}),
    shows("table", {"text/html": TABLE}),
    shows("table", {"text/html": TABLE.replace("1", "2")}),
]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Build a notebook and a page with a picture; return the folder."""
    folder = tmp_path_factory.mktemp("sphinx")
    (folder / "notebooks").mkdir()
    notebook = new_notebook(cells=CELLS, metadata={"kernelspec": KERNEL})
    nbformat.write(notebook, folder / "notebooks/01_law.ipynb")
    (folder / "index.rst").write_text(REFERENCE + "\n.. toctree::\n\n   notebooks/01_law\n")
    (folder / "three_regimes.png").write_bytes(PNG)
    (folder / "three_regimes-narrow.png").write_bytes(PNG)
    variants = folder / "variants"
    variants.mkdir()
    for png, endings in ((PNG, (".svg", "-narrow.png")), (OTHER, (".svg",))):
        for ending in endings:
            (variants / f"{hashlib.sha256(png).hexdigest()}{ending}").write_text(SVG)
    (variants / f"{hashlib.sha256(TABLE.encode()).hexdigest()}.csv").write_text("a,b\n1,ü\n")
    sys.path.insert(0, str(ROOT / "_ext"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sphinx.application import Sphinx

            settings = {"extensions": ["myst_nb", "sbt_figures"], "nb_execution_mode": "off"}
            out = folder / "html"
            app = Sphinx(folder, None, out, folder / "trees", "html", settings, status=None)
            app.build()
    finally:
        sys.path.remove(str(ROOT / "_ext"))
    return out


@pytest.fixture(scope="module")
def chapter(book):
    return (book / "notebooks/01_law.html").read_text(encoding="utf-8")


def lines(page):
    return re.findall(r'<p class="take-away">(.*?)</p>', page)


def test_a_narrow_screen_gets_the_narrow_picture(book, chapter):
    pictures = re.findall(r"<picture>(.*?)</picture>", chapter, re.DOTALL)
    assert len(pictures) == 3
    source = re.search('<source media="([^"]+)" srcset="([^"]+)" />', pictures[0])
    assert source[1] == "(max-width: 600px)"
    assert (book / "notebooks" / source[2]).resolve().read_text() == SVG
    assert 'alt="Two."' in pictures[0]


def test_a_figure_can_be_taken_away_under_its_name(book, chapter):
    assert '<a href="../figures/digits.svg" download>Figure as SVG</a>' in lines(chapter)[0]
    assert (book / "figures/digits.svg").read_text() == SVG
    files = {file.name for file in (book / "figures").iterdir()}
    assert files == {"digits.svg", "01_law.svg", "01_law-2.svg", "01_law-3.svg"}


def test_it_is_said_what_drew_a_figure(chapter):
    found = [re.sub("<[^>]+>", "", line) for line in lines(chapter)]
    assert found[0].endswith("drawn by law.digits([1, 2])")
    assert found[1].endswith("drawn by watch.picture()")
    assert found[2].endswith("drawn by law.digits(…)")
    assert "drawn" not in found[3]  # its cell is not shown
    assert 'href="../index.html#sbt_book.law.figures.digits"><code>law.digits(…)' in chapter
    assert "<code>watch.picture()" in chapter


def test_a_figure_that_cannot_be_narrowed_can_be_opened_large(book, chapter):
    address = re.search('<a class="large" href="([^"]+)">Open large</a>', chapter)
    assert (book / "notebooks" / address[1]).resolve().read_bytes() == OTHER
    assert chapter.count("Open large") == 1


def test_a_table_can_be_taken_away(book, chapter):
    assert lines(chapter)[4:] == [
        '<a href="../tables/01_law-grid.csv" download>Table as CSV</a>',
        '<a href="../tables/01_law-grid-2.csv" download>Table as CSV</a>',
    ]
    assert (book / "tables/01_law-grid.csv").read_text(encoding="utf-8") == "a,b\n1,ü\n"


def test_a_line_follows_what_it_is_about(chapter):
    assert re.search(r'</figure>\s*<p class="take-away"><a href="../figures/digits.svg"', chapter)


def test_pictures_that_are_committed_name_their_script(book):
    page = (book / "index.html").read_text(encoding="utf-8")
    assert lines(page) == ["drawn by <code>python scripts/make_glance.py</code>"]
    assert 'srcset="_images/three_regimes-narrow.png"' in page
    assert (ROOT / "scripts/make_glance.py").exists()
