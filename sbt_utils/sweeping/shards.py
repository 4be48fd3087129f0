"""Shards: networks of an experiment that are trained and measured together."""

from sbt_utils.sweeping.experiments import Experiment
from sbt_utils.text import quoted

SHARD_SIZE = 30
"""Networks in a shard: enough to train small batches fast, few enough to lose little."""

# What networks must share to be trained by one call.
_SHARED = ("hidden_layers", "width", "epochs", "optimizer", "batch_size")


class SweepError(RuntimeError):
    """Some shards could not be computed or written; the finished ones are kept."""


def cut(experiment: Experiment, numbers: set[int], shard_size: int = SHARD_SIZE) -> list[list[int]]:
    """Divide networks into shards that can be trained together, the costliest first."""
    if not isinstance(shard_size, int) or shard_size < 1:
        raise ValueError(f"shard_size={quoted(shard_size)}: give an integer of at least 1")
    groups: dict[tuple[object, ...], list[int]] = {}
    for number in sorted(numbers):
        network = experiment.network(number)
        groups.setdefault(tuple(network[name] for name in _SHARED), []).append(number)
    costliest_first = sorted(groups.values(), key=lambda group: -work(experiment, group[0]))
    return [
        group[start : start + shard_size]
        for group in costliest_first
        for start in range(0, len(group), shard_size)
    ]


def work(experiment: Experiment, number: int) -> float:
    """Return roughly how many multiply-adds a network takes, up to a constant factor."""
    network = experiment.network(number)
    steps = network["epochs"] * -(-experiment.train // network["batch_size"])
    weights = network["width"] ** 2 * network["hidden_layers"]
    # A step costs as much, whatever its batch, as 30 images more.
    return float(steps * (network["batch_size"] + 30) * weights)
