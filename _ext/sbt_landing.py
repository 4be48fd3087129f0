"""The live picture of the landing page, made from the committed results while the book is built."""

import hashlib
from pathlib import Path

from docutils import nodes
from sphinx.util.osutil import relative_uri

from sbt_book.live import landing


def make_files(app):
    """Make the script and the style sheet, in some seconds: other builders need neither."""
    if app.builder.format == "html":
        texts = {"landing.js": landing.landing_script(), "landing.css": landing.landing_styles()}
        app.landing_files = {f"_static/{name}": text for name, text in texts.items()}


def load_files(app, doctree, docname):
    """Load both right after the still picture: the live one is there before anything is drawn.

    The still one stays where scripts are off or blocked. (A script in the page's head would run
    before there is a place for the picture, a deferred one after the still one has been seen.)
    """
    for place in list(doctree.findall(nodes.container)):
        if "landing" not in place["classes"] or app.builder.format != "html":
            continue
        page = app.builder.get_target_uri(docname)
        script, sheet = (
            f"{relative_uri(page, path)}?v={hashlib.sha256(text.encode()).hexdigest()[:8]}"
            for path, text in app.landing_files.items()
        )
        html = f'<link rel="stylesheet" href="{sheet}" />\n<script src="{script}"></script>\n'
        place.parent.insert(place.parent.index(place) + 1, nodes.raw("", html, format="html"))


def write_files(app, exception):
    """Write both beside the book's other static files."""
    if exception is None and app.builder.format == "html":
        for path, text in app.landing_files.items():
            Path(app.outdir, path).write_text(text, encoding="utf-8")


def setup(app):
    """Connect it."""
    app.connect("builder-inited", make_files)
    app.connect("doctree-resolved", load_files)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
