"""Importing the packages and asking for data leave everybody's random numbers as they were."""

import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, random
import numpy as np
import torch

def states():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()

before = states()
import sbt_book, sbt_utils

for package in (sbt_utils, sbt_book):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
        assert states() == before, f"importing {module.name} draws random numbers"

from sbt_book.gallery.sentences import sentences
from sbt_utils.sweeping.tasks import data_of

for ask in (
    lambda: sbt_utils.load_data("mnist"),
    lambda: sbt_utils.load_data("gaussian_mixture", train=50, test=50),
    lambda: sentences(train=50, test=50),
    lambda: data_of(sbt_utils.Experiment({"dropout": [0.0], "width": [5]}, test=50)),
):
    ask()
    assert states() == before, "asking for data draws random numbers"
print("imported", len(sbt_utils.__all__))
"""


def test_importing_and_asking_for_data_draw_no_random_numbers():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("imported ")
