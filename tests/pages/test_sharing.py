"""What the built pages tell other sites, where a chapter runs, and how it prints."""

import re
from html import unescape

import pytest
import yaml
from address import book_url, repository_url
from serving import HTML, PAGES, ROOT, visit

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
    pairs += [(k, v) for v, k in re.findall(r'<meta content="([^"]*)" name="([^"]+)"', html)]
    tags = {key: unescape(value) for key, value in pairs}
    assert tags["og:site_name"] == CONFIG["title"]
    assert tags["og:title"]
    assert "[" not in tags["og:description"], "citations say nothing elsewhere"
    assert 50 < len(tags["og:description"]) < 300
    assert tags["description"] == tags["og:description"]
    if ADDRESS:
        assert tags["og:url"] == ADDRESS + page
        assert f'<link rel="canonical" href="{ADDRESS}{page}" />' in html
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
            .filter(e => e.lastElementChild.getBoundingClientRect().height < 1)
            .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert not folded
    context.close()
