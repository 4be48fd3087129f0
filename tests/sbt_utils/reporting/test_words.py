"""How a stress map reads: what is found first, in few lines, in a terminal and on a page."""

import base64
import re

import pytest

from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.reporting.advice import SEVERITY, Advice
from sbt_utils.reporting.stress_map import StressMap
from sbt_utils.reporting.words import MOST_LINES, WIDTH, headlines


def found(finding, kind="observation", text="First. Second."):
    return Advice(finding, text, "numbers", "a law", (), kind)


def test_one_line_for_each_finding():
    assert headlines([]) == ["Nothing stands out."]
    assert headlines([found("lazy")]) == [
        "Nothing stands out that calls for a change.",
        "- Observed: lazy. First.",
    ]
    assert headlines([found("dead", "advice"), found("lazy")]) == [
        "- Dead. First.",
        "- Observed: lazy. First.",
    ]


@pytest.mark.parametrize("kind", ["advice", "observation"])
def test_at_most_so_many_lines(kind):
    lead = kind == "observation"
    for count in range(1, len(SEVERITY)):
        lines = headlines([found(finding, kind) for finding in SEVERITY[:count]])
        assert len(lines) == min(count + lead, MOST_LINES)
        if count + lead > MOST_LINES:
            assert lines[-1] == f"- {count + lead - MOST_LINES + 1} more, below."
            assert lines[-2].endswith("First.")
    (long,) = headlines([found("dead", "advice", "word " * 100)])
    assert len(long) <= WIDTH


def draws(loads):
    height = sum(loads)
    separation = [height]
    for load in loads:
        separation.append(separation[-1] - load)
    return [separation, separation]


def test_findings_then_table_then_evidence():
    text = str(StressMap(LoadCurve(draws([1, 0, 1, 5])), rule="the 4 layers that were asked for"))
    parts = ["Stress map of 4 layers", "- Idle. ", "- Observed: overloaded. ", " load ", "Layers: "]
    parts += ["On training inputs: ", "What stands out", "Basis: "]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_a_page_has_the_picture_the_findings_and_no_markup_of_names():
    names = ("in", "<script>alert(1)</script>", 'quote" onload="x', "b", "c")
    stress = StressMap(LoadCurve(draws([1, 0, 1, 5]), layers=names), rule="<b>rule</b>")
    page = stress._repr_html_()
    assert not re.search(r"<script|<b>|quote\" onload", page)
    assert "Idle. D is the same after quote&quot; onload=&quot;x as before." in page
    (source, description), *others = re.findall(r'<img src="data:([^"]+)" alt="([^"]+)"', page)
    assert not others
    kind, data = source.split(";base64,")
    assert kind == "image/png"
    assert base64.b64decode(data).startswith(b"\x89PNG")
    assert description == f"{stress.title}: {stress.verdict}"
    # The page's own colours, be they light or dark, but a white ground for the picture.
    assert set(re.findall(r"(?:color|background): ?([^;\"]+)", page)) == {
        "inherit",
        "none",
        "white",
    }
    assert "Basis: the meaning of a load" in page
