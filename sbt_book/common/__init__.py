"""What chapters share: committed results, selections, statistics, panels, films, profiles."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "collapsing": "collapse",
        "committed": "RESULTS load_committed",
        "profiles": "at_profile profile_for",
        "films": "player",
        "noise_axes": "NOISES in_order level_name",
        "selections": "convexity failed scaled_curves whole_curves",
        "statistics": "bootstrap_interval mean_interval rank_correlation spearman",
    },
)
