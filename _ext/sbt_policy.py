"""A Content-Security-Policy on every page: it runs and loads what the book brings, nothing else."""

import base64
import hashlib
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path

from sphinx.errors import ExtensionError
from sphinx.ext.mathjax import MATHJAX_URL

# Where pages that npm did not provide for load MathJax and widgets from.
CDNS = "https://cdn.jsdelivr.net https://cdnjs.cloudflare.com"
HEAD = '<meta charset="utf-8" />'
POLICY = '<meta http-equiv="Content-Security-Policy"'
RUN = (None, "", "module", "text/javascript", "application/javascript")  # types of scripts
# Pages with live pictures, and those whose own scripts compute in a worker.
LIVE = re.compile(r'type="application/vnd\.jupyter\.widget-view\+json"|<html[^>]* data-worker[ >]')


class InlineScripts(HTMLParser):
    """Collects the hashes of the scripts and of the event handlers in the text of a page."""

    def __init__(self):
        super().__init__()
        self.scripts, self.handlers, self.parts = set(), set(), None

    def handle_starttag(self, tag, attributes):
        """Note the event handlers of an element, and whether a script begins."""
        attributes = dict(attributes)
        self.handlers |= {
            hash_source(value) for name, value in attributes.items() if name.startswith("on")
        }
        if tag == "script" and "src" not in attributes and attributes.get("type") in RUN:
            self.parts = []

    def handle_data(self, data):
        """Note the text of a script."""
        if self.parts is not None:
            self.parts.append(data)

    def handle_endtag(self, tag):
        """Note the hash of a script that ends."""
        if self.parts is not None:
            self.scripts.add(hash_source("".join(self.parts)))
            self.parts = None


def hash_source(text):
    """Return how a policy names a text that may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy(html, cdns):
    """Return the policy for a page; live pictures import themselves or their workers from blobs."""
    inline = InlineScripts()
    inline.feed(html)
    scripts, blob = ["'self'", *sorted(inline.scripts)], ["blob:"] if LIVE.search(html) else []
    if inline.handlers:
        scripts += ["'unsafe-hashes'", *sorted(inline.handlers)]
    if cdns:
        scripts += [cdns, "'unsafe-eval'"]  # the published widget manager compiles its checks
    directives = {
        "default-src": ["'none'"],
        "script-src": scripts + blob,
        "worker-src": blob or ["'none'"],
        "style-src": ["'self'", "'unsafe-inline'", cdns],  # MathJax and matplotlib style elements
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'", "data:", cdns],
        "connect-src": ["'self'", cdns],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
    }
    return "; ".join(" ".join([name, *filter(None, of)]) for name, of in directives.items())


def add_policies(app, exception):
    """Write its policy into each page, before anything that it is about."""
    if exception is not None or app.builder.format != "html":
        return
    cdns = CDNS if app.config.mathjax_path == MATHJAX_URL else ""
    for path in Path(app.outdir).rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        if "_static" in path.parts or POLICY in html.partition("</head>")[0]:
            continue
        if HEAD not in html and "<script" in html:
            raise ExtensionError(f"{path}: no {HEAD} to write a policy after; set HEAD to what is")
        content = escape(policy(html, cdns), quote=False)
        element = f'{POLICY} content="{content}" />'
        path.write_text(html.replace(HEAD, f"{HEAD}\n    {element}", 1), encoding="utf-8")


def setup(app):
    """Connect it."""
    app.connect("build-finished", add_policies)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
