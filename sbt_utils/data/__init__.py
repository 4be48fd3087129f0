"""Labelled images: embedded, downloaded or generated."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "datasets": "Dataset load_data",
        "downloads": "DatasetError NAMES",
    },
)
