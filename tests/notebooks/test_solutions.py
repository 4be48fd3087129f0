"""The solutions of the exercises print what they say they print."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
SOLUTION = re.compile(r"```python\n((?:(?!```).)*)```\n\n```text\n(.*?)```", re.DOTALL)
EXERCISE = re.compile(r"^\*\*\d\. ", re.MULTILINE)


def texts(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


SOLUTIONS = [
    pytest.param(*found.groups(), id=f"{path.stem}-{number}")
    for path in NOTEBOOKS
    for number, found in enumerate(SOLUTION.finditer("\n".join(texts(path))), start=1)
]


@pytest.mark.parametrize(("code", "output"), SOLUTIONS)
def test_a_solution_prints_what_it_says(code, output, capsys):
    exec(code, {"__name__": "solution"})
    assert capsys.readouterr().out == output


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_exercise_has_its_solution(path):
    for text in texts(path):
        count = len(EXERCISE.findall(text)) if "## Exercises" in text else 0
        assert text.count("</summary>") == text.count("</details>") == count


def test_there_are_exercises():
    assert len(SOLUTIONS) >= 12
