import functools
import http.server
import threading

import pytest


@pytest.fixture(scope="session")
def site():
    """Serve the book on localhost; yield its address."""
    from serving import HTML

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
    from serving import launch, playwright

    with playwright.sync_playwright() as p:
        browser = launch(p)
        yield browser
        browser.close()


@pytest.fixture
def explorable_on(browser, site):
    """Yield a function that opens a page at an explorable; return both. Nothing may complain."""
    from serving import DESKTOP, PHONE, visit, watched

    opened = []

    def open_page(path, title, viewport=DESKTOP, script=None, **options):
        context = browser.new_context(viewport=viewport, has_touch=viewport == PHONE, **options)
        if script is not None:
            context.add_init_script(script)
        page, complaints = watched(context, site)
        opened.append((context, complaints))
        visit(page, f"{site}/{path}")
        frame = page.locator(f"section.sbt[aria-label='{title}']")
        frame.scroll_into_view_if_needed()
        return page, frame

    yield open_page
    for context, _ in opened:
        context.close()
    assert not [complaint for _, complaints in opened for complaint in complaints]
