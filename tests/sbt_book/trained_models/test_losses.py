"""Readouts and losses against other solvers and formulas by hand, on small stand-ins."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from stand_ins import Encoder, LanguageModel, PitchNetwork
from torch import nn
from torch.nn import functional as F

from sbt_book.trained_models.losses import (
    TextClassifier,
    fitted_readout,
    in_layers,
    keeps_channels,
    next_token_loss,
    pitch_accuracy,
    pitch_loss,
    sentence_embedding,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_readout_is_that_of_another_solver(rng):
    features = rng.normal(size=(60, 4))
    labels = rng.integers(3, size=60)

    def objective(parameters):
        weights, bias = parameters[:12].reshape(3, 4), parameters[12:]
        logits = features @ weights.T + bias
        logits -= logits.max(1, keepdims=True)
        chosen = logits[np.arange(60), labels] - np.log(np.exp(logits).sum(1))
        return -chosen.mean() + 0.05 * (weights**2).sum()

    found = minimize(objective, np.zeros(15), method="BFGS", options={"gtol": 1e-8})
    readout = fitted_readout(torch.tensor(features), torch.tensor(labels), decay=0.1)
    assert readout.weight.numpy() == pytest.approx(found.x[:12].reshape(3, 4), abs=1e-5)
    # All biases may be shifted alike.
    bias = readout.bias.numpy()
    assert bias - bias.mean() == pytest.approx(found.x[12:] - found.x[12:].mean(), abs=1e-5)
    assert not readout.weight.requires_grad


def test_padding_is_left_out_of_a_sentence():
    tokens = torch.tensor([[[3.0, 0.0], [0.0, 4.0], [9.0, 9.0]]])
    mask = torch.tensor([[1, 1, 0]])
    # The mean is (1.5, 2), of length 2.5.
    assert sentence_embedding(tokens, mask).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]


def test_a_classifier_reads_the_embedding():
    torch.manual_seed(0)
    encoder, readout = Encoder().eval(), nn.Linear(8, 3)
    ids = torch.randint(1, 20, (4, 6))
    classifier = TextClassifier(encoder, readout)
    logits = classifier(ids, torch.ones(4, 6, dtype=torch.long))
    features = encoder(ids, torch.ones(4, 6)).last_hidden_state.mean(1)
    expected = readout(features / features.norm(dim=1, keepdim=True))
    assert torch.allclose(logits, expected, atol=1e-6)
    padded = F.pad(ids, (0, 3))
    assert torch.allclose(classifier(padded, (padded > 0).long()), logits, atol=1e-6)


def test_the_pitch_network_in_layers_is_the_same():
    torch.manual_seed(0)
    network = PitchNetwork().eval()
    waves = torch.randn(3, 1024)
    with torch.no_grad():
        row = in_layers(network)
        assert torch.equal(torch.sigmoid(row(waves)), network(waves))
    same = [keeps_channels(row.get_submodule(f"layer{n}.1")) for n in range(1, 7)]
    assert same == [False, False, True, True, False, False]
    inside = torch.randn(2, 2, 64, 1)
    with torch.no_grad():
        assert row.layer3(inside).shape == inside.shape
        assert row.pool3(inside).shape == (2, 2, 32, 1)


class Answers(nn.Module):
    """Answers with its input."""

    def forward(self, x):
        return x


def test_the_pitch_loss_is_the_published_one(rng):
    logits = rng.normal(size=(2, 360))
    cents = np.array([5000.0, 6500.0])
    pitches = 1997.3794084376191 + 20 * np.arange(360)
    target = np.exp(-((pitches - cents[:, None]) ** 2) / (2 * 25**2))
    answer = 1 / (1 + np.exp(-logits))
    expected = -(target * np.log(answer) + (1 - target) * np.log(1 - answer)).sum(1).mean()
    found = pitch_loss(Answers(), (torch.tensor(logits), torch.tensor(cents)))
    assert found.item() == pytest.approx(expected)


def test_a_pitch_is_right_within_half_a_semitone():
    answers = torch.zeros(4, 360)
    answers[range(4), [100, 100, 200, 0]] = 1.0
    at = 1997.3794084376191 + 20 * torch.tensor([100.0, 100.0, 200.0, 0.0], dtype=torch.float64)
    cents = at + torch.tensor([0.0, 51.0, -49.0, 1200.0])
    batches = [(answers[:3], cents[:3]), (answers[3:], cents[3:])]
    assert pitch_accuracy(Answers(), batches) == 0.5


def test_the_loss_of_the_next_token():
    torch.manual_seed(0)
    model = LanguageModel().eval()
    pieces = torch.randint(20, (2, 5))
    with torch.no_grad():
        chances = torch.log_softmax(model(input_ids=pieces).logits, dim=-1)
        chosen = [-chances[n, t, pieces[n, t + 1]].item() for n in range(2) for t in range(4)]
        assert next_token_loss(model, pieces).item() == pytest.approx(np.mean(chosen), rel=1e-6)
