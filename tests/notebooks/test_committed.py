"""What every committed notebook keeps to; `make compare` runs them all."""

import ast
import json
import re
from pathlib import Path

import pytest

IMPORTS = ast.Import | ast.ImportFrom
FORMS = (
    "import sbt_utils as sbt",
    r"from sbt_utils import [\w, ]+",
    r"from sbt_book import [\w, ]+",
)
NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def cells(request):
    return json.loads(request.param.read_text(encoding="utf-8"))["cells"]


def code(cells):
    return [cell for cell in cells if cell["cell_type"] == "code"]


def tags(cell):
    return set(cell["metadata"].get("tags", []))


def is_shown(cell):
    """Tell whether the input of a cell is on the page, where it is folded under its label."""
    return not tags(cell) & {"remove-cell", "remove-input"}


def is_picture(cell):
    """Tell whether a cell shows a picture, or a table, on the page."""
    kinds = {kind for output in cell.get("outputs", []) for kind in output.get("data", {})}
    return kinds & {"image/png", "text/html"} and "remove-cell" not in tags(cell)


def syntax(cell):
    """Return the syntax tree of a cell, without its magics and shell commands."""
    return ast.parse(re.sub(r"^( *)[%!]", r"\1...  # ", "".join(cell["source"]), flags=re.M))


def test_the_first_cell_is_for_other_machines_and_the_same_everywhere(cells):
    first, *others = code(cells)
    assert tags(first) == {"remove-cell"}
    assert "REPOSITORY = " in "".join(first["source"])
    assert not any("REPOSITORY" in "".join(cell["source"]) for cell in others)
    model = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))["cells"]
    assert first["source"] == code(model)[0]["source"]


def test_one_cell_of_parameters_sets_the_quick_profile(cells, monkeypatch, capsys):
    (parameters,) = (cell for cell in code(cells) if "parameters" in tags(cell))
    assert parameters is code(cells)[1]
    assert parameters["source"][0] == "# How much to compute\n"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    values = {}
    exec("".join(parameters["source"]), values)
    assert values["profile"] == "quick"
    assert values.get("device", "cpu") == "cpu"
    assert capsys.readouterr() == ("", "")
    prose = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert "`smoke`" not in prose  # profiles are the matter of one page, "Run it yourself"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_on_a_gpu_of_colab_a_chapter_says_how_long_it_takes(path, monkeypatch, capsys):
    _, parameters, *_ = code(json.loads(path.read_text(encoding="utf-8"))["cells"])
    number = re.match("0?([1-9][0-9]*)_", path.name)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    exec("".join(parameters["source"]), {})
    called = re.findall(r"profile_for\((\d+), device\)", "".join(parameters["source"]))
    assert called == ([number[1]] if number else [])
    assert (" min" in capsys.readouterr().out) == bool(number)


def test_a_chapter_imports_the_library_in_one_line_and_folders_in_two(cells):
    lines, places = [], set()
    _, _, *others = code(cells)  # the cell of parameters asks for the profile by itself
    for number, cell in enumerate(others):
        for node in ast.walk(syntax(cell)):
            if isinstance(node, IMPORTS) and "sbt_" in ast.unparse(node):
                lines.append(ast.unparse(node))
                places.add(number)
    assert len(places) == 1
    matches = [[bool(re.fullmatch(form, line)) for form in FORMS] for line in lines]
    assert all(map(any, matches)), lines
    assert all(sum(of_form) <= 1 for of_form in zip(*matches, strict=True)), lines


def test_commands_run_in_the_environment_of_the_notebook(cells):
    for cell in code(cells)[1:]:  # a bare `python` may be another one
        commands = [line for line in cell["source"] if line.startswith("!")]
        assert all(line.startswith("!{sys.executable} -m ") for line in commands)


def test_no_variable_hides_an_imported_folder(cells):
    nodes = [node for cell in code(cells) for node in ast.walk(syntax(cell))]
    folders = {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, IMPORTS)
        for alias in node.names
    }
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    assert not folders & (stored | {node.arg for node in nodes if isinstance(node, ast.arg)})


def test_checks_stay_off_the_page(cells):
    for cell in code(cells):
        if any(isinstance(node, ast.Assert) for node in ast.walk(syntax(cell))):
            assert "remove-cell" in tags(cell), "".join(cell["source"])


def test_the_code_on_the_page_is_folded_under_a_label(cells):
    for cell in filter(is_shown, code(cells)):
        label = cell["source"][0]
        assert re.fullmatch(r"# [A-Z].{,59}[^.:\s]\n", label), label
        assert "hide-input" not in tags(cell)


def test_a_chapter_begins_with_its_picture(cells):
    """On a phone it comes within the first screen: a title, two sentences, lines of folded code."""
    first = next(number for number, cell in enumerate(cells) if is_picture(cell))
    before, own = cells[:first], cells[first]
    words = "\n".join("".join(cell["source"]) for cell in before if cell["cell_type"] == "markdown")
    assert len(re.sub(r"\{\w+\}`([^`<]*)[^`]*`", r"\1", words)) <= 360, words
    assert sum(map(is_shown, code([*before, own]))) <= 3


def test_every_cell_ran_in_order_without_error(cells):
    counts = [cell["execution_count"] for cell in code(cells) if "".join(cell["source"]).strip()]
    assert counts == list(range(1, len(counts) + 1))
    kinds = {output["output_type"] for cell in code(cells) for output in cell["outputs"]}
    assert "error" not in kinds


def test_every_picture_is_described(cells):
    for cell in code(cells):
        pictures = [output.get("data", {}) for output in cell["outputs"]]
        pictures = [data for data in pictures if "image/png" in data]
        if any("application/vnd.jupyter.widget-view+json" in data for data in pictures):
            assert all("".join(data["text/plain"]).endswith(".") for data in pictures)  # its words
        elif pictures:
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            assert alt, f"no description: metadata mystnb.image.alt of {''.join(cell['source'])}"


def test_algorithms_live_in_the_module(cells):
    for cell in code(cells):
        lines = [line for line in cell["source"] if line.strip()]
        lines = lines[is_shown(cell) :]  # after its label
        lines = [line for line in lines if not line.startswith(("import ", "from "))]
        assert len(lines) <= 15, f"move to sbt_book: {''.join(cell['source'])}"
