"""Names from files are shown without their power over a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbt_utils.text import LONGEST_NAME, printable, quoted, shown

STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, formats, surrogates, ends of lines
anything = st.text(st.characters())  # surrogates, too


@given(anything)
def test_nothing_that_is_shown_steers_a_terminal(text):
    for line in (shown(text), *printable(text).split("\n")):
        assert not [c for c in line if unicodedata.category(c) in STEERING]
    assert len(shown("a" * len(text))) == min(len(text), LONGEST_NAME)


@given(anything)
def test_what_is_escaped_can_be_read_back(text):
    text = text.replace("\\", "/")
    escaped = printable(text).encode("ascii", "backslashreplace").decode("unicode_escape")
    assert escaped == text


@pytest.mark.parametrize("longest", [5, 20, 21])
def test_long_names_keep_both_ends(longest):
    name = "start" + "-" * 10**6 + "end"
    assert len(shown(name, longest)) == longest
    assert shown(name, longest)[0] == "s"
    assert shown(name, longest)[-1] == "d"
    assert shown(name[:longest], longest) == name[:longest]


class Unspeakable:
    def __repr__(self):
        raise RuntimeError


def test_whatever_was_given_can_be_part_of_a_line():
    for value in ("\x1b[2J" * 10**6, 10**5000, Unspeakable(), [[0.5] * 9] * 9):
        assert quoted(value).isprintable()
        assert len(quoted(value)) < 120


def test_an_error_is_shown_as_its_text():
    assert shown(ValueError("α \x9b1m")) == "α \\x9b1m"
