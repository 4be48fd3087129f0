"""Every page of the built book, as a reader's browser sees it.

`make browser` builds the book and names it in BOOK_HTML; without that these tests step aside.
"""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

if "BOOK_HTML" not in os.environ:
    pytest.skip("no built book to look at: run `make browser`", allow_module_level=True)

playwright = pytest.importorskip("playwright.sync_api")

HTML = Path(os.environ["BOOK_HTML"]).resolve()
# The theme keeps templates in _static; index.html only leads on to the landing page.
PAGES = sorted({str(path.relative_to(HTML)) for path in HTML.rglob("*.html")} - {"index.html"})
PAGES = [page for page in PAGES if not page.startswith("_static/")]
VENDORED = (HTML / "_static/vendor").exists()
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Chromium's own errands would otherwise count as requests; --no-sandbox lets root run it.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def site():
    """Serve the book on localhost; yield its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=HTML)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    with playwright.sync_playwright() as p:
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        if found is None and Path(p.chromium.executable_path).exists():
            found = p.chromium.executable_path
        if found is None:
            pytest.skip("no Chromium or Chrome on the path: the pages were not looked at")
        browser = p.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(
    scope="session",
    params=[("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE), ("dark", PHONE)],
    ids=["light-desktop", "dark-desktop", "light-phone", "dark-phone"],
)
def view(request, browser, site):
    """Yield (open, scheme): `open` loads a page and returns it with the complaints it caused."""
    scheme, viewport = request.param
    context = browser.new_context(color_scheme=scheme, viewport=viewport)
    if VENDORED:  # nothing but the book can be reached
        context.route(lambda url: not url.startswith(site), lambda route: route.abort())

    def open_page(path):
        page, complaints = context.new_page(), []
        page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda r: r.status >= 400 and complaints.append(f"{r.status} {r.url}"))
        page.on(
            "request",
            lambda r: (
                VENDORED
                and urlsplit(r.url).scheme.startswith("http")
                and not r.url.startswith(site)
                and complaints.append(f"outside request: {r.url}")
            ),
        )
        page.goto(f"{site}/{path}", wait_until="networkidle")
        return page, complaints

    yield open_page, scheme
    context.close()


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is missing: MathJax comes from a CDN")
def test_the_book_serves_its_own_mathjax():
    assert VENDORED


@pytest.mark.parametrize("path", PAGES)
def test_page(view, path):
    open_page, scheme = view
    page, complaints = open_page(path)
    assert not complaints
    assert page.evaluate("document.documentElement.dataset.theme") == scheme

    overflow = page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
    assert overflow <= 1, "the page scrolls sideways"

    # Pictures further down load lazily; ask for all of them.
    images = page.evaluate(
        """Promise.all([...document.images].map(async image => {
            image.loading = "eager";
            await image.decode().catch(() => {});
            return [image.getAttribute("src"), image.alt.trim(), image.naturalWidth];
        }))"""
    )
    for source, alt, width in images:
        assert width > 0, f"{source} does not load"
        assert alt, f"{source} has no alternative text"

    if VENDORED:
        math, typeset, failed = page.evaluate(
            """['.math', '.math mjx-container', 'mjx-merror, [data-mjx-error]']
               .map(selector => document.querySelectorAll(selector).length)"""
        )
        assert not failed
        assert typeset >= math, "an equation is not typeset"
    page.close()


def test_internal_links_resolve(browser, site):
    context = browser.new_context()
    page = context.new_page()
    anchors, links = {}, []
    for path in PAGES:
        page.goto(f"{site}/{path}", wait_until="domcontentloaded")
        anchors[path] = set(page.eval_on_selector_all("[id]", "all => all.map(e => e.id)"))
        links += [
            (path, link)
            for link in page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
            if link.startswith(site)
        ]
    context.close()
    for origin, link in links:
        target, anchor = urldefrag(link.removeprefix(f"{site}/"))
        target, anchor = unquote(urlsplit(target).path) or "index.html", unquote(anchor)
        assert (HTML / target).is_file(), f"{origin} links to {link}"
        if anchor and target in anchors:
            assert anchor in anchors[target], f"{origin} links to {link}"


def test_search_finds_the_load_curve(browser, site):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site}/search.html?q=load+curve")
    page.wait_for_selector("#search-results li a")
    assert "index.html" in " ".join(
        page.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)")
    )
    context.close()
