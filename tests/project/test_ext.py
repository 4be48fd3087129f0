"""What the book's extensions do to pages: glossary, policy, folded code, tables, dark figures."""

import base64
import colorsys
import hashlib
import importlib
import re
import sys
import warnings
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageColor

pytest.importorskip("myst_nb")
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from myst_nb.core.config import ipywidgets_js_factory
from vendor import with_one_folder_of_fonts, without_compiler

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


@pytest.fixture
def extensions(monkeypatch):
    """Return a function that imports one of the book's own extensions."""
    monkeypatch.syspath_prepend(ROOT / "_ext")
    return importlib.import_module


def test_the_widget_manager_asks_for_its_fonts_in_one_folder():
    manager = 'a=n.p+"ab12.woff2",b=r.p+"cd.ttf",c=n.p+"worker.js"'
    asked = with_one_folder_of_fonts(manager)
    folder = 'requirejs.toUrl("@jupyter-widgets/html-manager/dist'
    assert asked == f'a={folder}/ab12.woff2"),b={folder}/cd.ttf"),c=n.p+"worker.js"'


def test_a_widget_manager_without_fonts_is_not_changed_blindly():
    with pytest.raises(SystemExit, match=r"no fonts found in .*embed-amd\.js"):
        with_one_folder_of_fonts('c=n.p+"worker.js"')


def cell(code, **attributes):
    """Return the node of a cell of a notebook, as myst-nb makes it."""
    source = nodes.container("", nodes.literal_block(code, code), nb_element="cell_code_source")
    return nodes.container("", source, nb_element="cell_code", **attributes)


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("# Heat maps\nx = 1", "Code: heat maps"),
        ("# MNIST, twice\nx = 1", "Code: MNIST, twice"),
        ("## a < b\nx = 1", "Code: a &lt; b"),
        ("x = 1  # one", "Code"),
        ("#\nx = 1", "Code"),
    ],
)
def test_code_is_folded_under_its_first_line(extensions, code, label):
    folds = extensions("sbt_code")
    document = new_document("")
    document += [cell(code), cell(code, hide_mode="input"), nodes.container("", nb_element="x")]
    folds.FoldCode(document).run()
    for folded in document.children[:2]:
        assert "hide_mode" not in folded  # or myst-nb would fold it once more
        before, source, after = folded.children
        assert before.astext() == f'<details class="code" open><summary>{label}</summary>'
        assert source["nb_element"] == "cell_code_source"
        assert after.astext() == "</details>"
    assert not document.children[2].children


def labels(html):
    """Return the label and the text of each cell of each row of a table."""
    rows = BeautifulSoup(html, "html.parser").tbody.find_all("tr")
    return [[(c.get("data-label"), c.get_text()) for c in r.find_all(["td", "th"])] for r in rows]


def test_cells_of_a_table_know_their_columns(extensions):
    labelled = extensions("sbt_tables").labelled
    table = (
        "<table><thead><tr><th>network</th><th>chain</th></tr></thead>"
        "<tbody><tr><td>load &lt; 1</td><td>a <b>spring</b></td></tr></tbody></table>"
    )
    html = labelled(table)
    assert labels(html) == [[(None, "load < 1"), ("chain", "a spring")]]
    assert '<table class="cards">' in html
    assert "load &lt; 1" in html
    without_head = "<table><tr><td>1 &amp; 2<td></tr></table>"
    assert labelled(without_head) == without_head


def test_cells_of_a_table_of_pandas_know_columns_and_rows(extensions):
    labelled = extensions("sbt_tables").labelled
    index = pd.MultiIndex.from_product([["ours", "theirs"], ["p", "q"]], names=["of", "noise"])
    columns = pd.MultiIndex.from_tuples([("", "n"), ("found", "low"), ("found", "high")])
    table = pd.DataFrame(np.arange(12).reshape(4, 3), index, columns)
    for html in (table.style.to_html(), table.to_html()):
        rows = labels(labelled(html))
        assert rows[0] == [
            *[("of", "ours"), ("noise", "p")],
            *[("n", "0"), ("found, low", "1"), ("found, high", "2")],
        ]
        assert rows[1][0] == ("of: ours, noise", "q")
        assert rows[3][0] == ("of: theirs, noise", "q")
        assert rows[3][-1] == ("found, high", "11")


def test_a_table_of_numbers_says_what_its_headings_count(extensions):
    labelled = extensions("sbt_tables").labelled
    columns = pd.Index(["0", "0.5", "all"], name="noise")
    table = pd.DataFrame([[1, 2, 3]], pd.Index(["0.1"], name="slope"), columns)
    (row,) = labels(labelled(table.style.to_html()))
    assert [label for label, _ in row] == ["slope", "noise 0", "noise 0.5", "all"]
    (row,) = labels(labelled(table.reset_index().style.hide(axis="index").to_html()))
    assert row[0] == ("slope", "0.1")  # a number alone would be no title


def test_dark_figures_are_found_beside_light_ones(extensions):
    offer = extensions("sbt_dark").offer_dark_pictures

    def offered(body):
        context = {"body": body}
        offer(None, "page", "page.html", context, None)
        return context["body"]

    dark = "(prefers-color-scheme: dark)"
    image = '<img alt="A" src="../_images/a.png" />'
    source = (
        f'<source class="dark" srcset="../_images/a.dark.png" media="{dark}" data-media="all" />'
    )
    assert offered(f"<p>{image}</p>") == f"<p><picture>{source}{image}</picture></p>"
    narrow = '<source srcset="../_images/n.png" media="(max-width: 9px)" />'
    both = offered(f"<picture>{narrow}{image}</picture>")
    assert both.index("n.dark.png") < both.index("n.png") < both.index("a.dark.png")
    assert f'media="{dark} and (max-width: 9px)" data-media="(max-width: 9px)"' in both
    for other in ('<img class="as-is" src="_images/a.png">', '<img src="_images/film.gif">'):
        assert offered(other) == other


def contrast(colours, ground):
    """Return the contrast of colours on a ground, by the formula of WCAG 2.2."""

    def luminance(colour):
        c = np.asarray(colour)
        linear = np.where(c > 0.04045, ((c + 0.055) / 1.055) ** 2.4, c / 12.92)
        return linear @ [0.2126, 0.7152, 0.0722]

    light, dark = luminance(colours) + 0.05, luminance(ground) + 0.05
    return np.maximum(light / dark, dark / light)


def test_a_dark_figure_has_no_ground_light_ink_and_the_same_hues(extensions, tmp_path):
    dark = extensions("sbt_dark")
    colours = [*("#ffffff", "#000000", "#808080", "#0072b2", "#d55e00", "#009e73", "#cc79a7")]
    given = np.array([ImageColor.getrgb(colour) for colour in colours]) / 255
    picture = Image.fromarray(np.uint8([given * 255])).quantize(256, dither=Image.Dither.NONE)
    picture.save(tmp_path / "a.png")
    dark.darken(tmp_path / "a.png", tmp_path / "a.dark.png")
    with Image.open(tmp_path / "a.dark.png") as twin:
        assert twin.mode == "P"
        (pixels,) = np.array(twin.convert("RGBA")) / 255
    alpha = pixels[:, 3:]
    shown = pixels[:, :3] * alpha + dark.GROUND * (1 - alpha)
    assert alpha[0] == 0
    assert (shown[1] > 0.85).all()
    assert np.ptp(shown[2]) < 0.05
    on_white = contrast(given, [1, 1, 1])
    assert (contrast(shown, dark.GROUND)[1:] > np.minimum(on_white[1:], 4.4)).all()
    for before, after in zip(given[3:], shown[3:], strict=True):
        hues = [colorsys.rgb_to_hsv(*colour)[0] for colour in (before, after)]
        assert abs(hues[0] - hues[1]) < 0.03


def test_icons_come_from_their_font_alone(extensions, tmp_path):
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path)
    other = '<script src="_static/scripts/bootstrap.js?digest=1"></script>\n'
    icons = '  <script defer src="../_static/scripts/fontawesome.js?digest=1"></script>\n'
    (tmp_path / "a.html").write_text(f"<head>{other}{icons}</head>")
    extensions("sbt_html").leave_icons_to_their_font(app, None)
    assert (tmp_path / "a.html").read_text() == f"<head>{other}</head>"
