"""Chapter 10: other measures of separation, another noise, other shapes of networks."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "directions": "least_fuzziness measures_of scatter_along_directions",
        "scaling": "chains_of_depth collapse extrapolated shape_convexities",
        "shapes": "SERIES Shape",
        "voting": "by_strength shuffled_votes vote_table votes",
        "weight_noise": "EXPERIMENT",
        "figures": "depth_of panel_of_weight_noise room_to_fall two_measures votes_by_measure "
        "width_and_start",
    },
)
