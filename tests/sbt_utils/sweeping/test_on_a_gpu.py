"""A sweep on a GPU against one on the CPU; the tolerances are those of training on a GPU."""

import json

import numpy as np
import pytest

from sbt_utils.sweeping.experiments import Experiment
from sbt_utils.sweeping.sweeps import sweep

pytestmark = pytest.mark.gpu

GPU = "cuda"
AXES = {
    "dropout": {"dropout": [0.0, 0.2], "negative_slope": [0.0, 0.6]},
    "batch size": {"batch_size": [100, 300], "negative_slope": [0.0, 0.6]},
    "width": {"width": [30, 100], "data_noise": [0.0, 0.3]},
}


def grid(name):
    return Experiment(AXES[name], seeds=2, epochs=3, train=300, test=200)


@pytest.mark.parametrize("name", AXES)
def test_a_sweep_is_that_of_the_cpu(name):
    ours, theirs = (sweep(grid(name), device=d, progress=False) for d in (GPU, "cpu"))
    assert set(ours.data_vars) == set(theirs.data_vars)
    for variable in ("separation_train", "separation_test", "fuzziness_train"):
        np.testing.assert_allclose(ours[variable], theirs[variable], atol=0.05)
    np.testing.assert_allclose(ours.loss_train, theirs.loss_train, rtol=0.01)
    for variable in ("accuracy_train", "accuracy_test"):
        np.testing.assert_allclose(ours[variable], theirs[variable], atol=0.016)
    np.testing.assert_array_equal(ours.epochs, theirs.epochs)
    assert json.loads(ours.configuration)["device"] == "cuda"


def test_results_of_the_two_are_not_mixed(tmp_path):
    out = tmp_path / "grid.nc"
    made = sweep(grid("dropout"), out=out, device=GPU, shard_size=3, progress=False)
    with pytest.raises(ValueError, match="made with device = 'cuda', not 'cpu'"):
        sweep(grid("dropout"), out=out, progress=False)
    again = sweep(grid("dropout"), out=out, device=GPU, progress=False)
    assert again.equals(made)
