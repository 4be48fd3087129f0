"""Repairs to the pages that Jupyter Book 1 and autodoc make."""

import base64
import hashlib
import re
from pathlib import Path

from docutils import nodes
from myst_nb.core.config import ipywidgets_js_factory
from PIL import Image
from sphinx import addnodes
from sphinx.ext.mathjax import MATHJAX_URL
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.osutil import relative_uri

logger = logging.getLogger(__name__)


def fall_back_to_cdn(app, config):
    """Where npm was missing, let MathJax and the widgets come from a CDN, and say so."""
    if not (Path(app.confdir) / "book/static" / config.mathjax_path).exists():
        logger.info("No MathJax and widgets beside the book: its pages load them from a CDN.")
        config.mathjax_path = MATHJAX_URL
        config.nb_ipywidgets_js = ipywidgets_js_factory()


class KeepStillPictures(SphinxPostTransform):
    """Beside a live picture, keep its still one: the live one may be blocked, or never run.

    The style sheet hides the still one as soon as the other is there. This comes before the
    transform of myst-nb (priority 4) that keeps one kind of each output.
    """

    default_priority = 3
    formats = ("html",)

    def run(self):
        """Put a copy of the picture after the output, described by the output's plain text."""
        for bundle in list(self.document.findall(_is_bundle)):
            kinds = {child["mime_type"]: child for child in bundle.children}
            if "application/vnd.jupyter.widget-view+json" not in kinds or "image/png" not in kinds:
                continue
            still = next(kinds["image/png"].findall(nodes.image)).deepcopy()
            still["alt"] = kinds["text/plain"].astext()
            words = nodes.paragraph("", f"With scripts, this picture is live. {still['alt']}")
            place = nodes.container("", words, still, classes=["still"])
            bundle.parent.insert(bundle.parent.index(bundle) + 1, place)


class FetchFilmsWhenOpened(SphinxPostTransform):
    """Move films out of a page into files, which a browser fetches when a reader opens one.

    It comes after the transform of myst-nb (priority 4) that keeps one kind of each output.
    """

    default_priority = 5
    formats = ("html",)

    def run(self):
        """Write each film that is in the HTML as base64 to a file, and refer to that."""
        builder = self.env.app.builder
        page = builder.get_target_uri(self.env.docname)

        def write(match):
            film = base64.b64decode(match[1])
            path = f"{builder.imagedir}/{hashlib.sha256(film).hexdigest()[:20]}.gif"
            Path(builder.outdir, path).parent.mkdir(exist_ok=True)
            Path(builder.outdir, path).write_bytes(film)
            return f'loading="lazy" src="{relative_uri(page, path)}"'

        for raw in self.document.findall(nodes.raw):
            if "data:image/gif" in raw.astext():
                text = re.sub(r'src="data:image/gif;base64,([^"]+)"', write, raw.astext())
                raw.children = [nodes.Text(text)]


def _is_bundle(node):
    return isinstance(node, nodes.container) and node.get("nb_element") == "mime_bundle"


def prepare_docstring(app, what, name, obj, options, lines):
    """Prepare a docstring for napoleon and for a page that it shares with others.

    Napoleon takes the first line of an attribute's docstring, up to a colon, for its type: put an
    empty comment first. Docstrings on one page number their references alike: name them.
    """
    if what in {"attribute", "data", "property"}:
        lines[:0] = ["..", ""]
    lines[:] = [re.sub(r"\[(\d+)\](?=_| )", rf"[#{name}-\1]", line) for line in lines]


def say_what_terms_mean(app, doctree, docname):
    """Give each link to the glossary the first sentence of its definition, shown on hovering."""
    if not hasattr(app, "sentences"):
        app.sentences = {}
        for page in {name for name, _ in app.env.domaindata["std"]["terms"].values()}:
            for item in app.env.get_doctree(page).findall(nodes.definition_list_item):
                sentence = _first_sentence(next(item.findall(nodes.paragraph)))
                for term in item.findall(nodes.term):
                    app.sentences |= dict.fromkeys(term["ids"], sentence)
    for link in doctree.findall(nodes.reference):
        anchor = link.get("refid") or link.get("refuri", "").partition("#")[2]
        if anchor in app.sentences:
            link["reftitle"] = app.sentences[anchor]


def _first_sentence(paragraph):
    """Return the first sentence of a definition as plain text, without its citations."""
    paragraph = paragraph.deepcopy()
    for link in list(paragraph.findall(addnodes.pending_xref)):
        if link["refdomain"] == "cite":
            link.parent.remove(link)
    text = re.sub(r"\s+(?=[\s.,:;)])", "", paragraph.astext().replace("\n", " "))
    return re.split(r"(?<=[.])\s+(?=[A-Z])", text)[0]


def drop_repeated_scripts(app, pagename, templatename, context, doctree):
    """Keep inline scripts once: a `const` declared twice is an error on every page."""
    bodies, kept = set(), []
    for script in context.get("script_files", []):
        body = getattr(script, "attributes", {}).get("body")
        if body is None or body not in bodies:
            kept.append(script)
        bodies.add(body)
    context["script_files"] = kept


def lighten_pictures(app, exception):
    """Reduce each figure to 256 colours: a third of the size, and no visible difference."""
    if exception is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir, app.builder.imagedir).glob("*.png"):
        with Image.open(path) as picture:
            if picture.mode == "P":
                continue
            white = Image.new("RGBA", picture.size, "white")
            whole = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
        lighter = path.with_suffix(".new")
        whole.quantize(256, dither=Image.Dither.NONE).save(lighter, "PNG", optimize=True)
        lighter.replace(path)


def leave_icons_to_their_font(app, exception):
    """Drop the theme's script that draws icons: its style sheet has the same ones as a font.

    The script is a third of what a page without pictures weighs.
    """
    if exception is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        without = re.sub(r" *<script [^>]*/fontawesome\.js[^>]*></script>\n?", "", html)
        if without != html:
            path.write_text(without, encoding="utf-8")


def setup(app):
    """Connect them: before napoleon (500), after the extensions that add the scripts."""
    for part in ("sbt_code", "sbt_dark", "sbt_tables"):
        app.setup_extension(part)
    app.connect("build-finished", lighten_pictures)
    app.connect("build-finished", leave_icons_to_their_font)
    app.connect("config-inited", fall_back_to_cdn)
    app.add_post_transform(KeepStillPictures)
    app.add_post_transform(FetchFilmsWhenOpened)
    app.connect("autodoc-process-docstring", prepare_docstring, priority=400)
    app.connect("doctree-resolved", say_what_terms_mean)
    app.connect("html-page-context", drop_repeated_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
