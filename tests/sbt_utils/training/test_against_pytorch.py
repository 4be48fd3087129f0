"""Training against a plain PyTorch loop over one network."""

import pytest
import torch
from small_training import captured, fit, network, plain_start, problem
from torch.nn.functional import cross_entropy

from sbt_utils.training.trainer import train

PLAIN = {
    "adam": lambda parameters, rate: torch.optim.Adam(parameters, lr=rate),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate),
    "momentum": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
}


@pytest.mark.parametrize("optimizer", PLAIN)
def test_full_batches_without_noise_equal_a_plain_loop(optimizer):
    images, labels = problem(dtype=torch.float64)
    slopes, rates = [0.0, 0.3, 1.0], [1e-3, 1e-2, 5e-3]
    result = train(
        network().double(),
        images,
        labels,
        seeds=[5, 6, 7],
        negative_slope=slopes,
        learning_rate=rates,
        epochs=15,
        optimizer=optimizer,
        progress=False,
    )
    for m, (slope, rate) in enumerate(zip(slopes, rates, strict=True)):
        # The start is drawn in double precision, as that of a network made in it.
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            plain = plain_start(5 + m, negative_slope=slope)
        finally:
            torch.set_default_dtype(before)
        descent = PLAIN[optimizer](plain.parameters(), rate)
        for epoch in range(15):
            descent.zero_grad()
            logits = plain(images)
            loss = cross_entropy(logits, labels)
            loss.backward()
            descent.step()
            assert result.history.loss[m, epoch].item() == pytest.approx(loss.item(), abs=1e-8)
            right = (logits.argmax(1) == labels).double().mean().item()
            assert result.history.accuracy[m, epoch].item() == pytest.approx(right, abs=1e-12)
        trained = result.network(m)
        assert not trained.training
        torch.testing.assert_close(trained(images), plain.eval()(images), rtol=1e-8, atol=1e-8)


def test_small_batches_equal_a_plain_loop_over_the_same_batches(monkeypatch):
    images, labels = problem(images=23, dtype=torch.float64)
    seen = captured(monkeypatch)
    result = fit(network().double(), images, labels, batch_size=5, epochs=3)
    torch.set_default_dtype(torch.float64)
    try:
        plain = plain_start(0)
    finally:
        torch.set_default_dtype(torch.float32)
    descent = PLAIN["adam"](plain.parameters(), 1e-3)
    batches = iter(seen)
    for epoch in range(3):
        total = 0.0
        for size in (5, 5, 5, 5, 3):
            chosen, targets = (t[0] for t in next(batches))
            assert len(chosen) == size
            descent.zero_grad()
            loss = cross_entropy(plain(chosen), targets)
            loss.backward()
            descent.step()
            total += loss.item() * size
        assert result.history.loss[0, epoch].item() == pytest.approx(total / 23, abs=1e-10)
    assert next(batches, None) is None
