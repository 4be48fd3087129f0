"""Generated sentences: read back by hand, and against the probabilities of the grammar."""

import numpy as np
import pytest
import torch
from data_parts import parts

from sbt_book.gallery.sentences import grammar, sentences


def parsed(sentence, rules):
    """Read a sentence back to its class, pair by pair from the bottom."""
    for level in reversed(rules):
        meaning = {
            tuple(pair): symbol for symbol, pairs in enumerate(level) for pair in pairs.tolist()
        }
        sentence = [meaning[pair] for pair in zip(sentence[::2], sentence[1::2], strict=True)]
    (symbol,) = sentence
    return symbol


@pytest.mark.parametrize("levels", [1, 3, 4])
def test_every_sentence_has_one_reading_which_is_its_class(levels):
    data = sentences(train=300, test=50, levels=levels, seed=5)
    rules = grammar(levels=levels, seed=5)
    for part, labels in parts(data):
        assert part.shape[1] == 2**levels
        assert [parsed(sentence, rules) for sentence in part.tolist()] == labels.tolist()
    assert data.classes == 8


def test_no_pair_stands_for_two_symbols():
    for level in grammar(symbols=5, synonyms=5, levels=3):
        pairs = {tuple(pair) for pair in level.reshape(-1, 2).tolist()}
        assert len(pairs) == 25
        assert pairs == {(a, b) for a in range(5) for b in range(5)}


def test_symbols_are_as_frequent_as_the_grammar_says():
    """Given the class, how often each symbol stands at each position, from the rules alone."""
    count, rules = 4000, grammar(levels=3, seed=2)
    data = sentences(train=count, test=1, levels=3, seed=2)
    given = np.eye(8)[:, None]  # (class, position, symbol)
    for level in rules:
        halves = [np.zeros((8, 8)), np.zeros((8, 8))]
        for symbol, pairs in enumerate(level):
            for pair in pairs:
                for half, follower in zip(halves, pair, strict=True):
                    half[symbol, follower] += 1 / len(pairs)
        given = np.stack([given @ half for half in halves], axis=2).reshape(8, -1, 8)
    seen = np.eye(8)[data.train_images.numpy()]
    labels = data.train_labels.numpy()
    for label in range(8):
        members = labels == label
        assert abs(members.mean() - 1 / 8) < 5 * np.sqrt(1 / 8 * 7 / 8 / count)
        error = np.sqrt(given[label] * (1 - given[label]) / members.sum())
        assert (abs(seen[members].mean(0) - given[label]) <= 5 * error + 1e-12).all()
    # Whoever reads one symbol guesses the class more often wrong than right.
    assert (given.max(0).sum(-1) / 8).max() < 0.5


def test_the_test_sentences_do_not_depend_on_the_number_to_train_on():
    few, many = sentences(train=10, test=20), sentences(train=30, test=20)
    assert torch.equal(few.test_images, many.test_images)
    assert torch.equal(few.test_labels, many.test_labels)
    assert not torch.equal(few.test_images, sentences(train=10, test=20, seed=1).test_images)


@pytest.mark.parametrize("synonyms", [0, 4])
def test_synonyms_that_do_not_fit(synonyms):
    with pytest.raises(ValueError, match=f"synonyms={synonyms}: 3 symbols make 9 pairs"):
        grammar(symbols=3, synonyms=synonyms)
