"""The built book and a browser, for the tests in `tests/pages`.

`make browser` builds the book and names it in BOOK_HTML; without that these tests step aside.
"""

import os
import shutil
from pathlib import Path

import pytest

if "BOOK_HTML" not in os.environ:
    pytest.skip("no built book to look at: run `make browser`", allow_module_level=True)

playwright = pytest.importorskip("playwright.sync_api")
PATIENCE = 120_000  # milliseconds: a busy machine is slow
expect = playwright.expect
expect.set_options(timeout=PATIENCE)

ROOT = Path(__file__).parents[2]
HTML = Path(os.environ["BOOK_HTML"]).resolve()
# The theme keeps templates in _static; index.html only leads on to the landing page.
PAGES = sorted({str(path.relative_to(HTML)) for path in HTML.rglob("*.html")} - {"index.html"})
PAGES = [page for page in PAGES if not page.startswith("_static/")]
LIVE = "script[type='application/vnd.jupyter.widget-view+json'], [data-explorable]"
VENDORED = (HTML / "_static/vendor").exists()
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Chromium's own errands would otherwise count as requests; --no-sandbox lets root run it.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch(p):
    """Launch Chromium or Chrome, whichever is there."""
    executable = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if executable is None and Path(p.chromium.executable_path).exists():
        executable = p.chromium.executable_path
    if executable is None:
        pytest.skip("no Chromium or Chrome on the path: the pages were not looked at")
    return p.chromium.launch(executable_path=executable, args=_FLAGS)


def watched(context, address):
    """Return a new page and a list that fills with what it complains of.

    Where the book brings all it needs, nothing but the book can be reached.
    """
    page, complaints = context.new_page(), []
    page.set_default_timeout(PATIENCE)
    page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda r: r.status >= 400 and complaints.append(f"{r.status} {r.url}"))
    if VENDORED:

        def refuse(route):
            complaints.append(f"outside request: {route.request.url}")
            route.abort()

        local = (address, "blob:", "data:")
        page.route(lambda url: not url.startswith(local), refuse)
    return page, complaints


def visit(page, address):
    """Go to a page and wait until it is at rest: loaded, typeset, its live pictures in place.

    Playwright's "networkidle" alone may come while a slow machine still reads the scripts.
    """
    page.goto(address, timeout=PATIENCE)
    if VENDORED:
        page.evaluate("window.MathJax?.startup?.promise")
        views = page.locator(LIVE).count()
        expect(page.locator("section.sbt:not(.sbt-landing)")).to_have_count(views)
    page.wait_for_load_state("networkidle")
