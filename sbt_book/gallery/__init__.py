"""Chapter 7: stress maps of six kinds of network."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "experiment": "KINDS data_of gallery trained",
        "responses": "along response_table shapes",
        "figures": "convexity_by_kind curves_by_kind",
        "small_models": "class_token mean_token",
    },
)
