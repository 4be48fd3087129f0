"""Figures narrow on phones and as SVG, tables as CSV: what `sbt_book.pictures` wrote, offered.

Beside a picture of a page its script may have left the same; where nothing is, nothing is offered.
"""

import ast
import hashlib
import re
import shutil
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.osutil import relative_uri

NARROW = "(max-width: 600px)"
LONGEST = 60  # characters of a call that are shown
# What drew the pictures that are committed.
SCRIPTS = {
    "load_curves": "make_cover.py",
    "networks_and_chains": "make_glance.py",
    "three_regimes": "make_glance.py",
}


class OfferVariants(SphinxPostTransform):
    """Give pictures their narrow variants, and a line of links to figures and tables.

    It comes before the transforms that move pictures and tables or keep one kind of each output.
    """

    default_priority = 2
    formats = ("html",)

    def run(self):
        """Look for the variants of each picture and of each table."""
        self.taken = set()
        for image in list(self.document.findall(nodes.image)):
            self._offer_figure(image)
        for raw in list(self.document.findall(nodes.raw)):
            if "<table" in raw.astext():
                self._offer_table(raw)

    def _offer_figure(self, image):
        narrow, svg = self._variant(image, "-narrow.png"), self._variant(image, ".svg")
        place, name = _outermost(image), Path(image["uri"]).stem
        call, links = _call(image), []
        if svg:
            links.append(self._link(svg, "figures", self._name(place, name), "Figure as SVG"))
        if narrow:
            _enclose(image, self._copy(narrow, self.app.builder.imagedir, f"{name}-narrow.png"))
        elif svg:
            picture = f"{self.app.builder.imagedir}/{name}.png"
            links.append(f'<a class="large" href="{self._address(picture)}">Open large</a>')
        if svg and call:
            links.append(f"drawn by {self._code(call)}")
        elif name in SCRIPTS:
            links.append(f"drawn by <code>python scripts/{SCRIPTS[name]}</code>")
        _add_line(place, links)

    def _offer_table(self, raw):
        digest = hashlib.sha256(raw.astext().encode()).hexdigest()
        csv = Path(self.app.srcdir, "variants", f"{digest}.csv")
        if csv.exists():
            place = _outermost(raw)
            name = re.search(r'<table id="T_([\w-]+)"', raw.astext())
            name = f"{self._chapter()}-{name[1]}" if name else ""
            _add_line(place, [self._link(csv, "tables", self._name(place, name), "Table as CSV")])

    def _variant(self, image, ending):
        """Return the path of a picture's variant, or nothing where there is none."""
        path = Path(self.app.srcdir, image["uri"])
        folder = Path(self.app.srcdir, "variants")
        found = (folder / f"{path.stem}{ending}", path.with_name(f"{path.stem}{ending}"))
        return next((file for file in found if file.exists()), None)

    def _chapter(self):
        return self.env.docname.rpartition("/")[2]

    def _name(self, place, name):
        """Return a name for a file to take away that no other on the page has."""
        for label in place.get("names", []):
            return label.removeprefix("fig-").removeprefix("tab-")
        if not name or len(name) == 64:  # a digest
            name = self._chapter()
        numbered = (f"{name}-{number}" for number in range(2, 1000))
        free = name if name not in self.taken else next(n for n in numbered if n not in self.taken)
        self.taken.add(free)
        return free

    def _link(self, file, folder, name, words):
        path = self._copy(file, folder, f"{name}{file.suffix}")
        return f'<a href="{escape(path)}" download>{words}</a>'

    def _copy(self, file, folder, name):
        """Copy a file into the book, and return its address from this page."""
        target = Path(self.app.outdir, folder, name)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, target)
        return self._address(f"{folder}/{name}")

    def _address(self, path):
        return relative_uri(self.app.builder.get_target_uri(self.env.docname), path)

    def _code(self, call):
        """Return a call in HTML, linked to the reference of the function where there is one."""
        function = ast.unparse(call.func)
        whole = ast.unparse(call)
        code = f"<code>{escape(whole if len(whole) <= LONGEST else f'{function}(…)')}</code>"
        ends = f".{function.rpartition('.')[2]}"
        objects = self.env.domaindata.get("py", {}).get("objects", {})
        named = [
            found
            for path, found in objects.items()
            if path.endswith(ends) and found.objtype == "function"
        ]
        if "." not in function or len(named) != 1:
            return code
        page = self.app.builder.get_target_uri(named[0].docname)
        return f'<a href="{escape(self._address(page))}#{named[0].node_id}">{code}</a>'


def _outermost(node):
    """Return what stands for a picture or a table among what a page or a cell shows."""
    while isinstance(node.parent, nodes.figure | nodes.reference) or (
        node.parent.get("nb_element") == "mime_bundle" or node.parent.get("mime_type")
    ):
        node = node.parent
    return node


def _call(image):
    """Return the call that a cell of a notebook ends with, if the cell shows it and ends so."""
    cell = image
    while cell is not None and cell.get("nb_element") != "cell_code":
        cell = cell.parent
    source = cell.children[0] if cell is not None else None
    if source is None or source.get("nb_element") != "cell_code_source":
        return None
    lines = [line for line in source.astext().splitlines() if not line.startswith("%")]
    last = ast.parse("\n".join(lines)).body[-1]
    is_call = isinstance(last, ast.Expr) and isinstance(last.value, ast.Call)
    return last.value if is_call else None


def _enclose(image, narrow):
    """Let browsers on narrow screens fetch another picture in the stead of one."""
    parent, start = image.parent, f'<source media="{NARROW}" srcset="{escape(narrow)}" />'
    index = parent.index(image)
    parent.insert(index + 1, nodes.raw("", "</picture>", format="html"))
    parent.insert(index, nodes.raw("", f"<picture>{start}", format="html"))


def _add_line(place, links):
    """Put a line of links after something on a page."""
    if links:
        line = f'<p class="take-away">{" · ".join(links)}</p>'
        parent = place.parent
        parent.insert(parent.index(place) + 1, nodes.raw("", line, format="html"))


def setup(app):
    """Connect it."""
    app.add_post_transform(OfferVariants)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
