"""What several test files share."""

import signal

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

# In a process in the background Ctrl-C may be ignored, and so in all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Skip tests marked `gpu` where there is no CUDA device."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def one_thread():
    """Several threads wait for one another on a busy machine, and small tests gain nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def matplotlib_untouched():
    """Figures leave no global state behind."""
    # dict.copy reads the parameters as they are: nothing looks for a backend.
    before, open_figures = dict.copy(mpl.rcParams), plt.get_fignums()
    yield
    assert dict.copy(mpl.rcParams) == before
    assert plt.get_fignums() == open_figures
