"""Which samples a network is watched on."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from sbt_utils.watching.probe_set import probe_set

INPUTS = torch.arange(1000.0)[:, None].expand(-1, 3).contiguous()
SORTED = torch.arange(1000) // 250  # class by class, as in folders of images


def samples(batches):
    """Return the numbers of the samples in batches of pairs."""
    return [int(x[0]) for batch in batches for x in batch[0]]


@pytest.mark.parametrize(
    "data",
    [
        (INPUTS, SORTED),
        (INPUTS.numpy(), SORTED.tolist()),
        TensorDataset(INPUTS, SORTED),
        DataLoader(TensorDataset(INPUTS, SORTED), 64),
        DataLoader(TensorDataset(INPUTS, SORTED), 64, shuffle=True),
        DataLoader(TensorDataset(INPUTS, SORTED), 64, num_workers=2),
        [(x, int(y)) for x, y in zip(INPUTS, SORTED, strict=True)],
    ],
    ids=["tensors", "arrays", "data set", "loader", "shuffled", "workers", "list"],
)
def test_some_of_all_classes_the_same_each_time(data):
    batches = probe_set(data, None, 200, 64)
    assert [len(batch[1]) for batch in batches] == [64, 64, 64, 8]
    assert len(set(samples(batches))) == 200
    assert samples(batches) == samples(probe_set(data, None, 200, 64))
    classes = np.concatenate([np.asarray(batch[1]) for batch in batches])
    assert (np.array(samples(batches)) // 250 == classes).all()
    assert np.bincount(classes).min() > 30


def test_few_samples_are_all_taken():
    batches = probe_set((INPUTS, SORTED), None, 5000, 300)
    assert sorted(samples(batches)) == list(range(1000))


def test_of_many_classes_some_are_taken_with_enough_samples_each():
    labels = torch.arange(1000) % 100
    batches = probe_set((INPUTS, labels), None, 80, 500)
    names, counts = np.unique(np.asarray(batches[0][1]), return_counts=True)
    assert len(names) == 10  # 80 samples, at least 8 of each
    assert counts.min() >= 2


def test_mappings_and_labels_by_a_function():
    data = {"input_ids": INPUTS.long(), "kind": SORTED}
    (batch,) = probe_set(data, lambda batch: batch["kind"], 50, 64)
    assert (batch["input_ids"][:, 0] // 250 == batch["kind"]).all()
    assert len(batch["kind"]) == 50


def test_rows_with_a_mask_are_padded_per_batch():
    rows = [
        {"input_ids": [1] * n, "attention_mask": [1] * n, "labels": n % 2} for n in range(1, 30)
    ]
    batches = probe_set(rows, None, 20, 10)
    assert [len(batch["labels"]) for batch in batches] == [10, 10]
    for batch in batches:
        assert (batch["attention_mask"].sum(1) % 2 == batch["labels"]).all()


def test_a_loader_brings_its_own_way_to_make_batches():
    def collate(rows):
        return {
            "x": torch.stack([x for x, _ in rows]),
            "labels": torch.tensor([y for _, y in rows]),
        }

    batches = probe_set(
        DataLoader(TensorDataset(INPUTS, SORTED), 32, collate_fn=collate), None, 40, 9
    )
    assert [len(batch["labels"]) for batch in batches] == [32, 8]


class Stream(IterableDataset):
    """Gives one sample after the other, and says how many."""

    def __init__(self):
        self.given = 0

    def __iter__(self):
        for x, y in zip(INPUTS, SORTED % 2, strict=True):
            self.given += 1
            yield x, y

    def __len__(self):
        return len(INPUTS)


class Batches(Dataset):
    """Gives whole batches, from which only the first samples are taken."""

    def __len__(self):
        return 10

    def __getitem__(self, place):
        part = slice(100 * place, 100 * place + 100)
        return INPUTS[part], SORTED[part]


def test_of_what_gives_batches_in_its_own_order_the_first_are_taken():
    stream = Stream()
    assert samples(probe_set(DataLoader(stream, 32), None, 70, 9)) == list(range(70))
    assert stream.given == 96
    pairs = ((INPUTS[n : n + 50], SORTED[n : n + 50]) for n in range(0, 1000, 50))
    assert samples(probe_set(pairs, None, 70, 9)) == list(range(70))
    assert len(next(pairs)[0]) == 50  # the rest is left
    whole = DataLoader(Batches(), batch_size=None)
    assert samples(probe_set(whole, None, 150, 9)) == list(range(150))
    assert len(samples(probe_set(Batches(), None, 150, 9))) == 150


def test_batches_without_labels_are_refused():
    with pytest.raises(TypeError, match=r"a batch is Tensor; yield \(inputs, labels\) pairs"):
        probe_set(
            DataLoader(TensorDataset(INPUTS), 10, collate_fn=lambda rows: rows[0][0][0]),
            None,
            20,
            10,
        )
    with pytest.raises(ValueError, match="no 'labels' among x; give labels"):
        probe_set([{"x": 1.0}, {"x": 2.0}], None, 20, 10)
