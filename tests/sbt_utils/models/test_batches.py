"""Labelled data in every form that is taken, as batches and as whole arrays."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from sbt_utils.models.batches import as_batches, whole_arrays

INPUTS = torch.randn(11, 2, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(11) % 3


def frozen(array):
    array.setflags(write=False)
    return array


@pytest.mark.parametrize(
    "arguments",
    [
        ((INPUTS, LABELS),),
        ([INPUTS, LABELS],),
        (INPUTS, LABELS),
        ((INPUTS, LABELS.tolist()),),
        (INPUTS, LABELS.numpy()),
        (INPUTS.numpy(), LABELS.tolist()),
        (frozen(INPUTS.numpy().copy()), LABELS),
        (INPUTS.numpy()[::-1][::-1], LABELS),
        (DataLoader(TensorDataset(INPUTS, LABELS), batch_size=4),),
        (iter([(INPUTS[:2], LABELS[:2]), (INPUTS[2:].numpy(), LABELS[2:].tolist())]),),
    ],
)
def test_whole_arrays_of_every_form(arguments):
    inputs, labels = whole_arrays(*arguments)
    assert torch.equal(inputs, INPUTS)
    assert torch.equal(labels, LABELS)


def test_whole_arrays_keep_their_dtype():
    inputs, labels = whole_arrays((INPUTS.double().numpy(), LABELS.to(torch.uint8)))
    assert (inputs.dtype, labels.dtype) == (torch.float64, torch.uint8)


@pytest.mark.parametrize("dtype", [">f8", "<f4", ">i4", np.longdouble])
def test_whole_arrays_of_any_number_type(dtype):
    array = np.arange(11).astype(dtype)
    inputs, labels = whole_arrays(array, array)
    assert inputs.tolist() == labels.tolist() == list(range(11))


@pytest.mark.parametrize("size", [4, np.int64(4)])
def test_batches_of_arrays(size):
    for batches in (as_batches((INPUTS, LABELS), None, size), as_batches(INPUTS, LABELS, size)):
        assert [len(labels) for _, labels in batches] == [4, 4, 3]
        assert torch.equal(torch.cat([inputs for inputs, _ in batches]), INPUTS)
        assert torch.equal(torch.cat([labels for _, labels in batches]), LABELS)


def test_a_loader_stays_as_it_is():
    loader = DataLoader(TensorDataset(INPUTS, LABELS), batch_size=5)
    assert as_batches(loader, None, 4) is loader


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((INPUTS,), TypeError, "labels: None given; inputs in an array need labels, one per sam"),
        (((INPUTS, LABELS, LABELS),), ValueError, r"data: 3 parts given; give \(inputs, labels\)"),
        (((INPUTS, LABELS), LABELS), TypeError, "labels: given twice, also in data; leave one of"),
        (([(INPUTS, LABELS)], LABELS), TypeError, "data: list given beside labels; give a tensor"),
        ((INPUTS, LABELS[1:]), ValueError, r"labels: shape \(10,\) does not match inputs of shap"),
        ((INPUTS, 3), ValueError, "labels: a single one given; give one"),
        ((np.array(0.0), np.array(0)), ValueError, "labels: a single one given"),
        (([(INPUTS, None)],), ValueError, "labels: a single one given"),
        (
            ([(INPUTS, LABELS), (INPUTS[:, 1], LABELS)],),
            ValueError,
            r"data: samples of shapes \(2, 3\)",
        ),
        ((7,), TypeError, r"data: int given; give \(inputs, labels\) or a loader"),
        (([],), ValueError, "data: the loader yields no batch; give one or more"),
        ((iter([INPUTS]),), TypeError, r"data: a batch is Tensor; yield \(inputs, labels\) pairs"),
        (([("a.png", LABELS)],), TypeError, "data: a batch holds str; yield tensors"),
    ],
)
def test_bad_data_names_argument_value_and_remedy(arguments, error, message):
    with pytest.raises(error, match=message):
        whole_arrays(*arguments)


@pytest.mark.parametrize("label", [np.array(0), np.array(0, dtype=object), torch.tensor(0.0)])
def test_one_label_for_named_inputs_is_refused(label):
    with pytest.raises(ValueError, match="labels: a single one given; give one label per sample"):
        list(as_batches(({"x": INPUTS}, label), None, 4))
