"""Links to the glossary say what a word means, in one plain sentence; pages have a policy."""

import base64
import hashlib
import re
import sys
import warnings
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("myst_nb")
from myst_nb.core.config import ipywidgets_js_factory
from vendor import without_compiler

ROOT = Path(__file__).parents[2]
ENTRY = re.compile(r"^(?!\s|`|#)(\S.*)\n((?:  \S.*\n?)+)", re.MULTILINE)

PAGE = """
Words
=====

A :term:`load curve`, its :term:`loads <load>` and their :term:`drop`, :math:`d`.

.. glossary::

   load
      The share of a layer, e.g. of the first: the :term:`drop` of
      the curve. It is a number.

   load curve
   curve of loads
      What "falls" & bends.

   drop
      *Down*.  Twice.

.. raw:: html

   <script type="text/javascript">let α = "1 < 2";</script>
   <script type="application/json">{"not": "run"}</script>
   <button onclick="alert(&quot;α&quot;)">Say it</button>
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

            names = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "sbt_html", "sbt_policy"]
            settings = {"extensions": names}
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


def sha256(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_of_a_page_names_what_is_in_it(page):
    (policy,) = re.findall('<meta http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    directives = {name: sources for name, *sources in map(str.split, unescape(policy).split(";"))}
    scripts = directives["script-src"]
    assert scripts[0] == "'self'"
    assert sha256('let α = "1 < 2";') in scripts
    assert sha256('alert("α")') in scripts[scripts.index("'unsafe-hashes'") :]
    assert sha256('{"not": "run"}') not in scripts
    assert "'unsafe-inline'" not in scripts
    assert directives["default-src"] == directives["worker-src"] == ["'none'"]


def test_without_npm_the_policy_names_the_servers_of_what_is_missing(page):
    (policy,) = re.findall('<meta http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    sources = re.findall(r'<script[^>]* src="(https://[^"]+)', page)
    assert len(sources) == 1  # MathJax
    for source in [*sources, *ipywidgets_js_factory()]:
        assert re.match("https://[^/]+", source)[0] in policy


def test_no_page_with_scripts_is_left_without_a_policy(page, tmp_path):
    add_policies = sys.modules["sbt_policy"].add_policies
    config = SimpleNamespace(mathjax_path="mathjax.js")
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), config=config, outdir=tmp_path)
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy" content="[^"]+" />')
    bare = policy.sub("", page)
    named = bare.replace("<title>", "<title>Content-Security-Policy, ")
    leading_on = '<meta http-equiv="Refresh" content="0; url=a.html" />'
    for name, html in {"a": bare, "named": named, "index": leading_on}.items():
        (tmp_path / f"{name}.html").write_text(html)
    for _ in range(2):  # and none has two of them
        add_policies(app, None)
        for name in ("a", "named"):
            assert len(policy.findall((tmp_path / f"{name}.html").read_text())) == 1
    assert (tmp_path / "index.html").read_text() == leading_on
    (tmp_path / "odd.html").write_text(bare.replace("utf-8", "UTF-8"))
    with pytest.raises(Exception, match=r"odd\.html: no <meta .* to write a policy after"):
        add_policies(app, None)


def test_the_widget_manager_of_another_version_is_not_changed_blindly():
    with pytest.raises(SystemExit, match=r"0 checks found in .*embed-amd\.js, not 2"):
        without_compiler("let e = new Ajv();")


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
