"""A Hugging Face classifier as it stands: skipped where transformers are not installed."""

import copy

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting.stress_map import report

transformers = pytest.importorskip("transformers")

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

N, TOKENS = 24, 9
Y = torch.arange(N) % 3
LENGTHS = torch.arange(N) % 6 + 4
MASK = (torch.arange(TOKENS) < LENGTHS[:, None]).long()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "intermediate_size": 32}
    config = transformers.BertConfig(**sizes, num_attention_heads=2, num_labels=3)
    return transformers.BertForSequenceClassification(config).eval()


def rows(length=TOKENS):
    ids = torch.randint(5, 50, (N, TOKENS), generator=torch.Generator().manual_seed(0))
    ids[:, 0], ids[:, 1] = 2, 5 + Y
    ids[MASK == 0] = 0
    more = torch.zeros(N, length - TOKENS, dtype=torch.long)
    columns = {"input_ids": torch.cat([ids, more], 1), "attention_mask": torch.cat([MASK, more], 1)}
    return transformers.BatchEncoding({**columns, "labels": Y})


def as_rows(columns):
    return [{name: column[i] for name, column in columns.items()} for i in range(N)]


def test_readme_s_five_lines(model):
    train_loader = DataLoader(as_rows(rows()), batch_size=8)
    test_loader = DataLoader(as_rows(rows(40)), batch_size=5, shuffle=True)
    stress = report(model, train_loader, test_loader)
    layers = [f"bert.encoder.layer.{layer}" for layer in range(3)]
    assert stress.table.layer.tolist() == layers
    np.testing.assert_allclose(stress.train.mean, stress.test.mean, rtol=1e-5)
    for data in (as_rows(rows()), rows(), DataLoader(as_rows(rows()), batch_size=24)):
        np.testing.assert_allclose(report(model, data).train.mean, stress.train.mean, rtol=1e-5)


@pytest.mark.parametrize("pool", [None, "mean", "cls", "last"])
def test_the_curve_is_that_of_hidden_states(model, pool):
    with torch.no_grad():
        columns = {name: column for name, column in rows().items() if name != "labels"}
        hidden = model(**columns, output_hidden_states=True).hidden_states[1:]
        words = model.bert.embeddings.word_embeddings(columns["input_ids"])

    def by_hand(h, pool):
        if pool == "cls":
            return h[:, 0]
        if pool == "last":
            return h[torch.arange(N), LENGTHS - 1]
        return torch.stack([one[:n].mean(0) for one, n in zip(h, LENGTHS, strict=True)])

    # The class token is the same for all ahead of the first attention.
    expected = [data_separation(by_hand(words, None if pool == "cls" else pool), Y)]
    expected += [data_separation(by_hand(h, pool), Y) for h in hidden]
    curve = load_curve(model, rows(), pool=pool)
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-4)


def test_the_map_is_the_same_for_any_padding(model):
    model = copy.deepcopy(model).double()
    curves = [load_curve(model, rows(length)).separation for length in (TOKENS, 40, 256)]
    for curve in curves[1:]:
        np.testing.assert_allclose(curve, curves[0], rtol=1e-6)
