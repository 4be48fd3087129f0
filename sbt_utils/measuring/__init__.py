"""Data separation and the load curve of any network."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "separation": "data_separation",
        "curves": "LoadCurve MEASURES REGIME_TOLERANCE curve_statistics scaled",
        "probe": "load_curve",
        "evaluation": "accuracy evaluate",
        "skipping": "Removal removal",
        "scatter": "ProjectedScatter ScatterStatistics UndefinedSeparation",
    },
)
