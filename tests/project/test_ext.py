"""The links to the glossary say what a word means, in one plain sentence."""

import re
import sys
import warnings
from html import unescape
from pathlib import Path

import pytest

pytest.importorskip("myst_nb")

ROOT = Path(__file__).parents[2]
ENTRY = re.compile(r"^(?!\s|`|#)(\S.*)\n((?:  \S.*\n?)+)", re.MULTILINE)

PAGE = """
Words
=====

A :term:`load curve`, its :term:`loads <load>` and their :term:`drop`.

.. glossary::

   load
      The share of a layer, e.g. of the first: the :term:`drop` of
      the curve. It is a number.

   load curve
   curve of loads
      What "falls" & bends.

   drop
      *Down*.  Twice.
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Build one page with a glossary; return its HTML."""
    folder = tmp_path_factory.mktemp("sphinx")
    (folder / "index.rst").write_text(PAGE)
    sys.path.insert(0, str(ROOT / "_ext"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sphinx.application import Sphinx

            settings = {"extensions": ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "sbt_html"]}
            out = folder / "html"
            app = Sphinx(folder, None, out, folder / "trees", "html", settings, status=None)
            app.build()
    finally:
        sys.path.remove(str(ROOT / "_ext"))
    return (out / "index.html").read_text(encoding="utf-8")


def titles(page, term):
    """Return the titles of the links to a term, but for the sign that links a term to itself."""
    links = re.findall(rf'<a class="reference internal"[^>]*#term-{term}"[^>]*>', page)
    assert links
    return {unescape(re.search('title="([^"]*)"', link)[1]) for link in links}


@pytest.mark.parametrize(
    ("term", "sentence"),
    [
        ("load", "The share of a layer, e.g. of the first: the drop of the curve."),
        ("load-curve", 'What "falls" & bends.'),
        ("drop", "Down."),
    ],
)
def test_a_link_to_the_glossary_says_what_the_word_means(page, term, sentence):
    # Quotes and dashes may be typographic.
    said = {title.replace("“", '"').replace("”", '"') for title in titles(page, term)}
    assert said == {sentence}


def test_the_first_sentences_of_the_glossary_are_plain():
    text = (ROOT / "book/glossary.md").read_text(encoding="utf-8")
    entries = ENTRY.findall(text)
    assert len(entries) > 30
    for term, definition in entries:
        sentence = re.split(r"(?<=\.)\s+(?=[A-Z])", " ".join(definition.split()))[0]
        assert "\\" not in sentence, term
        assert "{cite:t}" not in sentence, term
