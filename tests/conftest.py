"""What several test files share."""

import pytest
import torch


@pytest.fixture
def one_thread():
    """Several threads wait for one another on a busy machine, and small tests gain nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
