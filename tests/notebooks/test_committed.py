"""What every committed notebook keeps to; `make compare` runs them all."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def cells(request):
    return json.loads(request.param.read_text(encoding="utf-8"))["cells"]


def code(cells):
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_one_parameters_cell_sets_the_quick_profile(cells):
    tagged = [c for c in code(cells) if "parameters" in c["metadata"].get("tags", [])]
    assert len(tagged) == 1
    values = {}
    exec("".join(tagged[0]["source"]), values)
    assert values["profile"] == "quick"


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
        lines = [line for line in lines if not line.startswith(("import ", "from "))]
        assert len(lines) <= 15, f"move to sbt_utils: {''.join(cell['source'])}"
