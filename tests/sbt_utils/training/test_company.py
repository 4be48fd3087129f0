"""A member is the same alone, in company and in any chunking; nothing else is changed."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from small_training import COMPANY, assert_same_member, fit, network, of_member, problem

from sbt_utils.training.networks import MLP

ARCHITECTURES = {
    "published": ({}, 100),
    "no batch norm": ({"batch_norm": False, "hidden_layers": 2}, 100),
    # Sizes that put the members at odd places in memory.
    "odd widths": ({"inputs": 98, "width": 19, "hidden_layers": 2, "classes": 7}, 98),
    "odd widths, no batch norm": (
        {"inputs": 98, "width": 83, "hidden_layers": 2, "classes": 7, "batch_norm": False},
        98,
    ),
    "width 1": ({"inputs": 3, "width": 1, "hidden_layers": 1, "classes": 2}, 3),
}
BATCH_SIZES = {
    "full": [103] * 5,
    "small": [10] * 5,
    "odd": [7] * 5,
    "mixed": [103, 20, 7, 20, 103],
}


def classes_of(settings):
    return settings.get("classes", 10)


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_member_is_the_same_alone_in_company_and_in_any_chunking(
    architecture, batch_size, threads, chunk_elements
):
    settings, inputs = ARCHITECTURES[architecture]
    images = torch.rand(103, inputs, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(103) % classes_of(settings)
    members = COMPANY | {"batch_size": BATCH_SIZES[batch_size]}
    model, epochs = MLP(**settings), 2
    threads(1)
    chunk_elements(2**30)
    together = fit(model, images, labels, epochs=epochs, **members)
    assert together.history.loss.notnull().all()
    # Each member by itself is also each member in a chunk of its own.
    for m in range(5):
        alone = fit(model, images, labels, epochs=epochs, **of_member(members, m))
        assert_same_member(alone, 0, together, m)
    # In another order, beside others, in chunks of at least one, on two threads.
    threads(2)
    chunk_elements(2 * 103 * 100)
    order = [4, 2, 0, 3, 1]
    shuffled = {name: [values[m] for m in order] for name, values in members.items()}
    mixed = fit(model, images, labels, epochs=epochs, **shuffled)
    for place, m in enumerate(order):
        assert_same_member(mixed, place, together, m)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "momentum"])
def test_optimizers_do_not_mix_the_members(optimizer, threads, chunk_elements):
    threads(1)
    chunk_elements(2**30)
    images, labels = problem()
    common = {"epochs": 4, "optimizer": optimizer, "batch_size": 13}
    together = fit(network(), images, labels, **COMPANY, **common)
    for m in range(5):
        alone = fit(network(), images, labels, **of_member(COMPANY, m), **common)
        assert_same_member(alone, 0, together, m)


def test_equal_settings_give_equal_members_and_other_seeds_others():
    images, labels = problem()
    result = fit(network(), images, labels, seeds=[3, 3, 4], dropout=0.2, epochs=3)
    assert_same_member(result, 0, result, 1)
    assert not np.array_equal(result.history.loss[0], result.history.loss[2])


def test_training_leaves_arguments_and_global_state_alone(threads):
    threads(2)
    images, labels = problem()
    model = network(dropout=0.3)
    kept = [images.clone(), labels.clone(), copy.deepcopy(model.state_dict())]
    generator, model_mode = torch.random.get_rng_state(), model.training
    fit(model, images, labels, seeds=range(3), data_noise=0.3, batch_size=7, epochs=2)
    assert torch.equal(images, kept[0])
    assert torch.equal(labels, kept[1])
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, kept[2][name])
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert model.training == model_mode
    assert torch.get_num_threads() == 2


def test_importing_draws_nothing_from_the_global_generator():
    code = """
import torch
before = torch.random.get_rng_state()
import sbt_utils.training.networks, sbt_utils.training.steering, sbt_utils.training.trainer
assert torch.equal(torch.random.get_rng_state(), before)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wide_network_is_the_same_on_any_number_of_threads(threads):
    images, labels = problem(images=90)
    trained = []
    for count in (1, 2):
        threads(count)
        trained.append(fit(network(width=700), images, labels, dropout=0.2, epochs=2))
    assert_same_member(trained[0], 0, trained[1], 0)
