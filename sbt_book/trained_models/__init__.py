"""Chapter 7: models that others have trained, whose weights install as Python packages."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "models": "PACKAGES missing pitch_network sentence_encoder",
        "data": "CHAPTERS docstrings sounds text_batches",
        "experiment": "CONFIGURATION TOKENS all_but_the_first everything stress_of",
        "removal_costs": "PREDICTORS choice_table correlation_table cost_table difference_table",
        "figures": "can_it_go load_curves_at_a_glance",
    },
)
