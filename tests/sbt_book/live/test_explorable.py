"""The files of the explorables can be joined to one text, whichever of them import each other."""

import re
from collections import Counter

import pytest

from sbt_book.live.explorable import PAGES, Explorable, joined

FILES = sorted(path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*.js"))
NAME = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|class) (\w+)", re.MULTILINE)


def test_no_top_level_name_is_used_twice():
    texts = [(PAGES / name).read_text(encoding="utf-8") for name in FILES]
    names = Counter(name for text in texts for name in NAME.findall(text))
    assert {name for name, count in names.items() if count > 1} <= {"render"}


@pytest.mark.parametrize("name", FILES)
def test_joined_text_is_complete(name):
    text = joined(name)
    assert not re.search(r"^import\b", text, re.MULTILINE)
    assert not re.search(r"^export (?!default)", text, re.MULTILINE)
    defined = NAME.findall(text)
    assert len(defined) == len(set(defined))
    imported = re.findall(r"import \{([^}]*)\}", (PAGES / name).read_text(encoding="utf-8"))
    for each in ",".join(imported).split(","):
        assert not each.strip() or each.strip() in defined


def test_an_explorable_must_have_a_still_picture():
    with pytest.raises(NotImplementedError):
        Explorable().still()
