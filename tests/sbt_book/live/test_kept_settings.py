"""Settings in a file or in the browser: what is written is read again, what is wrong is named."""

import json

import numpy as np
import pytest
import traitlets
from node import functions_of

from sbt_book.live.training import BATCH_SIZES, LEARNING_RATES, TrainingExplorable

run = functions_of("training/kept_settings.js")
MODEL = """
const lists = { _learning_rates: rates, _batch_sizes: sizes };
const fields = trainingFields({ get: (name) => lists[name] });
"""
LISTS = {"rates": LEARNING_RATES, "sizes": BATCH_SIZES}


def fields():
    return run(f"(() => {{ {MODEL} return fields; }})()", **LISTS)


def read(texts):
    """Return what becomes of many files: their settings and data, or what is wrong."""
    code = "texts.map((text) => settingsOfText(text, fields, 4, 10))"
    return run(f"(() => {{ {MODEL} return {code}; }})()", texts=texts, **LISTS)


def file(settings=(), data=None):
    settings = settings or {}
    content = {"format": "spring-block training 1", "settings": settings, "data": data}
    return json.dumps(content)


def test_the_fields_are_traits_of_the_same_range():
    explorable = TrainingExplorable()
    for name, field in fields().items():
        trait = explorable.trait_metadata(name, "sync"), explorable.traits()[name]
        assert trait[0]
        if "levels" in field:
            assert list(trait[1].values) == field["levels"]
        elif "flag" in field:
            assert isinstance(trait[1], traitlets.Bool)
        else:
            for end in (field["min"], field["max"]):
                setattr(explorable, name, end)
            with pytest.raises(traitlets.TraitError):
                setattr(explorable, name, field["min"] - 1)
            if name != "seed":  # which has no end, but in a link
                with pytest.raises(traitlets.TraitError):
                    setattr(explorable, name, field["max"] + 1)


def test_what_is_written_is_read_again():
    explorable = TrainingExplorable(dropout=0.17, second=True, second_batch_size=8, seed=41)
    settings = {name: getattr(explorable, name) for name in fields()}
    digits = [{"label": 3, "image": "00ff8001"}, {"label": 0, "image": "01020304"}]
    for data in (None, {"digits": digits, "alone": False}, {"table": "1,a\n2,b", "label": "first"}):
        text = run("textOfSettings(settings, data)", settings=settings, data=data)
        assert read([text]) == [{"settings": settings, "data": data}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("\x00\x01", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("null", "“format”"),
        ("[]", "“format”"),
        ("3", "“format”"),
        ('{"format": "spring-block training 2"}', "“format”"),
        (file([1]), "“settings” is not an object"),
        (file("dropout"), "“settings” is not an object"),
        (file({"width": 100_000}), "no setting called “width”"),
        (file({"_worker": "alert(1)"}), "no setting called “_worker”"),
        ('{"format": "spring-block training 1", "settings": {"__proto__": {"a": 1}}}', "__proto__"),
        (file({"constructor": 1}), "no setting called “constructor”"),
        (file({"x" * 10_000: 1}), "no setting called “xxx"),
        (file({"dropout": 0.9}), "“dropout” is 0.9, not a number from 0 to 0.5"),
        (file({"dropout": "0.1"}), '“dropout” is "0.1", not a number from 0 to 0.5'),
        (file({"dropout": None}), "“dropout” is null"),
        (file({"seed": 0.5}), "“seed” is 0.5, not a whole number"),
        (file({"seed": 1e300}), "“seed” is 1e+300"),
        (file({"second": 1}), "“second” is 1, not true or false"),
        (file({"second_batch_size": 7}), "“second_batch_size” is 7, not one of 8, 16"),
        (file({"learning_rate": {"valueOf": 1}}), "“learning_rate” is {"),
        (file(data=[]), "“data” is not an object"),
        (file(data="x"), "“data” is not an object"),
        (file(data={}), "neither “table” nor a list of “digits”"),
        (file(data={"table": 3}), "“data.table” is not a text"),
        (file(data={"table": "1,a", "label": "__proto__"}), "“data.label”"),
        (file(data={"digits": [], "alone": True}), "has 0 drawings"),
        (file(data={"digits": [1] * 201, "alone": True}), "has 201 drawings"),
        (file(data={"digits": [{"label": 1, "image": "00"}], "alone": 1}), "“data.alone”"),
        (file(data={"digits": [None], "alone": True}), "drawing 1 of “data.digits”"),
        (file(data={"digits": [{"label": 10, "image": "00" * 4}], "alone": True}), "drawing 1"),
        (file(data={"digits": [{"label": 1, "image": "00" * 5}], "alone": True}), "drawing 1"),
        (file(data={"digits": [{"label": 1, "image": "zz" * 4}], "alone": True}), "drawing 1"),
    ],
)
def test_a_file_that_will_not_do_is_refused_by_name(text, words):
    (found,) = read([text])
    assert list(found) == ["problem"]
    assert words in found["problem"]
    assert len(found["problem"]) < 160


def test_random_files_neither_throw_nor_pass():
    draw = np.random.default_rng(0)
    good = file({"dropout": 0.1, "second": True}, {"table": "1,a\n2,b", "label": "last"})
    texts = []
    for _ in range(500):
        place = draw.integers(len(good))
        texts.append(good[:place] + chr(draw.integers(32, 127)) + good[place + 1 :])
    for found in read(texts):
        if "problem" not in found:  # a change within the table, or of a digit
            assert set(found["settings"]) == {"dropout", "second"}
            assert 0 <= found["settings"]["dropout"] <= 0.5
