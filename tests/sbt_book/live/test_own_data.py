"""A reader's own data: tables against the csv module and NumPy, drawings, hostile input."""

import csv
import io
import random
import time

import numpy as np
import pytest
from node import functions_of

from sbt_utils.measuring.separation import data_separation

table = functions_of("training/own_data.js")
worker = functions_of("training/training_worker.js")

LISTED = """
const listed = (data) => data.problem ? data : {
  ...data,
  train: { images: Array.from(data.train.images), labels: Array.from(data.train.labels) },
  test: { images: Array.from(data.test.images), labels: Array.from(data.test.labels) },
};
"""


def read(text, label="last"):
    """Return what the page makes of a table."""
    return table(
        f"(() => {{ {LISTED} return listed(tableOfText(text, label)); }})()", text=text, label=label
    )


def problems(texts, label="last"):
    """Return what the page finds wrong with each of many tables."""
    code = "texts.map((text) => tableOfText(text, label).problem ?? '')"
    return table(code, texts=texts, label=label)


def measured_table(rng, samples=60):
    """Return the columns, labels and text of a table with a header."""
    labels = rng.permutation(np.repeat(["no", "yes", "zebra, striped"], samples // 3))
    means = {"no": 0.0, "yes": 1.0, "zebra, striped": 2.0}
    columns = rng.normal(size=(samples, 4)) * [1, 1e3, 1e-2, 1] + [0, 500, 3, 1]
    columns[:, 0] += [means[label] for label in labels]
    columns[:, 3] = 7.0  # a column that says nothing
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["a", "b", "c", "d", "kind"])
    writer.writerows(
        [*map(repr, map(float, row)), label] for row, label in zip(columns, labels, strict=True)
    )
    return columns, labels, file.getvalue()


def kept_to_test(labels):
    """Tell which samples are kept to test on: every fourth of each class."""
    seen = dict.fromkeys(labels, 0)
    kept = []
    for label in labels:
        kept.append(seen[label] % 4 == 3)
        seen[label] += 1
    return np.array(kept)


def test_a_table_is_read_as_numpy_would(rng):
    columns, labels, text = measured_table(rng)
    found = read(text)
    kept = kept_to_test(labels)
    names, numbers = np.unique(labels, return_inverse=True)
    assert found["names"] == list(names)
    assert found["classes"] == 3
    for part, chosen in (("train", ~kept), ("test", kept)):
        images = np.array(found[part]["images"]).reshape(-1, 4)
        np.testing.assert_array_equal(images, columns[chosen])
        np.testing.assert_array_equal(found[part]["labels"], numbers[chosen])
    assert kept.sum() == 15


def test_the_label_may_come_first_and_the_delimiter_be_another():
    rows = [("b", 1, 2.5), ("a", -3, 0.25), ("b", 4e2, 5), ("a", 0.5, 6)]
    for delimiter in ",;\t":
        for newline in ("\n", "\r\n", "\r"):
            text = newline.join(delimiter.join(map(str, row)) for row in rows)
            found = read(f"\ufeff{text}", "first")
            assert found["train"]["images"] == [1, 2.5, -3, 0.25, 400, 5, 0.5, 6]
            assert found["train"]["labels"] == [1, 0, 1, 0]
            assert found["test"]["labels"] == []


def test_numbers_sort_as_numbers():
    found = read("".join(f"{k},{k % 10 + 2}\n" for k in range(20)))
    assert found["names"] == [str(k) for k in range(2, 12)]


def test_columns_are_standardised_as_the_input_norm_does(rng):
    columns, labels, _ = measured_table(rng)
    kept = kept_to_test(labels)
    code = """(() => {
      const [own, other] = [Float64Array.from(train.flat()), Float64Array.from(test.flat())];
      standardise(own, other, 4);
      return [Array.from(own), Array.from(other)];
    })()"""
    found = worker(code, train=columns[~kept], test=columns[kept])
    mean, variance = columns[~kept].mean(axis=0), columns[~kept].var(axis=0)
    for part, rows in zip(found, (columns[~kept], columns[kept]), strict=True):
        expected = (rows - mean) / np.sqrt(variance + 1e-5)
        np.testing.assert_allclose(np.reshape(part, (-1, 4)), expected, rtol=1e-9, atol=1e-12)


def trained(data, classes, steps):
    """Train a small network on a table that was read; return what is measured of it."""
    code = """(() => {
      const typed = ({ images, labels }) =>
        ({ images: Float64Array.from(images), labels: Uint8Array.from(labels) });
      const architecture = { width: 8, hidden_layers: 3, classes, seed: 1 };
      const trainer = new Trainer(typed(data.train), typed(data.test), architecture, settings);
      const before = trainer.measure();
      for (let step = 0; step < steps; step++) trainer.step();
      return { inputs: trainer.network.inputs, before, after: trainer.measure() };
    })()"""
    settings = {"negative_slope": 0, "dropout": 0, "learning_rate": 1e-2}
    settings |= {"batch_size": 64, "label_noise": 0}
    return worker(code, data=data, settings=settings, classes=classes, steps=steps)


def test_a_network_of_a_table_is_as_wide_as_its_columns_and_begins_at_their_separation(rng):
    columns, labels, text = measured_table(rng)
    kept = kept_to_test(labels)
    found = trained(read(text), classes=3, steps=300)
    assert found["inputs"] == 4
    rows = columns[~kept]
    standardised = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-5)
    numbers = np.unique(labels, return_inverse=True)[1][~kept]
    # At first the batch norm's running statistics are 0 and 1, with the same eps.
    expected = data_separation(standardised / np.sqrt(1 + 1e-5), numbers)
    assert found["before"]["separation"][0] == pytest.approx(expected, abs=1e-9)
    assert found["after"]["separation"][-1] < found["before"]["separation"][-1] - 0.5
    assert found["after"]["accuracy_train"] > 0.8


def test_without_samples_to_test_on_there_is_no_test_accuracy():
    found = trained(read("0,a\n1,b\n0.1,a\n0.9,b"), classes=2, steps=20)
    assert found["after"]["accuracy_test"] is None
    assert found["after"]["steps"] == 20


ALPHABET = ["a", "1", ",", ",", '"', '"', "\n", "\r", "\r\n", " ", "é"]


def test_records_are_those_of_the_csv_module():
    draw = random.Random(0)
    texts = ["".join(draw.choices(ALPHABET, k=draw.randrange(12))) for _ in range(3000)]
    code = """texts.map((text) => {
      try { return recordsOfText(text, ",").map(({ cells }) => cells); }
      catch (error) { return error instanceof TableError ? null : String(error); }
    })"""
    found = table(code, texts=texts)
    refused = 0
    for text, records in zip(texts, found, strict=True):
        try:
            expected = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True)]
        except csv.Error:
            expected, refused = None, refused + 1
        assert records == (expected if expected is None else [r for r in expected if r]), text
    assert 100 < refused < 2900


GOOD = "1,2,a\n3,4,b\n5,6,a\n7,8,b\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "There is no sample yet"),
        ("x,y\n", "There is no sample yet"),
        ("\n\n  \n", "columns beside the label"),
        (GOOD + "1,2\n", "Line 5 has 2 cells, the first has 3"),
        (GOOD + '1,"2\n', "Line 5: a quotation mark is not closed"),
        (GOOD + '1,"2"x,a\n', "Line 5: “x” follows a closed quotation mark"),
        (GOOD + "1,=cmd|' /C calc'!A0,a\n", "Line 5, column 2: “=cmd|' /C calc'!A0” is not a num"),
        (GOOD + "1,NaN,a\n", "Line 5, column 2: “NaN” is not a number"),
        (GOOD + "1,Infinity,a\n", "Line 5, column 2: “Infinity” is not a number"),
        (GOOD + "1,0x10,a\n", "Line 5, column 2: “0x10” is not a number"),
        (GOOD + "1,1e400,a\n", "Line 5, column 2: “1e400” is too large"),
        (GOOD + "1,-2e9,a\n", "Line 5, column 2: “-2e9” is too large"),
        (GOOD + "1,,a\n", "Line 5, column 2 is empty"),
        (GOOD + "1,2,\n", "Line 5, column 3 has no label"),
        (GOOD + "1,2,c\n", "Line 5 is the only sample of the class “c”"),
        ("x,y,kind\n1,2,a\n3,4,a\n", "From line 2 on there is only the class “a”"),
        ("".join(f"1,{k // 2}\n" for k in range(30)), "Line 21 begins an 11th class, “10”"),
        ("1\n2\n", "Line 1 has 0 columns beside the label"),
        ("1," * 201 + "a\n", "Line 1 has 201 columns beside the label"),
        ("1,a\n\x00\x01,b\n", "Line 2 holds a character that is not text (code 0)"),
        ("PNG\x1a\n", "Line 1 holds a character that is not text (code 26)"),
        ("1,a\n" * 2001, "Line 2001 is sample 2001; at most 2000 fit"),
        ("1 2 a\n3 4 b\n", "separated by commas"),
        ("<script>alert(1)</script>,a\n1,b\n", "From line 2 on there is only the class “b”"),
    ],
)
def test_a_table_that_will_not_do_is_refused_with_line_value_and_remedy(text, words):
    (problem,) = problems([text])
    assert problem.startswith(words) or words in problem
    assert problem.endswith(".")
    assert len(problem) < 160


def test_huge_input_is_refused_quickly():
    begin = time.perf_counter()
    found = table(
        """[
          "1,2,a\\n".repeat(1e5), "1,2,a\\n".repeat(2e6), ",".repeat(9e5), '"'.repeat(9e5),
          "\\n".repeat(9e5), "x".repeat(9e5), '""'.repeat(4e5), "1,".repeat(4e5) + "a",
          "\\r".repeat(9e5), "a\\n".repeat(4e5), "1".repeat(9e5) + ",a",
        ].map((text) => {
          const begin = performance.now();
          return [tableOfText(text, "last").problem, performance.now() - begin];
        })"""
    )
    assert time.perf_counter() - begin < 30
    for problem, milliseconds in found:
        assert problem.endswith(".")
        assert len(problem) < 200
        assert milliseconds < 2000  # a hundredth of it on a quiet machine


def test_random_bytes_neither_throw_nor_pass():
    draw = np.random.default_rng(1)
    texts = [
        bytes(draw.integers(256, size=300, dtype=np.uint8)).decode("latin-1") for _ in range(300)
    ]
    texts += [
        "".join(random.Random(k).choices('0123456789.,;-e"\n ab=', k=200)) for k in range(300)
    ]
    assert all(problems(texts))


DRAWING = "const drawn = (label, grey) => ({ label, image: new Uint8Array(4).fill(grey) });"
EMBEDDED = """
const embedded = {
  train: { images: Uint8Array.from({ length: 12 }, (_, k) => k), labels: Uint8Array.of(0, 1, 2) },
  test: { images: Uint8Array.from({ length: 16 }, (_, k) => 100 + k),
          labels: Uint8Array.of(2, 1, 0, 2) },
  classes: 3,
};
"""


def drawn(drawings, alone):
    body = f"{LISTED} {EMBEDDED} {DRAWING}"
    code = f"(() => {{ {body} return listed(digitsWithDrawings(embedded, {drawings}, alone)); }})()"
    return table(code, alone=alone)


def test_drawings_join_the_embedded_digits():
    found = drawn("[drawn(2, 200), drawn(0, 201)]", alone=False)
    assert found["train"]["labels"] == [0, 1, 2, 2, 0]
    assert found["train"]["images"] == [*range(12), *[200] * 4, *[201] * 4]
    assert found["test"]["labels"] == [2, 1, 0, 2]
    assert found["classes"] == 3


def test_drawings_alone_are_tested_on_the_embedded_digits_of_their_classes():
    found = drawn("[drawn(2, 9), drawn(0, 8), drawn(2, 7), drawn(0, 6)]", alone=True)
    assert found["train"]["labels"] == [1, 0, 1, 0]
    assert found["train"]["images"] == [9] * 4 + [8] * 4 + [7] * 4 + [6] * 4
    assert found["classes"] == 2
    assert found["test"]["labels"] == [1, 0, 1]
    assert found["test"]["images"] == [*range(100, 104), *range(108, 116)]


@pytest.mark.parametrize(
    ("drawings", "alone", "words"),
    [
        ("[]", False, "There is no drawing yet"),
        ("[drawn(1, 9), drawn(1, 9)]", True, "All your drawings are of a 1"),
        ("[drawn(1, 9), drawn(1, 9), drawn(2, 9)]", True, "There is only one 2"),
    ],
)
def test_too_few_drawings_are_refused(drawings, alone, words):
    assert drawn(drawings, alone)["problem"].startswith(words)


def test_a_stroke_looks_like_those_of_the_embedded_digits():
    code = """(() => {
      const image = new Uint8Array(100);
      inkAlong(image, 10, [5, 1.5], [5, 8.5]);
      return Array.from(image);
    })()"""
    image = np.reshape(table(code), (10, 10))
    assert (image[:, [0, 1, 2, 7, 8, 9]] == 0).all()
    np.testing.assert_array_equal(image, image[:, ::-1])  # the pen stands between two columns
    assert 150 < image[4, 4] == image[5, 4] < 220
    assert image[4, 3] == 0 < image[1, 4] < 220


def test_a_pen_off_the_pad_leaves_no_ink_beyond_it():
    code = """[[-3, 5], [10.5, 5], [5, -9], [1e9, 1e9], [0, 0]].map((at) => {
      const image = new Uint8Array(100);
      inkAt(image, 10, ...at);
      return [image.length, image.reduce((sum, grey) => sum + grey, 0)];
    })"""
    sums = table(code)
    assert {length for length, _ in sums} == {100}
    ink = [total for _, total in sums]
    assert ink[0] == ink[2] == ink[3] == 0
    assert ink[1] > 0 < ink[4]
