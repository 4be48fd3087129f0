"""Chapter 7: models that others have trained, whose weights install as Python packages."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "models": "PACKAGES language_model missing pitch_network sentence_encoder",
        "data": "CHAPTERS docstrings sounds text_batches",
        "experiment": "CONFIGURATION TOKENS all_but_the_first everything stress_of",
    },
)
