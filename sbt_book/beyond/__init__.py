"""Chapter 10: other measures of separation, another noise, other shapes of networks."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "directions": "diagrams_of measures_of",
        "scaling": "SEEDS chains_of_depth collapse extrapolated judged_numbers number_words "
        "shape_convexities shape_table",
        "shapes": "SERIES",
        "voting": "DIRECTIONS by_strength vote_table vote_words",
        "weight_noise": "EXPERIMENT",
        "figures": "depth_of panel_of_weight_noise room_to_fall two_measures votes_by_measure "
        "width_and_start",
    },
)
