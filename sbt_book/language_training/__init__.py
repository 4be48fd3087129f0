"""Chapter 11: small language models that are trained, and steered."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "findings": "curves_of depth_table law_of_residuals noise_table "
        "scaling_table shape_of steering_table straightest",
        "figures": "convexity_in_training curves_by_knob loss_against_convexity losses_by_dropout",
        "settings": "BASE DEPTHS DROPOUTS RATES SETTINGS SIZES Setting Size",
    },
)
