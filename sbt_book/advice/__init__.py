"""Chapter 7: how often the advice of a stress map is right, and which layers can go."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "kinds": "DATA KINDS",
        "faults": "CONDITIONS",
        "experiment": "CONFIGURATION all_cells compact everything fresh_cells",
        "statistics": "STATISTICS",
        "rates": "FINDINGS rate_table statistic_table",
        "found_by_map": "map_rates raised_by_condition rates_in_words",
        "removal_ranks": "PREDICTORS correlations rank_table regrets",
        "figures": "findings_by_condition predictors_by_kind",
    },
)
