"""A fifth source of noise: Gaussian steps of the weights, over the negative slope.

``python -m sbt_book.beyond.weight_noise`` trains the networks, or those that are missing, and
writes ``results/weight_noise.nc``.
"""

from sbt_book.common.committed import RESULTS
from sbt_utils.sweeping.experiments import Experiment
from sbt_utils.sweeping.sweeps import sweep

EXPERIMENT = Experiment(
    {"weight_noise": [0.0, 0.05, 0.1, 0.2, 0.4], "negative_slope": [0.0, 0.4, 0.8, 1.0]}
)
"""The published protocol, full-batch without other noise; fewer cells than there."""

if __name__ == "__main__":
    print(f"{len(EXPERIMENT)} networks, about 3 s of one processor core each")
    sweep(EXPERIMENT, out=RESULTS / "weight_noise.nc", shard_size=10)
