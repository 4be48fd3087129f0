"""Grids of networks, trained shard by shard on any executor."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "experiments": "Experiment PARAMETERS PHASE_DIAGRAMS network_seed published",
        "sweeps": "sweep",
        "shards": "SweepError",
        "workers": "LocalProcesses",
    },
)
