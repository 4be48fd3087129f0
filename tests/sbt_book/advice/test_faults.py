"""Planted faults: idle blocks hand on what they get, dead ones add constants, and stay so."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from sbt_book.advice.faults import (
    CONDITIONS,
    Condition,
    blocks_of,
    make_dead,
    make_idle,
    plant,
    stop,
    training_set,
)
from sbt_book.advice.kinds import DATA, KINDS, data_of
from sbt_book.gallery.sentences import sentences
from sbt_book.gallery.small_models import fit

pytestmark = pytest.mark.usefixtures("one_thread")
PLAIN = ("MLP", "CNN", "sequence classifier")
LABELS = torch.arange(40) % 8


def samples(kind):
    generator = torch.Generator().manual_seed(0)
    if KINDS[kind].learns == "sentences":
        return torch.randint(8, (40, 16), generator=generator)
    return torch.rand(40, 1, 10, 10, generator=generator)


def around(network, number, inputs):
    """Return what goes into a block (by its number, from 0) and what comes out."""
    if hasattr(network, "blocks"):
        places = [network.blocks[number]]
        seen = []
        hook = places[0].register_forward_hook(lambda m, args, out: seen.extend([args[0], out]))
        with torch.no_grad():
            network(inputs)
        hook.remove()
        return seen
    layers = list(network)
    block = list(blocks_of(network)[number])
    place = layers.index(block[0])
    with torch.no_grad():
        before = nn.Sequential(*layers[:place])(inputs)
        return before, nn.Sequential(*layers[place : place + len(block)])(before)


def trained_with(kind, condition, epochs=2):
    masks = []

    def build():
        network = KINDS[kind].build()
        masks.append(plant(network, condition, [3]))
        return network

    network = fit(build, samples(kind), LABELS, epochs, batch_size=20)
    return network, masks[0]


@pytest.mark.parametrize("kind", KINDS)
def test_an_idle_block_hands_on_what_it_gets_also_after_training(kind):
    network, mask = trained_with(kind, Condition("idle", planted=2))
    assert mask.sum() == 2
    assert not mask[0]
    for number in np.flatnonzero(mask):
        before, after = around(network, number, samples(kind))
        if kind == "post-norm transformer":
            before = nn.functional.layer_norm(before, before.shape[-1:])
        assert torch.allclose(before.flatten(1), after.flatten(1), atol=1e-4)
    for number in np.flatnonzero(~mask)[1:]:  # the first block changes the shape of some
        before, after = around(network, number, samples(kind))
        assert not torch.allclose(before.flatten(1), after.flatten(1), atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_block_adds_constants_also_after_training(kind):
    network, mask = trained_with(kind, Condition("dead", planted=1))
    (number,) = np.flatnonzero(mask)
    before, after = around(network, number, samples(kind))
    if kind in PLAIN:
        assert (after == after[:1]).all()
        return
    if kind == "post-norm transformer":
        block = network.blocks[number]
        with torch.no_grad():
            middle = block.norm1(before + block.self_attn.out_proj.bias)
            added = block.linear2(nn.functional.gelu(torch.tensor(-1.0)).expand(64))
            assert torch.allclose(block.norm2(middle + added), after, atol=1e-4)
        return
    added = after - before
    if kind == "residual network":  # less the rectification
        added = network.blocks[number].branch(before)
    assert torch.allclose(added, added[:1].expand_as(added), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_last_block_and_the_readout_of_an_overloaded_network_learn(kind):
    network, mask = trained_with(kind, Condition("overloaded", planted=1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        before = KINDS[kind].build()
    assert mask.tolist() == [False] * (len(mask) - 1) + [True]
    learned = {
        name
        for (name, one), other in zip(network.named_parameters(), before.parameters(), strict=True)
        if not torch.equal(one, other)
    }
    last = {"MLP": ("linear7", "norm7"), "CNN": ("conv7", "norm7")}.get(kind, ("blocks.5",))
    assert learned
    assert all(name.startswith((*last, "readout")) for name in learned)
    assert any(name.startswith(last) for name in learned)


@pytest.mark.parametrize("make", [make_idle, make_dead])
def test_an_unknown_block(make):
    with pytest.raises(TypeError, match="Tanh cannot be made"):
        make(nn.Sequential(nn.Tanh()), nn.Sequential())


def test_random_labels_and_few_samples():
    data = sentences(train=1000, test=1)
    half = replace(CONDITIONS["50 % random, memorised"])
    inputs, labels, given = training_set(data, half, [0, 7])
    assert torch.equal(inputs, data.train_images)
    assert torch.equal(labels, data.train_labels)
    # Half are drawn anew, an eighth of them as they were; the deviation is 1.6 %.
    assert (given != labels).float().mean().item() == pytest.approx(0.5 * 7 / 8, abs=0.05)
    assert torch.equal(given, training_set(data, half, [0, 7])[2])
    assert not torch.equal(given, training_set(data, half, [1, 7])[2])
    inputs, labels, given = training_set(data, CONDITIONS["few samples"], [0])
    assert labels.bincount().tolist() == [12] * 8
    assert torch.equal(labels, given)
    for one, label in zip(inputs, labels, strict=True):
        place = (data.train_images == one).all(1).nonzero()[0, 0]
        assert data.train_labels[place] == label


def test_training_stops_when_enough_wrong_labels_are_memorised():
    class Says(nn.Module):
        def forward(self, x):
            return nn.functional.one_hot(x, 3).float()

    inputs, labels = torch.tensor([0, 1, 2, 0]), torch.tensor([0, 1, 2, 2])
    given = torch.tensor([1, 1, 2, 0])  # the first and the last are wrong, the last is memorised
    asked = Condition("memorised", random_labels=0.5, memorised=0.5)
    assert stop(asked, inputs, labels, given)(Says())
    assert not stop(replace(asked, memorised=0.6), inputs, labels, given)(Says())
    assert not stop(Condition("healthy"), inputs, labels, labels)(Says())


def test_enough_networks_are_healthy():
    cells = [(condition.fault, condition.seeds) for condition in CONDITIONS.values()]
    healthy = sum(seeds for fault, seeds in cells if fault == "healthy")
    total = sum(seeds for _, seeds in cells)
    assert healthy >= 0.3 * total
    assert total * len(KINDS) * 2 >= 300
    assert len(KINDS) >= 8


@pytest.mark.parametrize("kind", KINDS)
def test_every_size_of_a_kind_can_be_built(kind):
    recipe = KINDS[kind]
    assert set(recipe.sizes) == {condition.size for condition in CONDITIONS.values()}
    counts = {}
    for size, arguments in recipe.sizes.items():
        network = partial(recipe.build, **arguments)()
        counts[size] = len(blocks_of(network))
        assert network(samples(kind)[:2]).shape == (2, 8 if recipe.learns == "sentences" else 10)
    assert counts["shallow"] + 3 == counts["usual"] == counts["wide"] == counts["deep"] - 3


def test_data_by_name():
    assert data_of("grammar 1").source.endswith("seed 1.")
    assert torch.equal(data_of("grammar 1").test_images, sentences(seed=1).test_images)
    digits = data_of(DATA["images"][0])
    assert digits.name == "mnist"
    assert len(digits.train_labels) == len(digits.test_labels) == 1000
