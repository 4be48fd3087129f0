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
