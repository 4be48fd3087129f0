"""Chapter 8: a controller that straightens the load curve, against fixed dropout."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "experiment": "COMPARED CONFIGURATION everything",
        "tables": "comparison_table select variations_table",
        "figures": "accuracy_against_dropout steering_in_time",
    },
)
