"""Texts at hand, cut into pieces."""

import pytest

from sbt_book.language.texts import KINDS, documents, pieces


def letters(text):
    return {"input_ids": [ord(letter) for letter in text]}


def test_the_manual_and_the_code_come_with_python():
    assert any("assert" in text for text in documents("manual"))
    assert any("def dedent(" in text for text in documents("code"))


def test_the_bible_is_read_chapter_by_chapter(tmp_path, monkeypatch):
    program = tmp_path / "bible"
    program.write_text("#!/bin/sh\nprintf 'Ge1:1 In the\\nGe1:2 And the\\n\\n1Sa2:1 Thus\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert documents("scripture") == ["In the And the", "Thus"]


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ModuleNotFoundError, match=r"scripture: .*apt-get install bible-kjv"):
        KINDS["scripture"]()


def test_pieces_are_from_different_places():
    texts = ["abcdefg", "hij", "klmnopqr"]
    found = pieces(texts, letters, {3: 3, 2: 2})
    (long, texts_of), (short, _) = found[3], found[2]
    assert long.shape == (3, 3)
    assert short.shape == (2, 2)
    rows = [*long.tolist(), *short.tolist()]
    assert len({letter for row in rows for letter in row}) == 13
    for row, number in zip(long.tolist(), texts_of.tolist(), strict=True):
        assert "".join(map(chr, row)) in texts[number]
    with pytest.raises(ValueError, match="6 pieces asked for, but the texts have 5 of 3 tokens"):
        pieces(texts, letters, {3: 6})
