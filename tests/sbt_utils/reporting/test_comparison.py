"""Stress maps beside each other, as text, table, picture and page."""

import re

import numpy as np
import pytest
from drawing import drawn, legend_of

from sbt_utils.drawing import compared_loads
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.reporting.comparison import compare
from sbt_utils.reporting.stress_map import StressMap

NAMES = ("images", "one", "two", "three")


def mapped(loads, names=NAMES, seed=0, draws=100, spread=0.1):
    """Return a map whose load draws vary by themselves."""
    noise = np.random.default_rng(seed).normal(size=(draws, len(loads)))
    drawn_loads = np.array(loads) + spread * (noise - noise.mean(0))
    separation = np.c_[np.full(draws, 9), 9 - drawn_loads.cumsum(1)]
    return StressMap(LoadCurve(separation, layers=names[: len(loads) + 1]))


def test_loads_and_their_differences():
    one, two = mapped([1, 2, 3], seed=1), mapped([2, 2, 1], seed=2)
    table = compare({"before": one, "after": two}).table
    assert table.index.tolist() == ["one", "two", "three"]
    for label, stress in (("before", one), ("after", two)):
        for column in ("load", "low", "high"):
            np.testing.assert_allclose(table[label, column], stress.table[column])
    np.testing.assert_allclose(table["after - before", "load"], [1, 0, -2], atol=1e-9)
    draws = [-np.diff(stress.train.separation) for stress in (two, one)]
    expected = np.percentile(draws[0] - draws[1], [2.5, 97.5], axis=0)
    np.testing.assert_allclose(table[[("after - before", n) for n in ("low", "high")]].T, expected)


def test_what_varies_alike_does_not_blur_the_difference():
    table = compare({"a": mapped([1, 2, 3]), "b": mapped([2, 2, 3])}).table
    np.testing.assert_allclose(table["b - a", "high"] - table["b - a", "low"], 0, atol=1e-9)


def test_layers_that_not_all_have_are_left_out():
    other = mapped([1, 1, 1], ("images", "two", "three", "four"))
    dead = StressMap(mapped([1, 2]).train, layers=NAMES, undefined={"three": "dead"})
    assert compare({"a": mapped([1, 2, 3]), "b": other}).table.index.tolist() == ["two", "three"]
    assert compare({"a": dead, "b": mapped([1, 2, 3])}).table.index.tolist() == ["one", "two"]
    assert "dead" in compare({"a": dead, "b": other}).summary.stands_out["a"]
    unnamed = compare({"a": mapped([1, 2], ()), "b": mapped([1, 2], ())})
    assert unnamed.table.index.tolist() == ["l = 1", "l = 2"]


def test_maps_without_a_layer_in_common():
    nothing = StressMap(None, layers=NAMES, undefined=dict.fromkeys(NAMES[1:], "dead"))
    both = compare({"a": mapped([1, 2, 3]), "b": nothing})
    assert len(both.table) == 0
    assert both.summary.regime.tolist() == [both.maps["a"].regime, "unresolved"]
    assert both.summary.fall.tolist() == [pytest.approx(6), pytest.approx(np.nan, nan_ok=True)]
    assert "No layer has the same name in all." in str(both)
    assert "<img" not in both._repr_html_()
    with pytest.raises(ValueError, match=r"^comparison: no layer has the same name"):
        compared_loads(both)


@pytest.mark.usefixtures("matplotlib_untouched")
def test_the_picture_shows_the_loads():
    maps = {"before": mapped([1, 2, 3]), "after": mapped([2, 2, 1]), "later": mapped([2, 1, 1])}
    both = compare(maps)
    figure = drawn(compared_loads(both))
    assert legend_of(figure) == list(maps)
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["one", "two", "three"]
    places = []
    for bars, stress in zip(axes.containers, maps.values(), strict=True):
        np.testing.assert_allclose(bars[0].get_ydata(), stress.train.loads)
        places.append(bars[0].get_xdata())
    assert (np.diff(places, axis=0) > 0.1).all()
    assert (abs(np.array(places) - [1, 2, 3]) < 0.5).all()


def test_findings_take_no_column_and_tables_are_scrolled():
    names = ("in", *(f"encoder.layer.{i}.attention.output" for i in range(3)))
    labels = [f"runs/{'deep' * 10}/epoch={i}.ckpt" for i in range(3)]
    both = compare({label: mapped([2, 0, -1], names, seed=i) for i, label in enumerate(labels)})
    page, text = both._repr_html_(), str(both)
    assert page.count("<table") == page.count('overflow-x: auto"><table') == 2
    heads = re.findall(r"<thead>(.*?)</thead>", page, re.DOTALL)
    summary, loads = (re.findall(r"<th>(.+?)</th>", head) for head in heads)
    assert summary == ["fall of D", "convexity", "regime"]
    assert [name[-6:] for name in loads] == ["0.ckpt", "1.ckpt", "2.ckpt", "0.ckpt", "0.ckpt"]
    assert max(map(len, loads)) < 32
    for label in labels:
        finding = f"{label}: {both.summary.stands_out[label]}."
        assert f"<li>{finding}</li>" in page
        assert finding in text
    assert max(map(len, text.splitlines())) < 180


def test_numbers_stand_beside_their_intervals():
    both = compare({"a": mapped([1, 2, 3], seed=1), "b": mapped([2, 2, 1], seed=2)})
    for label in ("a", "b", "b - a"):
        for load, low, high in both.table[label].to_numpy():
            cell = f"{load:z.3f} ({low:z.3f} to {high:z.3f})"
            assert cell in str(both)
            assert cell.replace(" ", "\N{NO-BREAK SPACE}") in both._repr_html_()


def test_names_are_escaped():
    names = ("in", "<b>bold</b>", "red \x1b[31m", "x")
    both = compare({"<i>": mapped([1, 2, 3], names), "b": mapped([1, 2, 3], names)})
    page = both._repr_html_()
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;bold" in page
    assert "\x1b" not in str(both)


@pytest.mark.parametrize(
    ("maps", "error", "message"),
    [
        ({}, ValueError, "^maps: give two or more under their labels"),
        ({"a": mapped([1, 1])}, ValueError, "^maps: give two or more"),
        ([1, 2], ValueError, "^maps: give two or more"),
        ({"a": 1, "b": 2}, TypeError, r"^maps: a is int; give what report\(\) returns$"),
        (
            {"a": mapped([1, 1, 1]), "b": mapped([1, 1, 1], draws=50)},
            ValueError,
            r"^maps: of 50 and 100 draws; report\(\) all with the same resamples$",
        ),
    ],
)
def test_what_cannot_be_compared(maps, error, message):
    with pytest.raises(error, match=message):
        compare(maps)
