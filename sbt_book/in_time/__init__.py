"""Chapter 5: load curves while networks train and noise is switched."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "switching": "course drawn_on in_turn",
        "figures": "convexity_in_time curves_over_epochs film_over_epochs switched_on_and_off",
    },
)
