"""The whole book in one file, and the site that offers it."""

import os
import re
import zipfile

import make_site
import make_zip
import pytest

PLACE = "<p>Words.</p>\n<!-- downloads -->\n"


@pytest.fixture
def html(tmp_path):
    """Return a small built book."""
    files = {
        "index.html": '<a href="book/a.html">A</a>',
        "book/a.html": PLACE,
        "book/api/b.html": PLACE,
        "_static/documentation_options.js": "const D = {\n    SHOW_SEARCH_SUMMARY: true,\n};",
        "_static/a.js.map": "{}",
        "previews/book/a.png": "picture",
        "robots.txt": "User-agent: *",
    }
    for name, text in files.items():
        path = tmp_path / "html" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "html"


def test_the_same_pages_make_the_same_zip(html, tmp_path):
    first, second = tmp_path / "1/book.zip", tmp_path / "2/book.zip"
    make_zip.write(html, first)
    for path in html.rglob("*"):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o700)
    make_zip.write(html, second)
    assert first.read_bytes() == second.read_bytes()


def test_a_zip_holds_what_a_reader_needs_and_its_search_fetches_nothing(html, tmp_path):
    make_zip.write(html, tmp_path / "book.zip")
    with zipfile.ZipFile(tmp_path / "book.zip") as archive:
        assert archive.testzip() is None
        names = {"index.html", "book/a.html", "book/api/b.html", "_static/documentation_options.js"}
        assert set(archive.namelist()) == {f"book/{name}" for name in names}
        options = archive.read("book/_static/documentation_options.js").decode()
        assert "SHOW_SEARCH_SUMMARY: false" in options
        assert archive.read("book/book/a.html").decode() == PLACE  # which shows nothing


def test_a_search_of_another_kind_is_not_packed_blindly(html, tmp_path):
    (html / "_static/documentation_options.js").write_text("const D = {};")
    with pytest.raises(ValueError, match="does not say SHOW_SEARCH_SUMMARY: true"):
        make_zip.write(html, tmp_path / "book.zip")


def test_the_site_links_its_files_with_their_sizes(html, tmp_path):
    files = [tmp_path / "book.pdf", tmp_path / "book.zip"]
    for number, path in enumerate(files, start=2):
        path.write_bytes(bytes(number * 10**6))
    site = tmp_path / "site"
    for _ in range(2):  # and anew
        make_site.write(html, site, files)
        for page in ("book/a.html", "book/api/b.html"):
            text = (site / page).read_text()
            found = re.findall(r'href="([^"]+)" download>[^<]+</a> \((\d+) MB\)', text)
            assert [size for _, size in found] == ["2", "3"]
            for (link, _), path in zip(found, files, strict=True):
                assert ((site / page).parent / link).read_bytes() == path.read_bytes()
    assert (html / "book/a.html").read_text() == PLACE  # the built book stays as it is


def test_a_book_without_a_place_for_them_is_refused(html, tmp_path):
    for page in html.rglob("*.html"):
        page.write_text("")
    with pytest.raises(ValueError, match=r"no page of .* has a place for the downloads"):
        make_site.write(html, tmp_path / "site", [])
