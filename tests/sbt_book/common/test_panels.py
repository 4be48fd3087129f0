"""Looks that figures share, and what a profile computes."""

import pytest

from sbt_book.common.panels import panels, series_look
from sbt_book.common.profiles import at_profile


def test_the_looks_of_many_series_differ_and_never_run_out():
    looks = [series_look(index) for index in range(42)]
    assert len({tuple(look.values()) for look in looks}) == 42
    assert series_look(42) == looks[0]


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 2, 2)])
def test_panels_are_two_in_a_row(count, rows, columns):
    figure, grid = panels(count, width=4, height=3)
    assert figure.axes == grid
    assert len(grid) == count
    assert figure.get_size_inches().tolist() == [4 * columns, 3 * rows]


def test_an_unknown_profile():
    assert at_profile("quick", smoke=1, quick=3) == 3
    with pytest.raises(ValueError, match="profile='papre': choose one of smoke, paper"):
        at_profile("papre", smoke=1, paper=10)
