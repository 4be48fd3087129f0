"""What makes a training step fit for a GPU, as far as a CPU can tell."""

import numpy as np
import pytest
import torch
from small_training import fit
from torch.utils._python_dispatch import TorchDispatchMode

import sbt_utils.ensembles.ensemble
from sbt_utils.training.chunks import in_turn
from sbt_utils.training.networks import CNN, MLP
from sbt_utils.training.steps import Steps

# What gives a number to the processor, or has a shape that depends on numbers.
WAITS = (
    "_local_scalar_dense",
    "equal",
    "nonzero",
    "masked_select",
    "unique",
    "_unique2",
    "bincount",
    "repeat_interleave",
    "_to_copy",
    "is_nonzero",
)


class NoWaiting(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        there = name == "_to_copy" and (kwargs or {}).get("device") is None
        assert there or name not in WAITS, f"{name} makes a GPU wait"
        masks = args[1] if name in ("index", "index_put", "index_put_") else ()
        assert all(mask is None or mask.dtype != torch.bool for mask in masks), name
        return function(*args, **(kwargs or {}))


@pytest.fixture
def layers_of_pytorch(monkeypatch):
    """Leave out the layers that are compiled for a CPU."""
    monkeypatch.setattr(sbt_utils.ensembles.ensemble, "_fuser", lambda rows: list)


@pytest.fixture
def watched(monkeypatch, layers_of_pytorch):
    sizes, take = [], Steps.take

    def take_watched(steps, size):
        sizes.append(size)
        with NoWaiting():
            take(steps, size)

    monkeypatch.setattr(Steps, "take", take_watched)
    return sizes


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "momentum"])
@pytest.mark.parametrize("batch_size", [24, 9])
def test_no_step_waits_for_the_device(watched, optimizer, batch_size):
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(24, 1, 6, 6, generator=generator), torch.arange(24) % 3
    settings = {"optimizer": optimizer, "batch_size": batch_size, "epochs": 2}
    noises = {"dropout": [0.0, 0.2], "data_noise": [0.0, 0.3], "weight_noise": [0.0, 0.1]}
    noises["seeds"] = range(2)
    fit(MLP(36, 7, 2, classes=3), images, labels, **noises, **settings)
    fit(CNN(1, 6, 4, 2, classes=3), images, labels, **noises, **settings)
    assert set(watched) == ({24} if batch_size == 24 else {9, 6})


def test_what_waits_is_found():
    with pytest.raises(AssertionError, match="_local_scalar_dense makes a GPU wait"), NoWaiting():
        bool(torch.ones(3).any())
    with pytest.raises(AssertionError, match="index"), NoWaiting():
        torch.ones(3)[torch.tensor([True, False, True])]


SIZES = np.repeat([10, 40], [3, 9])


def trained(holds):
    """Train members 0 to 11 in two chunks on a card that holds so many, by their batch size."""

    def train(chunk):
        if len(chunk) > holds[SIZES[chunk[0]]]:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return {"members": chunk.tolist()}, chunk

    chunks = [np.arange(3), np.arange(3, 12)]
    divided, outcomes = in_turn(train, chunks, SIZES, torch.device("cpu"))
    assert [chunk.tolist() for chunk in divided] == [state["members"] for state, _ in outcomes]
    return [chunk.tolist() for chunk in divided]


def test_a_chunk_too_large_for_the_card_is_divided():
    said = r"memory does not hold 9 networks with batch_size=40 at once: they are trained 4 at a"
    with pytest.warns(UserWarning, match=said):
        assert trained({10: 3, 40: 4}) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    with pytest.warns(UserWarning, match=said), pytest.warns(UserWarning, match="1 at a time"):
        assert trained({10: 3, 40: 2}) == [[0, 1, 2], *([member] for member in range(3, 12))]


def test_larger_batches_are_divided_at_once():
    with pytest.warns(UserWarning, match="trained 1 at a time") as said:
        assert trained({10: 2, 40: 2}) == [[member] for member in range(12)]
    assert len(said) == 1


@pytest.mark.filterwarnings("ignore:the GPU's memory does not hold")
def test_a_card_too_small_for_one_member_is_an_error():
    with pytest.raises(MemoryError, match=r"batch_size=40: not even one network's step fits"):
        trained({10: 3, 40: 0})
