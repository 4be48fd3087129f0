"""Tables whose rows become cards on a phone: each cell knows the name of its column."""

import re

from bs4 import BeautifulSoup


def label_tables(app, pagename, templatename, context, doctree):
    """Label the cells of all tables of a page, Markdown's as well as pandas'."""
    if "body" in context:
        context["body"] = re.sub(
            r"<table\b.*?</table>", lambda match: labelled(match[0]), context["body"], flags=re.S
        )


def labelled(html):
    """Return a table with the names of its columns in the attribute `data-label` of its cells.

    The style sheet shows them on a narrow screen, where it hides the head. A table without a head
    has no names to show, and stays as it is.
    """
    soup = BeautifulSoup(html, "html.parser")
    table = soup.table
    if table.thead is None:
        return html
    names = _names(table.thead.find_all("tr"))
    above = {}  # by column, a cell of a row above that reaches down: how many rows, and its words
    for row in table.find_all("tr"):
        if row.find_parent("thead"):
            continue
        left = [words for _, words in above.values()]
        for place, (column, cell) in enumerate(_placed(row, above)):
            label = names.get(column, "")
            if place == 0 and cell.name == "td" and not re.match(r"[\d.-]", _words(cell)):
                label = ""  # the title of the card speaks for itself
            if place == 0:
                label = ", ".join(filter(None, [*left, label]))
            if label:
                cell["data-label"] = label
            if int(cell.get("rowspan", 1)) > 1:
                words = ": ".join(filter(None, [names.get(column), _words(cell)]))
                above[column] = int(cell["rowspan"]), words
        above = {column: (rows - 1, words) for column, (rows, words) in above.items() if rows > 1}
    table["class"] = [*table.get("class", []), "cards"]
    return str(soup)


def _names(rows):
    """Return the name of each column: its headings, where there are several rows of them.

    pandas writes the name that all columns share over the index, and the names of the index below
    that: before numbers as headings the former is needed.
    """
    names, shared = {}, ""
    for row in rows:
        cells = list(_placed(row, {}))
        kinds = [cell.get("class", []) for _, cell in cells]
        if any("index_name" in kind for kind in kinds) and any("col_heading" in k for k in kinds):
            (shared,) = (_words(c) for _, c in cells if "index_name" in c.get("class", []))
            cells = [(column, c) for column, c in cells if "col_heading" in c.get("class", [])]
        for column, cell in cells:
            words = _words(cell)
            if shared and re.match(r"[\d.-]", words):
                words = f"{shared} {words}"
            for each in range(column, column + int(cell.get("colspan", 1))):
                names[each] = ", ".join(filter(None, [names.get(each), words]))
        shared = ""
    return names


def _placed(row, above):
    """Yield (column, cell) for the cells of a row; columns in `above` belong to rows before."""
    column = 0
    for cell in row.find_all(["td", "th"], recursive=False):
        while column in above:
            column += 1
        yield column, cell
        column += int(cell.get("colspan", 1))


def _words(cell):
    """Return the text of a cell."""
    return " ".join(cell.get_text().split())


def setup(app):
    """Connect it, after what changes the text of a page."""
    app.connect("html-page-context", label_tables, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
