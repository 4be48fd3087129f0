"""What pages tell search engines, link previews and language models, and how they are cited."""

from html import escape
from pathlib import Path

import yaml
from docutils import nodes
from PIL import Image, ImageOps
from sbt_text import plain_text
from sphinx.util import logging

logger = logging.getLogger(__name__)
PAGES = yaml.safe_load(Path(__file__).with_name("pages.yml").read_text(encoding="utf-8"))
PREVIEW, MARGIN = (1200, 630), 30  # pixels
KINDS = (".png", ".jpg", ".jpeg", ".webp")
CITED = {"shi2025spring": "Paper", "sbt_utils": "Companion"}


def reading_order(env):
    """Return the names of the pages in the order in which they are read."""

    def below(page):
        yield page
        for each in env.toctree_includes.get(page, []):
            yield from below(each)

    return list(dict.fromkeys(below(env.config.root_doc)))


def describe(app, pagename, templatename, context, doctree):
    """Write a page's title and description, and where the book has an address, its picture."""
    if doctree is None:  # the index and the search
        return
    if pagename not in PAGES:
        logger.warning("_ext/pages.yml has no title and description", location=pagename)
        return
    about = PAGES[pagename]
    context["title"] = about["title"]
    tags = {
        "og:type": "website" if pagename == app.config.root_doc else "article",
        "og:site_name": app.config.html_title,
        "og:title": about["title"],
        "og:description": about["description"],
    }
    names = {"description": about["description"]}
    if address := app.config.html_baseurl:
        tags["og:url"] = address + app.builder.get_target_uri(pagename)
        names["twitter:card"] = "summary"
        if picture := main_picture(app.builder, doctree):
            source, tags["og:image:alt"] = picture
            path = f"previews/{pagename}.png"
            write_preview(source, Path(app.outdir, path))
            tags["og:image"] = address + path
            tags["og:image:width"], tags["og:image:height"] = map(str, PREVIEW)
            names["twitter:card"] = "summary_large_image"
    context["metatags"] += "".join(
        f'<meta {kind}="{name}" content="{escape(text)}" />\n'
        for kind, of in (("property", tags), ("name", names))
        for name, text in of.items()
    )


def main_picture(builder, doctree):
    """Return the file and the description of a page's first figure; None if it has none."""
    for image in doctree.findall(nodes.image):
        # The writer has replaced the path of the source by that of the copy.
        name = image["uri"].rpartition("/")[2]
        source = next((path for path, copy in builder.images.items() if copy == name), None)
        if source and image.get("alt") and name.endswith(KINDS):
            return Path(builder.srcdir, source), image["alt"]
    return None


def write_preview(source, path):
    """Fit a picture into the format of link previews, on white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as picture:
        picture = ImageOps.contain(picture.convert("RGBA"), [side - 2 * MARGIN for side in PREVIEW])
    ground = Image.new("RGBA", PREVIEW, "white")
    place = tuple((whole - part) // 2 for whole, part in zip(PREVIEW, picture.size, strict=True))
    ground.alpha_composite(picture, place)
    ground.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def add_cite_button(app, pagename, templatename, context, doctree):
    """Offer the citations beside the other buttons: a page to copy them from, and files."""
    if "header_buttons" not in context or "book/take_away" not in app.env.found_docs:
        return
    pathto = context["pathto"]
    page = pathto("book/take_away").rstrip("#") + "#cite"  # on that page itself, it is "#"
    buttons = [("Copy or read", page, "fas fa-copy", "The citations, to copy")]
    for key, what in CITED.items():
        for name, kind in (("BibTeX", "bib"), ("RIS", "ris")):
            text = f"{what}: {name}"
            url = pathto(f"cite/{key}.{kind}", 1)
            buttons.append((text, url, "fas fa-file-lines", f"Download {key}.{kind}"))
    keys = ("text", "url", "icon", "tooltip")
    group = {"type": "group", "tooltip": "Cite", "icon": "fas fa-quote-right", "label": "cite"}
    group["buttons"] = [{"type": "link", **dict(zip(keys, each, strict=True))} for each in buttons]
    context["header_buttons"].append(group)


def write_editions(app, exception):
    """Write the book as plain text, an index of it, and where it has an address, a site map."""
    if exception is not None or app.builder.format != "html":
        return
    address, out = app.config.html_baseurl, Path(app.outdir)
    pages = [page for page in reading_order(app.env) if page in PAGES]
    urls = {page: address + app.builder.get_target_uri(page) for page in pages}
    title, about = app.config.html_title, PAGES.get(app.config.root_doc, {"description": ""})
    index = [f"# {title}\n\n> {about['description']}\n\n## Pages\n"]
    index += [
        f"- [{PAGES[page]['title']}]({urls[page]}): {PAGES[page]['description']}" for page in pages
    ]
    index += [f"\n## Optional\n\n- [All pages as plain text]({address}llms-full.txt)\n"]
    (out / "llms.txt").write_text("\n".join(index), encoding="utf-8")
    texts = [f"{title}\n{address}".strip()]
    for page in pages:
        html = Path(app.builder.get_outfilename(page)).read_text(encoding="utf-8")
        texts.append(plain_text(html))
    (out / "llms-full.txt").write_text("\n\n\n".join(texts) + "\n", encoding="utf-8")
    if address:
        places = "".join(f"<url><loc>{escape(url)}</loc></url>\n" for url in urls.values())
        (out / "sitemap.xml").write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{places}</urlset>\n'
        )
        (out / "robots.txt").write_text(f"User-agent: *\nAllow: /\nSitemap: {address}sitemap.xml\n")


def setup(app):
    """Connect them, after the theme has made its buttons."""
    app.connect("html-page-context", describe)
    app.connect("html-page-context", add_cite_button, priority=900)
    app.connect("build-finished", write_editions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
