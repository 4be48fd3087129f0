"""The language explorable: its page against the results, its traits against their names."""

import json

import numpy as np
import pytest
import traitlets
from node import functions_of

from sbt_book.common.committed import load_committed
from sbt_book.live.language import LanguageExplorable, packed_sentences, shown_token

run = functions_of("language/language.js")


@pytest.fixture(scope="module")
def content():
    return json.loads(LanguageExplorable().content)


def test_the_page_has_the_results(content):
    found = load_committed("language_sentences")
    numbers = found.entry.values.tolist()
    assert list(content["sentences"]) == found.sentence.values.tolist()
    for name, sent in content["sentences"].items():
        one = found.sel(sentence=name)
        for token in range(len(sent["tokens"])):
            for depth in (0, 11, 30):
                at = one.sel(token=token, depth=depth)
                assert numbers[sent["top"][depth][token]] == at.top
                assert sent["rank"][depth][token] == at.final_rank
                expected = pytest.approx(100 * at.top_probability.item(), abs=0.051)
                assert sent["top_probability"][depth][token] == expected
            for start, length in ((1, 1), (20, 4), (23, 8)):
                place = sent["without"][length - 1][start - 1][token]
                assert numbers[place] == one.top_without.sel(
                    token=token, start=start, length=length
                )
    assert len(LanguageExplorable().content) < 120_000


def test_losses_and_load_curve_are_means_over_texts(content):
    found = load_committed("language")
    losses = np.asarray(found.loss_without, np.float64)  # text, piece, start, length
    assert found.loss_without.dims == ("text", "piece", "start", "length")
    for start, length in ((1, 1), (12, 3), (23, 8)):
        expected = losses[:, :, start - 1, length - 1].mean()
        sent = content["loss"]["without"][length - 1][start - 1]
        assert sent == pytest.approx(expected, abs=1e-3)
    assert content["loss"]["without"][7][29] is None
    assert content["loss"]["whole"] == pytest.approx(float(found.loss.mean()), abs=1e-3)
    assert len(content["separation"]) == 31
    last = found.separation.sel(depth=30).mean().item()
    assert content["separation"][-1] == pytest.approx(last, abs=1e-3)


def test_a_cell_in_words():
    sentence = {
        "tokens": ["to", "be", "or"],
        "top": [[0, 1, 2], [1, 1, 1], [1, 2, 1]],
        "top_probability": [[99.8, 3, 0.2], [50, 50, 50], [60, 70, 80]],
        "rank": [[1200, 30, 2], [1, 2, 1], [1, 1, 1]],
    }
    words = ["a", "b", "c"]
    at = "[[0, 0], [1, 2], [2, 1]].map(([d, t]) => cellWords(sentence, words, d, t))"
    first, middle, last = run(at, sentence=sentence, words=words)
    assert "Before block 1, after “to”: “a” (100\u00a0%)" in first
    assert "“b”, has rank 1,200" in first
    assert middle == "Block 1, after “to be or”: “b” (50\u00a0%); as in the end."
    assert last.endswith("“c” (70\u00a0%), the final word.")
    assert run("inPercent(0.4)") == "under 1\u00a0%"


def test_a_token_is_decided_once_its_rank_stays_one():
    assert run("[[9, 1, 2, 1, 1], [1, 1, 1], [3, 2, 1]].map(decidedAt)") == [3, 0, 2]
    assert run("decidedLine([[5, 1], [1, 2], [1, 1]])") == "M0 1H1V2H2"
    assert run("[1, 2, 10, 11, 1000, 1001].map(shadeOf)") == [0, 1, 1, 2, 3, 4]


def test_what_a_run_costs_in_words(content):
    for name, start, length in (("a fact", 19, 4), ("Python", 25, 1)):
        one = load_committed("language_sentences").sel(sentence=name)
        told = (one.top.sel(depth=30) >= 0).values
        now = one.top_without.sel(start=start, length=length).values
        changed = int((now != one.top.sel(depth=30).values)[told].sum())
        words = run(
            "removalWords(sentence, loss, start, length)",
            sentence=content["sentences"][name],
            loss=content["loss"],
            start=start,
            length=length,
        )
        assert f"something else at {changed} of {told.sum()} places" in words
        assert f"{content['loss']['without'][length - 1][start - 1]:.2f}" in words


def test_traits_are_checked():
    with pytest.raises(traitlets.TraitError, match=r"sentence='poem': choose one of 'a fact'"):
        LanguageExplorable(sentence="poem")
    with pytest.raises(traitlets.TraitError, match="start"):
        LanguageExplorable(start=31)


def test_a_token_of_spaces_has_a_name():
    shown = [shown_token(word) for word in (" Rome", " ", "\n    ", "extraordinarily")]
    assert shown == ["Rome", "(space)", "(new line)", "extraordina…"]
    assert all(map(str.strip, packed_sentences()["words"]))


def test_the_still_picture_shows_the_sentence():
    explorable = LanguageExplorable(sentence="the week")
    axes = explorable.still().axes
    labels = [label.get_text() for label in axes[0].get_xticklabels()]
    assert labels == packed_sentences()["sentences"]["the week"]["tokens"]
    assert explorable.load_curve.mean.shape == (31,)


def test_the_tour_says_what_is_there(content):
    tour = run("LANGUAGE_TOUR")
    shown = [LanguageExplorable(**step["set"]) for step in tour]
    fact, week = (content["sentences"][name] for name in ("a fact", "the week"))
    ranks = [fact["rank"][each.depth][each.token] for each in shown[:3]]
    assert content["words"][fact["top"][30][7]] == "Rome"
    assert ranks[0] == ranks[2] == 1
    assert ranks[1] > 1000
    assert [each.depth for each in shown[:3]] == [30, 20, 29]
    columns = np.array(fact["rank"]).T.tolist(), np.array(week["rank"]).T.tolist()
    decided = run("columns.map((each) => each.map(decidedAt))", columns=columns)
    assert decided[0][7] == 29
    said = [content["words"][word] for word in week["top"][30]]
    assert [said[4], said[6], said[7]] == [",", ",", "Friday"]
    assert max(decided[1][4], decided[1][6]) < 20 < decided[1][7] == 30
    loss = content["loss"]
    for each, changed, times in zip(shown[4:], (0, 8), (1.1, 3.4), strict=True):
        now = fact["without"][each.length - 1][each.start - 1]
        assert sum(a != b for a, b in zip(now, fact["top"][30], strict=True)) == changed
        ratio = loss["without"][each.length - 1][each.start - 1] / loss["whole"]
        assert times - 0.1 < ratio < times
