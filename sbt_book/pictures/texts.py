"""Fitting the texts of a figure into less room, and telling whether they do fit."""

import re
from collections.abc import Iterator
from itertools import chain, combinations, pairwise, product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import Bbox


def overlaps(figure: Figure) -> set[tuple[Any, Any]]:
    """Return the pairs of texts and of axes of an arranged figure that lie on one another.

    Texts lie on the axes of their panels; on a colour bar none may lie.
    """
    texts = [(place, box) for place, box in _texts(figure) if box.width and box.height]
    boxes = [(("axes", number), axes.bbox) for number, axes in enumerate(figure.axes)]
    bars = [box for box, axes in zip(boxes, figure.axes, strict=True) if _is_bar(axes)]
    on_bars = (pair for pair in product(texts, bars) if pair[0][0][0] != pair[1][0][1])
    pairs = chain(combinations(texts, 2), combinations(boxes, 2), on_bars)
    return {
        (one, other)
        for (one, box), (other, of_other) in pairs
        if min(box.x1, of_other.x1) - max(box.x0, of_other.x0) > -2
        and min(box.y1, of_other.y1) - max(box.y0, of_other.y0) > 1
    }


def _is_bar(axes: Axes) -> bool:
    """Tell whether axes are a colour bar that the layout places."""
    return hasattr(axes, "_colorbar_info")


def _texts(figure: Figure) -> Iterator[tuple[tuple[Any, ...], Bbox]]:
    """Yield the place and the box of each text that is shown, and of each legend."""
    named: list[tuple[tuple[Any, ...], Text | Legend]] = []
    for number, axes in enumerate(figure.axes):
        if axes.get_visible() and axes.axison:
            named += [((number, *place), text) for place, text in _texts_of(axes)]
    named += [(("legend", index), legend) for index, legend in enumerate(figure.legends)]
    named += [(("figure", index), text) for index, text in enumerate(figure.texts)]
    for place, shown in named:
        if shown.get_visible() and (isinstance(shown, Legend) or shown.get_text().strip()):
            yield place, shown.get_window_extent()


def _texts_of(axes: Axes) -> Iterator[tuple[tuple[Any, ...], Text | Legend]]:
    """Yield the place and each text of axes."""
    yield ("title",), axes.title
    for index, text in enumerate(axes.texts):
        yield ("text", index), text
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_tightbbox()  # which moves the label to its place
        yield (axis.axis_name, "label"), axis.label
        for index, tick in enumerate(shown_ticks(axis)):
            yield (axis.axis_name, index), tick.label1
    if isinstance(legend := axes.get_legend(), Legend):
        yield ("legend",), legend


def shown_ticks(axis: Axis) -> list[Any]:
    """Return the ticks within the limits of an axis."""
    return list(axis._update_ticks())  # type: ignore[attr-defined]  # there is no public way


def enlarge(figure: Figure, least: float) -> None:
    """Make all texts that are smaller than so many points as large as that."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_fontsize(max(text.get_fontsize(), least))
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            sizes = [label.get_fontsize() for label in axis.get_ticklabels()]
            axis.set_tick_params(which="both", labelsize=max([least, *sizes]))


def break_lines(figure: Figure) -> None:
    """Break titles and labels that are longer than what they stand at."""
    for axes in figure.axes:
        down = max(axes.bbox.height, 0.3 * figure.dpi) * 1.25
        across = _room(figure, axes)
        _break(axes.title, axes.title.get_window_extent().width, across)
        _break(axes.xaxis.label, axes.xaxis.label.get_window_extent().width, across)
        _break(axes.yaxis.label, axes.yaxis.label.get_window_extent().height, down)


def _room(figure: Figure, axes: Axes) -> float:
    """Return how long a text above the middle of axes may be: half of each gap, and up to bars."""
    box, left, right = axes.bbox, 0.0, figure.bbox.width
    for other in figure.axes:
        if other.bbox.y0 < box.y1 and box.y0 < other.bbox.y1:
            share = 1.0 if _is_bar(other) else 0.5
            if other.bbox.x0 >= box.x1:
                right = min(right, box.x1 + share * (other.bbox.x0 - box.x1))
            elif other.bbox.x1 <= box.x0:
                left = max(left, box.x0 - share * (box.x0 - other.bbox.x1))
    middle = (box.x0 + box.x1) / 2
    return 2 * min(middle - left, right - middle) - 4


def _break(text: Text, length: float, room: float) -> None:
    """Break a text of a length between its words where there is less room."""
    words, lines = text.get_text().split(), int(-(-length // room))
    if lines > 1 and "\n" not in text.get_text() and len(words) >= lines:
        text.set_text("\n".join(shared_out(words, lines)))


def shared_out(words: list[str], count: int) -> list[str]:
    r"""Share words among at most so many lines of about one length; formulas stay whole.

    >>> shared_out(["share", "of", "votes", "$a", "b$"], 2)
    ['share of', 'votes $a b$']
    """
    most = len(" ".join(words)) / count
    lines = [words[0]]
    for word in words[1:]:
        longer = f"{lines[-1]} {word}"
        if lines[-1].count("$") % 2 or len(longer) <= most + 3 or len(lines) == count:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def thin_levels(figure: Figure) -> None:
    """Name every other level on axes where the names of all, which are numbers, have no room."""
    for axes in figure.axes:
        labels = [(tick.get_loc(), tick.label1) for tick in shown_ticks(axes.xaxis)]
        labels = [(level, label) for level, label in labels if label.get_text()]
        boxes = sorted([label.get_window_extent() for _, label in labels], key=lambda box: box.x0)
        near = any(right.x0 - left.x1 < 3 for left, right in pairwise(boxes))
        numbers = all(re.fullmatch(r"[-−\d.e]+", label.get_text()) for _, label in labels)
        if near and numbers and isinstance(axes.xaxis.get_major_locator(), FixedLocator):
            levels, names = zip(*labels[::2], strict=True)
            axes.set_xticks(levels, [label.get_text() for label in names])
