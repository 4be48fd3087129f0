"""Explorables: pictures that run in the page, written in JavaScript in `pages/`."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "chain": "ChainExplorable",
        "ruler": "RulerExplorable",
        "phase_diagram": "PhaseDiagramExplorable",
        "training": "TrainingExplorable",
        "laboratory": "Laboratory",
        "language": "LanguageExplorable",
        "comparison": "ComparisonExplorable compare",
    },
)
