"""Figures for phones: the panels one below the other, everything there, legible, apart."""

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from sbt_book.pictures import narrowed
from sbt_book.pictures.legends import points_behind_legend
from sbt_book.pictures.narrowing import SHOWN, SMALLEST, panels_of
from sbt_book.pictures.texts import shared_out
from sbt_utils.drawing import STYLE


def figure_of(rows, columns, size=(8.4, 6.4), **shared):
    """Return a figure whose panels each hold their number as a height."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size)
        grid = figure.subplots(rows, columns, squeeze=False, **shared)
        for number, axes in enumerate(grid.ravel()):
            axes.plot([0, 1], [number, number], "o-", label=f"height {number}")
            axes.set(xlabel="time", ylabel=f"height of panel {number}", title=f"panel {number}")
    return figure, grid


def tops(figure):
    """Return the upper edges of the panels as they are drawn, in fractions of the figure."""
    figure.draw_without_rendering()
    return [axes.get_position().y1 for axes in panels_of(figure)]


def drawn_boxes(figure):
    """Return the box of each of a figure's panels, colour bars and legends with their texts."""
    figure.draw_without_rendering()
    return [axes.get_tightbbox() for axes in figure.axes] + [
        legend.get_window_extent() for legend in figure.legends
    ]


def apart(one, other):
    return one.x1 < other.x0 or other.x1 < one.x0 or one.y1 < other.y0 or other.y1 < one.y0


@pytest.mark.parametrize("shape", [(1, 2), (1, 3), (2, 2), (3, 2)])
def test_panels_stand_below_one_another_in_reading_order(shape):
    figure, _ = figure_of(*shape)
    narrow = narrowed(figure)
    assert narrow.get_figwidth() < 4
    found = tops(narrow)
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == shape[0] * shape[1]
    assert [axes.get_title() for axes in panels_of(narrow)] == [
        axes.get_title() for axes in figure.axes
    ]


def test_the_figure_itself_is_not_changed():
    figure, grid = figure_of(2, 2)
    figure.draw_without_rendering()
    before = [axes.get_position().bounds for axes in grid.ravel()]
    narrowed(figure)
    figure.draw_without_rendering()
    after = [axes.get_position().bounds for axes in grid.ravel()]
    np.testing.assert_allclose(after, before, atol=1e-9)
    assert figure.get_figwidth() == 8.4


def test_panels_legends_and_colour_bars_lie_apart_and_within():
    figure, grid = figure_of(2, 2)
    image = grid[1, 1].imshow(np.eye(3), aspect="auto")
    figure.colorbar(image, ax=grid, label="what the colours mean")
    handles = [axes.lines[0] for axes in grid.ravel()]
    labels = [f"a label that is rather long, of number {number}" for number in range(4)]
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    narrow = narrowed(figure)
    boxes = drawn_boxes(narrow)
    assert len(boxes) == 6
    for one, other in combinations(boxes, 2):
        assert apart(one, other)
    for box in boxes:
        assert box.x0 > -2
        assert box.x1 < narrow.bbox.width + 2
    assert [text.get_text() for text in narrow.legends[0].get_texts()] == labels


def test_a_bar_below_a_column_keeps_that_column_together():
    figure, grid = figure_of(2, 2)
    for column in (0, 1):
        image = grid[0, column].imshow(np.eye(3), aspect="auto")
        figure.colorbar(image, ax=grid[:, column], location="bottom", label=f"bar {column}")
    narrow = narrowed(figure)
    narrow.draw_without_rendering()
    centres = {
        axes.get_title() or axes.get_xlabel(): axes.get_position().y0 for axes in narrow.axes
    }
    order = sorted(centres, key=centres.get, reverse=True)
    assert order == ["panel 0", "panel 2", "bar 0", "panel 1", "panel 3", "bar 1"]


def test_each_panel_gets_the_labels_and_numbers_that_it_shared():
    figure, grid = figure_of(2, 2, sharex=True, sharey=True)
    for axes in grid.ravel():
        axes.set(xlabel="", ylabel="", title="", xlim=(0, 1), ylim=(0, 4))
    for axes in grid[:, 0]:
        axes.set_ylabel("height")
    for axes, name in zip(grid[0], ("left", "right"), strict=True):
        axes.set_title(name)
    for axes in grid[1]:
        axes.set_xlabel("time")
    panels = panels_of(narrowed(figure))
    assert {axes.get_xlabel() for axes in panels} == {"time"}
    assert {axes.get_ylabel() for axes in panels} == {"height"}
    assert [axes.get_title() for axes in panels] == ["left", "right", "left", "right"]
    for axes in panels:
        assert axes.xaxis.get_tick_params()["labelbottom"]
        assert axes.yaxis.get_tick_params()["labelleft"]


def test_panels_without_numbers_get_no_labels():
    figure, grid = figure_of(1, 2)
    grid[0, 1].set(ylabel="", yticks=[])
    assert [axes.get_ylabel() for axes in panels_of(narrowed(figure))] == ["height of panel 0", ""]


def test_no_text_is_too_small_to_read_as_it_is_shown():
    figure, grid = figure_of(1, 2)
    grid[0, 0].tick_params(labelsize=4)
    grid[0, 0].text(0.5, 0.0, "small", fontsize=3)
    grid[0, 1].legend(fontsize=5)
    narrow = narrowed(figure)
    narrow.draw_without_rendering()
    texts = [t for t in narrow.findobj(Text) if t.get_visible() and t.get_text().strip()]
    sizes = [text.get_fontsize() * SHOWN / narrow.get_figwidth() for text in texts]
    assert len(sizes) > 20
    assert min(sizes) > SMALLEST - 0.01


def test_a_long_title_is_broken():
    figure, grid = figure_of(1, 2)
    title = "a title that is as long as both of the panels are wide, which is not wise, and why not"
    grid[0, 0].set_title(title)
    narrow = narrowed(figure)
    narrow.draw_without_rendering()
    drawn = panels_of(narrow)[0].title
    assert drawn.get_text().replace("\n", " ") == title
    assert drawn.get_window_extent().width < narrow.bbox.width


def test_formulas_are_not_broken():
    words = "share of $a + b + c + d + e$ votes"
    lines = shared_out(words.split(" "), 4)
    assert " ".join(lines) == words
    assert [line.count("$") for line in lines] == [2, 0]


def test_many_small_panels_keep_their_grid():
    figure, _ = figure_of(4, 8, size=(9.3, 5.5), sharex=True, sharey=True)
    for axes in panels_of(figure):
        axes.set(xlabel="", ylabel="", title=axes.get_title().removeprefix("panel "))
    narrow = narrowed(figure)
    places = [axes.get_subplotspec().num1 for axes in panels_of(narrow)]
    assert places == list(range(32))
    assert narrow.get_figwidth() <= 5
    assert not any(axes.get_xlabel() for axes in panels_of(narrow))


def test_a_legend_that_would_hide_what_is_drawn_moves_below():
    figure, grid = figure_of(1, 1, size=(9, 4))
    (axes,) = grid[0]
    for number in range(5):
        axes.plot([0.6, 1], [number, 1], label=f"a line with a rather long name, {number}")
    axes.legend(loc="upper left")
    narrow = narrowed(figure)
    narrow.draw_without_rendering()
    (panel,) = panels_of(narrow)
    legend = panel.get_legend().get_window_extent()
    assert legend.y1 < panel.xaxis.label.get_window_extent().y0
    assert legend.y0 > 0
    assert points_behind_legend(panel) == 0


def filmstrip():
    """Return a figure of many pictures of equal units, which would be too small side by side."""
    figure, grid = figure_of(5, 3)
    for axes in grid.ravel():
        axes.set_aspect("equal")
    return figure


def nested():
    figure = Figure(layout="constrained")
    grid = figure.add_gridspec(2, 2)
    for cell in (grid[0, :], grid[1, 0], grid[1, 1]):
        figure.add_subplot(cell)
    return figure


def of_subfigures():
    figure = Figure(layout="constrained")
    for part in figure.subfigures(1, 2):
        part.subplots()
    return figure


def without_layout():
    figure = Figure()
    figure.subplots(1, 2)
    return figure


def uncopied():
    figure, grid = figure_of(1, 2)
    grid[0, 0].xaxis.set_major_formatter(lambda value, _: f"{value} s")
    return figure


def crowded():
    figure, grid = figure_of(1, 1)
    for place in range(24):
        grid[0, 0].text(place / 24, 0, "0.000")
    return figure


@pytest.mark.parametrize(
    "draw", [nested, filmstrip, of_subfigures, without_layout, uncopied, crowded, Figure]
)
def test_figures_that_cannot_be_narrowed_stay_as_they_are(draw):
    assert narrowed(draw()) is None
