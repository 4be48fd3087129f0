"""Chapter 7: how often the advice of a stress map is right, and which layers can go."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "kinds": "DATA KINDS",
        "faults": "CONDITIONS",
        "experiment": "CONFIGURATION compact everything",
        "statistics": "STATISTICS",
        "rates": "FINDINGS kinds_left_out raised_table rate_table seen_first statistic_table",
        "removal_ranks": "PREDICTORS correlations rank_table regrets",
    },
)
