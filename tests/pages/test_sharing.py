"""What the built pages tell other sites, where a chapter runs, and how it prints."""

import re
import zipfile
from html import escape, unescape

import make_pdf
import make_zip
import nbformat
import pytest
import yaml
from address import book_url, repository_url
from bs4 import BeautifulSoup
from serving import HTML, PAGES, ROOT, expect, visit, watched

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
REPOSITORY = repository_url()  # "" in a clone of nothing on GitHub: then no link leads out to it
ADDRESS = book_url(REPOSITORY)
SLUG = REPOSITORY.removeprefix("https://github.com/")
CHAPTERS = [page for page in PAGES if page.startswith("notebooks/")]
WRITTEN = [page for page in PAGES if page.startswith(("notebooks/", "book/"))]
PAPER = {"width": 672, "height": 986}  # what the margins leave of A4


@pytest.mark.parametrize("page", WRITTEN)
def test_a_link_to_the_page_has_something_to_show(page):
    html = (HTML / page).read_text(encoding="utf-8")
    pairs = re.findall(r'<meta (?:name|property)="([^"]+)" content="([^"]*)"', html)
    tags = {key: unescape(value) for key, value in pairs}
    assert tags["og:site_name"] == CONFIG["title"]
    assert tags["og:title"]
    assert f"<title>{escape(tags['og:title'])} " in html
    assert 50 <= len(tags["og:description"]) <= 160
    assert tags["description"] == tags["og:description"]
    assert html.count('name="description"') == 1
    if ADDRESS:
        assert tags["og:url"] == ADDRESS + page
        assert f'<link rel="canonical" href="{ADDRESS}{page}" />' in html
        if page in CHAPTERS:
            assert (HTML / tags["og:image"].removeprefix(ADDRESS)).is_file()
            assert tags["og:image:alt"]
            assert tags["twitter:card"] == "summary_large_image"
    else:
        assert not {"og:url", "og:image", "og:image:alt", "twitter:card"} & set(tags)
        assert "canonical" not in html


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_opens_elsewhere_and_is_there_to_download(page):
    html = (HTML / page).read_text(encoding="utf-8")
    path = page.replace(".html", ".ipynb")
    assert (ROOT / path).is_file()
    if SLUG:
        assert f'href="https://colab.research.google.com/github/{SLUG}/blob/main/{path}"' in html
        assert f'href="https://mybinder.org/v2/gh/{SLUG}/main?urlpath=lab/tree/{path}"' in html
    else:
        assert not re.search(r'href="https://(colab\.research|mybinder|github)\.', html)
    assert f'href="../_sources/{path}"' in html
    downloaded = (HTML / "_sources" / path).read_text(encoding="utf-8")
    assert f'"REPOSITORY = \\"{REPOSITORY}\\"' in downloaded
    assert 'onclick="window.print()"' in html


@pytest.mark.parametrize("path", CHAPTERS)
def test_a_chapter_prints_alone_light_and_whole(browser, site, path):
    context = browser.new_context(viewport=PAPER, color_scheme="dark")
    page = context.new_page()
    visit(page, f"{site}/{path}")
    page.emulate_media(media="print")
    for part in ("sidebar-primary", "sidebar-secondary", "header-article", "footer-content"):
        assert not page.locator(f".bd-{part}").first.is_visible(), part
    light, dark = page.evaluate(
        """['.bd-article pre span', '.bd-article p', '.bd-article td'].map(selector => {
            const found = document.querySelector(selector);
            const colour = found ? getComputedStyle(found).color : "rgb(0, 0, 0)";
            return colour.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0);
        }).reduce(([most, least], sum) => [Math.max(most, sum), Math.min(least, sum)], [0, 765])"""
    )
    assert dark <= light < 300, "the text is too light for paper"
    cut = page.evaluate(
        """[...document.querySelectorAll('.bd-article :is(pre, img, table, mjx-container)')]
            .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1
                         || e.matches('pre') && e.scrollWidth > e.clientWidth + 1)
            .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert not cut
    folded = page.evaluate(
        """[...document.querySelectorAll('.bd-article details:not(.hide)')]
            .filter(e => e.checkVisibility()
                         && e.lastElementChild.getBoundingClientRect().height < 1)
            .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert not folded
    context.close()


def test_the_button_cite_offers_the_citations_by_keyboard(browser, site):
    context = browser.new_context()
    page = context.new_page()
    visit(page, f"{site}/notebooks/03_spring_block_chain.html")
    button = page.get_by_role("button", name="Cite", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    links = page.locator(".dropdown-cite a")
    expect(links.first).to_be_visible()
    addresses = links.evaluate_all("all => all.map(link => link.href)")
    copied = addresses.pop(0)
    assert copied == f"{site}/book/take_away.html#cite"
    assert [path.rpartition(".")[2] for path in addresses] == ["bib", "ris"] * 2
    texts = [page.request.get(address).text() for address in addresses]
    page.keyboard.press("Escape")
    expect(links.first).to_be_hidden()
    context.close()

    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(copied)
    shown = page.locator("#cite pre").all_inner_texts()
    assert [text.strip() for text in shown] == [text.strip() for text in texts]
    context.close()


def test_the_text_of_the_book_has_each_page_and_no_code():
    index = (HTML / "llms.txt").read_text(encoding="utf-8")
    links = [link.removeprefix(ADDRESS) for link in re.findall(r"\]\((.*?)\)", index)]
    assert set(links) == {*WRITTEN, "llms-full.txt"}
    text = (HTML / "llms-full.txt").read_text(encoding="utf-8")
    assert text.count("[Figure: ") > 60
    assert not re.search(r"\[Figure: *\]", text), "a figure without alternative text"
    assert "\\Sigma_w = \\frac{1}{N}" in text
    assert "| --- |" in text
    assert "<div" not in text
    for page in CHAPTERS:
        cells = nbformat.read(ROOT / page.replace(".html", ".ipynb"), 4)["cells"]
        for code in (cell["source"] for cell in cells if cell["cell_type"] == "code"):
            assert code not in text
    headings = re.findall("^# (.*)$", text, re.M)
    assert len(headings) == len(WRITTEN)


def test_the_book_reads_from_a_folder_without_a_server(browser, tmp_path):
    make_zip.write(HTML, tmp_path / "book.zip")
    with zipfile.ZipFile(tmp_path / "book.zip") as archive:
        archive.extractall(tmp_path)
    folder = (tmp_path / "book").as_uri()
    context = browser.new_context()
    page, complaints = watched(context, folder)
    visit(page, f"{folder}/notebooks/02_folding_ruler.html")
    page.goto(f"{folder}/search.html?q=load+curve")
    page.wait_for_selector("#search-results li a")
    expect(page.locator("#search-results")).to_contain_text("Search finished")
    assert not complaints
    page.locator("#search-results li a").first.click()
    page.wait_for_url(f"{folder}/*/*.html*")
    assert not complaints
    context.close()


def test_the_book_prints_as_one_file(browser, tmp_path):
    pages, address = (
        ["book/at_a_glance.html", "notebooks/02_folding_ruler.html"],
        "https://a.invalid/",
    )
    make_pdf.write(browser, HTML, tmp_path / "book.pdf", pages, address)
    pdf = (tmp_path / "book.pdf").read_bytes().decode("latin-1")
    assert 10 < len(re.findall(r"/Type ?/Page\b", pdf)) < 30
    titles = re.findall(r"/Title \((.*?)\)\n", pdf)
    assert titles.pop(0) == CONFIG["title"]
    html = "".join((HTML / page).read_text(encoding="utf-8") for page in pages)
    headings = BeautifulSoup(html, "html.parser").select(".bd-article :is(h1, h2, h3)")
    plain = [each.get_text().rstrip("#") for each in headings]
    assert sorted(filter(str.isascii, titles)) == sorted(filter(str.isascii, plain))
    outside = re.findall(r"/URI \((.*?)\)", pdf)
    assert f"{address}notebooks/02_folding_ruler.html" in outside  # where its pictures move
    assert f"{address}notebooks/03_spring_block_chain.html" in outside  # not printed here
    inside = set(re.findall(r"/Dest /([^\s/>]+)", pdf))
    assert {"book-at_a_glance", "notebooks-02_folding_ruler"} <= inside
    assert any(name.startswith("notebooks-02_folding_ruler--fig-") for name in inside)
