"""A page as plain text: words, equations as TeX, tables, what figures show; no code."""

import re

from bs4 import BeautifulSoup, NavigableString, Tag

# What is no part of the text: code and its folds, links to headings, buttons, and the words that
# introduce a still picture, which repeat its description.
LEFT_OUT = (
    "script, style, nav, button, template, noscript, a.headerlink, .cell_input, details.code,"
    " details.hide, .still > p, .take-away, .prev-next-footer"
)
BLOCKS = ["aside", "blockquote", "dd", "details", "div", "dl", "dt", "figcaption", "figure", "h1"]
BLOCKS += ["h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "section", "summary", "table", "ul"]


def plain_text(html):
    """Return the text of a page, in blocks with an empty line between them."""
    # Most of a page is what its live pictures are made of, and what leads to others.
    found = re.search(r'<article class="bd-article".*</article>', html, re.DOTALL)
    html = found[0] if found else html  # as other themes have it
    html = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    article = BeautifulSoup(html, "html.parser")
    for each in article.select(LEFT_OUT):
        each.decompose()
    for image in article.select("img"):
        image.replace_with(f"[Figure: {image.get('alt', '')}] ")
    for drawing in article.select("svg"):
        label = drawing.get("aria-label") or (drawing.title and drawing.title.get_text()) or ""
        drawing.replace_with(f"[Figure: {label}] " if label else "")
    for equation in article.select("div.math"):
        for number in equation.select(".eqno"):
            number.replace_with(f" {number.get_text()} ")
    return "\n\n".join(blocks(article))


def blocks(element):
    """Yield the paragraphs, headings, lists, tables and figures in an element."""
    line = []
    for child in element.children:
        if not (isinstance(child, Tag) and (child.name in BLOCKS or child.find(BLOCKS))):
            line.append(words(child))
            continue
        if text := joined(line):
            yield text
        line = []
        if child.name == "pre":
            yield child.get_text().strip("\n")
        elif child.name == "table":
            yield table(child)
        elif child.name in ("ul", "ol"):
            yield "\n".join(items(child))
        elif "math" in child.get("class", []):
            yield child.get_text().strip()
        elif re.fullmatch("h[1-6]", child.name):
            yield f"{'#' * int(child.name[1])} {joined([words(child)])}"
        else:
            yield from blocks(child)
    if text := joined(line):
        yield text


def words(node):
    """Return the text of a node within a line."""
    if isinstance(node, Tag):
        return node.get_text()
    # Comments and the like are strings of their own kinds.
    return str(node) if type(node) is NavigableString else ""


def joined(pieces):
    """Return the pieces of a line as one, with single spaces."""
    return " ".join("".join(pieces).split())


def items(element):
    """Yield the lines of a list."""
    for number, item in enumerate(element.find_all("li", recursive=False), start=1):
        mark = f"{number}. " if element.name == "ol" else "- "
        text = "\n".join(block for block in blocks(item) if block)
        yield mark + text.replace("\n", "\n" + " " * len(mark))


def table(element):
    """Return a table in Markdown."""
    lines = [joined([element.caption.get_text()])] if element.caption else []
    for number, row in enumerate(element.find_all("tr")):
        cells = [joined([cell.get_text(" ")]) for cell in row.find_all(["th", "td"])]
        lines.append(f"| {' | '.join(cells)} |")
        if number == 0:
            lines.append("|" + " --- |" * len(cells))
    return "\n".join(lines)
