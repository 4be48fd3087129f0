"""The code of a chapter's cells, each folded under a label, so that pages read without it."""

import re
from html import escape

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class FoldCode(SphinxPostTransform):
    """Put the input of each cell of a notebook into a fold with its first line as label.

    The folds are open: without scripts readers see the code, and `book.js` closes them. This comes
    before the transform of myst-nb (priority 199) that folds cells tagged hide-input.
    """

    default_priority = 198
    formats = ("html",)

    def run(self):
        """Enclose the inputs."""
        for cell in self.document.findall(nodes.container):
            source = cell.children[0] if cell.children else None
            if cell.get("nb_element") != "cell_code" or not _is_source(source):
                continue
            if cell.get("hide_mode") == "input":
                del cell["hide_mode"]
            label = f'<details class="code" open><summary>{escape(_label(source))}</summary>'
            cell.insert(0, nodes.raw("", label, format="html"))
            cell.insert(2, nodes.raw("", "</details>", format="html"))


def _is_source(node):
    return isinstance(node, nodes.Element) and node.get("nb_element") == "cell_code_source"


def _label(source):
    """Return what a fold is called: by the comment in the first line of the code, if it is one."""
    comment = re.match(r"#+ *(\S.*)", source.astext())
    if comment is None:
        return "Code"
    first, rest = comment[1][0], comment[1][1:]
    return f"Code: {first if rest[:1].isupper() else first.lower()}{rest}"


def setup(app):
    """Connect it."""
    app.add_post_transform(FoldCode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
