"""Chapter 2: the folding ruler, pulled slowly and with a shaking hand."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "diagram": "ruler_diagram",
        "figures": "convexity_against_speed convexity_of_pulls pulls stills",
        "pull_film": "film",
    },
)
