"""Chapter 10: other measures of separation, another noise, other shapes of networks."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "directions": "least_fuzziness measures_of scatter_along_directions",
        "shapes": "SERIES Shape",
        "votes": "shuffled_votes vote_table votes",
        "weight_noise": "EXPERIMENT",
    },
)
