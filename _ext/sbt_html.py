"""Repairs to the pages that Jupyter Book 1 and autodoc make."""

import re
from pathlib import Path

from sphinx.ext.mathjax import MATHJAX_URL
from sphinx.util import logging

logger = logging.getLogger(__name__)


def fall_back_to_cdn(app, config):
    """Where npm was missing, let MathJax come from its CDN, and say so."""
    if not (Path(app.confdir) / "book/static" / config.mathjax_path).exists():
        logger.info("No MathJax beside the book: its pages will load it from a CDN.")
        config.mathjax_path = MATHJAX_URL


def prepare_docstring(app, what, name, obj, options, lines):
    """Keep docstrings whole and apart, before napoleon reads them.

    Napoleon takes the first line of an attribute's docstring, up to a colon, for its type: put an
    empty comment first. The numbered references of many docstrings share a page: name them.
    """
    if what in {"attribute", "data", "property"}:
        lines[:0] = ["..", ""]
    lines[:] = [re.sub(r"\[(\d+)\](?=_| )", rf"[#{name}-\1]", line) for line in lines]


def drop_repeated_scripts(app, pagename, templatename, context, doctree):
    """Keep inline scripts once: a `const` declared twice is an error on every page."""
    bodies, kept = set(), []
    for script in context.get("script_files", []):
        body = getattr(script, "attributes", {}).get("body")
        if body is None or body not in bodies:
            kept.append(script)
        bodies.add(body)
    context["script_files"] = kept


def setup(app):
    """Connect them: before napoleon (500), after the extensions that add the scripts."""
    app.connect("config-inited", fall_back_to_cdn)
    app.connect("autodoc-process-docstring", prepare_docstring, priority=400)
    app.connect("html-page-context", drop_repeated_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
