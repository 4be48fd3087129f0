"""Chapter 9: what the gradients of the networks say of the chain's forces."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "skewness": "force_left",
        "experiment": "CONFIGURATION everything",
        "comparison": (
            "drive_table force_table predicted_convexity shares skewness_table slope_table"
        ),
        "figures": "shares_against_drive skewness_against_convexity",
    },
)
