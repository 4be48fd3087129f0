"""Print the built book as one PDF: all its pages in their order, joined before they are printed.

python scripts/make_pdf.py HTML FILE.pdf. Chromium makes bookmarks of the headings, and links of the
links between pages. Live pictures are stills; folded code stays in the notebooks.
"""

import re
import shutil
import sys
from html import escape
from pathlib import Path
from posixpath import normpath
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import yaml
from address import ROOT, book_url, project, repository_url
from bs4 import BeautifulSoup, Tag

HOST = "http://book.invalid/"  # answered from the folder of the pages
MATHJAX = "_static/vendor/mathjax/tex-chtml.js"
PATIENCE = 600_000  # milliseconds, for a few hundred pages
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
LEFT_OUT = (
    "script, button, source, a.headerlink, .cell_input, .still > p:first-child, .prev-next-footer,"
    " details.code, .cell details.hide, .film img, .toggle-button"
)
PAPER = {"width": 673, "height": 986}  # pixels of A4 within the margins of book.css
# Equations that are wider than the paper become smaller.
SHRINK = """for (const each of document.querySelectorAll("mjx-container[display=true]")) {
    const share = each.clientWidth / each.firstElementChild.getBoundingClientRect().width;
    if (share < 1) each.style.fontSize = `${parseFloat(getComputedStyle(each).fontSize) * share}px`;
}"""
STYLE = """
@page { size: A4; @bottom-center { content: counter(page); font: 9pt sans-serif; color: #4a4a4a; } }
@page :first { @bottom-center { content: none; } }
.book-title { break-after: page; }
.book-title .name { font-size: 3rem; font-weight: 700; line-height: 1.15; margin: 30vh 0 1rem; }
.book-contents { break-after: page; }
.book-contents li { list-style: none; }
.book-page { break-after: page; }
.admonition, .sd-card { box-shadow: none !important; break-inside: avoid; }
.admonition { border: 1px solid var(--pst-color-border); }
/* Letters that stick out of their line at the top of a page would count for the page before as
   well, and their heading would be in the bookmarks twice. */
.bd-article :is(h1, h2, h3, h4, h5, h6) { line-height: 1.35; }
.book-page:last-child { break-after: auto; }
"""


def read(html: Path, page: str) -> BeautifulSoup:
    """Return a page without its inline scripts, which hold the state of its live pictures."""
    text = (html / page).read_text(encoding="utf-8")
    text = re.sub(r"<script\b(?![^>]*\bsrc=).*?</script>", "", text, flags=re.DOTALL)
    return BeautifulSoup(text, "html.parser")


def reading_order(html: Path) -> list[str]:
    """Return the paths of the pages as the contents of the landing page list them."""
    start = re.search(r"url=([^\"]+)", (html / "index.html").read_text(encoding="utf-8"))
    landing = start[1] if start else "index.html"
    links = read(html, landing).select("nav.bd-links a.internal")
    paths = [normpath(urljoin(landing, urldefrag(str(a["href"]))[0])) for a in links]
    return list(dict.fromkeys([landing, *(path for path in paths if (html / path).is_file())]))


def key(page: str) -> str:
    """Return what marks the ids of a page in the joined document."""
    return re.sub(r"\W+", "-", page.removesuffix(".html"))


def article(html: Path, page: str, pages: list[str], address: str) -> Tag:
    """Return the words and pictures of a page, with its links as they are within the whole."""
    found = read(html, page).select_one("article.bd-article")
    if found is None:
        raise ValueError(f"{page} has no article")
    for each in found.select(LEFT_OUT):
        each.decompose()
    for each in found.select("[id]"):
        each["id"] = f"{key(page)}--{each['id']}"
    for fold in found.select("details"):
        fold["open"] = ""
    for line in found.select(".take-away"):
        drawn, vector = line.find_previous_sibling(), line.select_one('a[href$=".svg"]')
        if drawn and vector and (image := drawn.select_one("img")):
            image["src"] = vector["href"]
        line.decompose()
    for image in found.select("img[src]"):
        if not str(image["src"]).startswith("data:"):
            image["src"] = normpath(urljoin(page, str(image["src"])))
        image["loading"] = "eager"
    for link in found.select("a[href]"):
        lead(link, page, pages, address)
    where = f'<p>In motion: <a href="{address}{page}">{address}{page}</a></p>'
    for picture in found.select(".still, .film") if address else ():
        picture.append(BeautifulSoup(where, "html.parser"))
    return found


def lead(link: Tag, page: str, pages: list[str], address: str) -> None:
    """Let a link lead to its place in the document, or out to the published book, or nowhere."""
    target, anchor = urldefrag(str(link["href"]))
    if urlsplit(target).scheme:
        return
    path = normpath(urljoin(page, target)) if target else page
    if path in pages:
        link["href"] = f"#{key(path)}" + (f"--{unquote(anchor)}" if anchor else "")
    elif address:
        link["href"] = urljoin(address, path)
    else:
        del link["href"]


def joined(html: Path, pages: list[str], address: str) -> str:
    """Return the whole book as one page."""
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    head = read(html, pages[0])
    styles = [
        normpath(urljoin(pages[0], str(each["href"])))
        for each in head.select("link[rel=stylesheet]")
    ]
    articles = {page: article(html, page, pages, address) for page in pages}
    contents = "".join(
        f'<li><a href="#{key(page)}">{escape(found.h1.get_text() if found.h1 else page)}</a></li>'
        for page, found in articles.items()
    )
    bodies = "".join(
        f'<section class="book-page" id="{key(p)}">{a}</section>' for p, a in articles.items()
    )
    where = f'<p><a href="{address}">{address}</a></p>' if address else ""
    return f"""<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8">
<title>{escape(settings["title"])}</title>
{"".join(f'<link rel="stylesheet" href="{style}">' for style in styles)}<style>{STYLE}</style>
<script>window.MathJax = {{options: {{processHtmlClass: "math|output_area"}}}};</script>
<script src="{MATHJAX}"></script></head><body class="tex2jax_ignore mathjax_ignore">
<div class="bd-article"><div class="book-title"><p class="name">{escape(settings["title"])}</p>
<p>By {escape(settings["author"])}, {settings["copyright"]}. Version {project()["version"]}.</p>
<p>{escape(project()["description"])}. {settings["html"]["extra_footer"]}</p>{where}
<p>Live pictures are stills here. The code that pages fold away is in their notebooks.</p></div>
<div class="book-contents"><p>Contents</p><ul>{contents}</ul></div>{bodies}</div>
</body></html>"""


def write(browser: Any, html: Path, target: Path, pages: list[str], address: str) -> None:
    """Let a browser (of Playwright) print the joined page."""
    whole = joined(html, pages, address)
    target.parent.mkdir(parents=True, exist_ok=True)

    def answer(route: Any) -> None:
        path = html / unquote(urlsplit(route.request.url).path[1:])
        if route.request.url == HOST:
            route.fulfill(body=whole, content_type="text/html; charset=utf-8")
        elif route.request.url.startswith(HOST) and path.is_file():
            route.fulfill(path=path)
        else:
            route.abort()

    page = browser.new_page(color_scheme="light", viewport=PAPER)
    page.emulate_media(media="print")
    page.set_default_timeout(PATIENCE)
    page.route("**/*", answer)
    page.goto(HOST, wait_until="load")
    page.evaluate("MathJax.startup.promise")
    page.evaluate(SHRINK)
    page.evaluate("Promise.all([...document.images].map(each => each.decode().catch(() => {})))")
    page.pdf(path=target, outline=True, tagged=True, prefer_css_page_size=True)
    page.close()


def main(html: Path, target: Path) -> None:
    """Print the whole book, with whichever Chromium or Chrome is there."""
    from playwright.sync_api import sync_playwright

    if not (html / MATHJAX).exists():
        sys.exit("The book was built without npm, so its equations would be missing: install npm.")
    with sync_playwright() as p:
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        if found is None and not Path(p.chromium.executable_path).exists():
            sys.exit("There is no Chromium or Chrome on the path to print the book with.")
        browser = p.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        write(browser, html, target, reading_order(html), book_url(repository_url()))
        browser.close()
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
