"""The rivals of the load curve against textbook loops, closed forms and autograd."""

import numpy as np
import pytest
import torch
from scipy.stats import kurtosis
from torch import nn

from sbt_book.generalisation.measures import (
    davies_bouldin,
    effective_rank,
    gradient_weight_alignment,
    hidden_features,
    mixup_error,
    probe_error,
    readout_alignment,
)

pytestmark = pytest.mark.usefixtures("one_thread")


SIZES = (5, 3)  # width and hidden layers of the network
LABELS = torch.arange(30) % 3


def test_features_are_those_that_a_hook_sees(network, images):
    seen = []
    for module in network:
        if isinstance(module, nn.LeakyReLU):
            module.register_forward_hook(lambda *call: seen.append(call[-1]))
    *features, logits = hidden_features(network, images)
    assert network.training
    assert len(features) == len(seen) == 3
    for one, other in zip(features, seen, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(logits, network.eval()(images))


def test_davies_bouldin_by_the_textbook(rng):
    points, labels = rng.normal(size=(40, 6)), np.arange(40) % 4
    points[:, 0] += 2 * labels

    def spread(a):
        group = points[labels == a]
        return sum(np.sqrt(((x - group.mean(0)) ** 2).sum()) for x in group) / len(group)

    def between(a, b):
        return np.sqrt(((points[labels == a].mean(0) - points[labels == b].mean(0)) ** 2).sum())

    worst = [
        max((spread(a) + spread(b)) / between(a, b) for b in range(4) if b != a) for a in range(4)
    ]
    found = davies_bouldin(torch.from_numpy(points), torch.from_numpy(labels))
    assert found == pytest.approx(sum(worst) / 4)


def test_davies_bouldin_of_two_classes_in_closed_form():
    # Centroids 10 apart; each point lies 1 from its centroid.
    points = torch.tensor([[-1.0], [1.0], [9.0], [11.0]])
    assert davies_bouldin(points, torch.tensor([3, 3, 7, 7])) == pytest.approx(0.2)
    assert np.isnan(davies_bouldin(torch.zeros(4, 1), torch.tensor([0, 0, 1, 1])))
    same = torch.tensor([[-1.0], [1.0], [-2.0], [2.0]])
    assert davies_bouldin(same, torch.tensor([0, 0, 1, 1])) == np.inf


def test_effective_rank_of_known_spectra():
    line = torch.arange(5.0)[:, None] * torch.tensor([1.0, -2.0, 3.0])
    assert effective_rank(line + 7) == pytest.approx(1)
    signs = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])  # orthogonal columns, mean zero
    assert effective_rank(signs) == pytest.approx(2)
    shares = np.array([3, 1]) / 4
    expected = np.prod(shares**-shares)
    assert effective_rank(signs * torch.tensor([3.0, 1.0])) == pytest.approx(expected)
    assert np.isnan(effective_rank(torch.ones(5, 2)))


def test_a_probe_reads_classes_that_a_line_separates_and_no_others():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(400) // 2 % 2
    noise = 0.1 * torch.randn(400, 3, generator=generator)
    apart = noise + torch.tensor([4.0, 1, 0]) * labels[:, None]
    assert probe_error(apart, labels) == 0
    assert probe_error(noise, labels) == pytest.approx(0.5, abs=0.15)
    # Half of the images carry the label of the other class: half of them are read otherwise.
    swapped = torch.where(torch.arange(400) % 8 == 7, 1 - labels, labels)
    assert probe_error(apart, swapped) == pytest.approx(0.25)


def test_mixup_of_a_classifier_that_is_known():
    images = torch.tensor([[-3.0], [1.0], [2.0], [5.0], [-6.0]])
    labels = torch.tensor([1, 0, 1, 0, 1])
    # The network says 1 for positive images. Class 1: means of -3, 2, -6 are -0.5, -2, -4.5, all
    # wrong. Class 0: of 1 and 5, twice 3, which is wrong too. By 3 higher, -1.5 is wrong alone.
    network = nn.Linear(1, 2)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        network.bias.zero_()
    assert mixup_error(network, images, labels) == 1
    assert mixup_error(network, -images, labels) == 0
    assert mixup_error(network, images + 3, labels) == pytest.approx(3 / 5)


def test_alignment_by_autograd_one_image_at_a_time(network, images):
    network.eval()
    cosines = []
    for image, label in zip(images, LABELS, strict=True):
        loss = nn.functional.cross_entropy(network(image[None]), label[None])
        (gradient,) = torch.autograd.grad(loss, network.readout.weight)
        weight = network.readout.weight.detach()
        cosines.append(nn.functional.cosine_similarity(-gradient.flatten(), weight.flatten(), 0))
    cosines = np.array([cosine.item() for cosine in cosines])
    expected = cosines.mean() / (kurtosis(cosines) + 1.2)
    assert readout_alignment(network, images, LABELS) == pytest.approx(expected)


def test_an_image_without_a_gradient_is_aligned_with_nothing():
    features = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    weight, bias = torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.zeros(2)
    found = gradient_weight_alignment(features, weight, bias, torch.tensor([0, 0, 1]))
    # Each of the others has the descent direction (1, -1) x e_k and the cosine 2 / (sqrt 2 sqrt 8).
    cosines = np.array([0, 0.5, 0.5])
    assert found == pytest.approx(cosines.mean() / (kurtosis(cosines) + 1.2))
