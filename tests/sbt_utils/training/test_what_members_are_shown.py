"""What the members are shown: the order of the images, and the data noise."""

import math

import numpy as np
import pytest
import torch
from small_training import captured, fit, network, problem


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(
    monkeypatch, threads, chunk_elements
):
    threads(1)
    chunk_elements(2**30)
    images, labels = problem(images=23)
    seen = captured(monkeypatch)
    fit(network(), images, labels, seeds=range(3), batch_size=5, epochs=4)
    assert [step[1].shape[1] for step in seen] == [5, 5, 5, 5, 3] * 4
    orders = set()
    for epoch in range(4):
        steps = seen[5 * epoch : 5 * epoch + 5]
        shown, targets = (torch.cat(parts, dim=1) for parts in zip(*steps, strict=True))
        for m in range(3):
            same = (shown[m][:, None] == images[None]).flatten(2).all(2)
            order = same.int().argmax(1)
            assert sorted(order.tolist()) == list(range(23))
            assert torch.equal(targets[m], labels[order])
            orders.add(tuple(order.tolist()))
    assert len(orders) == 12


def test_full_batches_are_shown_as_they_are(monkeypatch):
    images, labels = problem()
    seen = captured(monkeypatch)
    fit(network(), images, labels, epochs=2)
    assert len(seen) == 2
    for shown, targets in seen:
        assert torch.equal(shown[0], images)
        assert torch.equal(targets[0], labels)


@pytest.mark.parametrize("batch_size", [4000, 1500], ids=["full", "small"])
def test_data_noise_is_what_it_says(monkeypatch, threads, chunk_elements, batch_size):
    threads(1)
    chunk_elements(2**30)
    count, classes = 4000, 5
    # Pixels of unequal means and spreads, to tell one standard deviation of all from many.
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(count, 8, generator=generator) + 1) * torch.arange(1, 9)
    labels = torch.zeros(count, dtype=torch.int64)
    labels[:10] = classes - 1
    seen = captured(monkeypatch)
    fit(
        network(classes=classes),
        images,
        labels,
        # Two pairs: members of one seed see the images in one order, the first without noise.
        seeds=[3, 3, 4, 4],
        data_noise=[0.0, 0.3, 0.0, 1.0],
        batch_size=batch_size,
        epochs=2,
    )
    steps = len(seen) // 2
    added, redrawn = [], []
    for epoch in (seen[:steps], seen[steps:]):
        shown, targets = (torch.cat(parts, dim=1) for parts in zip(*epoch, strict=True))
        for clean, noisy, level in ((0, 1, 0.3), (2, 3, 1.0)):
            assert torch.equal(shown[clean].sort(0).values, images.sort(0).values)
            assert torch.equal(targets[clean].bincount(), labels.bincount())
            noise = (shown[noisy] - shown[clean]).double()
            deviation = level * images.double().std()
            # Of each pixel: mean 0 and the standard deviation of all pixels together.
            assert (noise.mean(0).abs() < 5 * deviation / math.sqrt(count)).all()
            assert ((noise.std(0) / deviation - 1).abs() < 5 / math.sqrt(2 * count)).all()
            added.append(noise.flatten().numpy())
            # A redrawn label may be any class, the old one too.
            changed = targets[noisy] != targets[clean]
            assert set(targets[noisy].unique().tolist()) == set(range(classes))
            for other in (1, 2, 3, 4):
                share = (targets[noisy][targets[clean] == 0] == other).double().mean()
                expected = level / classes
                assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / 3990)
            redrawn.append(changed.double().numpy())
    # Anew at every step, for every member, and labels and images apart.
    correlations = np.corrcoef(added)[~np.eye(4, dtype=bool)]
    assert np.abs(correlations).max() < 5 / math.sqrt(8 * count)
    firsts = np.array(added).reshape(4, count, 8)[:, :, 0]
    correlations = np.corrcoef([*firsts, *np.abs(firsts), *redrawn])
    assert np.abs(correlations[~np.eye(12, dtype=bool)]).max() < 5 / math.sqrt(count)
    if batch_size < count:  # anew at every step of an epoch, too
        first, second = added[0].reshape(count, 8)[: 2 * 1500].reshape(2, -1)
        assert abs(np.corrcoef(first, second)[0, 1]) < 5 / math.sqrt(1500 * 8)
