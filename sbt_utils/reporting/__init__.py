"""The stress map of a trained network: loads with intervals, and what they suggest."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "stress_map": "StressMap report",
        "advice": "Advice",
        "comparison": "Comparison compare",
        "model_files": "load_inputs load_model",
    },
)
