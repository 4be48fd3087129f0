"""The benchmarks: rivals train what ours trains, and the table shows the worst figure."""

import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def test_rivals_train_the_same_networks(benchmark):
    rivals = benchmark("rivals")
    problem = rivals.Problem((0, 3), 2560, dropout=0.0, width=20)
    expected = rivals.ours(problem)(3)
    assert expected != pytest.approx(rivals.ours(problem)(1), rel=0.01)
    for name in ("plain", "stacked"):
        assert rivals.RIVALS[name](problem)(3) == pytest.approx(expected, rel=1e-4)


def test_jax_drops_the_same_units(benchmark):
    pytest.importorskip("jax")
    rivals, jax_rivals = benchmark("rivals"), benchmark("rivals_jax")
    problem = rivals.Problem((0, 3), 2560, dropout=0.3, width=20)
    found = jax_rivals.rival(problem, hashed=True)(3)
    assert found == pytest.approx(rivals.ours(problem)(3), rel=1e-4)


def test_members_are_divided_among_workers(benchmark):
    parts = benchmark("rivals").Problem(tuple(range(5)), 20).parts(2)
    assert [part.seeds for part in parts] == [(0, 2, 4), (1, 3)]


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ({"at_most": 2.0}, "| what | 3 (batch 20) | at most 2 | no |"),
        ({"at_least": 0.5}, "| what | 1 (batch 320) | at least 0.5 | yes |"),
        ({}, "| what | 3 (batch 20) |  |  |"),
    ],
)
def test_a_row_shows_the_worst_figure(benchmark, bound, expected):
    table = benchmark("table")
    lines = [
        {"question": "one", "batch": 20, "cost": {"ratio": 3.0}},
        {"question": "one", "batch": 320, "cost": {"ratio": 1.0}},
        {"question": "two", "batch": 5, "cost": {"ratio": 9.0}},
    ]
    aim = table.Aim("file", "what", "cost.ratio", {"question": "one"}, **bound)
    assert aim.row(lines) == expected
    missing = table.Aim("file", "what", "cost.seconds", **bound)
    assert missing.row(lines).startswith("| what | not measured |")


def test_lines_that_are_kept_are_read_again(benchmark, tmp_path):
    table = benchmark("table")
    (tmp_path / "report.jsonl").write_text(json.dumps({"cases": [{"kind": "mlp"}, {"kind": "x"}]}))
    assert table.lines_of("report", tmp_path) == [{"kind": "mlp"}, {"kind": "x"}]
    assert {aim.benchmark for aim in table.AIMS} <= {
        path.stem for path in (ROOT / "benchmarks").glob("*.py")
    }
