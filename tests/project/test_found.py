"""How the book is found and cited: descriptions, previews, plain text, citations."""

import re
import sys
import tomllib
import warnings
from html import unescape
from pathlib import Path

import pytest
import yaml
from PIL import Image

pytest.importorskip("pybtex")
import citations
from pybtex.database import parse_file

ROOT = Path(__file__).parents[2]
URL, ADDRESS = "https://github.com/ada/name", "https://ada.github.io/name/"
PAGES = yaml.safe_load((ROOT / "_ext/pages.yml").read_text(encoding="utf-8"))

PAGE = """
<html><body><nav>Elsewhere</nav><article class="bd-article"><section>
<h1>1. Title<a class="headerlink">#</a></h1>
<p>A <em>word</em> with
 <span class="math">\\(x_1\\)</span>, and a <a href="x">link</a>.</p>
<div class="math"><span class="eqno">(1)<a class="headerlink">#</a></span>\\[a\n= b\\]</div>
<div class="cell"><div class="cell_input"><pre>import x</pre></div>
<div class="cell_output"><pre>a  1\nb  2</pre><script>let state = "<p>state</p>";</script></div>
</div>
<table><caption>Rows</caption><tr><th></th><th>n</th></tr><tr><th>r</th><td>1<br>2</td></tr></table>
<figure><img alt="A curve falls."><figcaption><p>Fig. 1 Caption.</p></figcaption></figure>
<div class="still"><p>With scripts, live. A chain.</p><img alt="A chain."></div>
<ul><li><p>one</p><ul><li>inner</li></ul></li><li>two</li></ul><!-- note -->
<ol><li><p>x</p><p>y</p></li></ol></section></article></body></html>
"""
TEXT = """
# 1. Title

A word with \\(x_1\\), and a link.

(1) \\[a
= b\\]

a  1
b  2

Rows
|  | n |
| --- | --- |
| r | 1 2 |

[Figure: A curve falls.]

Fig. 1 Caption.

[Figure: A chain.]

- one
  - inner
- two

1. x
   y
"""


@pytest.fixture(scope="module")
def ext():
    """Make the extensions of the book importable."""
    sys.path.insert(0, str(ROOT / "_ext"))
    yield
    sys.path.remove(str(ROOT / "_ext"))


def build(folder, address):
    """Build a book of two pages, the first with a picture; return its folder."""
    source, out = folder / "source", folder / "html"
    (source / "book").mkdir(parents=True)
    Image.new("RGBA", (300, 100), (255, 0, 0, 128)).save(source / "book/red.png")
    index = "Title\n=====\n\n.. image:: red.png\n   :alt: Red & wide.\n\n.. toctree::\n\n   api\n"
    (source / "book/index.rst").write_text(index)
    (source / "book/api.rst").write_text("Names\n=====\n\nOthers.\n")
    settings = {"extensions": ["sbt_sharing"], "root_doc": "book/index", "html_baseurl": address}
    settings |= {"html_title": "Book", "project": "Book"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sphinx.application import Sphinx

        app = Sphinx(source, None, out, folder / "trees", "html", settings, None, None)
        app.build()
    return out


def tags(path):
    text = path.read_text(encoding="utf-8")
    found = re.findall(r'<meta (?:name|property)="([^"]+)" content="([^"]*)"', text)
    found = [pair for pair in found if pair[0] != "viewport"]
    assert len(found) == len(dict(found)), "a tag is there twice"
    return {key: unescape(value) for key, value in found}


def paths(items):
    """Yield the pages of a table of contents."""
    for item in items:
        if "file" in item:
            yield item["file"]
        for part in ("parts", "chapters", "sections"):
            yield from paths(item.get(part, []))


def test_every_page_has_a_title_and_a_description():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert set(PAGES) == {toc["root"], *paths([toc])}


@pytest.mark.parametrize(("key", "least", "most"), [("title", 20, 60), ("description", 50, 160)])
def test_titles_and_descriptions_are_short_plain_and_different(key, least, most):
    texts = [about[key] for about in PAGES.values()]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert least <= len(text) <= most, text
        assert not re.search(r"[\\{}$`*\[\]<>\"]", text), text


def test_where_the_book_has_an_address_a_link_to_it_shows_its_picture(ext, tmp_path):
    html = build(tmp_path, ADDRESS)
    index, other = tags(html / "book/index.html"), tags(html / "book/api.html")
    assert index["og:url"] == f"{ADDRESS}book/index.html"
    assert index["og:title"] == PAGES["book/index"]["title"]
    assert index["og:description"] == index["description"] == PAGES["book/index"]["description"]
    assert index["og:image:alt"] == "Red & wide."
    assert index["twitter:card"] == "summary_large_image"
    with Image.open(html / index["og:image"].removeprefix(ADDRESS)) as picture:
        assert picture.size == (1200, 630)
        picture = picture.convert("RGB")
        assert picture.getpixel((600, 315)) == (255, 127, 127)  # half of it white
        assert picture.getpixel((5, 5)) == picture.getpixel((600, 100)) == (255, 255, 255)
        assert picture.getpixel((35, 315)) == (255, 127, 127)  # as wide as the margins let it be
    assert other["og:description"] == PAGES["book/api"]["description"]
    assert "og:image" not in other
    assert other["twitter:card"] == "summary"
    places = re.findall("<loc>(.*?)</loc>", (html / "sitemap.xml").read_text())
    assert places == [f"{ADDRESS}book/index.html", f"{ADDRESS}book/api.html"]
    assert f"Sitemap: {ADDRESS}sitemap.xml" in (html / "robots.txt").read_text()
    linked = re.findall(r"\]\((.*?)\)", (html / "llms.txt").read_text(encoding="utf-8"))
    assert linked == [*places, f"{ADDRESS}llms-full.txt"]


def test_a_book_without_an_address_has_nothing_that_needs_one(ext, tmp_path):
    html = build(tmp_path, "")
    found = tags(html / "book/index.html")
    assert found["description"] == PAGES["book/index"]["description"]
    assert not {"og:url", "og:image", "og:image:alt", "twitter:card"} & set(found)
    assert not [
        name for name in ("previews", "sitemap.xml", "robots.txt") if (html / name).exists()
    ]
    for link in re.findall(r"\]\((.*?)\)", (html / "llms.txt").read_text(encoding="utf-8")):
        assert (html / link).is_file()


def test_a_page_as_plain_text_has_words_equations_tables_and_figures_but_no_code(ext):
    from sbt_text import plain_text

    assert plain_text(PAGE) == TEXT.strip()


def test_the_citation_of_the_paper_is_that_of_the_citation_file(tmp_path):
    citations.write(tmp_path, "")
    paper = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))[
        "preferred-citation"
    ]
    names = [f"{each['family-names']}, {each['given-names']}" for each in paper["authors"]]
    known = {key: str(paper[key]) for key in ("title", "journal", "year", "doi")}
    entry = parse_file(str(tmp_path / "shi2025spring.bib")).entries["shi2025spring"]
    assert [str(person) for person in entry.persons["author"]] == names
    assert known.items() <= dict(entry.fields).items()
    lines = ris_lines(tmp_path / "shi2025spring.ris")
    assert [value for tag, value in lines if tag == "AU"] == names
    assert {known[key] for key in known} <= {value for _, value in lines}
    assert dict(lines)["TY"] == "JOUR"


@pytest.mark.parametrize("url", ["", URL])
def test_the_citation_of_the_companion_is_that_of_this_version(tmp_path, url):
    citations.write(tmp_path, url)
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entry = parse_file(str(tmp_path / "sbt_utils.bib")).entries["sbt_utils"]
    lines = dict(ris_lines(tmp_path / "sbt_utils.ris"))
    assert entry.fields["version"] == lines["ET"] == about["version"]
    assert re.sub(r"[{}\\]", "", entry.fields["title"]) == lines["TI"]
    assert lines["AU"] == about["authors"][0]["name"]
    assert entry.fields.get("url") == lines.get("UR") == (ADDRESS if url else None)


def ris_lines(path):
    """Return the tags and values of an RIS file; check its form."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([A-Z][A-Z0-9])  - (.*)", line).groups() for line in lines]
    assert found[0][0] == "TY"
    assert found[-1] == ("ER", "")
    assert not re.search(r"[{}\\]", path.read_text(encoding="utf-8"))
    return found
