"""Chapter 7: how often the advice of a stress map is right, and which layers can go."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "kinds": "DATA KINDS",
        "faults": "CONDITIONS",
        "experiment": "everything",
    },
)
