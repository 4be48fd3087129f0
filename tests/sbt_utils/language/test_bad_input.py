"""What means nothing is refused in words: argument, value and remedy."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from language_models import VOCABULARY, language_model, texts, tokenizer
from torch import nn

from sbt_utils.language import token_batches, token_curves
from sbt_utils.reporting.stress_map import report

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = texts(6)
MODEL = language_model()
IDS = torch.randint(VOCABULARY, (6, 20), generator=torch.Generator().manual_seed(0))


def beyond(text):
    return [ord(letter) for letter in text]


@pytest.mark.parametrize("measure", [token_curves, report])
@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (TEXTS, {"tokenizer": beyond}, r"data: batch 0 holds id 1\d\d, but the model knows 40"),
        ([*TEXTS, "a"], {}, r"texts: text 6 has 1 tokens; leave it out or join it"),
        ([*TEXTS, ""], {}, r"texts: text 6 has 0 tokens"),
        ([], {}, r"data: empty; give one text or more|texts: none given"),
        (TEXTS[:1], {}, r"data: one text given; .* give its paragraphs"),
        ([*TEXTS, 3], {}, r"texts: text 6 is int; give a str"),
        ([*TEXTS, None], {}, r"texts: text 6 is NoneType; give a str"),
        ([text.encode() for text in TEXTS], {}, r"texts: text 0 is bytes; give a str"),
        (TEXTS, {"tokenizer": list}, r"tokenizer: returns no integers but list; give one that"),
        (TEXTS, {"tokenizer": lambda text: None}, r"tokenizer: returns no integers but NoneType"),
        (TEXTS, {"tokenizer": lambda text: [[1, 2], [3]]}, r"tokenizer: returns no integers but"),
        (TEXTS, {"classes": 1}, r"classes: 1 given; give an integer of 2 or more"),
        (TEXTS, {"classes": [5, 6]}, r"classes: tokens of each class: none; D needs two"),
        (TEXTS, {"classes": [5]}, r"classes: \[5\] given; give a number of classes"),
        (TEXTS, {"classes": lambda batch: 3}, r"classes: the function returns \(\)"),
        (TEXTS, {"layers": "nothing"}, r"layers: the model has no layer 'nothing'"),
        (TEXTS, {"batch_size": 0}, r"batch_size: 0 given; give an integer of 1 or more"),
        (TEXTS, {"seed": -1}, r"seed"),
        (TEXTS, {"resamples": 1}, r"resamples"),
        ([{"ids": torch.ones(2, 3)}], {}, r"data: batch 0 is dict without 'input_ids'"),
        (
            {"input_ids": torch.ones(2, 3)},
            {},
            r"'input_ids' of batch 0 are \(2, 3\) of torch.float",
        ),
        (
            {"input_ids": torch.ones(2, 5).long(), "attention_mask": torch.ones(2, 4)},
            {},
            r"'attention_mask' of batch 0 is \(2, 4\), its ids \(2, 5\); give both one shape",
        ),
        (
            {"input_ids": torch.ones(2, 3).long(), "attention_mask": torch.eye(3)[:2]},
            {},
            r"data: row 0 of batch 0 has fewer than two tokens; leave it out",
        ),
        (
            {"input_ids": torch.ones(3, 4).long(), "attention_mask": torch.eye(3, 4) * 0},
            {},
            r"data: row 0 of batch 0 has fewer than two tokens; leave it out",
        ),
        ({"input_ids": [[1, 2, 3], []]}, {}, r"data: row 1 of batch 0 has fewer than two tokens"),
        ([(IDS, IDS)], {}, r"data: batch 0 is tuple without 'input_ids'; give ids of tokens, or a"),
        ({"input_ids": IDS, "texts": [1, 2]}, {}, r"'texts' of batch 0 are \(2,\); give a number"),
    ],
)
def test_the_message_says_what_to_do(measure, data, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        measure(MODEL, data, **{"tokenizer": tokenizer, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": ("last",)}, r"targets: \('last',\) given; choose some of"),
        ({"folds": 1}, r"folds: 1 given; give an integer of 2 or more"),
        ({"folds": 7}, r"folds: 7 given for 6 texts; give as many texts, or fewer folds"),
        ({"length": 1}, r"length: 1 given; give an integer of 2 or more"),
    ],
)
def test_of_curves(options, message):
    with pytest.raises(ValueError, match=message):
        token_curves(MODEL, TEXTS, tokenizer=tokenizer, **options)


def test_fewer_tokens_than_features_before_much_is_done():
    short = ["abcabc", "abcabd", "abcadc"]
    message = r"5 tokens for 12 features, without one of 2 folds; a fit needs 14 .* from about 140"
    with pytest.raises(ValueError, match=message):
        token_curves(MODEL, short, tokenizer=tokenizer, classes=2)


def test_texts_need_a_tokenizer():
    for measure in (token_curves, report):
        with pytest.raises(TypeError, match=r"tokenizer: None given; texts need the model's own"):
            measure(MODEL, TEXTS)
    with pytest.raises(TypeError, match=r"tokenizer: str given; texts need a function"):
        token_batches(TEXTS, "smollm")
    with pytest.raises(TypeError, match=r"tokenizer: returns no integers"):
        token_batches(TEXTS, lambda text: [0.5] * len(text))
    with pytest.raises(TypeError, match=r"tokenizer: given beside pool, mask, forward or labels"):
        report(MODEL, TEXTS, tokenizer=tokenizer, pool="mean")
    with pytest.raises(TypeError, match=r"texts: str given; give a list"):
        token_batches("abc", tokenizer)


def test_a_class_that_occurs_once_is_left_out_with_a_warning():
    ids = torch.tensor([[1, 2, 1, 2, 1, 3], [2, 1, 2, 1, 2, 1]])
    with pytest.warns(UserWarning, match=r"class 3 has 1 sample and is left out"):
        curves = token_curves(MODEL, ids, classes=3, targets=())
    assert curves.counts == {1: 5, 2: 4, 3: 1}
    assert curves.tokens == 9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        two = token_curves(MODEL, ids, classes=2, targets=())
    np.testing.assert_allclose(curves.separation.mean, two.separation.mean, atol=1e-12)
    once = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    with pytest.raises(ValueError, match=r"D needs two classes of two tokens or more: give more"):
        token_curves(MODEL, once, targets=())


def test_layers_have_a_state_for_each_token():
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.pool = nn.Embedding(VOCABULARY, 4), nn.Linear(4, 4)

        def forward(self, input_ids):
            x = self.embed(input_ids)
            return x + self.pool(x.mean(1))[:, None]

    ids = torch.arange(40).reshape(4, 10) % 5
    with pytest.raises(ValueError, match=r"layer 'pool': \(1, 4\) for tokens of \(1, 10\); choose"):
        token_curves(Pooled(), {"input_ids": ids, "labels": ids}, layers="pool", classes=3)


def test_a_model_without_attention_has_none_apart():
    row = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4)) for _ in "ab")

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.row = nn.Embedding(VOCABULARY, 4), row

        def forward(self, input_ids):
            x = self.embed(input_ids)
            for one in self.row:
                x = one(x)
            return x

    ids = torch.arange(40).reshape(4, 10) % 5
    with pytest.raises(ValueError, match=r"layers: no attention in block '.*'; leave layers out"):
        token_curves(Plain(), ids, layers="attention and mlp", classes=3)


def test_diverged_states_are_named():
    model = language_model()
    with torch.no_grad():
        model.blocks[1].mlp[2].bias[:] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite") as caught:
        token_curves(model, TEXTS, tokenizer=tokenizer)
    assert "in layer 'blocks.1'" in caught.value.__notes__


def test_nothing_but_the_library_is_needed():
    code = "import sys; sys.modules['transformers'] = None; from sbt_utils.language import *"
    subprocess.run([sys.executable, "-c", code + "; token_curves"], check=True)


class Masking:
    all_special_ids = (0,)

    def __init__(self, mask_token_id=VOCABULARY - 1):
        self.mask_token_id = mask_token_id

    def __call__(self, text):
        return tokenizer(text)


def test_the_id_of_the_mask_is_known_to_the_model():
    model = language_model(causal=False)
    with pytest.raises(ValueError, match=r"data: batch 0 holds id 77, but the model knows 40"):
        token_curves(model, TEXTS, tokenizer=Masking(77), classes=4)
    with pytest.raises(ValueError, match=r"tokenizer: has no mask_token_id"):
        token_curves(model, TEXTS, tokenizer=Masking(None), classes=4)


class NoMask(nn.Module):
    """Sees both sides, and padding, too."""

    def __init__(self):
        super().__init__()
        self.trunk = language_model(causal=False)

    def forward(self, input_ids):
        return self.trunk(input_ids)


def test_padding_that_a_model_takes_for_tokens():
    message = r"data: what pads row \d of batch 0 changes what the model puts out for its tokens"
    with pytest.raises(ValueError, match=message):
        token_curves(NoMask(), TEXTS * 3, tokenizer=Masking(), classes=3, targets=())
    even = [text[:20] for text in TEXTS * 4]
    found = token_curves(NoMask(), even, tokenizer=Masking(), classes=3, targets=())
    whole = token_curves(NoMask().trunk, even, tokenizer=Masking(), classes=3, targets=())
    np.testing.assert_allclose(found.separation.mean, whole.separation.mean, atol=1e-9)


class Positions(nn.Module):
    """Embeds positions first, and knows few of them."""

    def __init__(self, functional=False):
        super().__init__()
        self.places, self.words = nn.Embedding(20, 4), nn.Embedding(VOCABULARY, 4)
        self.mix, self.functional = nn.Linear(4, 4), functional

    def forward(self, input_ids):
        x = self.places(torch.arange(input_ids.shape[1]))
        if self.functional:
            return self.mix(x + nn.functional.embedding(input_ids, self.words.weight))
        return self.mix(x + self.words(input_ids))


def test_the_vocabulary_is_that_of_the_tokens():
    assert IDS.max() > 20
    curves = token_curves(Positions(), IDS, layers="mix", classes=3, targets=())
    assert curves.texts == 6
    with pytest.raises(ValueError, match=r"holds id 99, but the model knows 40 tokens"):
        token_curves(Positions(), torch.where(IDS > 30, 99, IDS), layers="mix")
    for model, ids in ((Positions(), IDS.repeat(1, 2)), (Positions(functional=True), IDS + 60)):
        with pytest.raises(IndexError) as caught:
            token_curves(model, ids, layers="mix", classes=3)
        assert "give no longer rows, and no other ids" in caught.value.__notes__[0]
