"""Sounds against a fit of their harmonics, texts against the files of Python's library."""

import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch

from sbt_book.trained_models import data
from sbt_book.trained_models.data import CHAPTERS, docstrings, prose, sounds, text_batches

LIBRARY = Path(sysconfig.get_path("stdlib"))
NAMES = ("one", "two")


def explained(wave, cents):
    """Return the fraction of a wave's variance that harmonics of a steady pitch explain."""
    turns = 10 * 2 ** (cents / 1200) * np.arange(1024) / 16000
    harmonics = np.arange(1, 21)[:, None] * turns
    basis = np.concatenate([np.cos(2 * np.pi * harmonics), np.sin(2 * np.pi * harmonics)])
    fit, *_ = np.linalg.lstsq(basis.T, wave, rcond=None)
    return (basis.T @ fit).var() / wave.var()


def test_sounds_have_the_pitch_that_they_claim():
    waves, labels, cents = sounds(each=2)
    assert waves.dtype == torch.float32
    assert waves.shape == (48, 1024)
    assert labels.bincount().tolist() == [2] * 24
    # A semitone above 110 Hz is 100 cents; a sound lies within 30 of its own, and vibrato adds 17.
    semitones = (cents.numpy() - 1200 * np.log2(11)) / 100
    assert abs(semitones - labels.numpy()).max() < 0.3 + 1 / 6
    right, wrong = (
        np.array([explained(*pair) for pair in zip(waves.numpy(), cents.numpy() + e, strict=True)])
        for e in (0, 100)
    )
    assert (right > 0.45).all()  # noise is as loud as the tone at most
    assert (right > wrong).mean() > 0.9
    assert np.median(right) > 0.9


def test_sounds_are_as_the_network_wants_them_and_the_seed_decides():
    waves, labels, _ = sounds(each=1, seed=3)
    assert waves.mean(1).numpy() == pytest.approx(0, abs=1e-5)
    assert waves.std(1, correction=0).numpy() == pytest.approx(1, abs=1e-5)
    again, same_labels, _ = sounds(each=1, seed=3)
    assert torch.equal(waves, again)
    assert torch.equal(labels, same_labels)
    assert not torch.equal(waves, sounds(each=1, seed=4)[0])


@pytest.fixture(scope="module")
def texts():
    return docstrings(each=40, unseen=24)


def sources(modules):
    """Return what stands in the files of modules, with single spaces and lines continued."""
    files = []
    for name in modules.split():
        folder = LIBRARY / name
        files += folder.rglob("*.py") if folder.is_dir() else [LIBRARY / f"{name}.py"]
    texts = [file.read_text(encoding="utf-8").replace("\\\n", "") for file in files]
    return " ".join(" ".join(texts).split())


def test_texts_stand_in_the_modules_of_their_chapter(texts):
    found = {label: sources(modules) for label, modules in enumerate(CHAPTERS.values())}
    for part, each in (("train", 40), ("test", 24)):
        words, labels = texts[part]
        assert labels.bincount().tolist() == [each] * 12
        for text, label in zip(words, labels.tolist(), strict=True):
            assert len(text.split()) >= 6
            assert text in found[label]


def test_no_text_comes_twice(texts):
    every = texts["train"][0] + texts["test"][0]
    assert len(set(every)) == len(every) == 12 * 64


def test_the_seed_decides_on_the_texts(texts):
    again = docstrings(each=40, unseen=24)
    assert again["test"][0] == texts["test"][0]
    assert torch.equal(again["test"][1], texts["test"][1])
    assert docstrings(each=40, unseen=24, seed=1)["test"][0] != texts["test"][0]


def test_more_texts_than_there_are():
    with pytest.raises(ValueError, match=r"each=900, unseen=0: chapter 'Numeric .* ask for fewer"):
        docstrings(each=900, unseen=0)


def test_a_text_of_two_chapters_belongs_to_none(tmp_path, monkeypatch):
    shared = "    '''This text is the same in both.'''"
    for name in NAMES:
        own = f"    '''Here the module {name} has its own words.\n\n    And more.'''"
        code = f"def f():\n{own}\nclass G:\n{shared}\nclass H:\n    '''Too short.'''\n"
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.setattr(data, "CHAPTERS", {"first": "one", "second": "two"})
    monkeypatch.setattr(data.sysconfig, "get_path", lambda name: str(tmp_path))
    words, labels = docstrings(each=1, unseen=0)["train"]
    found = dict(zip(labels.tolist(), words, strict=True))
    assert found == {n: f"Here the module {m} has its own words." for n, m in enumerate(NAMES)}
    with pytest.raises(ValueError, match="chapter 'first' has 1 texts"):
        docstrings(each=2, unseen=0)


class Tokenizer:
    """A token for each word: its length."""

    def __call__(self, texts, return_tensors=None, padding=False, truncation=False, max_length=0):
        if isinstance(texts, str):
            return {"input_ids": [len(word) for word in texts.split()][:max_length]}
        rows = [[len(word) for word in text.split()][:max_length] for text in texts]
        longest = max(map(len, rows))
        filled = [row + [0] * (longest - len(row)) for row in rows]
        ids = torch.tensor(filled)
        return {"input_ids": ids, "attention_mask": (ids > 0).long(), "token_type_ids": 0 * ids}


def test_text_batches():
    batches = text_batches(
        Tokenizer(), ["a bb", "ccc", "a a a a"], torch.tensor([5, 6, 7]), size=2, tokens=3
    )
    assert [set(batch) for batch in batches] == [{"input_ids", "attention_mask", "labels"}] * 2
    assert batches[0]["input_ids"].tolist() == [[1, 2], [3, 0]]
    assert batches[0]["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert batches[1]["input_ids"].tolist() == [[1, 1, 1]]
    assert [batch["labels"].tolist() for batch in batches] == [[5, 6], [7]]


def test_prose_is_that_of_the_language_reference():
    from pydoc_data.topics import topics

    pieces = prose(Tokenizer(), pieces=40, tokens=64)
    assert pieces.shape == (40, 64)
    lengths = [len(word) for word in topics["assert"].split()]
    first = pieces[0].tolist()
    assert any(lengths[start : start + 64] == first for start in range(10))
    with pytest.raises(ValueError, match=r"pieces=9999: \d+ articles have 64 tokens"):
        prose(Tokenizer(), pieces=9999)
