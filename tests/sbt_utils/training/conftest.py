"""What tests of training share."""

import pytest
import torch

import sbt_utils.training.chunks


@pytest.fixture(autouse=True)
def threads():
    """One thread, or as many as a test sets; put back afterwards.

    More than one wait for one another on a busy machine, and nothing here is large.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def chunk_elements(monkeypatch):
    def set_elements(count):
        monkeypatch.setitem(sbt_utils.training.chunks._CHUNK_ELEMENTS, "cpu", count)

    return set_elements
