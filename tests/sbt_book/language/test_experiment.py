"""The whole measurement of the chapter, on a small model in place of SmolLM2."""

import sys
from importlib.metadata import version

import numpy as np
import pytest
import torch
import xarray as xr
from language_models import VOCABULARY, WIDTH, Block, texts, tokenizer
from torch import nn
from torch.nn.functional import cross_entropy

from sbt_book.common.committed import load_committed
from sbt_book.language import experiment
from sbt_utils import results

pytestmark = pytest.mark.usefixtures("one_thread")

BLOCKS, FIRST = 4, 6
TINY = {
    "measured": {"pieces": 14, "tokens": 18},
    "classes": 4,
    "targets": ["next", "shuffled", "current"],
    "folds": 2,
    "draws": 20,
    "removal": {"pieces": 2, "tokens": 12, "first": FIRST},
    "sizes": [1, 2],
    "random sets": 3,
    "seed": 0,
}
KINDS = {"one": 0, "other": 1}


class Layer(Block):
    """Called as a block of Llama is."""

    def forward(self, states, position_embeddings=None, position_ids=None):
        return super().forward(states, torch.ones(states.shape[:2]))


class SmallLlama(nn.Module):
    """Named as Llama of transformers is."""

    def __init__(self):
        super().__init__()
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.model.layers = nn.ModuleList(Layer() for _ in range(BLOCKS))
        self.model.norm = nn.LayerNorm(WIDTH)
        self.model.rotary_emb = lambda states, places: None
        self.lm_head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, input_ids, without=()):
        x = self.model.embed_tokens(input_ids)
        for number, layer in enumerate(self.model.layers, start=1):
            x = x if number in without else layer(x)
        return self.lm_head(self.model.norm(x))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = SmallLlama().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    return model


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    """Return the file of results, and what computes it again from what is kept."""
    folder = tmp_path_factory.mktemp("language")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "CONFIGURATION", TINY)
        patch.setattr(experiment, "KINDS", KINDS)
        patch.setattr(experiment, "documents", lambda kind: texts(30, seed=KINDS[kind]))
        patch.setattr(experiment, "model_and_tokenizer", lambda: (model, tokenizer))
        patch.setattr(experiment.packages, "MODULES", ("torch",))
        patch.setattr(experiment.packages, "packaged_file", lambda: folder / "weights")
        patch.setattr(sys, "argv", ["experiment", str(folder)])
        (folder / "weights").write_bytes(b"weights")
        experiment.pieces_of.cache_clear()
        experiment.main()
        yield folder
        experiment.pieces_of.cache_clear()


@pytest.fixture(scope="module")
def found(run):
    return results.load(run / "language.nc")


def test_the_file_holds_what_is_promised(found):
    committed = load_committed("language")
    dimensions = {name: values.dims for name, values in found.items()}
    assert dimensions == {name: values.dims for name, values in committed.items()}
    assert found.attrs.keys() == committed.attrs.keys()
    promised = experiment.everything.__doc__
    for name in ("separation", "floor", "residual", "held_out", "loss", "set_loss", "dropped"):
        assert f"``{name}``" in promised
    assert found.text.values.tolist() == list(KINDS)
    assert found.depth.values.tolist() == [n / 2 for n in range(2 * BLOCKS + 1)]
    sizes = {"draw": 20, "target": 3, "fold": 2, "piece": 2, "size": 2, "block": BLOCKS}
    assert sizes.items() <= found.sizes.items()
    assert version("torch") in found.attrs["packages"]
    for name in ("separation", "floor", "residual", "held_out", "loss", "set_loss"):
        assert np.isfinite(found[name]).all(), name
    assert (found.dropped.sum("block") == found["size"]).all()


def test_losses_are_those_of_the_model(run, found, model):
    for kind in KINDS:
        ids, _ = experiment.pieces_of(kind)["removal"]

        def loss(*without, ids=ids):
            with torch.no_grad():
                logits = model(ids, without)[:, FIRST - 1 : -1].transpose(1, 2)
            return cross_entropy(logits, ids[:, FIRST:], reduction="none").mean(1)

        one = found.sel(text=kind)
        assert one.loss.values == pytest.approx(loss().numpy(), rel=1e-5)
        run_of_two = one.loss_without.sel(start=2, length=2).values
        assert run_of_two == pytest.approx(loss(2, 3).numpy(), rel=1e-5)
        for choice in (*experiment.CHOICES, "random 2"):
            chosen = one.sel(size=2, choice=choice)
            blocks = (np.flatnonzero(chosen.dropped) + 1).tolist()
            assert chosen.set_loss.values == pytest.approx(loss(*blocks).numpy(), rel=1e-5)


def test_choices_are_by_what_they_are_called_by(found):
    means = found.mean("piece")
    curve = found.separation.mean("draw")
    loads = -np.diff(curve.sel(depth=range(BLOCKS + 1)).values)
    smallest = {
        "load": loads.argmin(1),
        "influence": means.influence.sel(length=1).argmin("start").values,
        "single cost": means.loss_without.sel(length=1).argmin("start").values,
        "run by angle": means.angle.sel(length=1).argmin("start").values,
    }
    dropped = found.dropped.sel(size=1).argmax("block")
    for choice, blocks in smallest.items():
        np.testing.assert_array_equal(dropped.sel(choice=choice), blocks)


def test_what_is_finished_is_not_computed_again(run, found, monkeypatch):
    def never(*arguments):
        raise AssertionError("computed again")

    for name in ("model_and_tokenizer", "documents", "pieces_of"):
        monkeypatch.setattr(experiment, name, never)
    xr.testing.assert_identical(experiment.everything(run).drop_attrs(), found.drop_attrs())
    # Of a kind that is finished in part, the rest is.
    (run / "other-removal.nc").unlink()
    with pytest.raises(AssertionError, match="computed again"):
        experiment.everything(run)


def test_other_settings_are_not_mixed_with_what_is_there(run, monkeypatch):
    monkeypatch.setattr(experiment, "CONFIGURATION", TINY | {"seed": 1})
    with pytest.raises(ValueError, match="seed"):
        experiment.everything(run)
