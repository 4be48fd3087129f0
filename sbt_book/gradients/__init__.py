"""Chapter 9: what the gradients of the networks say of the chain's forces."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "skewness": "force_left",
        "experiment": "CONFIGURATION everything",
    },
)
