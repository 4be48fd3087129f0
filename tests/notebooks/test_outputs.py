"""The notebooks, executed, print and show what they were committed with, but for pictures.

`make compare` executes them and names their folder in EXECUTED; without that only the comparison
itself is tested. A cell tagged `nbval-ignore-output` may differ between processors.
"""

import os
import re
from collections import defaultdict
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

COMMITTED = Path(__file__).parents[2] / "notebooks"
NOT_COMPARED = {"image/png", "application/vnd.jupyter.widget-view+json"}


def code_cells(cells):
    """Return the cells of code that a committed notebook has: papermill adds one of its own."""
    of_code = [cell for cell in cells if cell.cell_type == "code"]
    return [cell for cell in of_code if "injected-parameters" not in cell.metadata.get("tags", [])]


def cells_to_compare():
    """Yield each committed cell whose output must recur, with the executed one."""
    if "EXECUTED" in os.environ:
        for path in sorted(COMMITTED.glob("*.ipynb")):
            notebooks = path, Path(os.environ["EXECUTED"], path.name)
            both = (code_cells(nbformat.read(each, as_version=4).cells) for each in notebooks)
            for number, cells in enumerate(zip(*both, strict=True)):
                if "nbval-ignore-output" not in cells[0].metadata.get("tags", []):
                    yield pytest.param(*cells, id=f"{path.stem}-{number}")


def shown(cell):
    """Return the texts that a cell prints and shows, one list for each kind, in their order."""
    texts, streams = defaultdict(list), defaultdict(str)
    for output in cell.outputs:
        if output.output_type == "stream":
            streams[output.name] += output.text
        for kind in set(output.get("data", ())) - NOT_COMPARED:
            texts[kind].append(str(output.data[kind]))
    texts |= {kind: [text] for kind, text in streams.items()}
    return {
        kind: [re.sub("0x[0-9a-f]+", "0x", text) for text in of_kind]  # addresses of objects
        for kind, of_kind in texts.items()
    }


@pytest.mark.parametrize(("committed", "executed"), list(cells_to_compare()))
def test_a_cell_shows_what_it_was_committed_with(committed, executed):
    assert not any(output.output_type == "error" for output in executed.outputs)
    assert shown(executed) == shown(committed)


def test_the_cell_that_papermill_adds_is_left_out():
    added = new_code_cell(metadata={"tags": ["injected-parameters"]})
    ours = new_code_cell(metadata={"tags": ["parameters"]})
    assert code_cells([new_markdown_cell(), ours, added]) == [ours]


def cell(*outputs):
    return new_code_cell(outputs=list(outputs))


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def table(text, **others):
    return new_output("display_data", data={"text/plain": text, **others})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (cell(stream("1\n"), table("a"), stream("2\n")), cell(table("a"), stream("1\n2\n"))),
        (cell(table("a", **{"image/png": "x"})), cell(table("a", **{"image/png": "y"}))),
        (cell(table("<f at 0x7fa1>")), cell(table("<f at 0x7fb2>"))),
    ],
)
def test_streams_pictures_and_addresses_make_no_difference(left, right):
    assert shown(left) == shown(right)


@pytest.mark.parametrize(
    "other",
    [
        cell(),
        cell(stream("1\n"), table("b")),
        cell(stream("2\n"), table("a")),
        cell(stream("1\n", "stderr"), table("a")),
        cell(stream("1\n"), table("a"), table("a")),
        cell(stream("1\n"), table("a", **{"text/html": "a"})),
    ],
)
def test_every_other_difference_is_seen(other):
    assert shown(cell(stream("1\n"), table("a"))) != shown(other)
