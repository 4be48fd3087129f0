"""Models and their inputs from files: a class that is imported, a checkpoint, arrays in npz."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "loading": "load_model",
        "arrays": "load_inputs",
    },
)
