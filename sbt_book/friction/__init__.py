"""Chapter 9: whether a network sticks, as a block does under dry friction."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "experiment": "CONFIGURATION everything",
        "response": "mobility_ratio push_table",
        "loops": "cycles loop_table memory",
        "jerks": "jerk_table",
        "figures": "jerks_figure loops_figure mark_figure mobility_figure push_figure",
    },
)
